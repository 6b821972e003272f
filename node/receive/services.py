"""Services that the Storage SCP's associations offer besides storage, verification and storage commitment.

pynetdicom has one handler for each kind of message; several services may take the same one (C-FIND is a query, and asks
for a worklist). So a message goes to the service whose abstract syntax its presentation context has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pynetdicom.presentation import PresentationContext

Handler = Callable[[Any], Any]


class Service(Protocol):
    """``handlers`` maps pynetdicom's intervention events to what serves them. They never raise."""

    def contexts(self) -> Sequence[PresentationContext]: ...

    def handlers(self) -> Mapping[Any, Handler]: ...


def contexts_of(services: Sequence[Service]) -> list[PresentationContext]:
    return [context for service in services for context in service.contexts()]


def handlers_of(services: Sequence[Service]) -> list[tuple[Any, Handler]]:
    """One handler for each kind of message, which hands it to its service."""
    by_event: dict[Any, dict[str, Handler]] = {}
    for service in services:
        syntaxes = [str(context.abstract_syntax) for context in service.contexts()]
        for event, handler in service.handlers().items():
            by_event.setdefault(event, {}).update(dict.fromkeys(syntaxes, handler))
    return [(event, _dispatching(by_syntax)) for event, by_syntax in by_event.items()]


def _dispatching(by_syntax: Mapping[str, Handler]) -> Handler:
    return lambda event: by_syntax[str(event.context.abstract_syntax)](event)
