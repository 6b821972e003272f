"""What a finished job found, read back from its stored objects, as shapes and maps on slices."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import ParametricMapStorage

from node.app.kept import Kept
from node.app.records import Records
from node.domain.document import ResultKind
from node.domain.rendition import SETS, Rendition
from node.domain.viewing import Slice, spacing_of
from node.errors import NotFound
from node.infer.heat_maps import FULL, name_of
from node.ports.viewing import Mark, ViewedSeries
from node.results.reports import template_told
from node.results.viewing.borders import borders
from node.results.viewing.frames import StoredFrames, areas, masks_on, stored_frames, values_on
from node.results.viewing.heat import heat_png, scaled
from node.results.viewing.located import Located, groups_of, on_slice, slice_nearest
from node.results.viewing.svg import Drawn, colour_of, is_dashed, svg

Row = Mapping[str, Any]
# Results that are looked at just now. What is kept of each is an index of its frames, and no voxel.
KEPT = 16
# A map is shown no larger than this: it is smooth.
HEAT_EDGE = 1024
FURTHER_REPORTS = "1.2.840.10008.5.1.4.1.1.88.34"


class ResultViews:
    def __init__(self, records: Records) -> None:
        self._records = records
        self._kept: Kept[tuple[int, int], ResultView] = Kept(KEPT)

    def of(self, job_id: int) -> ResultView:
        """
        Raises:
            NotFound: there is no such job.
        """
        job = self._records.worklist.job(job_id)
        return self._kept.get((job_id, job["attempt"]), lambda: ResultView(self._records, job))


class ResultView:
    """The result of one job. Its objects are read when they are first asked for; they never change."""

    def __init__(self, records: Records, job: Row) -> None:
        self._records = records
        self._findings: Sequence[Row] = job["findings"]
        self._objects = [
            one
            for one in job["objects"]
            if one["kind"] == ResultKind.RESULT
            and (one["rendition"] is None or Rendition(one["rendition"]) not in SETS)
        ]
        self._heat: Row = job["provenance"].get("heat_maps") or {}
        self.study_instance_uid: str = job["study_instance_uid"]
        self.series_instance_uids: tuple[str, ...] = tuple(job["series_instance_uids"])
        self._once: Kept[str, Any] = Kept(8)

    # ------------------------------------------------------------ what is drawn

    def overlay(self, view: ViewedSeries, index: int) -> bytes:
        """
        Raises:
            NotFound: the series is none that the job looked at, or has no such slice.
        """
        shown = self._slice(view, index)
        drawn = [*self._segments_on(view, shown), *self._located_on(view, shown)]
        return svg(shown.rows, shown.columns, shown.aspect, drawn)

    def _segments_on(self, view: ViewedSeries, shown: Slice) -> list[Drawn]:
        found = self._segmentation
        if found is None:
            return []
        stored, key = found
        indices = stored.on(shown, elsewhere=not stored.refers_to(_uids(view)))
        if not indices:
            return []
        with self._open(key) as file:
            masks = masks_on(stored, file, indices)
        labels = {int(one.SegmentNumber): str(one.SegmentLabel) for one in stored.header.SegmentSequence}
        shapes = {number: borders(mask) for number, mask in sorted(masks.items())}
        return [Drawn(number, labels.get(number, ""), each) for number, each in shapes.items() if each]

    def _located_on(self, view: ViewedSeries, shown: Slice) -> list[Drawn]:
        if not self._located:
            return []
        thickness = spacing_of(view.slices)
        drawn = []
        for finding, (number, located) in self._located.items():
            shape = on_slice(located, shown, thickness)
            if shape is not None:
                drawn.append(Drawn(number, str(self._findings[finding]["concept"]), [shape]))
        return drawn

    # ------------------------------------------------------------ where the findings are

    def marks(self, series: Sequence[ViewedSeries]) -> list[Mark]:
        """``series`` are those that the job looked at."""
        return [self._mark(index, finding, series) for index, finding in enumerate(self._findings)]

    def _mark(self, index: int, finding: Row, series: Sequence[ViewedSeries]) -> Mark:
        number, place = self._seen_best(index, finding, series)
        colour = None if number is None else colour_of(number)
        dashed = number is not None and is_dashed(number)
        uid, best = (None, None) if place is None else place
        return Mark(index, number, colour, dashed, uid, best)

    def _seen_best(
        self, index: int, finding: Row, series: Sequence[ViewedSeries]
    ) -> tuple[int | None, tuple[str, int] | None]:
        """Its number, and the series and slice that show most of it."""
        if finding["segment"] is not None and self._segmentation is not None:
            return finding["segment"], self._largest(finding["segment"], series)
        number, located = self._located.get(index, (None, None))
        if located is not None:
            for view in series:
                best = slice_nearest(located, view.slices)
                if best is not None:
                    return number, (view.series_instance_uid, best)
        image = finding["image"]
        if image is not None:
            return number, _place_of(image["sop_instance_uid"], image["frame"], series)
        return number, None

    def _largest(self, segment: int, series: Sequence[ViewedSeries]) -> tuple[str, int] | None:
        assert self._segmentation is not None
        stored, _ = self._segmentation
        on_planes = self._areas.get(segment)
        if not on_planes:
            return None
        best = max(on_planes, key=lambda plane: (on_planes[plane], -plane))
        lies = [place for place, plane in stored.images.items() if plane == best]
        return next((found for uid, frame in lies if (found := _place_of(uid, frame, series))), None)

    # ------------------------------------------------------------ maps

    def heat_map(self, view: ViewedSeries, index: int) -> bytes:
        """
        Raises:
            NotFound: there is none for this slice.
        """
        shown = self._slice(view, index)
        kept = self._explanation(shown)
        if kept is not None:
            return heat_png(kept, HEAT_EDGE, shown.aspect)
        measured = self._measured(shown)
        if measured is None:
            raise NotFound("no heat map of this slice")
        return heat_png(measured, HEAT_EDGE, shown.aspect)

    def heat_maps(self, view: ViewedSeries) -> list[int]:
        names = set(self._heat.get("images") or ())
        found = self._map
        return [
            index
            for index, shown in enumerate(view.slices)
            if names & _names(shown) or (found is not None and found[0].on(shown, elsewhere=False))
        ]

    def _explanation(self, shown: Slice) -> npt.NDArray[np.float32] | None:
        names = set(self._heat.get("images") or ()) & _names(shown)
        if not names:
            return None
        with self._open(self._heat["storage_key"]) as file, np.load(io.BytesIO(file.read())) as arrays:
            heat: npt.NDArray[np.float32] = arrays[names.pop()].astype(np.float32) / np.float32(FULL)
            return heat

    def _measured(self, shown: Slice) -> npt.NDArray[np.float32] | None:
        found = self._map
        if found is None:
            return None
        stored, key, (low, high) = found
        indices = stored.on(shown, elsewhere=False)
        if not indices:
            return None
        with self._open(key) as file:
            return scaled(values_on(stored, file, indices[0]), low, high)

    # ------------------------------------------------------------ the stored objects

    @property
    def _segmentation(self) -> tuple[StoredFrames, str] | None:
        def read() -> tuple[StoredFrames, str] | None:
            key = next((one for one in self._objects if one["modality"] == "SEG"), None)
            return None if key is None else (self._index(key), key["storage_key"])

        found: tuple[StoredFrames, str] | None = self._once.get("segmentation", read)
        return found

    @property
    def _areas(self) -> Mapping[int, Mapping[int, int]]:
        def read() -> Mapping[int, Mapping[int, int]]:
            assert self._segmentation is not None
            stored, key = self._segmentation
            with self._open(key) as file:
                return areas(stored, file)

        found: Mapping[int, Mapping[int, int]] = self._once.get("areas", read)
        return found

    @property
    def _map(self) -> tuple[StoredFrames, str, tuple[float, float]] | None:
        """The first parametric map with the smallest and the largest of its values."""

        def read() -> tuple[StoredFrames, str, tuple[float, float]] | None:
            row = next((one for one in self._objects if one["sop_class_uid"] == ParametricMapStorage), None)
            if row is None:
                return None
            stored = self._index(row)
            with self._open(row["storage_key"]) as file:
                values = [values_on(stored, file, index) for index in range(len(stored.frames))]
            low, high = min(float(np.nanmin(one)) for one in values), max(float(np.nanmax(one)) for one in values)
            return stored, row["storage_key"], (min(low, 0.0), high)

        found: tuple[StoredFrames, str, tuple[float, float]] | None = self._once.get("map", read)
        return found

    @property
    def _located(self) -> Mapping[int, tuple[int, Located]]:
        """By the index of the finding, its number and its coordinates."""
        found: Mapping[int, tuple[int, Located]] = self._once.get("located", self._read_located)
        return found

    def _read_located(self) -> Mapping[int, tuple[int, Located]]:
        groups: dict[str, list[Located | None]] = {}
        for row in self._objects:
            if row["sop_class_uid"] == FURTHER_REPORTS:
                with self._open(row["storage_key"]) as file:
                    for template, located in groups_of(pydicom.dcmread(file)):
                        groups.setdefault(template, []).append(located)
        waiting = {template: iter(each) for template, each in groups.items()}
        segments = 0 if self._segmentation is None else len(self._segmentation[0].header.SegmentSequence)
        found: dict[int, tuple[int, Located]] = {}
        # Reports hold their groups in the order of the findings, each kind of group in a report of its own.
        for index, finding in enumerate(self._findings):
            located = next(waiting.get(template_told(finding, self._segmentation is not None), iter(())), None)
            if located is not None:
                number = (
                    segments
                    + 1
                    + sum(one["location"] is not None and not self._has_segment(one) for one in self._findings[:index])
                )
                found[index] = (number, located)
        return {index: one for index, one in found.items() if not self._has_segment(self._findings[index])}

    def _has_segment(self, finding: Row) -> bool:
        return finding["segment"] is not None and self._segmentation is not None

    def _index(self, row: Row) -> StoredFrames:
        with self._open(row["storage_key"]) as file:
            return stored_frames(file.read(), row["sop_class_uid"])

    def _open(self, key: str) -> AbstractContextManager[BinaryIO]:
        return self._records.results.open(key)

    def _slice(self, view: ViewedSeries, index: int) -> Slice:
        if view.series_instance_uid not in self.series_instance_uids:
            raise NotFound("the job did not look at this series")
        if not 0 <= index < len(view.slices):
            raise NotFound(f"no slice {index} among {len(view.slices)}")
        return view.slices[index]


def _uids(view: ViewedSeries) -> set[str]:
    return {one.image.sop_instance_uid for one in view.slices}


def _names(shown: Slice) -> set[str]:
    """Under which a heat map may be kept: a single image may be named as its first frame."""
    return {name_of(shown.image)} | ({name_of(replace(shown.image, frame=1))} if shown.image.frame is None else set())


def _place_of(uid: str, frame: int | None, series: Sequence[ViewedSeries]) -> tuple[str, int] | None:
    for view in series:
        for index, one in enumerate(view.slices):
            if one.image.sop_instance_uid == uid and (one.image.frame or 1) == (frame or 1):
                return view.series_instance_uid, index
    return None
