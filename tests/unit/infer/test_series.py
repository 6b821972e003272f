"""A series of pictures through a package: image by image, and what becomes of the ones that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation

from node.domain.model import InputSelection, ModelDescription
from node.domain.result import Outcome
from node.errors import AinodeError, ModelError, ObjectMissing
from node.infer import series as series_module
from node.infer.engine import Engine
from node.infer.executor import SpawnedExecutor
from node.infer.registry import check_package
from node.infer.series import SeriesRun, run_series
from node.ports import InferenceRequest
from tests import pictures

MODEL = check_package(Path(__file__).parents[2] / "fakes" / "models" / "bright_picture")
BRIGHT, DARK = np.full((8, 10), 200, np.uint8), np.full((8, 10), 20, np.uint8)
BRIGHT[0, 0] = DARK[0, 0] = 0
EMPTY = np.zeros((8, 10), np.uint8)


def run(folder: Path, images: Sequence[Dataset], model: ModelDescription = MODEL) -> SeriesRun:
    locations = [pictures.whole(path) for path in pictures.save(folder, images)]
    return run_series(Engine(), model, locations, "cpu")


def test_every_image_is_judged_by_itself(tmp_path: Path) -> None:
    """Grey and colour, of different sizes; the dark ones are told beside the bright one."""
    colour = np.repeat(DARK[:5, :, None], 3, axis=2)
    images = [pictures.us(DARK, 1), pictures.us(BRIGHT, 2), pictures.us(colour, 3)]
    found = run(tmp_path, images)
    assert (found.result.outcome, found.grid, found.device) == (Outcome.POSITIVE, None, "cpu")
    told = [(one.image.sop_instance_uid, one.present) for one in found.result.findings if one.image]
    assert told == [
        (images[1].SOPInstanceUID, True),
        (images[0].SOPInstanceUID, False),
        (images[2].SOPInstanceUID, False),
    ]
    assert found.result.reason is None
    assert {"read", "import", "preprocess", "network", "postprocess", "explain"} == found.durations.keys()


def test_a_heat_map_only_where_something_was_found(tmp_path: Path) -> None:
    images = [pictures.dx(DARK, 1), pictures.dx(BRIGHT, 2)]
    (heat_map,) = run(tmp_path, images).result.heat_maps
    assert heat_map.image.sop_instance_uid == images[1].SOPInstanceUID
    np.testing.assert_array_equal(heat_map.array, (BRIGHT > 100).astype(np.float32))


def test_nothing_is_explained_where_nothing_was_found(tmp_path: Path) -> None:
    assert "explain" not in run(tmp_path, [pictures.dx(DARK)]).durations


def test_heat_maps_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_module, "MOST_HEAT_MAPS", 2)
    result = run(tmp_path, [pictures.dx(BRIGHT, number) for number in range(1, 5)]).result
    assert (len(result.findings), len(result.heat_maps)) == (4, 2)


def test_one_image_that_cannot_be_judged_is_named(tmp_path: Path) -> None:
    found = run(tmp_path, [pictures.us(DARK, 11), pictures.us(EMPTY, 12)])
    assert found.result.outcome is Outcome.NOT_EVALUABLE
    assert found.result.reason is not None
    assert "image 2 of 2 (Instance Number 12): the picture is empty" in found.result.reason.text
    told = found.provenance()["pictures"]
    assert isinstance(told, list)
    assert [one["outcome"] for one in told] == ["NEGATIVE", "NOT EVALUABLE"]
    assert told[1]["reason"] == "ConstantImage"


def test_a_loop_is_no_picture_unless_declared(tmp_path: Path) -> None:
    images = [pictures.us(BRIGHT, 1), pictures.us_loop(np.stack([DARK, BRIGHT, DARK]), 2)]
    found = run(tmp_path / "not declared", images)
    assert found.result.reason is not None
    assert "a multi-frame image of 3 frames; this model takes at most 1" in found.result.reason.text
    declared = replace(MODEL, limits=replace(MODEL.limits, frames_at_most=3))
    frames = [one.image.frame for one in run(tmp_path / "declared", images, declared).result.findings if one.image]
    assert frames == [None, 2, 1, 3]


def test_a_frame_that_cannot_be_decoded_leaves_the_others(tmp_path: Path) -> None:
    loop = pictures.us_loop(np.stack([BRIGHT, BRIGHT]), 1)
    loop.PixelData = loop.PixelData[:-4]
    declared = replace(MODEL, limits=replace(MODEL.limits, frames_at_most=2))
    found = run(tmp_path, [loop, pictures.us(BRIGHT, 2)], declared)
    assert found.result.outcome is Outcome.POSITIVE
    assert found.result.reason is not None
    assert "image 1 of 2" in found.result.reason.text


def test_an_image_of_another_sop_class_is_not_evaluated(tmp_path: Path) -> None:
    wanted = replace(MODEL, selection=InputSelection(sop_classes=(str(DigitalXRayImageStorageForPresentation),)))
    found = run(tmp_path, [pictures.dx(DARK, 1), pictures.cr(DARK, 2)], wanted)
    assert found.result.reason is not None
    assert "a SOP class that this model does not take" in found.result.reason.text


def test_an_unreadable_header_is_one_image_that_was_not_evaluated(tmp_path: Path) -> None:
    good, bad = pictures.save(tmp_path, [pictures.dx(BRIGHT, 1), pictures.dx(BRIGHT, 2)])
    bad.write_bytes(b"nonsense")
    found = run_series(Engine(), MODEL, [pictures.whole(good), pictures.whole(bad)], "cpu")
    assert found.result.outcome is Outcome.POSITIVE
    assert found.pictures[1].ref is None


def test_an_image_that_is_gone_is_no_result_at_all(tmp_path: Path) -> None:
    (path,) = pictures.save(tmp_path, [pictures.dx(BRIGHT)])
    location = pictures.whole(path)
    path.unlink()
    with pytest.raises(ObjectMissing):
        run_series(Engine(), MODEL, [location], "cpu")


def test_a_heat_map_off_the_image_is_the_package_to_blame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    locations = [pictures.whole(path) for path in pictures.save(tmp_path, [pictures.dx(BRIGHT)])]
    run_series(engine, MODEL, locations, "cpu")
    (warm,) = engine._warm.values()
    monkeypatch.setattr(warm.code, "heat_map", lambda *given: np.ones((3, 3), np.float32))
    with pytest.raises(ModelError, match="the grid of the image"):
        run_series(engine, MODEL, locations, "cpu")


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    """What crosses the pipe is what was said, heat maps included."""

    def go_on() -> AinodeError | None:
        return None

    images = [pictures.dx(BRIGHT, 1), pictures.dx(EMPTY, 2)]
    locations = tuple(pictures.whole(path) for path in pictures.save(tmp_path, images))
    executor = SpawnedExecutor(threads=1)
    try:
        reply = executor.run(InferenceRequest(MODEL, locations, "cpu", 120.0), go_on)
    finally:
        executor.close()
    assert reply.result.outcome is Outcome.POSITIVE
    assert len(reply.result.heat_maps) == 1
    assert [one["outcome"] for one in reply.provenance["pictures"]] == ["POSITIVE", "NOT EVALUABLE"]
