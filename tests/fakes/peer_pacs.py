"""The embedded PACS with the faults of real ones: what it refuses, when it breaks off, how it reports."""

from __future__ import annotations

import threading
from pathlib import Path

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from node.demo.pacs import CommitmentRequest, EmbeddedPacs


class FaultyPacs(EmbeddedPacs):
    """Attributes are switches, all off at first; they may be turned while it runs.

    Attributes:
        refused: SOP classes without a presentation context (set before ``start``).
        only_syntaxes: if not empty, the only transfer syntaxes accepted (set before ``start``).
        status: answered to every C-STORE instead of storing.
        abort_after: this many instances are stored, the next C-STORE is answered by an A-ABORT.
        silent: requests for commitment are accepted and never reported on.
    """

    def __init__(self, folder: Path, ae_title: str = "PEER", requester_ae_title: str = "AINODE") -> None:
        super().__init__(folder, ae_title, requester_ae_title)
        self.refused: frozenset[str] = frozenset()
        self.only_syntaxes: list[str] = []
        self.status: int | None = None
        self.abort_after: int | None = None
        self.silent = False
        self.transaction_uids: list[str] = []
        self._count = threading.Lock()

    def contexts(self) -> list[PresentationContext]:
        kept = [context for context in super().contexts() if context.abstract_syntax not in self.refused]
        for context in kept:
            if self.only_syntaxes:
                context.transfer_syntax = list(self.only_syntaxes)
        return kept

    def on_store(self, event: evt.Event) -> int:
        if self.abort_after is not None:
            if self.abort_after == 0:
                event.assoc.abort()
                return 0xC000
            self.abort_after -= 1
        return super().on_store(event) if self.status is None else self.status

    def on_action(self, event: evt.Event) -> tuple[int, None]:
        with self._count:
            self.transaction_uids.append(str(event.action_information.TransactionUID))
        return super().on_action(event)

    def report(self, association: Association, request: CommitmentRequest) -> None:
        if not self.silent:
            super().report(association, request)
