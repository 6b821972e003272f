"""Series made of header values, for tests of facts and admission."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.domain.study import Instance, Series, StoredInstance, Value

AXIAL = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def series_of(headers: Iterable[Mapping[str, Value]], sop_class_uid: str = MR_IMAGE, revision: int = 0) -> Series:
    """A closed series with one instance for each header."""
    instances = tuple(
        StoredInstance(
            instance=Instance("1.2.3", "1.2.3.4", sop_class_uid, f"1.2.3.4.{number}", "1.2.840.10008.1.2.1", header),
            storage_key=f"{number}.dcm",
            size=1,
            sha256="00",
            calling_ae="CT1",
            received_at=datetime(2026, 3, 1, tzinfo=UTC),
        )
        for number, header in enumerate(headers, start=1)
    )
    return Series(7, "1.2.3", "1.2.3.4", revision, "ACC1", "CT1", instances)


def axial_stack(slices: int = 40, gap: float = 1.0, size: int = 50, **more: Value) -> list[dict[str, Value]]:
    """Headers of an axial MR stack of ``size`` x ``size`` pixels of 1 mm."""
    return [
        {
            "Modality": "MR",
            "SeriesDescription": "HippoCrop",
            "Rows": size,
            "Columns": size,
            "PixelSpacing": [1.0, 1.0],
            "ImageOrientationPatient": list(AXIAL),
            "ImagePositionPatient": [0.0, 0.0, index * gap],
            **more,
        }
        for index in range(slices)
    ]


def real_series(folder: Path) -> list[Series]:
    """The series of a folder of DICOM files, with their real headers."""
    found: dict[str, list[Dataset]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in (".txt", ".gz", ".nii", ".csv", ".json"):
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            if "SOPInstanceUID" in dataset or "Modality" in dataset:
                found.setdefault(str(dataset.get("SeriesInstanceUID", "")), []).append(dataset)
    return [
        series_of([header_of(dataset) for dataset in datasets], str(datasets[0].get("SOPClassUID", "")))
        for datasets in found.values()
    ]


def header_of(dataset: Dataset) -> dict[str, Value]:
    return {
        element.keyword: value
        for element in dataset
        if element.keyword and element.VR != "SQ" and (value := _plain(element.value)) is not None
    }


def _plain(value: object) -> Value:
    if isinstance(value, MultiValue | Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    return None if value is None or isinstance(value, bytes) else str(value)
