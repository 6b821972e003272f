"""Workitems: the job table as a store of Unified Procedure Steps, and the service that stands before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from pydicom.dataset import Dataset

from node.domain.workitem import (
    Behind,
    Change,
    Commission,
    Happened,
    NewWorkitem,
    Referenced,
    Report,
    Step,
    Subscription,
    Warned,
    Workitem,
    WorkitemQuery,
)

S = TypeVar("S", bound=Step)


class StepStore(Protocol[S]):
    """Workitems of one kind."""

    def get(self, uid: str) -> S:
        """
        Raises:
            NoSuchWorkitem
        """
        ...

    def find(self, query: WorkitemQuery, after: int, limit: int) -> Sequence[S]:
        """Those whose ``row`` is greater than ``after``, in that order."""
        ...

    def inputs(self, workitem: S) -> Sequence[Referenced]: ...

    def outputs(self, workitem: S) -> Sequence[Referenced]: ...

    def change(self, uid: str, actor: str, decide: Callable[[S], Change]) -> S:
        """Do what ``decide`` says of the workitem as it is, in one transaction: of many who ask at once each sees what

        the one before has done, and so do our own workers. ``decide`` may be asked more than once.

        Raises:
            NoSuchWorkitem, and what ``decide`` raises: then nothing was changed.
        """
        ...


class WorkitemStore(StepStore[Workitem], Protocol):
    """Jobs as workitems."""

    def create(self, new: NewWorkitem, actor: str) -> Workitem:
        """
        Raises:
            DuplicateWorkitem: there is one with this UID.
        """
        ...


class ToldReports(Protocol):
    """What subscribers are to be told, for whoever tells them."""

    def receivers(self) -> Sequence[str]:
        """AE titles to which something is to be told."""
        ...

    def waiting(self, receiving_ae: str, limit: int) -> Sequence[Report]:
        """What is to be told to this one, in its order."""
        ...

    def told(self, reports: Sequence[Report]) -> None: ...


class Subscriptions(ToldReports, Protocol):
    """Who is told of which workitems."""

    def subscribe(self, subscription: Subscription, first: Report | None = None) -> None:
        """In place of what this AE said of the same workitem (or of all) before; ``first`` is told at once.

        A global subscription takes all exceptions from an earlier one back.
        """
        ...

    def unsubscribe(self, receiving_ae: str, workitem_uid: str) -> None:
        """From a global subscription with all that it stood for; from one workitem: an exception from a global one."""
        ...

    def suspend(self, receiving_ae: str) -> None:
        """What is created from now on is not told."""
        ...

    def of(self, receiving_ae: str) -> Sequence[Subscription]: ...

    def all(self) -> Sequence[Subscription]:
        """Global ones, and exceptions from them."""
        ...

    def about(self, workitem_uid: str) -> Sequence[Subscription]:
        """Those of this one workitem."""
        ...

    def happened(self, limit: int) -> Sequence[Happened]:
        """What nobody was told yet, in its order."""
        ...

    def tell(self, happened: Sequence[Happened], reports: Sequence[Report]) -> None:
        """``reports`` are written down and ``happened`` is done, in one transaction; what ended needs no subscription

        any more. Nothing is written where somebody else did it meanwhile.
        """
        ...

    def behind(self, receiving_ae: str) -> Behind:
        """What this one has not taken."""
        ...

    def drop(self, receiving_ae: str) -> int:
        """Nobody answers there: what waits, and every subscription, is gone, with an alert; how many reports."""
        ...


class Commissioner(Protocol):
    """Makes the job that somebody from outside asks for."""

    def __call__(self, commission: Commission) -> NewWorkitem:
        """``attributes`` are still empty.

        Raises:
            InvalidAttributeValue: there is no such model or input, or they do not go together.
        """
        ...


class ProcedureSteps(Protocol):
    """What the UPS service class (PS3.4 Annex CC) and UPS-RS (PS3.18 section 11) ask for. ``asker`` is an AE title, or

    a name. Every method raises a ``WorkitemError`` where that cannot be done, or a ``StoreError``.
    """

    def create(self, uid: str, attributes: Dataset, asker: str) -> tuple[str, Warned]:
        """The SOP Instance UID, made here where ``uid`` is empty."""
        ...

    def get(self, uid: str, tags: Sequence[int] = ()) -> Dataset:
        """With these attributes, or all; never the Transaction UID."""
        ...

    def find(self, identifier: Dataset, offset: int = 0, limit: int | None = None) -> Iterator[Dataset]:
        """With the attributes that ``identifier`` names. Without ``limit``, TooManyWorkitems at the end of too many."""
        ...

    def change_state(self, uid: str, information: Dataset, asker: str) -> Warned: ...

    def update(self, uid: str, changes: Dataset, asker: str) -> Warned: ...

    def request_cancel(self, uid: str, information: Dataset, asker: str) -> Warned: ...

    def subscribe(self, uid: str, information: Dataset) -> Warned: ...

    def unsubscribe(self, uid: str, information: Dataset) -> Warned: ...

    def suspend(self, uid: str, information: Dataset) -> Warned: ...


class StatusReporter(Protocol):
    """Tells one subscriber."""

    def __call__(self, receiving_ae: str, reports: Sequence[Report]) -> int:
        """In this order; how many it has taken.

        Raises:
            DeliveryError: none.
        """
        ...
