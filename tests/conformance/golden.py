"""Golden objects: one of each kind that the results step writes, of a small series in each character set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from node.app.conformance import in_words
from node.app.writing import source_picture
from node.domain.document import RejectionTitle, Withdrawal, failure_reason
from node.domain.identity import derive_uid
from node.domain.rendition import PICTURES
from node.domain.result import (
    CodedConcept,
    DocumentRef,
    EarlierResult,
    Finding,
    InferenceResult,
    Outcome,
    ParametricMap,
    SegmentationType,
)
from node.ports import EncodedObject, Run
from node.results.rejection import IocmRejectionWriter
from node.results.writer import DicomResultWriter
from tests.unit.results.located import mixture, outlines, result_of
from tests.unit.results.runs import MAKER, MODEL, header, not_evaluable, run_on, save
from tests.unit.results.test_seg_types import typed

# The attributes that a script is in.
TEXTS = ("PatientName", "ReferringPhysicianName", "StudyDescription")
SIDE, SLICES = 16, 4
DIFFUSION = CodedConcept("113041", "DCM", "Apparent Diffusion Coefficient")
PER_SECOND = CodedConcept("um2/s", "UCUM", "square micrometer per second")
PNEUMONIA = CodedConcept("233604007", "SCT", "Pneumonia")
WITHDRAWAL = Withdrawal(
    datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC), "operator", "another patient's images", RejectionTitle.PATIENT
)


@dataclass(frozen=True, slots=True)
class Script:
    """A Specific Character Set (None: absent, so ASCII) with texts that need it."""

    character_set: str | tuple[str, ...] | None
    patient: str
    physician: str
    study: str


# A name that begins with one of these has no sign outside of ASCII in it: PS3.5 annexes H and I.
SCRIPTS: Mapping[str, Script] = {
    "ASCII": Script(None, "Doe^Jane", "Roe^Richard", "Brain"),
    "Latin-1": Script("ISO_IR 100", "Müller^Jörg", "Gonçalves^Inês", "Schädel, natif"),
    "UTF-8": Script("ISO_IR 192", "Wang^XiaoDong=王^小東", "Иванов^Иван", "κρανίο 頭"),
    "GB18030": Script("GB18030", "Wang^XiaoDong=王^小东", "Zhang^Wei=张^伟", "颅脑"),
    "GBK": Script("GBK", "Wang^XiaoDong=王^小东", "Zhang^Wei=张^伟", "颅脑"),
    "ISO 2022 Japanese": Script(
        ("", "ISO 2022 IR 87"), "Yamada^Tarou=山田^太郎=やまだ^たろう", "Suzuki^Ichirou=鈴木^一郎", "頭部"
    ),
    "ISO 2022 Korean": Script(("", "ISO 2022 IR 149"), "Hong^Gildong=洪^吉洞=홍^길동", "Kim^Hee=金^희", "머리"),
}


@dataclass(frozen=True, slots=True)
class Golden:
    """One object: the case that it was written for, its SOP class in words, and its file."""

    case: str
    kind: str
    modality: str
    path: Path


@dataclass(frozen=True, slots=True)
class Study:
    """What a PACS has in the end: the images, and every golden object; ``runs`` by case."""

    images: list[Path]
    objects: list[Golden]
    runs: Mapping[str, Run]

    def of(self, *modalities: str) -> list[Path]:
        return [one.path for one in self.objects if one.modality in modalities]

    def case(self, case: str, modality: str) -> list[Path]:
        return [one.path for one in self.objects if (one.case, one.modality) == (case, modality)]


def write_study(folder: Path, script: Script) -> Study:
    """The images under ``folder/images``, the objects under ``folder/<case>``."""
    images = _images(folder / "images", script)
    writer = DicomResultWriter(MAKER, zone=UTC, pictures=source_picture)
    runs = _runs(images)
    written = {case: list(writer.write(run)) for case, run in runs.items()}
    runs["successor"] = replace(
        runs["segments"],
        job=replace(runs["segments"].job, revision=1),
        earlier=(_said(written["segments"], runs["segments"]),),
    )
    written["successor"] = list(writer.write(runs["successor"]))
    rejected = [one.part10 for one in written["segments"]]
    written["rejection"] = [IocmRejectionWriter(MAKER, UTC).reject(rejected, WITHDRAWAL)]
    objects = [one for case, several in written.items() for one in _save(folder / case, case, several)]
    return Study(images, objects, runs)


def _images(folder: Path, script: Script) -> list[Path]:
    folder.mkdir(parents=True)
    study = derive_uid("golden study", script.patient, *(script.character_set or ""))
    encoding = script.character_set
    attributes: dict[str, object] = {
        "PatientName": script.patient, "ReferringPhysicianName": script.physician, "StudyDescription": script.study,
        "IssuerOfPatientID": "Hospital", "BodyPartExamined": "BRAIN", "StudyInstanceUID": study,
        "SeriesInstanceUID": derive_uid(study, "series"), "FrameOfReferenceUID": derive_uid(study, "frame"),
        "Rows": SIDE, "Columns": SIDE, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0,
        "WindowCenter": 100, "WindowWidth": 200,
    }  # fmt: skip
    if encoding is not None:
        attributes["SpecificCharacterSet"] = list(encoding) if isinstance(encoding, tuple) else encoding

    def slice_of(number: int) -> Dataset:
        image = header(number, SOPInstanceUID=derive_uid(study, str(number)), InstanceNumber=number + 1, **attributes)
        image.PixelData = np.arange(SIDE * SIDE, dtype=np.uint16).tobytes()
        return image

    return save([slice_of(number) for number in range(SLICES)], folder)


def _runs(images: list[Path]) -> dict[str, Run]:
    """By what they show. UIDs depend on the model: runs with the same outcome are of different ones."""
    base = run_on(images)
    assert base.grid is not None
    grid, found = base.grid, outlines(3)
    ramp = np.linspace(-1.5, 2.5, SLICES * SIDE * SIDE, dtype=np.float32).reshape(grid.shape)
    everything = replace(
        mixture(grid), parametric_maps=(ParametricMap("Apparent diffusion", DIFFUSION, PER_SECOND, ramp),)
    )

    def by(model: str, result: InferenceResult) -> Run:
        without_segments = replace(MODEL, id=model, segments=())
        return replace(base, model=without_segments, result=result)

    return {
        "mixed": replace(
            base,
            model=replace(MODEL, id="mixed"),
            result=everything,
            renditions=PICTURES,
        ),
        "segments": base,
        "regions": by("regions", result_of(found["polygon"])),
        "points": by("points", result_of(found["point"], Finding(PNEUMONIA, probability=0.83))),
        "fractions": _of_model(typed(base, SegmentationType.FRACTIONAL), "fractions"),
        "label map": _of_model(typed(base, SegmentationType.LABELMAP), "label map"),
        "negative": replace(base, result=InferenceResult(Outcome.NEGATIVE)),
        "not evaluable": run_on(images, not_evaluable()),
        "failed": run_on(images, InferenceResult(Outcome.FAILED, reason=failure_reason("WorkerLost"))),
    }


def _of_model(run: Run, name: str) -> Run:
    return replace(run, model=replace(run.model, id=name))


def _said(objects: Sequence[EncodedObject], run: Run) -> EarlierResult:
    """What the history tells of a run that wrote these: its reports, the main one first."""
    reports = [one for one in reversed(objects) if one.modality == "SR"]
    study = run.job.study_instance_uid
    return EarlierResult(
        tuple(DocumentRef(study, one.series_instance_uid, one.sop_class_uid, one.sop_instance_uid) for one in reports)
    )


def _save(folder: Path, case: str, objects: Sequence[EncodedObject]) -> list[Golden]:
    folder.mkdir(parents=True)
    saved = []
    for number, written in enumerate(objects, 1):
        path = folder / f"{number:02}-{written.modality}.dcm"
        path.write_bytes(written.part10)
        saved.append(Golden(case, in_words(written.sop_class_uid), written.modality, path))
    return saved
