"""``ainode models predict``: one study from files to result objects, without network or database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from node.app.clock import SystemClock
from node.app.devices import resolve
from node.app.packages import find_model
from node.app.writing import result_writer
from node.config import Config
from node.database.plain import findings_to_plain
from node.domain.admission import Admission, Route, Verdict
from node.domain.job import Job, JobState, Priority
from node.domain.model import ModelDescription
from node.domain.result import HeatMap, InferenceResult, Outcome, Reason
from node.domain.study import ByteRange, Grid, Instance, Picture, Series, SopRef, StoredInstance
from node.errors import OperationError, ReceiveError
from node.infer.executor import SpawnedExecutor
from node.infer.heat_maps import name_of
from node.infer.pictures import read_file, read_pictures
from node.infer.record import not_evaluable
from node.ports import InferenceReply, InferenceRequest, Run, View
from node.receive import header, part10
from node.results.overlay import overlay
from node.route.admission import judge, unfit_reason
from node.route.facts import describe

log = structlog.get_logger()

# A series is judged as if one route took every model: files have no destinations.
ANY_ROUTE = (Route(models=("*",), destinations=(), when=(), priority="MEDIUM"),)


def predict(config: Config, model_id: str, path: Path, out: Path, device: str) -> dict[str, Any]:
    """The document of CONTRACT's ``models predict``; result objects are written to ``out``.

    A study with no series that the model wants is NOT EVALUABLE, with every unmet condition as the reason.

    Raises:
        NotFound, ModelError: the model cannot be used.
        OperationError: no DICOM object under ``path``, several studies, or several series that fit.
        InferenceError: the run failed.
    """
    model = find_model(config, model_id)
    judged = [(series, judge(describe(series), model, ANY_ROUTE)) for series in _series(path)]
    if not judged:
        raise OperationError(f"no DICOM object under {path}")
    if len({series.study_instance_uid for series, _ in judged}) > 1:
        raise OperationError(f"{path} holds several studies; name the folder of one")
    fitting = [(series, admission) for series, admission in judged if admission.verdict is not Verdict.NOT_WANTED]
    if len(fitting) > 1:
        uids = ", ".join(series.series_instance_uid for series, _ in fitting)
        raise OperationError(f"several series fit {model_id}; name the folder of one: {uids}")
    if not fitting:
        result = InferenceResult(Outcome.NOT_EVALUABLE, reason=_not_wanted(judged))
        return _document(model, InferenceReply(result, None), [], [])
    series, admission = fitting[0]
    reply = _run(config, model, series, unfit_reason(admission), device)
    objects = _write(model, series, reply.result, reply.grid, out)
    return _document(model, reply, objects, _draw(model, series, reply.result.heat_maps, out))


def _run(config: Config, model: ModelDescription, series: Series, unfit: Reason | None, device: str) -> InferenceReply:
    if unfit is not None:
        return not_evaluable(unfit)
    executor = SpawnedExecutor()
    timeout_s = model.runtime.timeout_s or config.work.timeout_s
    try:
        request = InferenceRequest(model, _locations(series), resolve(device)[0], timeout_s)
        return executor.run(request, lambda: None)
    finally:
        executor.close()


def _write(model: ModelDescription, series: Series, result: InferenceResult, grid: Grid | None, out: Path) -> list[str]:
    job = Job(
        id=0,
        key=f"predict/{model.id}/{series.series_instance_uid}",
        state=JobState.IN_PROGRESS,
        model=model.id,
        model_version=model.version,
        study_instance_uid=series.study_instance_uid,
        series_instance_uids=(series.series_instance_uid,),
        revision=series.revision,
        accession_number=series.accession_number,
        destinations=(),
        priority=Priority.MEDIUM,
        attempt=1,
        max_attempts=1,
        created_at=SystemClock().now(),
    )
    run = Run(job, model, result, grid, series.instances, _locations(series))
    objects = result_writer().write(run)
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for written in objects:
        path = out / f"{written.modality}-{written.sop_instance_uid}.dcm"
        path.write_bytes(written.part10)
        paths.append(str(path))
    return paths


def _draw(model: ModelDescription, series: Series, heat_maps: Sequence[HeatMap], out: Path) -> list[str]:
    """Each heat map over its image, as a PNG."""
    paths = []
    for heat_map in heat_maps:
        path = out / f"heat-map-{name_of(heat_map.image)}.png"
        path.write_bytes(overlay(_picture(model, series, heat_map.image), heat_map))
        paths.append(str(path))
    return paths


def _picture(model: ModelDescription, series: Series, image: SopRef) -> Picture:
    locations = zip(series.instances, _locations(series), strict=True)
    (location,) = (place for one, place in locations if one.instance.sop_instance_uid == image.sop_instance_uid)
    pictures = read_pictures(read_file(location, 0), model.limits.frames_at_most)
    return next(picture for picture in pictures if picture.ref == image)


def _document(
    model: ModelDescription, reply: InferenceReply, objects: list[str], heat_maps: list[str]
) -> dict[str, Any]:
    result = reply.result
    return {
        "model": model.id,
        "model_version": model.version,
        "outcome": result.outcome,
        "reason": result.reason.text if result.reason else None,
        "findings": findings_to_plain(result.findings),
        "objects": objects,
        "heat_maps": heat_maps,
        "checks": list(reply.provenance.get("checks", ())),
    }


def _not_wanted(judged: list[tuple[Series, Admission]]) -> Reason:
    parts = []
    for series, admission in judged:
        unmet = "; ".join(f"{one.name}: found {one.found}, wanted {one.wanted}" for one in admission.unmet)
        parts.append(f"series {series.series_instance_uid}: {unmet}")
    return Reason("NoSeriesFits", "no series fits this model: " + " | ".join(parts))


def _locations(series: Series) -> tuple[ByteRange, ...]:
    return tuple(ByteRange(one.storage_key, 0, one.size) for one in series.instances)


def _series(path: Path) -> list[Series]:
    """The series under ``path``; what is no DICOM, or cannot be read, is passed over and logged with its reason."""
    found: dict[tuple[str, str], list[StoredInstance]] = {}
    for stored in _instances(path):
        instance = stored.instance
        found.setdefault((instance.study_instance_uid, instance.series_instance_uid), []).append(stored)
    return [
        Series(
            series_id=number,
            study_instance_uid=study,
            series_instance_uid=series,
            revision=1,
            accession_number=instances[0].instance.text("AccessionNumber"),
            calling_ae="",
            instances=tuple(instances),
        )
        for number, ((study, series), instances) in enumerate(sorted(found.items()), start=1)
    ]


def _instances(path: Path) -> Iterator[StoredInstance]:
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    wanted = header.wanted_tags()
    for file in files:
        try:
            transfer_syntax_uid = str(
                dcmread(file, stop_before_pixels=True, specific_tags=[]).file_meta.TransferSyntaxUID
            )
            read, digest = _read(file, transfer_syntax_uid, wanted)
            uids = [read.uids[keyword] for keyword in header.UID_KEYWORDS]
        except (InvalidDicomError, ReceiveError, AttributeError, LookupError, OSError, ValueError) as error:
            log.warning("predict.file_passed_over", path=str(file), reason=type(error).__name__)
            continue
        sop_class, sop_instance, study, series = uids
        yield StoredInstance(
            instance=Instance(study, series, sop_class, sop_instance, transfer_syntax_uid, read.attributes),
            storage_key=str(file.resolve()),
            size=file.stat().st_size,
            # As the intake computes it: the node and this command give the same UIDs for the same images.
            sha256=digest,
            calling_ae="",
            received_at=SystemClock().now(),
        )


def _read(file: Path, transfer_syntax_uid: str, wanted: Mapping[int, str]) -> tuple[header.Header, str]:
    """The header, and the SHA-256 of the data set."""
    content = file.read_bytes()
    found = header.read(View(content, 0, len(content)), transfer_syntax_uid, wanted)
    return found, sha256(content[part10.data_set_offset(content) :]).hexdigest()
