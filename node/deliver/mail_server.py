"""A mail server as a destination: each report as a message; stored is what the server has taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from node.deliver import mail, smtp
from node.deliver.report import ReportSource
from node.deliver.uncommitted import Uncommitted
from node.domain.report import Report
from node.errors import AinodeError, DeliveryError, MessageRefused, StoreRefused
from node.ports import Clock, DeliveryOutcome, Outgoing

# What is wrong with one message; everything else is of the connection.
OF_ONE = (MessageRefused, StoreRefused)


class EmailDestination(Uncommitted):
    """``ports.Destination`` of messages. Used by one thread at a time."""

    def __init__(
        self, name: str, access: smtp.MailAccess, head: mail.Letterhead, reports: ReportSource, clock: Clock
    ) -> None:
        self._name = name
        self._access = access
        self._head = head
        self._reports = reports
        self._clock = clock

    @property
    def name(self) -> str:
        return self._name

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        """Each report as a message of its own, over one connection.

        Raises:
            DestinationUnreachable, DestinationBusy, AccessRefused, UnexpectedAnswer: nothing could be sent at all.
        """
        problems: dict[int, AinodeError | None] = {}
        reports: dict[int, Report] = {}
        for place, outgoing in enumerate(objects):
            try:
                reports[place] = self._reports(outgoing)
            except AinodeError as error:
                problems[place] = error
        if reports:
            problems |= self._send_all(reports)
        return [
            DeliveryOutcome(one.sop_instance_uid, None if problems[place] else 0x0000, problems[place])
            for place, one in enumerate(objects)
        ]

    def echo(self) -> None:
        """Connect, log in, and ask for nothing.

        Raises:
            DestinationUnreachable, DestinationBusy, AccessRefused, UnexpectedAnswer
        """
        with smtp.connected(self._access) as line:
            line.ask()

    def _send_all(self, reports: Mapping[int, Report]) -> dict[int, DeliveryError | None]:
        """By place. A connection that breaks later than at the first message costs what was not taken on it."""
        problems: dict[int, DeliveryError | None] = {}
        with smtp.connected(self._access) as line:
            for place, report in reports.items():
                try:
                    problems[place] = self._send_one(line, report)
                except DeliveryError as error:
                    if not problems:
                        raise
                    return problems | {left: error for left in reports if left not in problems}
        return problems

    def _send_one(self, line: smtp.MailLine, report: Report) -> DeliveryError | None:
        """What is wrong with this message alone.

        Raises:
            DestinationUnreachable, DestinationBusy, AccessRefused, UnexpectedAnswer
        """
        message = mail.encode(report, self._name, self._head, self._clock.now())
        try:
            line.send(message, self._head.sender, self._head.recipients)
        except OF_ONE as error:
            return error
        return None
