"""The planes of one object: where each frame lies, what kind of image it is, and how its values are rescaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.domain.study import SopRef
from node.errors import UnsupportedImage
from node.infer.encoding import Encoding
from node.infer.geometry import Plane

LARGEST_DEPTH = 32
LARGEST_FLOAT32 = 3.4e38

Rescale = tuple[float, float]  # (slope, intercept)


def read_planes(header: Dataset, encoding: Encoding, source: int) -> tuple[tuple[Plane, ...], tuple[Rescale, ...]]:
    """A plane and a rescale for each frame of the object with this ``header``.

    Raises:
        UnsupportedImage: functional groups or rescale make no sense.
    """
    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    if per_frame:
        return _frames(header, list(per_frame), encoding, source)
    planes = tuple(_plane(header, encoding, source, frame) for frame in range(encoding.frames))
    return planes, (_rescale(header),) * encoding.frames


def _plane(header: Dataset, encoding: Encoding, source: int, frame: int) -> Plane:
    return Plane(
        source=source,
        frame=frame,
        ref=SopRef(str(header.SOPClassUID), str(header.SOPInstanceUID), frame + 1 if encoding.frames > 1 else None),
        shape=(encoding.rows, encoding.columns),
        position=_numbers(header.get("ImagePositionPatient")),
        orientation=_numbers(header.get("ImageOrientationPatient")),
        spacing=_numbers(header.get("PixelSpacing")),
        frame_of_reference_uid=str(header.get("FrameOfReferenceUID") or ""),
        photometric=encoding.photometric,
        localizer="LOCALIZER" in _words(header.get("ImageType")),
        acquisition=_text(header.get("AcquisitionNumber")),
        taken_at=_text(header.get("TriggerTime")) or _text(header.get("AcquisitionTime")),
        facts=_present(
            EchoTime=_text(header.get("EchoTime")),
            EchoNumbers=_text(header.get("EchoNumbers")),
            TemporalPosition=_text(header.get("TemporalPositionIdentifier")),
            DiffusionBValue=_text(header.get("DiffusionBValue")),
            ImageContent="/".join(_words(header.get("ImageType"))),
            ReconstructionKernel=_text(header.get("ConvolutionKernel")),
        ),
    )


def _frames(
    header: Dataset, per_frame: Sequence[Dataset], encoding: Encoding, source: int
) -> tuple[tuple[Plane, ...], tuple[Rescale, ...]]:
    """Planes and rescale of a multi-frame image with functional groups (PS3.3 C.7.6.16)."""
    if len(per_frame) != encoding.frames:
        raise UnsupportedImage(f"{len(per_frame)} functional groups for {encoding.frames} frames")
    shared_sequence = header.get("SharedFunctionalGroupsSequence")
    shared = shared_sequence[0] if shared_sequence else Dataset()
    planes, rescale = [], []
    for frame, groups in enumerate(per_frame):
        macros = _Macros(groups, shared)
        planes.append(_enhanced_plane(header, macros, encoding, source, frame))
        transformation = macros.item("PixelValueTransformationSequence")
        rescale.append(_rescale(header if transformation is None else transformation))
    return tuple(planes), tuple(rescale)


@dataclass(frozen=True, slots=True)
class _Macros:
    """Functional groups of one frame; what its own do not say, the shared ones do."""

    own: Dataset
    shared: Dataset

    def item(self, keyword: str) -> Dataset | None:
        for groups in (self.own, self.shared):
            sequence = groups.get(keyword)
            if sequence:
                item: Dataset = sequence[0]
                return item
        return None

    def value(self, sequence: str, keyword: str) -> Any:
        item = self.item(sequence)
        return None if item is None else item.get(keyword)


def _enhanced_plane(header: Dataset, macros: _Macros, encoding: Encoding, source: int, frame: int) -> Plane:
    kind = _words(
        macros.value("MRImageFrameTypeSequence", "FrameType")
        or macros.value("CTImageFrameTypeSequence", "FrameType")
        or macros.value("PETFrameTypeSequence", "FrameType")
        or header.get("ImageType")
    )
    return Plane(
        source=source,
        frame=frame,
        ref=SopRef(str(header.SOPClassUID), str(header.SOPInstanceUID), frame + 1),
        shape=(encoding.rows, encoding.columns),
        position=_numbers(macros.value("PlanePositionSequence", "ImagePositionPatient")),
        orientation=_numbers(macros.value("PlaneOrientationSequence", "ImageOrientationPatient")),
        spacing=_numbers(macros.value("PixelMeasuresSequence", "PixelSpacing")),
        frame_of_reference_uid=str(header.get("FrameOfReferenceUID") or ""),
        photometric=encoding.photometric,
        localizer="LOCALIZER" in kind,
        acquisition=_text(macros.value("FrameContentSequence", "FrameAcquisitionNumber")),
        taken_at=_text(macros.value("FrameContentSequence", "FrameAcquisitionDateTime")),
        facts=_present(
            EchoTime=_text(macros.value("MREchoSequence", "EffectiveEchoTime")),
            TemporalPosition=_text(macros.value("FrameContentSequence", "TemporalPositionIndex")),
            StackID=_text(macros.value("FrameContentSequence", "StackID")),
            DiffusionBValue=_text(macros.value("MRDiffusionSequence", "DiffusionBValue")),
            ImageContent="/".join(kind),
            ReconstructionKernel=_text(macros.value("CTReconstructionSequence", "ConvolutionKernel")),
        ),
    )


def _rescale(item: Dataset) -> Rescale:
    """(slope, intercept), 1 and 0 where they are absent."""
    slope, intercept = item.get("RescaleSlope"), item.get("RescaleIntercept")
    pair = (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))
    largest = abs(pair[0]) * 2.0**LARGEST_DEPTH + abs(pair[1])
    # A NaN fails the comparison.
    if pair[0] == 0 or not largest < LARGEST_FLOAT32:
        raise UnsupportedImage(f"an image has the rescale slope {pair[0]:g} and intercept {pair[1]:g}")
    return pair


def _numbers(value: Any) -> tuple[float, ...] | None:
    if value is None or value == "":
        return None
    return tuple(float(number) for number in value) or None


def _text(value: Any) -> str:
    if value is None:
        return ""
    return "/".join(str(part) for part in value) if isinstance(value, MultiValue) else str(value)


def _words(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(part) for part in value)


def _present(**facts: str) -> Mapping[str, str]:
    return {name: value for name, value in facts.items() if value}
