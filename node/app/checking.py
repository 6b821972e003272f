"""``ainode models check``: whether a package would run here, step by step."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from node.app.devices import resolve
from node.domain.identity import derive_uid
from node.domain.model import Interval, ModelDescription
from node.domain.study import ByteRange
from node.errors import AinodeError
from node.infer.executor import SpawnedExecutor
from node.infer.registry import check_package as check_declaration
from node.ports import InferenceRequest

TIMEOUT_S = 300.0
PREFERRED_SLICES = 24
PREFERRED_PIXELS = 48
PREFERRED_SPACING_MM = 1.0


def check_package(folder: Path) -> dict[str, Any]:
    """Each step with whether it passed and a detail; the first that fails ends the check.

    The inference runs on noise: the outcome may be anything, only an error is a failure.
    """
    steps: list[dict[str, Any]] = []
    try:
        model = check_declaration(folder)
        steps.append(_step("declaration and digest of the weights", f"{model.id} {model.version}"))
        steps.append(_step("one inference on noise", _infer(model)))
    except AinodeError as error:
        steps.append({"name": error.code, "ok": False, "detail": error.message})
    return {"ok": all(step["ok"] for step in steps), "steps": steps}


def _step(name: str, detail: str) -> dict[str, Any]:
    return {"name": name, "ok": True, "detail": detail}


def _infer(model: ModelDescription) -> str:
    executor = SpawnedExecutor()
    try:
        with tempfile.TemporaryDirectory(prefix="ainode-check-") as folder:
            images = _write_noise(model, Path(folder))
            reply = executor.run(InferenceRequest(model, images, resolve("auto")[0], TIMEOUT_S), lambda: None)
    finally:
        executor.close()
    reason = f" ({reply.result.reason.text})" if reply.result.reason else ""
    return f"{reply.result.outcome}{reason}"


def _write_noise(model: ModelDescription, folder: Path) -> tuple[ByteRange, ...]:
    """A series of noise within what the model declares that it takes."""
    modality = model.selection.modalities[0] if model.selection.modalities else "MR"
    pixel_mm = _within(PREFERRED_SPACING_MM, model.limits.pixel_spacing_mm)
    slice_mm = _within(PREFERRED_SPACING_MM, model.limits.slice_spacing_mm)
    field_mm = model.selection.field_of_view_mm
    pixels = int(_within(PREFERRED_PIXELS * pixel_mm, field_mm) / pixel_mm)
    slices = int(_within(_within(PREFERRED_SLICES * slice_mm, field_mm) / slice_mm, model.limits.slices))
    noise = np.random.default_rng(0).integers(0, 1000, (slices, pixels, pixels), dtype=np.uint16)
    ranges = []
    for number in range(slices):
        path = folder / f"{number}.dcm"
        _image(modality, number, noise[number], (slice_mm, pixel_mm)).save_as(path)
        ranges.append(ByteRange(str(path), 0, path.stat().st_size))
    return tuple(ranges)


def _within(preferred: float, interval: Interval) -> float:
    low = preferred if interval.low is None else max(preferred, interval.low)
    return low if interval.high is None else min(low, interval.high)


def _image(modality: str, number: int, pixels: np.ndarray[Any, Any], spacing: tuple[float, float]) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    meta.MediaStorageSOPInstanceUID = UID(derive_uid("check", str(number)))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = derive_uid("check", "study"), derive_uid("check", "series")
    image.FrameOfReferenceUID = derive_uid("check", "frame of reference")
    image.Modality, image.InstanceNumber = modality, number + 1
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, number * spacing[0]]
    image.PixelSpacing, image.SliceThickness = [spacing[1], spacing[1]], spacing[0]
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelData = pixels.tobytes()
    return image
