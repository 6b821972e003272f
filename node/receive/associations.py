"""The associations that are open in this process, and what the record is told about them.

An association is recorded at its first instance: a C-ECHO every few seconds leaves no trace. Its end is recorded
when its threads are done, so never while an instance of it is still being stored.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from node.domain.study import AssociationFacts

RELEASED = "released"
ABORTED = "aborted"
LOST = "lost"

AssociationT = TypeVar("AssociationT", bound=Hashable)


@dataclass(slots=True)
class Link:
    """One association. ``ended`` stays ``lost`` unless the peer releases or aborts it in the protocol's words."""

    host: str
    receiver: str
    opened_at: datetime
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    calling_ae: str = ""
    called_ae: str = ""
    ended: str = LOST
    instances: int = 0

    def facts(self) -> AssociationFacts:
        return AssociationFacts(self.id, self.calling_ae, self.called_ae, self.host, self.receiver, self.opened_at)


class Associations(Generic[AssociationT]):
    """The open associations with their links; safe for many threads."""

    def __init__(self) -> None:
        self._links: dict[AssociationT, Link] = {}
        self._changed = threading.Condition()

    def arrive(self, association: AssociationT, link: Link) -> None:
        with self._changed:
            self._links[association] = link

    def of(self, association: AssociationT) -> Link:
        """
        Raises:
            KeyError: the association is not open here.
        """
        with self._changed:
            return self._links[association]

    def leave(self, association: AssociationT) -> None:
        with self._changed:
            self._links.pop(association, None)
            self._changed.notify_all()

    def all(self) -> list[AssociationT]:
        with self._changed:
            return list(self._links)

    def __len__(self) -> int:
        with self._changed:
            return len(self._links)

    def wait_until_none(self, timeout_s: float) -> bool:
        """Whether every association has left within ``timeout_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._links, timeout_s)
