"""An HL7 v2 listener as a destination: reports as ORU^R01 over MLLP; stored is what it acknowledges positively."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from node.deliver import mllp, oru
from node.deliver.report import ReportSource
from node.deliver.uncommitted import Uncommitted
from node.domain.report import Report
from node.errors import AinodeError, DestinationUnreachable, MessageRefused, UndecodableDataSet, UnexpectedAnswer
from node.ports import Clock, DeliveryOutcome, Outgoing

# HL7 table 0008, in both acknowledgment modes.
ACCEPTED = frozenset({"AA", "CA"})
REFUSED = frozenset({"AE", "AR", "CE", "CR"})


@dataclass(frozen=True, slots=True)
class Listener:
    host: str
    port: int
    timeout_s: float = 30.0
    charset: str = oru.UTF_8


class Hl7Destination(Uncommitted):
    """``ports.Destination`` of messages. Used by one thread at a time."""

    def __init__(
        self, name: str, listener: Listener, parties: oru.Parties, reports: ReportSource, clock: Clock
    ) -> None:
        self._name = name
        self._listener = listener
        self._parties = parties
        self._reports = reports
        self._clock = clock

    @property
    def name(self) -> str:
        return self._name

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        """Each report as a message of its own, over one connection.

        Raises:
            DestinationUnreachable, UnexpectedAnswer: nobody is there, or nobody who acknowledges messages.
        """
        outcomes: dict[int, DeliveryOutcome] = {}
        reports: dict[int, Report] = {}
        for place, outgoing in enumerate(objects):
            try:
                reports[place] = self._reports(outgoing)
            except AinodeError as error:
                outcomes[place] = DeliveryOutcome(outgoing.sop_instance_uid, None, error)
        if reports:
            outcomes |= self._exchange_all(reports)
        return [outcomes[place] for place in range(len(objects))]

    def echo(self) -> None:
        """Connect. HL7 has no message that asks for nothing.

        Raises:
            DestinationUnreachable
        """
        with mllp.connected(self._listener.host, self._listener.port, self._listener.timeout_s):
            pass

    def _exchange_all(self, reports: Mapping[int, Report]) -> dict[int, DeliveryOutcome]:
        """By place. A connection that breaks later than at the first message costs what was not acknowledged on it."""
        outcomes: dict[int, DeliveryOutcome] = {}
        with mllp.connected(self._listener.host, self._listener.port, self._listener.timeout_s) as line:
            for place, report in reports.items():
                try:
                    problem = self._exchange(line, report)
                except (DestinationUnreachable, UnexpectedAnswer) as error:
                    if not outcomes:
                        raise
                    left = {
                        place: _outcome(report, error) for place, report in reports.items() if place not in outcomes
                    }
                    return outcomes | left
                outcomes[place] = _outcome(report, problem)
        return outcomes

    def _exchange(self, line: mllp.MllpLine, report: Report) -> AinodeError | None:
        """What is wrong with this report alone; None where it was acknowledged.

        Raises:
            DestinationUnreachable, UnexpectedAnswer: the connection is of no use any more.
        """
        try:
            sent = oru.encode(report, self._parties, self._listener.charset, self._clock.now())
        except UndecodableDataSet as error:
            return error
        return judged(line.exchange(sent), oru.control_id(report))


def _outcome(report: Report, problem: AinodeError | None) -> DeliveryOutcome:
    return DeliveryOutcome(report.document.sop_instance_uid, None if problem else 0x0000, problem)


def judged(answer: bytes, control_id: str) -> MessageRefused | None:
    """What an acknowledgment means; None is a positive one. The text in it is the peer's own: its length is kept.

    Raises:
        UnexpectedAnswer: it is none, or of another message.
    """
    try:
        code, about, text = oru.acknowledgment(answer.decode("utf-8", "replace"))
    except ValueError as error:
        raise UnexpectedAnswer(f"the answer is no acknowledgment: {error}", bytes=len(answer)) from error
    if about != control_id:
        raise UnexpectedAnswer("the acknowledgment is of another message")
    if code in ACCEPTED:
        return None
    if code in REFUSED:
        return MessageRefused(f"the listener answered {code}", answer=code, text_length=len(text))
    raise UnexpectedAnswer("the acknowledgment has an unknown code", code_length=len(code))
