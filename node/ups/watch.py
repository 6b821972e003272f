"""What happened to workitems becomes reports to those who subscribed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pydicom.dataset import Dataset

from node.domain.workitem import (
    GLOBAL,
    Happened,
    Report,
    Step,
    StepState,
    Subscription,
)
from node.errors import NoSuchWorkitem
from node.ports import Subscriptions
from node.ups import matching
from node.ups.elements import from_json

AT_ONCE = 100


class Reports(Protocol):
    """As far as it is needed here."""

    def whole(self, workitem: Step, identifier: Dataset | None = None) -> Dataset: ...

    def report(self, receiver: str, workitem: Step, state: StepState) -> Report: ...


class Watch:
    """``get`` reads a workitem."""

    def __init__(self, subscriptions: Subscriptions, steps: Reports, get: Callable[[str], Step]) -> None:
        self._subscriptions = subscriptions
        self._steps = steps
        self._get = get

    def run_once(self) -> int:
        """Write down the reports about what happened; how much that was."""
        happened = self._subscriptions.happened(AT_ONCE)
        if happened:
            everywhere = self._subscriptions.all()
            self._subscriptions.tell(happened, [one for what in happened for one in self._reports(what, everywhere)])
        return len(happened)

    def _reports(self, what: Happened, everywhere: Sequence[Subscription]) -> Iterator[Report]:
        try:
            workitem = self._get(what.workitem_uid)
        except NoSuchWorkitem:  # retention took it, or it is another one by now
            return
        subscriptions = [*everywhere, *self._subscriptions.about(what.workitem_uid)]
        for receiver in receivers(subscriptions, workitem, lambda keys: self._fits(workitem, keys)):
            yield from self._told(receiver, what, workitem)

    def _told(self, receiver: str, what: Happened, workitem: Step) -> Iterator[Report]:
        if what.event_type is not None:
            yield Report(receiver, what.workitem_uid, what.event_type, what.information, what.at)
        for state in states_told(what.was, what.became):
            yield self._steps.report(receiver, workitem, state)

    def _fits(self, workitem: Step, keys: Dataset) -> bool:
        return matching.matches(self._steps.whole(workitem, keys), keys)


def receivers(
    subscriptions: Sequence[Subscription], workitem: Step, fits: Callable[[Dataset], bool]
) -> tuple[str, ...]:
    """Who is told of this workitem, each once."""
    about_it = {one.receiving_ae: one.wanted for one in subscriptions if one.workitem_uid == workitem.uid}
    found = {ae for ae, wanted in about_it.items() if wanted}
    for one in subscriptions:
        if one.workitem_uid != GLOBAL or about_it.get(one.receiving_ae) is False:
            continue
        if one.suspended_at is not None and workitem.created_at > one.suspended_at:
            continue
        if one.matching is None or fits(from_json(one.matching)):
            found.add(one.receiving_ae)
    return tuple(sorted(found))


def states_told(was: StepState | None, became: StepState | None) -> tuple[StepState, ...]:
    """What is canceled before it began is IN PROGRESS for a moment (PS3.4 section CC.2.2.3)."""
    if became is None or was is became:
        return ()
    if was is StepState.SCHEDULED and became in (StepState.CANCELED, StepState.COMPLETED):
        return (StepState.IN_PROGRESS, became)
    return (became,)
