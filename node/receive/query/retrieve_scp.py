"""The node sends what it holds to whoever may ask: C-MOVE and C-GET (PS3.4 C.4.2, C.4.3), Patient and Study Root."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import structlog
from pynetdicom import build_context, evt
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from node.domain.audit import Action, Use
from node.domain.holdings import RetrievableObject
from node.domain.query import Level
from node.errors import RetrievalRefused, StoreUnavailable, TooManyInstances, UnknownMoveDestination, UnusableKey
from node.ports import DeliveryOutcome
from node.ports.holdings import Carriers, Originator, Retrievable, Uses
from node.receive.query.asking import asked, asker
from node.receive.query.find_scp import SYNTAXES
from node.receive.query.identifier import retrieval_of
from node.receive.query.responding import is_over, stay_awake
from node.receive.query.tally import Response, RetrieveStatus, Tally, response
from node.receive.services import Handler

log = structlog.get_logger()

_PATIENT_ROOT: Final = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE)
_STUDY_ROOT: Final = (Level.STUDY, Level.SERIES, Level.IMAGE)
MODELS: Final[Mapping[str, tuple[Level, ...]]] = {
    PatientRootQueryRetrieveInformationModelMove: _PATIENT_ROOT,
    PatientRootQueryRetrieveInformationModelGet: _PATIENT_ROOT,
    StudyRootQueryRetrieveInformationModelMove: _STUDY_ROOT,
    StudyRootQueryRetrieveInformationModelGet: _STUDY_ROOT,
}
# Numbers of sub-operations are US (PS3.7 Tables 9.3-11, 9.3-8).
MOST_INSTANCES: Final = 0xFFFF
# So often who asked is told how far it is, while there is something to tell.
PENDING_EVERY_S: Final = 1.0
# To one destination, of one receiver: one that does not answer keeps others waiting for nobody else.
MOVES_AT_A_TIME: Final = 2

Send = Callable[[Sequence[RetrievableObject]], Generator[DeliveryOutcome]]


class RetrieveScp:
    """A ``Service``; its handlers are served by ``responding``."""

    def __init__(self, held: Retrievable, carriers: Carriers, uses: Uses, most: int = MOST_INSTANCES) -> None:
        self._held = held
        self._carriers = carriers
        self._uses = uses
        self._most = most
        self._turns: dict[str, threading.Semaphore] = {}
        self._lock = threading.Lock()

    def contexts(self) -> Sequence[PresentationContext]:
        return retrieval_contexts()

    def handlers(self) -> Mapping[Any, Handler]:
        return {evt.EVT_C_MOVE: self.move, evt.EVT_C_GET: self.get}

    def move(self, event: Any) -> Iterator[Response]:
        """Responses to a C-MOVE, the last of them final."""
        yield from _answered(lambda: self._move(event))

    def get(self, event: Any) -> Iterator[Response]:
        """Responses to a C-GET, the last of them final."""
        yield from _answered(lambda: self._get(event))

    def _move(self, event: Any) -> Iterator[Response]:
        self._uses.require()
        to = (event.move_destination or "").strip()
        if not self._carriers.knows(to):
            raise UnknownMoveDestination("the Move Destination is not configured here (query.move_to)")
        level, held = self._wanted(event)
        originator = Originator(event.assoc.requestor.ae_title.strip(), event.message_id)
        turn = self._turn(to)
        tally = Tally(len(held))
        while not turn.acquire(timeout=PENDING_EVERY_S):
            if event.is_cancelled:
                yield tally.canceled()
                return
            yield tally.pending()
        try:
            send: Send = lambda held: self._carriers.move(to, held, originator)  # noqa: E731
            yield from self._sent(event, f"C-MOVE {level}", to, held, send)
        finally:
            turn.release()

    def _get(self, event: Any) -> Iterator[Response]:
        self._uses.require()
        level, held = self._wanted(event)
        send: Send = lambda held: self._carriers.give(event.assoc, held)  # noqa: E731
        yield from self._sent(event, f"C-GET {level}", "", held, send)

    def _wanted(self, event: Any) -> tuple[Level, Sequence[RetrievableObject]]:
        """
        Raises:
            UnusableKey, TooManyInstances, StoreUnavailable
        """
        _, query = asked(event, MODELS[str(event.context.abstract_syntax)], retrieval_of)
        held = self._held.objects(query, self._most)
        if len(held) > self._most:
            raise TooManyInstances(f"more than {self._most} instances")
        return query.level, held

    def _turn(self, to: str) -> threading.Semaphore:
        with self._lock:
            return self._turns.setdefault(to, threading.Semaphore(MOVES_AT_A_TIME))

    def _sent(
        self, event: Any, service: str, to: str, held: Sequence[RetrievableObject], send: Send
    ) -> Iterator[Response]:
        """The use is noted before anything is sent, and again with what became of it."""
        who = asker(event)
        for study, instances in Counter(one.study_instance_uid for one in held).items():
            self._uses.note(who, Use(Action.RETRIEVAL_BEGUN, service, study, {"to": to, "instances": instances}))
        tally = Tally(len(held))
        try:
            if held:
                yield from _carried(event, tally, held, send)
            else:
                yield tally.last()
        finally:
            counts = {"completed": tally.completed, "failed": tally.failed, "warnings": tally.warnings,
                      "not_sent": tally.remaining}  # fmt: skip
            study_uids = {one.study_instance_uid for one in held}
            study_uid = study_uids.pop() if len(study_uids) == 1 else None
            self._uses.note(who, Use(Action.RETRIEVAL_ENDED, service, study_uid, {"to": to, **counts}))
            log.info("query.retrieved", service=service, to=to, **counts)


def retrieval_contexts() -> list[PresentationContext]:
    return [build_context(model, list(SYNTAXES)) for model in MODELS]


def _carried(event: Any, tally: Tally, held: Sequence[RetrievableObject], send: Send) -> Iterator[Response]:
    """Sub-operations one by one; between them it is looked for a C-CANCEL, and whether somebody still waits."""
    yield tally.pending()
    told_at = time.monotonic()
    with closing(send(held)) as outcomes:
        for outcome in outcomes:
            tally.add(outcome)
            stay_awake(event.assoc)
            if is_over(event.assoc):
                return
            if tally.remaining and event.is_cancelled:
                yield tally.canceled()
                return
            if tally.remaining and time.monotonic() - told_at >= PENDING_EVERY_S:
                yield tally.pending()
                told_at = time.monotonic()
    if tally.failed:
        log.warning("query.not_all_sent", failed=tally.failed, first=tally.reason)
    yield tally.last()


def _answered(act: Callable[[], Iterator[Response]]) -> Iterator[Response]:
    try:
        yield from act()
    except (RetrievalRefused, UnusableKey) as error:
        log.warning("query.refused", error=error.code, problem=error.message)
        yield response(RetrieveStatus(error.dimse_status), error.message), None
    except StoreUnavailable as error:
        log.error("query.failed", error=error.code)
        yield response(RetrieveStatus.NOT_COUNTED, f"{error.code}: {error.message}"), None
    except Exception as error:  # noqa: BLE001  DIMSE handler: the peer gets a failure, the process goes on
        log.error("query.failed", error=type(error).__name__)
        yield response(RetrieveStatus.UNABLE, "not sent"), None
