"""``ainode models check``: whether a package would run here, step by step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from node.app.devices import resolve
from node.domain.identity import derive_uid
from node.domain.interval import Interval
from node.domain.model import InputKind, ModelDescription
from node.domain.study import ByteRange
from node.errors import AinodeError
from node.infer.executor import SpawnedExecutor
from node.infer.registry import check_package as check_declaration
from node.ports import InferenceRequest

TIMEOUT_S = 300.0
PREFERRED_SLICES = 24
PREFERRED_PIXELS = 48
PREFERRED_SPACING_MM = 1.0
PICTURE_PIXELS = 256


def check_package(folder: Path) -> dict[str, Any]:
    """Each step with whether it passed and a detail; the first that fails ends the check.

    The inference runs on noise: the outcome may be anything, only an error is a failure. Noise is unlike anything that
    a model was trained on, so that how unlike is not asked.
    """
    steps: list[dict[str, Any]] = []
    try:
        model = check_declaration(folder)
        steps.append(_step("declaration and digest of the weights", f"{model.id} {model.version}"))
        steps.append(_step("one inference on noise", _infer(model)))
    except AinodeError as error:
        steps += _failed(error)
    return {"ok": all(step["ok"] for step in steps), "steps": steps}


def _step(name: str, detail: str) -> dict[str, Any]:
    return {"name": name, "ok": True, "detail": detail}


def _failed(error: AinodeError) -> list[dict[str, Any]]:
    """Every problem of a declaration by its key path; of other errors their words, with the digest that was found."""
    problems = error.details.get("problems")
    if isinstance(problems, list) and problems:
        return [{"name": path or error.code, "ok": False, "detail": problem} for path, problem in problems]
    found = f"; found: {error.details['found']}" if "found" in error.details else ""
    return [{"name": error.code, "ok": False, "detail": error.message + found}]


def _infer(model: ModelDescription) -> str:
    executor = SpawnedExecutor()
    try:
        with tempfile.TemporaryDirectory(prefix="ainode-check-") as folder:
            images = _write_noise(model, Path(folder))
            asked = replace(model, out_of_distribution=None)
            reply = executor.run(InferenceRequest(asked, images, resolve("auto")[0], TIMEOUT_S), lambda: None)
    finally:
        executor.close()
    reason = f" ({reply.result.reason.text})" if reply.result.reason else ""
    return f"{reply.result.outcome}{reason}"


def _write_noise(model: ModelDescription, folder: Path) -> tuple[ByteRange, ...]:
    """A series of noise within what the model declares that it takes."""
    images = _pictures(model) if model.kind is InputKind.IMAGE else _slices(model)
    ranges = []
    for number, image in enumerate(images):
        path = folder / f"{number}.dcm"
        image.save_as(path)
        ranges.append(ByteRange(str(path), 0, path.stat().st_size))
    return tuple(ranges)


def _pictures(model: ModelDescription) -> Iterator[FileDataset]:
    """A grey image and one in colour: which of them a model takes is its own matter."""
    modality = model.selection.modalities[0] if model.selection.modalities else "OT"
    sop_class = model.selection.sop_classes[0] if model.selection.sop_classes else SecondaryCaptureImageStorage
    random = np.random.default_rng(0)
    for number, shape in enumerate(((PICTURE_PIXELS, PICTURE_PIXELS), (PICTURE_PIXELS, PICTURE_PIXELS, 3))):
        yield _image(modality, sop_class, number, random.integers(0, 256, shape, dtype=np.uint8))


def _slices(model: ModelDescription) -> Iterator[FileDataset]:
    modality = model.selection.modalities[0] if model.selection.modalities else "MR"
    sop_class = CTImageStorage if modality == "CT" else MRImageStorage
    pixel_mm = _within(PREFERRED_SPACING_MM, model.limits.pixel_spacing_mm)
    slice_mm = _within(PREFERRED_SPACING_MM, model.limits.slice_spacing_mm)
    field_mm = model.selection.field_of_view_mm
    pixels = int(_within(PREFERRED_PIXELS * pixel_mm, field_mm) / pixel_mm)
    slices = int(_within(_within(PREFERRED_SLICES * slice_mm, field_mm) / slice_mm, model.limits.slices))
    noise = np.random.default_rng(0).integers(0, 1000, (slices, pixels, pixels), dtype=np.uint16)
    for number in range(slices):
        image = _image(modality, sop_class, number, noise[number])
        image.FrameOfReferenceUID = derive_uid("check", "frame of reference")
        image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, number * slice_mm]
        image.PixelSpacing, image.SliceThickness = [pixel_mm, pixel_mm], slice_mm
        if modality == "CT":  # from air to soft tissue
            image.RescaleIntercept, image.RescaleSlope = -900, 1
        yield image


def _within(preferred: float, interval: Interval) -> float:
    low = preferred if interval.low is None else max(preferred, interval.low)
    return low if interval.high is None else min(low, interval.high)


def _image(modality: str, sop_class: str, number: int, pixels: npt.NDArray[Any]) -> FileDataset:
    """An image of grey values (rows, columns), or of colours (rows, columns, 3)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(derive_uid("check", str(number)))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = derive_uid("check", "study"), derive_uid("check", "series")
    image.Modality, image.InstanceNumber = modality, number + 1
    image.Rows, image.Columns = pixels.shape[:2]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    if pixels.ndim == 3:
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.BitsAllocated = image.BitsStored = 8 * pixels.itemsize
    image.HighBit, image.PixelRepresentation = image.BitsStored - 1, 0
    image.add_new("PixelData", "OW" if pixels.itemsize > 1 else "OB", pixels.tobytes())
    return image
