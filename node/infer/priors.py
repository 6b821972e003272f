"""Earlier studies as a model is given them: read like its own series, and left out where they cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from node.domain.model import InputKind, ModelDescription
from node.domain.study import Picture, Prior
from node.errors import InputError
from node.infer.pictures import read_file, read_pictures
from node.infer.volume import load_series
from node.infer.wire import failure
from node.ports.inference import PriorImages

Told = Mapping[str, Any]


def read_priors(model: ModelDescription, wanted: Sequence[PriorImages]) -> tuple[tuple[Prior, ...], list[Told]]:
    """Those that can be read, in their order, and what is to be told of each: an unreadable one is no wrong input.

    Raises:
        ObjectMissing: an image is gone.
    """
    found: list[Prior] = []
    told: list[Told] = []
    for one in wanted:
        place = {
            "study_instance_uid": one.series.study_instance_uid,
            "series_instance_uid": one.series.series_instance_uid,
            "study_date": one.series.study_date,
        }
        try:
            found.append(_read(model, one))
        except InputError as error:
            told.append({**place, "used": False, "reason": failure(error).code})
        else:
            told.append({**place, "used": True})
    return tuple(found), told


def _read(model: ModelDescription, one: PriorImages) -> Prior:
    place = (one.series.study_instance_uid, one.series.series_instance_uid, one.series.study_date)
    if model.kind is InputKind.VOLUME:
        return Prior(*place, volume=load_series(one.images).volume)
    return Prior(*place, pictures=tuple(_pictures(model, one)))


def _pictures(model: ModelDescription, one: PriorImages) -> list[Picture]:
    files = (read_file(location, number) for number, location in enumerate(one.images))
    return [picture for file in files for picture in read_pictures(file, model.limits.frames_at_most)]
