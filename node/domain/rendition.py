"""In which forms a result is written, and which of them a destination wants."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


class Rendition(enum.StrEnum):
    """The form of a result object; an object without one goes to every destination.

    A segmentation that is written in a second type brings its own reports with it, for a report refers to one SEG:
    those sets exclude each other, and a destination gets one of them.
    """

    SECONDARY_CAPTURE = "SECONDARY_CAPTURE"
    PRESENTATION_STATE = "PRESENTATION_STATE"
    # SEG and reports in the type that the model declares, where there is a set in another type beside it.
    AS_DECLARED = "AS_DECLARED"
    BINARY = "BINARY"
    LABELMAP = "LABELMAP"


PICTURES = frozenset({Rendition.SECONDARY_CAPTURE, Rendition.PRESENTATION_STATE})
SETS = frozenset({Rendition.BINARY, Rendition.LABELMAP})


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a destination wants beside what every one gets: ``pictures``; and in which type a SEG with its reports.

    ``segmentation`` is one of ``SETS``; None is the type that the model declares.
    """

    pictures: frozenset[Rendition] = frozenset()
    segmentation: Rendition | None = None

    @property
    def renditions(self) -> frozenset[Rendition]:
        """What has to be written for this destination alone."""
        return self.pictures | ({self.segmentation} if self.segmentation else frozenset())

    def take(self, rendition: Rendition | None, written: Collection[Rendition | None]) -> bool:
        """Whether an object in this form is for this destination; ``written`` are those of all objects of the run.

        Where no set of its own was written, because nothing differs in it, the declared one is.
        """
        if rendition is None:
            return True
        if rendition in PICTURES:
            return rendition in self.pictures
        has_own = self.segmentation is not None and self.segmentation in written
        return rendition is (self.segmentation if has_own else Rendition.AS_DECLARED)


NO_WISHES = Wishes()


def wanted_by(destinations: Iterable[str], wishes: Mapping[str, Wishes]) -> frozenset[Rendition]:
    """Everything that at least one of these destinations wants; one without ``wishes`` wants nothing."""
    return frozenset().union(*(wishes[name].renditions for name in destinations if name in wishes))
