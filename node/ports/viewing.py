"""Images of a study for people who look at it in a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from node.domain.viewing import Slice, Spread, Window


@dataclass(frozen=True, slots=True)
class Rendered:
    """Something to be shown. ``etag`` is the same exactly for the same content."""

    content: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class ViewedSeries:
    """The images of a series in the order in which they are scrolled through."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    slices: tuple[Slice, ...]
    presets: Mapping[str, Window]


@dataclass(frozen=True, slots=True)
class PriorView:
    """A series of an earlier study of the same patient beside one that is shown; ``study_date`` is YYYYMMDD.

    ``slices``: for each slice of the one that is shown, the index here of that which shows the same place.
    """

    study_instance_uid: str
    series_instance_uid: str
    study_date: str
    description: str
    slices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """How one finding of a job is drawn, and where it is seen best.

    ``index`` counts slices from 0 in the order of the series; it and the UID are None where no image shows the finding
    by itself. ``number`` and ``colour`` (``#rrggbb``) are None for what is not drawn.
    """

    finding: int
    number: int | None
    colour: str | None
    dashed: bool
    series_instance_uid: str | None
    index: int | None


class StudyViews(Protocol):
    """Pictures of what was received and of what was found on it; nothing here changes anything."""

    def series(self, study_instance_uid: str, series_instance_uid: str) -> ViewedSeries:
        """
        Raises:
            NotFound: there is no such series.
            ObjectMissing: retention has removed its images.
        """
        ...

    def prior(self, study_instance_uid: str, series_instance_uid: str) -> PriorView | None:
        """What a series is best compared with; None where nothing earlier of the patient can be shown.

        Raises:
            NotFound: there is no such series.
            ObjectMissing: retention has removed its images.
        """
        ...

    def image(
        self, study_instance_uid: str, series_instance_uid: str, index: int, window: Window | Spread, edge: int
    ) -> Rendered:
        """Slice ``index`` (from 0) as a PNG, its longer side at most ``edge`` pixels.

        Raises:
            NotFound: there is no such slice.
            InputError: it cannot be decoded.
            ObjectMissing: its bytes are gone.
        """
        ...

    def image_etag(
        self, study_instance_uid: str, series_instance_uid: str, index: int, window: Window | Spread, edge: int
    ) -> str:
        """The tag of ``image`` without rendering it."""
        ...

    def overlay(self, job_id: int, series_instance_uid: str, index: int) -> Rendered:
        """What the job found on a slice as an SVG to be laid over the image; without shapes where it found nothing.

        Raises:
            NotFound: there is no such job, slice or series.
            ResultVerificationFailed: a stored result does not lie on the images it names.
        """
        ...

    def heat_map(self, job_id: int, series_instance_uid: str, index: int) -> Rendered:
        """A transparent PNG to be laid over the image: where the network looked, or what it measured there.

        Raises:
            NotFound: there is none for this slice.
        """
        ...

    def heat_maps(self, job_id: int, series_instance_uid: str) -> Sequence[int]:
        """The slices that have one."""
        ...

    def marks(self, job_id: int) -> Sequence[Mark]:
        """One for each finding of the job, in their order.

        Raises:
            NotFound: there is no such job.
        """
        ...
