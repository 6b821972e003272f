"""What the node holds, for those who ask."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from node.domain.audit import Use
from node.domain.holdings import RetrievableObject
from node.domain.query import Query
from node.domain.study import Value
from node.ports.delivery import DeliveryOutcome


class Holdings(Protocol):
    """Instances whose bytes are here: received ones (variant 0) and result objects that are not withdrawn."""

    def find(self, query: Query) -> Iterator[Mapping[str, Value]]:
        """The matching entities of the query's level, each with what is known of it and of those above it, by keyword.

        They are read as they are asked for, in pieces of their own transactions: whoever stops early costs no more.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        ...


class Retrievable(Protocol):
    """The same instances, to be given out."""

    def objects(self, query: Query, most: int) -> Sequence[RetrievableObject]:
        """Those that the unique keys of the query name, series by series in the order of their instance numbers.

        At most ``most`` and one: more than ``most`` are too many.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Originator:
    """Who asked for a C-MOVE, and the Message ID of that (PS3.7 Table 9.1-1)."""

    ae_title: str
    message_id: int


class Carriers(Protocol):
    """What brings instances to who asked for them, one C-STORE after the other.

    Each is read when it is its turn, and each has an outcome. An error of one is no error of another; where there is no
    association, or it breaks, that is the outcome of all that are left. To stop, close the iterator.
    """

    def knows(self, ae_title: str) -> bool:
        """Whether there is such a destination."""
        ...

    def move(
        self, ae_title: str, held: Sequence[RetrievableObject], originator: Originator
    ) -> Generator[DeliveryOutcome]:
        """On an association of our own with that destination."""
        ...

    def give(self, association: Any, held: Sequence[RetrievableObject]) -> Generator[DeliveryOutcome]:
        """On the association (of the network library) of who asked, who must be SCP of the classes there."""
        ...


class Uses(Protocol):
    """The log of uses, for those who must not wait for it."""

    def require(self) -> None:
        """
        Raises:
            StoreUnavailable: what was noted last could not be written; nothing is to be done that is to be logged.
        """
        ...

    def note(self, actor: str, use: Use) -> None:
        """Have it written, very soon."""
        ...
