"""A node whose memory holds one study with a finished result: real images, SEG and SR, rows as jobs leave them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset

from node import config
from node.app.records import Records, open_records
from node.app.writing import result_writer
from node.domain.admission import Admission, Condition, Verdict
from node.domain.job import Completion, NewJob
from node.domain.result import (
    CodedConcept,
    Finding,
    GraphicType,
    HeatMap,
    InferenceResult,
    Location,
    Measurement,
    Outcome,
    Segmentation,
    heat_maps_key,
)
from node.domain.study import CloseReason, Closure, StoredInstance
from node.infer.heat_maps import description, packed
from node.infer.record import completion, result_object, storage_key
from node.jobs.assessments import SqlAssessments
from node.ports import Run, View
from node.receive import header as headers
from tests.fakes.outbox import StandingClock
from tests.unit.results.runs import AT, MILLILITRE, MODEL, SEGMENTS, VOLUME, header, run_on, save

ROWS, COLUMNS, SLICES = 48, 64, 6
STUDY, SERIES = "1.2.3", "1.2.3.4"
# Admission of a model that does not want the series, and its words.
UNWANTED = Condition("modality", "selection", "CT", "MR", False)


@dataclass(frozen=True, slots=True)
class Seeded:
    """``label_map`` (k, r, c) is what the SEG shows; ``run`` what the model said. ``clock`` is that of assessments."""

    records: Records
    clock: StandingClock
    job: int
    label_map: npt.NDArray[np.uint8]
    run: Run


@contextmanager
def seeded(folder: Path, settings: str = "", images: Sequence[Dataset] | None = None) -> Iterator[Seeded]:
    """A node under ``folder`` with ``settings`` in its configuration; without ``images`` an axial MR series."""
    path = folder / "ainode.toml"
    destination = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 11\n'
    path.write_text(f'{settings}\n[store]\nkind = "files"\n{destination}', encoding="utf-8")
    opened, clock = open_records(config.load(path, {})), StandingClock()
    # Ten seconds to undo are ten seconds of the test, however long it takes.
    records = replace(opened, clock=clock, assessments=SqlAssessments(opened.engine, clock))
    try:
        yield _seed(records, folder, [image(number) for number in range(SLICES)] if images is None else images)
    finally:
        opened.close()


def image(number: int, **attributes: object) -> Dataset:
    """A slice with a pattern that has no symmetry; brighter from slice to slice."""
    made = header(
        number,
        **{
            "Rows": ROWS, "Columns": COLUMNS, "PixelSpacing": [1.0, 1.0], "InstanceNumber": number + 1,
            "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
            "HighBit": 15, "PixelRepresentation": 0, "WindowCenter": 500, "WindowWidth": 1000,
            "StationName": "MR1", "ManufacturerModelName": "Model 7", "SeriesDescription": "T1 axial",
        } | attributes,
    )  # fmt: skip
    r, c = np.indices((int(made.Rows), int(made.Columns)))
    made.PixelData = (100 * number + 4 * r + 3 * c).astype("<u2").tobytes()
    return made


def painted(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Segment 1: an L and a hole on slices 1 to 3, largest on 2; segment 2: a bar on slice 4."""
    label_map = np.zeros(shape, np.uint8)
    label_map[1:4, 10:30, 8:14] = 1
    label_map[2, 24:30, 8:40] = 1
    label_map[2, 26:28, 20:24] = 0
    label_map[4, 40:42, 50:60] = 2
    return label_map


def _seed(records: Records, folder: Path, images: Sequence[Dataset]) -> Seeded:
    source = folder / "source"
    source.mkdir()
    paths = save(images, source)
    run = run_on(paths, InferenceResult(Outcome.NEGATIVE))
    assert run.grid is not None
    label_map = painted(run.grid.shape)
    findings = tuple(
        Finding(segment.type, (Measurement(VOLUME, 1.5 * segment.number, MILLILITRE),), 0.97, segment.number)
        for segment in SEGMENTS
    )
    point = Location(GraphicType.POINT, ((5.0, 12.0, 33.0),))
    findings += (Finding(CodedConcept("X", "99AINODE", "Spot"), location=point, probability=0.3),)
    heat = np.zeros((ROWS, COLUMNS), np.float32)
    heat[5:15, 20:30] = 1
    result = InferenceResult(
        Outcome.POSITIVE,
        findings,
        Segmentation(SEGMENTS, label_map),
        heat_maps=(HeatMap(run.grid.sources[2], heat),),
    )
    job = _judged(records, paths)
    claimed = records.queue.claim("w", 600.0)
    assert claimed is not None
    run = replace(run, job=claimed, result=result)
    assert records.queue.complete(claimed, _kept(records, run))
    assert isinstance(records.clock, StandingClock)
    return Seeded(records, records.clock, job, label_map, run)


def _judged(records: Records, paths: Sequence[Path]) -> int:
    for path in paths:
        data = path.read_bytes()
        read = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        key = f"{read.StudyInstanceUID}/{read.SeriesInstanceUID}/{read.SOPInstanceUID}.dcm"
        records.files.put(data, key)
        syntax = str(read.file_meta.TransferSyntaxUID)
        told = headers.read(View(data, 0, len(data)), syntax, headers.wanted_tags())
        given = run_on([path], InferenceResult(Outcome.FAILED)).sources[0]
        instance = replace(given.instance, attributes=told.attributes)
        records.catalogue.record(StoredInstance(instance, key, len(data), given.sha256, "MR1", AT))
    (series,) = records.catalogue.open_series()
    job = NewJob("k", MODEL.id, MODEL.version, series.study_instance_uid, (series.series_instance_uid,),
                 series.revision, "A1", ("pacs",))  # fmt: skip
    admitted = Admission(MODEL.id, MODEL.version, Verdict.ADMITTED, (), 0, "MEDIUM", ("pacs",))
    unwanted = Admission("organ_ct", "1.0.0", Verdict.NOT_WANTED, (UNWANTED,))
    closure = Closure(CloseReason.OPERATOR, {"operator": "test"})
    assert records.catalogue.close_series(series.series_id, series.revision, closure, [admitted, unwanted], [job])
    return int(records.worklist.jobs()[0]["id"])


def _kept(records: Records, run: Run) -> Completion:
    written = list(result_writer().write(run))
    kept = []
    for one in written:
        key = storage_key(run.job.study_instance_uid, one)
        records.results.put(one.part10, key)
        kept.append(result_object(one, key))
    data, key = packed(run.result.heat_maps), heat_maps_key(kept[-1].storage_key)
    records.results.put(data, key)
    told = {"heat_maps": description(run.result.heat_maps, data, key), "device": "cpu", "precision": "fp32"}
    return completion(run, told, kept, {"run": 1.5})
