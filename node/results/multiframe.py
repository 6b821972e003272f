"""From highdicom's twin of one voxel a plane to the whole multi-frame image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.domain.study import Grid
from node.errors import ResultVerificationFailed
from node.ports import EncodedObject
from node.results.context import ResultContext
from node.results.frame_groups import PER_FRAME, Frame, PlaneGroups, per_frame_groups, pixel_data
from node.results.header import finish
from node.results.seg_frames import Place

_PIXEL_DATA = {"PixelData": b"OB", "FloatPixelData": b"OF"}


class MultiFrame:
    """A twin: a data set whose frames are one voxel of each plane, in their order."""

    def __init__(self, twin: Dataset, grid: Grid) -> None:
        """Frames of the twin that are no slice of ``grid`` are left out."""
        slice_of = {(ref.sop_instance_uid, ref.frame or 1): k for k, ref in enumerate(grid.sources)}
        items = [(slice_of.get(_source(item)), item) for item in twin.PerFrameFunctionalGroupsSequence]
        self.twin, self.grid = twin, grid
        self.slices = tuple(k for k, _ in items if k is not None)
        self.groups = [PlaneGroups(item) for k, item in items if k is not None]

    def sort_along_normal(self) -> None:
        """Planes in the direction of the cross product of row and column, as readers stack them that do not look."""
        along, down, across = self.grid.affine[:3, :3].T
        against = float(np.cross(across, down) @ along) < 0
        order = sorted(range(len(self.slices)), key=lambda plane: self.slices[plane], reverse=against)
        self.slices = tuple(self.slices[plane] for plane in order)
        self.groups = [self.groups[plane] for plane in order]


@contextmanager
def laid_on(kind: str) -> Iterator[None]:
    """What goes wrong while highdicom lays frames on the images is named after them, not after the model.

    Raises:
        ResultVerificationFailed
    """
    try:
        yield
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        # highdicom sees no patient data here, so its words may be kept.
        raise ResultVerificationFailed(f"no {kind} on these images: {error}", kind=type(error).__name__) from error


def finish_multiframe(
    run: ResultContext,
    made: MultiFrame,
    places: Sequence[Place],
    voxels: Iterable[bytes | memoryview],
    length: int,
    dimension_uid: str,
) -> EncodedObject:
    """The whole object: the twin's header, with a frame for each of ``places`` and ``length`` bytes of ``voxels``.

    ``dimension_uid``: Dimension Organization UID; highdicom makes that by chance.
    """
    dataset, plane_of = made.twin, {k: plane for plane, k in enumerate(made.slices)}
    frames = [Frame(plane_of[k], number) for k, number in places]
    keyword = next(keyword for keyword in _PIXEL_DATA if keyword in dataset)
    del dataset[PER_FRAME], dataset[keyword]
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = len(frames), *made.grid.shape[1:]
    for item in [*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence]:
        item.DimensionOrganizationUID = dimension_uid
    if run.frame_of_reference_uid is None:
        dataset.PatientOrientation = run.first.get("PatientOrientation")  # type 2C without a position
    groups = per_frame_groups(made.groups, frames)
    return finish(dataset, run, chain(groups, pixel_data(Tag(keyword), _PIXEL_DATA[keyword], length, voxels)))


def _source(item: Dataset) -> tuple[str, int]:
    """The image, and its frame, that a frame of the twin lies on."""
    source = item.DerivationImageSequence[0].SourceImageSequence[0]
    return str(source.ReferencedSOPInstanceUID), int(source.get("ReferencedFrameNumber") or 1)
