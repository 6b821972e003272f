"""A DICOMweb server as a destination: STOW-RS (PS3.18 section 10.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node.deliver import multipart
from node.deliver.http import Answer, WebPeer
from node.deliver.identity import identity
from node.deliver.part10 import split
from node.deliver.statuses import outcome_of
from node.deliver.stored import read
from node.deliver.uncommitted import Uncommitted
from node.errors import (
    AinodeError,
    DeliveryError,
    DestinationUnreachable,
    ObjectTooLarge,
    StoreRefused,
    UnexpectedAnswer,
)
from node.ports import DeliveryOutcome, Outgoing

JSON = "application/dicom+json"
TOO_LARGE = 413
# What may be meant of one object among several: each is tried by itself.
PERHAPS_OF_ONE = frozenset({400, 409, 413, 415, 422})
STORED = frozenset({200, 202})
# Answers to a query of a server that only stores.
NO_QUERIES = frozenset({404, 405, 501})


@dataclass(frozen=True, slots=True)
class _Part:
    """``place`` is that of the object in what the caller sends."""

    place: int
    outgoing: Outgoing


class StowDestination(Uncommitted):
    """``ports.Destination``. Used by one thread at a time."""

    def __init__(self, name: str, peer: WebPeer) -> None:
        self._name = name
        self._peer = peer

    @property
    def name(self) -> str:
        return self._name

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        """Send in one request; where the server refuses all of it because of one, each in a request of its own.

        Raises:
            DestinationUnreachable, AccessRefused, DestinationBusy, UnexpectedAnswer: nothing could be sent at all.
        """
        outcomes: dict[int, DeliveryOutcome] = {}
        parts = list(self._inspect(objects, outcomes))
        if parts:
            answer = self._store(parts)
            if answer.status in PERHAPS_OF_ONE and len(parts) > 1 and not _names_all(answer, parts):
                self._one_by_one(parts, outcomes)
            else:
                outcomes |= _outcomes(answer, parts)
        return [outcomes[place] for place in range(len(objects))]

    def echo(self) -> None:
        """Ask for a study; a server without queries is asked what it can.

        Raises:
            DestinationUnreachable, AccessRefused, DestinationBusy, UnexpectedAnswer
        """
        answer = self._peer.ask("GET", "/studies", {"Accept": JSON}, query={"limit": "1"})
        if answer.status in NO_QUERIES:
            answer = self._peer.ask("OPTIONS", "/studies")
        if answer.status >= 300:
            raise UnexpectedAnswer(f"the server answered {answer.status}: look at the URL", http_status=answer.status)

    def _inspect(self, objects: Sequence[Outgoing], outcomes: dict[int, DeliveryOutcome]) -> Iterator[_Part]:
        """What can be sent; what cannot be read has its outcome already."""
        for place, outgoing in enumerate(objects):
            try:
                file = read(outgoing.location)
                split(file)
                identity(file, outgoing)
            except AinodeError as error:
                outcomes[place] = DeliveryOutcome(outgoing.sop_instance_uid, None, error)
            else:
                yield _Part(place, outgoing)

    def _store(self, parts: Sequence[_Part]) -> Answer:
        """The bytes of one object at a time are in memory; the length of it all is known before."""
        boundary = multipart.boundary_of(part.outgoing.sop_instance_uid for part in parts)
        sizes = [part.outgoing.location.length for part in parts]

        def body() -> Iterator[bytes]:
            for part in parts:
                yield multipart.head(boundary)
                yield read(part.outgoing.location)
                yield multipart.END_OF_PART
            yield multipart.tail(boundary)

        headers = {
            "Content-Type": multipart.content_type(boundary),
            "Content-Length": str(multipart.length(sizes, boundary)),
            "Accept": JSON,
        }
        return self._peer.ask("POST", "/studies", headers, body())

    def _one_by_one(self, parts: Sequence[_Part], outcomes: dict[int, DeliveryOutcome]) -> None:
        """A server that goes away in between costs only what it had not answered."""
        for number, part in enumerate(parts):
            try:
                outcomes |= _outcomes(self._store([part]), [part])
            except DeliveryError as error:
                for left in parts[number:]:
                    outcomes[left.place] = DeliveryOutcome(left.outgoing.sop_instance_uid, None, error)
                return


def _outcomes(answer: Answer, parts: Sequence[_Part]) -> dict[int, DeliveryOutcome]:
    return {part.place: _outcome(answer, part.outgoing.sop_instance_uid) for part in parts}


def _names_all(answer: Answer, parts: Sequence[_Part]) -> bool:
    """Whether the answer says of every object what became of it."""
    try:
        told = multipart.parse_answer(answer.body)
    except UnexpectedAnswer:
        return False
    return all(part.outgoing.sop_instance_uid in {**told.stored, **told.failed} for part in parts)


def _outcome(answer: Answer, uid: str) -> DeliveryOutcome:
    """What an answer says of one object (PS3.18 Table 10.5.3-1 and section 10.5.3.2)."""
    status = answer.status
    if status == TOO_LARGE:
        error: DeliveryError = ObjectTooLarge(
            "the server answered 413: it does not take so many bytes", http_status=status
        )
        return DeliveryOutcome(uid, None, error)
    try:
        told = multipart.parse_answer(answer.body)
    except UnexpectedAnswer as problem:
        return DeliveryOutcome(uid, None, problem if status in STORED else _refused(answer))
    if uid in told.failed:
        return outcome_of(uid, told.failed[uid], service="STOW-RS")
    if uid in told.stored and (status in STORED or status == 409):
        return DeliveryOutcome(uid, told.stored[uid])
    if status in STORED:
        return DeliveryOutcome(uid, None, UnexpectedAnswer("the answer does not name the instance", http_status=status))
    return DeliveryOutcome(uid, None, _refused(answer))


def _refused(answer: Answer) -> DeliveryError:
    """Neither stored nor told why: the body is the server's own text, of which only the length is kept."""
    kept = {"http_status": answer.status, "comment_length": len(answer.body)}
    if 300 <= answer.status < 400:
        return UnexpectedAnswer(f"the server answered {answer.status}: look at the URL", **kept)
    if answer.status == 404:
        return DestinationUnreachable("the server answered 404: look at the URL", **kept)
    return StoreRefused(f"the server answered {answer.status}", **kept)
