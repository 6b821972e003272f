"""In which forms a result is written, and which of them a destination wants."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
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

    ``segmentation`` is one of ``SETS``; None is the type that the model declares. One that takes ``no_label_maps`` gets
    BINARY instead of those. With ``main_report_only`` it is sent that report as a message, and nothing else; of the
    ``outcomes`` alone, where they are chosen.
    """

    pictures: frozenset[Rendition] = frozenset()
    segmentation: Rendition | None = None
    main_report_only: bool = False
    no_label_maps: bool = False
    outcomes: frozenset[str] | None = None

    @property
    def renditions(self) -> frozenset[Rendition]:
        """What has to be written for this destination alone, where the model declares no label maps."""
        return self.renditions_of(label_maps=False)

    def renditions_of(self, label_maps: bool) -> frozenset[Rendition]:
        """What has to be written for this destination alone; ``label_maps``: the model declares them."""
        own = self._set(label_maps)
        return self.pictures | ({own} if own else frozenset())

    def _set(self, label_maps: bool) -> Rendition | None:
        declared = Rendition.LABELMAP if label_maps else None
        if self.no_label_maps and (self.segmentation or declared) is Rendition.LABELMAP:
            return Rendition.BINARY
        return self.segmentation

    def take(
        self, rendition: Rendition | None, written: Collection[Rendition | None], label_maps: bool = False
    ) -> bool:
        """Whether an object in this form is for this destination; ``written`` are those of all objects of the run.

        Where no set of its own was written, because nothing differs in it, the declared one is; ``label_maps``: that
        one has them.
        """
        if rendition is None:
            return True
        if rendition in PICTURES:
            return rendition in self.pictures
        own = self._set(label_maps)
        return rendition is (own if own is not None and own in written else Rendition.AS_DECLARED)

    def tells(self, outcome: str) -> bool:
        return self.outcomes is None or outcome in self.outcomes

    def places(self, written: Sequence[Rendition | None], label_maps: bool = False) -> tuple[int, ...]:
        """Which objects of a run are for this destination; ``written`` are their forms, in order.

        The main report is the last object, of those that every destination gets.
        """
        if self.main_report_only:
            return tuple(place for place, one in enumerate(written) if one in (None, Rendition.AS_DECLARED))[-1:]
        return tuple(place for place, one in enumerate(written) if self.take(one, written, label_maps))


NO_WISHES = Wishes()


def wanted_by(
    destinations: Iterable[str], wishes: Mapping[str, Wishes], label_maps: bool = False
) -> frozenset[Rendition]:
    """Everything that at least one of these destinations wants; one without ``wishes`` wants nothing.

    ``label_maps``: the model declares them.
    """
    wanted = (wishes[name].renditions_of(label_maps) for name in destinations if name in wishes)
    return frozenset().union(*wanted)
