"""What destinations have in common that know no storage commitment."""

from __future__ import annotations

from collections.abc import Sequence

from node.domain.delivery import CommitmentReport
from node.domain.study import SopRef
from node.errors import SopClassRefused


class Uncommitted:
    """Its answer is the end: STORED is final."""

    @property
    def commits(self) -> bool:
        return False

    def request_commitment(self, transaction_uid: str, refs: Sequence[SopRef]) -> CommitmentReport | None:
        """
        Raises:
            SopClassRefused: always.
        """
        del transaction_uid, refs
        raise SopClassRefused("the destination does not offer storage commitment")
