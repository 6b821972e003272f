"""The source images, as highdicom lays frames on them: where they lie, and not a pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset

from node.domain.study import Grid
from node.errors import ResultVerificationFailed
from node.results.context import ResultContext
from node.results.header import anonymous_reference
from node.results.source import copy_element

_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_GEOMETRY = (
    "NumberOfFrames", "PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient",
    "PositionReferenceIndicator",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceImages:
    """The images that the slices of a grid come from.

    Attributes:
        references: each with its place and measures, of a single pixel: highdicom checks the size of what it lays on
            them, and is given no more than one pixel of each frame.
        slices: for each plane that highdicom sees (an image, or a frame of a multi-frame image) the slice k of the
            grid; None where the grid left a frame out.
    """

    references: tuple[Dataset, ...]
    slices: tuple[int | None, ...]


def images_of(run: ResultContext, grid: Grid) -> SourceImages:
    """The images of ``grid`` in the order of its slices, or the one multi-frame image that they are frames of.

    Raises:
        ResultVerificationFailed: a slice comes from an image that is not among the sources.
    """
    headers = {str(header.SOPInstanceUID): header for header in run.headers}
    unknown = [ref.sop_instance_uid for ref in grid.sources if ref.sop_instance_uid not in headers]
    if unknown or len(grid.sources) != grid.shape[0]:
        raise ResultVerificationFailed("slices without a source image", field="grid.sources", slices=len(unknown))
    instances = list(dict.fromkeys(ref.sop_instance_uid for ref in grid.sources))
    first, *others = (headers[uid] for uid in instances)
    references = (
        _placed(run, anonymous_reference(first), first, grid),
        *(_placed(run, _identified(header), header, grid) for header in others),
    )
    if len(instances) == len(grid.sources):
        return SourceImages(references, tuple(range(len(instances))))
    return SourceImages(references, _slices_of_frames(headers[instances[0]], grid))


def _slices_of_frames(header: Dataset, grid: Grid) -> tuple[int | None, ...]:
    """highdicom wants to hear of every frame of a multi-frame image."""
    slice_of_frame: Mapping[int, int] = {ref.frame or 1: k for k, ref in enumerate(grid.sources)}
    return tuple(slice_of_frame.get(frame) for frame in range(1, int(header.NumberOfFrames) + 1))


def _identified(header: Dataset) -> Dataset:
    """An image after the first: highdicom takes patient and study from that."""
    image = Dataset()
    for keyword in _IDENTITY:
        copy_element(header, keyword, into=image)
    return image


def _placed(run: ResultContext, image: Dataset, header: Dataset, grid: Grid) -> Dataset:
    image.Rows = image.Columns = 1
    for keyword in _GEOMETRY:
        if keyword in header:
            copy_element(header, keyword, into=image)
    if run.frame_of_reference_uid is not None:
        image.FrameOfReferenceUID = run.frame_of_reference_uid
    if "PerFrameFunctionalGroupsSequence" in header:
        _share_groups(image, header, grid)
    elif run.frame_of_reference_uid is not None:
        _set_slice_spacing(image, grid)
    return image


def _share_groups(image: Dataset, header: Dataset, grid: Grid) -> None:
    """Positions for each frame, orientation and pixel measures shared by all: highdicom looks for them there.

    Scanners put them where they like; the frames of the grid have them in common, the others stay empty.
    """
    frames, shared = header.PerFrameFunctionalGroupsSequence, header.SharedFunctionalGroupsSequence
    first = frames[(grid.sources[0].frame or 1) - 1]
    common = Dataset()
    for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        copy_element(first if keyword in first else shared[0], keyword, into=common)
    measures = Dataset()
    measures.PixelSpacing = common.PixelMeasuresSequence[0].PixelSpacing
    measures.SliceThickness = common.PixelMeasuresSequence[0].get("SliceThickness")
    _set_slice_spacing(measures, grid)
    common.PixelMeasuresSequence = [measures]
    positions = []
    for frame in frames:
        item = Dataset()
        copy_element(frame if "PlanePositionSequence" in frame else shared[0], "PlanePositionSequence", into=item)
        positions.append(item)
    image.SharedFunctionalGroupsSequence = [common]
    image.PerFrameFunctionalGroupsSequence = positions


def _set_slice_spacing(measures: Dataset, grid: Grid) -> None:
    """The distance of the slices as they lie, whatever the header claims."""
    spacing = f"{grid.spacing[0]:.6g}"
    measures.SpacingBetweenSlices = spacing
    if not measures.get("SliceThickness"):
        measures.SliceThickness = spacing
