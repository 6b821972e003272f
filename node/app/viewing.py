"""``ports.StudyViews``, wired: images from the store, decoded as for a model; results read back from their objects."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from hashlib import sha256

from node.app.kept import Kept
from node.app.records import Records
from node.app.result_views import ResultView, ResultViews
from node.database.earlier import SqlEarlier
from node.database.series_versions import SeriesVersion, SqlSeriesVersions
from node.domain.study import SopRef, StoredInstance
from node.domain.viewing import Slice, Spread, Window, counterparts, in_order, presets_of
from node.errors import InputError, NotFound, ObjectMissing, UnsupportedImage
from node.infer.geometry import Plane
from node.infer.one_frame import read_frame
from node.infer.pictures import ImageFile, read_file
from node.ports.viewing import Mark, PriorView, Rendered, ViewedSeries
from node.results.display import DISPLAY_TAGS
from node.results.viewing.image import png, visible

# Part of every tag: another way of drawing is another content.
DRAWN_AS = "2"
# An image of more pixels than this is not decoded for a page.
LARGEST_PIXELS = 2**25
# So many slices are decoded at once; whoever scrolls faster waits.
AT_ONCE = 4
# Series, and headers of multi-frame objects, of studies that are looked at just now.
SERIES_KEPT, FILES_KEPT = 32, 8
PNG, SVG = "image/png", "image/svg+xml"


class Stack:
    """A series as it is scrolled through, with where each of its images lies."""

    def __init__(self, view: ViewedSeries, stored: Mapping[str, StoredInstance]) -> None:
        self.view = view
        self.stored = stored

    def slice(self, index: int) -> Slice:
        """
        Raises:
            NotFound: there is none.
        """
        if not 0 <= index < len(self.view.slices):
            raise NotFound(f"no slice {index} among {len(self.view.slices)}")
        return self.view.slices[index]


class StudyPictures:
    def __init__(self, records: Records) -> None:
        self._records = records
        self._versions = SqlSeriesVersions(records.engine)
        self._earlier = SqlEarlier(records.engine)
        self._stacks: Kept[tuple[str, SeriesVersion], Stack] = Kept(SERIES_KEPT)
        self._files: Kept[str, ImageFile] = Kept(FILES_KEPT)
        self._results = ResultViews(records)
        self._decoding = threading.Semaphore(AT_ONCE)

    def series(self, study_instance_uid: str, series_instance_uid: str) -> ViewedSeries:
        return self._stack(study_instance_uid, series_instance_uid).view

    def prior(self, study_instance_uid: str, series_instance_uid: str) -> PriorView | None:
        shown = self.series(study_instance_uid, series_instance_uid)
        if not shown.slices:
            return None
        for one in self._earlier.of(study_instance_uid, series_instance_uid):
            try:
                found = self.series(one.study_instance_uid, one.series_instance_uid)
            except (NotFound, ObjectMissing):
                continue
            if found.slices:
                return PriorView(
                    one.study_instance_uid,
                    one.series_instance_uid,
                    one.study_date,
                    one.description,
                    counterparts(shown.slices, found.slices),
                )
        return None

    def image(
        self, study_instance_uid: str, series_instance_uid: str, index: int, window: Window | Spread, edge: int
    ) -> Rendered:
        stack = self._stack(study_instance_uid, series_instance_uid)
        shown = stack.slice(index)
        with self._decoding:
            file = self._file(stack.stored[shown.image.sop_instance_uid])
            if file.encoding.rows * file.encoding.columns > LARGEST_PIXELS:
                raise UnsupportedImage(
                    f"an image of {file.encoding.rows} x {file.encoding.columns} pixels is not shown"
                )
            picture = read_frame(file, shown.image.frame or 1)
            content = png(visible(picture, file.header, window), edge, shown.aspect)
        return Rendered(content, PNG, _image_etag(stack, shown, window, edge))

    def image_etag(
        self, study_instance_uid: str, series_instance_uid: str, index: int, window: Window | Spread, edge: int
    ) -> str:
        stack = self._stack(study_instance_uid, series_instance_uid)
        return _image_etag(stack, stack.slice(index), window, edge)

    def overlay(self, job_id: int, series_instance_uid: str, index: int) -> Rendered:
        result = self._results.of(job_id)
        content = result.overlay(self._stack_of(result, series_instance_uid), index)
        return Rendered(content, SVG, _digest(content))

    def heat_map(self, job_id: int, series_instance_uid: str, index: int) -> Rendered:
        result = self._results.of(job_id)
        content = result.heat_map(self._stack_of(result, series_instance_uid), index)
        return Rendered(content, PNG, _digest(content))

    def heat_maps(self, job_id: int, series_instance_uid: str) -> Sequence[int]:
        result = self._results.of(job_id)
        return result.heat_maps(self._stack_of(result, series_instance_uid))

    def marks(self, job_id: int) -> Sequence[Mark]:
        result = self._results.of(job_id)
        return result.marks([self._stack_of(result, uid) for uid in result.series_instance_uids])

    def _stack_of(self, result: ResultView, series_instance_uid: str) -> ViewedSeries:
        return self.series(result.study_instance_uid, series_instance_uid)

    def _stack(self, study_uid: str, series_uid: str) -> Stack:
        version = self._versions.of(study_uid, series_uid)
        return self._stacks.get((series_uid, version), lambda: self._stacked(study_uid, series_uid))

    def _stacked(self, study_uid: str, series_uid: str) -> Stack:
        instances = self._records.catalogue.instances(study_uid, [series_uid])
        slices = [one for stored in instances for one in self._slices(stored)]
        modality = next((stored.instance.text("Modality") for stored in instances), "")
        view = ViewedSeries(study_uid, series_uid, modality, in_order(slices), presets_of(modality))
        return Stack(view, {stored.instance.sop_instance_uid: stored for stored in instances})

    def _slices(self, stored: StoredInstance) -> list[Slice]:
        """None of an object that is no image: a report, a waveform."""
        facts = stored.instance.attributes
        if not (_whole(facts.get("Rows")) and _whole(facts.get("Columns"))):
            return []
        if _whole(facts.get("NumberOfFrames")) > 1:
            try:
                return [_slice(plane) for plane in self._file(stored).image.planes]
            except InputError:
                # Its bytes cannot be read as an image: it takes one place, and asking for it tells why.
                pass
        return [
            Slice(
                SopRef(stored.instance.sop_class_uid, stored.instance.sop_instance_uid),
                _whole(facts["Rows"]),
                _whole(facts["Columns"]),
                _numbers(facts.get("ImagePositionPatient"), 3),
                _numbers(facts.get("ImageOrientationPatient"), 6),
                _numbers(facts.get("PixelSpacing"), 2),
                stored.instance.text("FrameOfReferenceUID"),
            )
        ]

    def _file(self, stored: StoredInstance) -> ImageFile:
        """The header of one object; that of a multi-frame object is kept, for reading it costs more than a frame."""

        def read() -> ImageFile:
            return read_file(self._records.instances.locate(stored.storage_key), 0, DISPLAY_TAGS)

        if _whole(stored.instance.attributes.get("NumberOfFrames")) <= 1:
            return read()
        return self._files.get(stored.storage_key, read)


def _slice(plane: Plane) -> Slice:
    return Slice(
        plane.ref, *plane.shape, plane.position, plane.orientation, plane.spacing, plane.frame_of_reference_uid
    )


def _image_etag(stack: Stack, shown: Slice, window: Window | Spread, edge: int) -> str:
    """The bytes of the image, and how they are shown, decide the content."""
    chosen = f"{window.center:g} {window.width:g}" if isinstance(window, Window) else str(window)
    stored = stack.stored[shown.image.sop_instance_uid]
    return _digest(f"{DRAWN_AS} {stored.sha256} {shown.image.frame or 1} {chosen} {edge}".encode())


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:32]


def _whole(value: object) -> int:
    """A positive whole number of a header; 0 where it is none."""
    try:
        number = int(str(value))
    except ValueError:
        return 0
    return max(number, 0)


def _numbers(value: object, count: int) -> tuple[float, ...] | None:
    """So many finite numbers of a header; None where it does not state them."""
    if not isinstance(value, list | tuple) or len(value) != count:
        return None
    try:
        numbers = tuple(float(str(one)) for one in value)
    except ValueError:
        return None
    return numbers if all(abs(one) < 1e9 for one in numbers) else None
