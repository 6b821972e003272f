"""The UPS service (``ports.ProcedureSteps``): the same for DIMSE and for the web."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydicom.dataset import Dataset

from node.domain.audit import WORKITEMS
from node.domain.identity import derive_uid
from node.domain.workitem import (
    FILTERED,
    FINAL,
    GLOBAL,
    Change,
    Claim,
    EventType,
    Report,
    Step,
    StepState,
    Subscription,
    Warned,
    end_wanted,
    require_claimable,
    require_held,
    require_settable,
)
from node.errors import (
    FinalStateIncomplete,
    NotSchedulable,
    PerformerUnreachable,
    TooManyWorkitems,
    UnknownReceiver,
    UnsuitableAction,
    WorkitemCompleted,
)
from node.ports import Clock, Commissioner, Subscriptions
from node.ups import matching, requests
from node.ups.data_set import Node, data_set, state_report
from node.ups.elements import required, text_of, to_json
from node.ups.shelf import Shelf

MAX_MATCHES = 1000
INPUTS, OUTPUTS = "InputInformationSequence", requests.PERFORMED
EVERYTHING = frozenset({GLOBAL, FILTERED})


class Steps:
    """``receivers`` are the AE titles to which reports can be sent, ``unique`` makes a text that never was before."""

    def __init__(
        self,
        store: Shelf,
        subscriptions: Subscriptions,
        commissioner: Commissioner,
        clock: Clock,
        node: Node,
        receivers: Sequence[str],
        unique: Callable[[], str],
        max_matches: int = MAX_MATCHES,
    ) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._commissioner = commissioner
        self._clock = clock
        self._node = node
        self._receivers = frozenset(receivers)
        self._unique = unique
        self._max_matches = max_matches

    def create(self, uid: str, attributes: Dataset, asker: str) -> tuple[str, Warned]:
        uid = uid or derive_uid("workitem", self._unique())
        wanted = requests.to_create(uid, attributes)
        new = self._commissioner(wanted.commission)
        made = self._store.create(replace(new, attributes=wanted.attributes), _actor(asker))
        told = {keyword: text_of(attributes, keyword) for keyword in requests.OF_PATIENT}
        whole = self.whole(made)
        other = any(text and text != text_of(whole, keyword) for keyword, text in told.items())
        return uid, Warned.MODIFIED if wanted.modified or other else Warned.SUCCESS

    def get(self, uid: str, tags: Sequence[int] = ()) -> Dataset:
        whole = self.whole(self._store.get(uid))
        if not tags:
            return whole
        asked = Dataset()
        for tag in tags:
            if tag in whole:
                asked[tag] = whole[tag]
        asked.SpecificCharacterSet = whole.SpecificCharacterSet
        return asked

    def find(self, identifier: Dataset, offset: int = 0, limit: int | None = None) -> Iterator[Dataset]:
        matched = itertools.islice(self._matching(identifier), offset, None)
        if limit is not None:
            yield from itertools.islice(matched, limit)
            return
        yield from itertools.islice(matched, self._max_matches)
        if next(matched, None) is not None:
            raise TooManyWorkitems(f"more than {self._max_matches} match: narrow the query")

    def change_state(self, uid: str, information: Dataset, asker: str) -> Warned:
        self._store.get(uid)  # of a workitem that there is not, nothing else is wrong
        wanted = requests.state_wanted(information)
        if wanted is StepState.SCHEDULED:
            raise NotSchedulable("only creating a workitem makes it SCHEDULED")
        digest = requests.transaction_of(information)
        answer: list[Warned] = []

        def decide(workitem: Step) -> Change:
            if wanted is StepState.IN_PROGRESS:
                require_claimable(workitem)
                change = Change(claim=Claim(asker, digest))
            else:
                change = self._ended(workitem, wanted, digest)
            answer.append(change.warned)
            return change

        self._store.change(uid, _actor(asker), decide)
        return answer[-1]

    def update(self, uid: str, changes: Dataset, asker: str) -> Warned:
        self._store.get(uid)
        asked = requests.to_update(changes)

        def decide(workitem: Step) -> Change:
            require_settable(workitem, asked.digest)
            if asked.by_performer:
                require_held(workitem, asked.digest or "")
            report = None if asked.progress is None else (EventType.PROGRESS, asked.progress)
            attributes = {**workitem.attributes, **asked.attributes}
            return Change(attributes=attributes, priority=asked.priority, report=report)

        self._store.change(uid, _actor(asker), decide)
        return Warned.NOT_SUPPORTED if asked.left_out else Warned.SUCCESS

    def request_cancel(self, uid: str, information: Dataset, asker: str) -> Warned:
        said = requests.canceling(information)
        report = (EventType.CANCEL_REQUESTED, requests.cancel_report(information, asker))
        listening = {one.receiving_ae for one in (*self._subscriptions.about(uid), *self._subscriptions.all())}
        answer: list[Warned] = []

        def decide(workitem: Step) -> Change:
            change = _canceled(workitem, listening, report, to_json(_with_progress(said)))
            answer.append(change.warned)
            return change

        self._store.change(uid, _actor(asker), decide)
        return answer[-1]

    def subscribe(self, uid: str, information: Dataset) -> Warned:
        receiver = requests.receiver_of(information)
        if receiver not in self._receivers:
            raise UnknownReceiver("no address is configured for the Receiving AE")
        locks = required(information, "DeletionLock") == "TRUE"
        if uid in EVERYTHING:
            keys = to_json(requests.filter_of(information)) if uid == FILTERED else None
            self._subscriptions.subscribe(Subscription(receiver, GLOBAL, matching=keys))
        else:
            workitem = self._store.get(uid)
            first = self.report(receiver, workitem, workitem.state)
            self._subscriptions.subscribe(Subscription(receiver, uid), first)
        return Warned.NO_DELETION_LOCK if locks else Warned.SUCCESS

    def unsubscribe(self, uid: str, information: Dataset) -> Warned:
        receiver = self._known(information)
        if uid not in EVERYTHING:
            self._store.get(uid)
        self._subscriptions.unsubscribe(receiver, GLOBAL if uid in EVERYTHING else uid)
        return Warned.SUCCESS

    def suspend(self, uid: str, information: Dataset) -> Warned:
        receiver = self._known(information)
        if uid not in EVERYTHING:
            self._store.get(uid)
            raise UnsuitableAction("only a global subscription can be suspended")
        self._subscriptions.suspend(receiver)
        return Warned.SUCCESS

    def _known(self, information: Dataset) -> str:
        """Who is to be told no more: an AE title that is configured, or was when it subscribed."""
        receiver = requests.receiver_of(information)
        if receiver not in self._receivers and not self._subscriptions.of(receiver):
            raise UnknownReceiver("no address is configured for the Receiving AE")
        return receiver

    def whole(self, workitem: Step, identifier: Dataset | None = None) -> Dataset:
        """Inputs and outputs only where ``identifier`` names them: a series has thousands of instances."""
        inputs = self._store.inputs(workitem) if identifier is None or INPUTS in identifier else ()
        outputs = self._store.outputs(workitem) if identifier is None or OUTPUTS in identifier else ()
        return data_set(workitem, inputs, outputs, self._node)

    def report(self, receiver: str, workitem: Step, state: StepState) -> Report:
        """What a subscriber is told of a state."""
        information = state_report(workitem, state, self.whole(workitem, Dataset()))
        return Report(receiver, workitem.uid, EventType.STATE, information, self._clock.now())

    def _matching(self, identifier: Dataset) -> Iterator[Dataset]:
        for workitem in self._store.find(matching.query_of(identifier)):
            whole = self.whole(workitem, identifier)
            if matching.matches(whole, identifier):
                yield matching.told(whole, identifier)

    def _ended(self, workitem: Step, wanted: StepState, digest: str) -> Change:
        already = end_wanted(workitem, wanted, digest)
        if already is not None:
            return Change(warned=already)
        missing = requests.missing_at_the_end(self.whole(workitem)) if wanted is StepState.COMPLETED else []
        if missing:
            raise FinalStateIncomplete(f"still to be said: {', '.join(missing)}", missing=missing)
        return Change(becomes=wanted)


def _actor(asker: str) -> str:
    """As the log of uses names who asked."""
    return f"{WORKITEMS}:{asker}"


def _canceled(
    workitem: Step, listening: set[str], report: tuple[EventType, Mapping[str, Any]], said: Mapping[str, Any]
) -> Change:
    if workitem.state is StepState.COMPLETED:
        raise WorkitemCompleted("the workitem is COMPLETED")
    if workitem.state in FINAL:
        return Change(warned=Warned.ALREADY_CANCELED)
    if workitem.is_performed_outside:
        if workitem.performer not in listening:
            raise PerformerUnreachable("the performer listens to no event of the workitem")
        return Change(cancel=True, report=report)
    begun = workitem.state is StepState.IN_PROGRESS
    return Change(cancel=True, attributes={**workitem.attributes, **said}, report=report if begun else None)


def _with_progress(said: Dataset) -> Dataset:
    made = Dataset()
    if len(said):
        made.ProcedureStepProgressInformationSequence = [said]
    return made
