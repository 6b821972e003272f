"""Somebody's HTTP server as a destination that is told of results: each report as a POST; 2xx is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from node.deliver import webhook
from node.deliver.http import Answer, WebPeer
from node.deliver.report import ReportSource
from node.deliver.told import message_id
from node.deliver.uncommitted import Uncommitted
from node.errors import (
    AinodeError,
    DeliveryError,
    DestinationUnreachable,
    MessageRefused,
    ObjectTooLarge,
    StoreRefused,
    UnexpectedAnswer,
)
from node.ports import Clock, DeliveryOutcome, Outgoing

# There is nothing at this address, or nobody who finished reading.
NOBODY = frozenset({404, 408})
TOO_LARGE = 413
CONFLICT = frozenset({409, 423, 425})
# Who serves POST alone says so.
ASKED_FOR_NOTHING = frozenset({400, 405, 415, 422, 501})


class WebhookDestination(Uncommitted):
    """``ports.Destination`` of messages. Used by one thread at a time. ``secret`` signs what is sent."""

    def __init__(
        self, name: str, peer: WebPeer, node: str, pages: str, secret: str | None, reports: ReportSource, clock: Clock
    ) -> None:
        self._name = name
        self._peer = peer
        self._node = node
        self._pages = pages
        self._secret = secret
        self._reports = reports
        self._clock = clock

    @property
    def name(self) -> str:
        return self._name

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        """Each report as a request of its own.

        Raises:
            DestinationUnreachable, AccessRefused, DestinationBusy, UnexpectedAnswer: nothing could be sent at all.
        """
        problems: dict[int, AinodeError | None] = {}
        bodies: dict[int, tuple[str, bytes]] = {}
        for place, outgoing in enumerate(objects):
            try:
                body = webhook.content(self._reports(outgoing), self._name, self._node, self._pages)
            except AinodeError as error:
                problems[place] = error
            else:
                bodies[place] = message_id(self._name, outgoing.sop_instance_uid), body
        problems |= self._ask_all(bodies)
        return [
            DeliveryOutcome(one.sop_instance_uid, None if problems[place] else 0x0000, problems[place])
            for place, one in enumerate(objects)
        ]

    def echo(self) -> None:
        """Ask what may be asked there: nobody is told anything.

        Raises:
            DestinationUnreachable, AccessRefused, DestinationBusy, UnexpectedAnswer
        """
        answer = self._peer.ask("OPTIONS", "")
        if answer.status >= 300 and answer.status not in ASKED_FOR_NOTHING:
            raise UnexpectedAnswer(f"the server answered {answer.status}: look at the URL", http_status=answer.status)

    def _ask_all(self, bodies: Mapping[int, tuple[str, bytes]]) -> dict[int, DeliveryError | None]:
        """By place. A server that goes away later than at the first costs what it had not answered."""
        problems: dict[int, DeliveryError | None] = {}
        for place, (identity, body) in bodies.items():
            headers = webhook.headers(identity, body, self._secret, self._clock.now())
            try:
                answer = self._peer.ask("POST", "", {"Content-Type": "application/json", **headers}, body)
            except DeliveryError as error:
                if not problems:
                    raise
                return problems | {left: error for left in bodies if left not in problems}
            problems[place] = judged(answer)
        return problems


def judged(answer: Answer) -> DeliveryError | None:
    """What an answer means; None: it was taken. Of what stands in it only the length is kept."""
    status = answer.status
    if 200 <= status < 300:
        return None
    words, kept = f"the server answered {status}", {"http_status": status, "text_length": len(answer.body)}
    if status in NOBODY:
        return DestinationUnreachable(f"{words}: look at the URL", **kept)
    if status == TOO_LARGE:
        return ObjectTooLarge(f"{words}: it does not take so many bytes", **kept)
    if status in CONFLICT or status >= 500:
        return StoreRefused(words, **kept)
    if status >= 400:
        return MessageRefused(words, answer=status, **kept)
    return UnexpectedAnswer(f"{words}: look at the URL", **kept)
