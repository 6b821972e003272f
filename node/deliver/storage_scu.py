"""A PACS as a destination: C-STORE, storage commitment and C-ECHO over DIMSE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from node.deliver import commitment
from node.deliver.association import Peer, accepted, opened, store
from node.deliver.negotiation import Syntax, associations, choose, proposals
from node.deliver.part10 import recode, split
from node.deliver.statuses import outcome_of
from node.deliver.stored import HEAD, read
from node.domain.delivery import CommitmentReport
from node.domain.identity import require_uid
from node.domain.study import SopRef
from node.errors import (
    AinodeError,
    AssociationRejected,
    DestinationUnreachable,
    SopClassRefused,
)
from node.ports import DeliveryOutcome, Outgoing

# An object to send with its place in the caller's order.
Entry = tuple[Syntax, tuple[int, Outgoing]]


class DimseDestination:
    """``ports.Destination`` over pynetdicom. Used by one thread at a time.

    ``apply_report`` makes a commitment report durable before it is acknowledged (see ``commitment.Listener``).
    ``observe`` is told every outcome as it happens.
    """

    def __init__(
        self,
        name: str,
        peer: Peer,
        *,
        commits: bool = False,
        commitment_wait_s: float = 2.0,
        apply_report: Callable[[CommitmentReport], object] | None = None,
        observe: Callable[[DeliveryOutcome], None] | None = None,
    ) -> None:
        self._name = name
        self._peer = peer
        self._commits = commits
        self._commitment_wait_s = commitment_wait_s
        self._apply_report = apply_report
        self._observe = observe

    @property
    def name(self) -> str:
        return self._name

    @property
    def commits(self) -> bool:
        return self._commits

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        """Send over one association (several only if 128 contexts do not suffice), one outcome for each, in order.

        Raises:
            DestinationUnreachable, AssociationRejected: nothing could be sent at all.
        """
        outcomes: dict[int, DeliveryOutcome] = {}
        for number, group in enumerate(associations(self._inspect(objects, outcomes))):
            try:
                self._send_group(group, outcomes)
            except (DestinationUnreachable, AssociationRejected) as error:
                if number == 0:
                    raise
                for _, (place, outgoing) in group:
                    self._note(outcomes, place, DeliveryOutcome(outgoing.sop_instance_uid, None, error))
        return [outcomes[place] for place in range(len(objects))]

    def request_commitment(self, transaction_uid: str, refs: Sequence[SopRef]) -> CommitmentReport | None:
        """
        Raises:
            DestinationUnreachable, AssociationRejected, SopClassRefused, CommitmentFailed: it was not accepted.
        """
        listener = commitment.Listener(transaction_uid, self._apply_report)
        contexts = proposals([Syntax(StorageCommitmentPushModel, ImplicitVRLittleEndian)])
        with opened(self._peer, contexts, listener.handlers) as association:
            if not accepted(association):
                raise SopClassRefused("the destination does not offer storage commitment")
            return commitment.request(association, transaction_uid, refs, listener, self._commitment_wait_s)

    def echo(self) -> None:
        """
        Raises:
            DestinationUnreachable, AssociationRejected, SopClassRefused: no C-ECHO, for this reason.
        """
        with opened(self._peer, [Syntax(Verification, ImplicitVRLittleEndian)]) as association:
            if not accepted(association):
                raise SopClassRefused("the destination does not offer verification")
            try:
                status = association.send_c_echo()
            except RuntimeError as error:  # pynetdicom's word for: no longer established
                raise DestinationUnreachable("the association broke off before the C-ECHO") from error
            if "Status" not in status or status.Status != 0x0000:
                raise DestinationUnreachable("the C-ECHO was not answered with Success")

    def takes(self, sop_class_uids: Sequence[str]) -> frozenset[str]:
        """Those of the classes that it takes in any syntax, by negotiating an association and sending nothing.

        Raises:
            DestinationUnreachable, AssociationRejected
        """
        asked = [Syntax(uid, ImplicitVRLittleEndian) for uid in sop_class_uids]
        with opened(self._peer, proposals(asked)) as association:
            return frozenset(syntax.sop_class_uid for syntax in accepted(association))

    def _inspect(self, objects: Sequence[Outgoing], outcomes: dict[int, DeliveryOutcome]) -> list[Entry]:
        """Each object's own syntax; what cannot be read has its outcome already."""
        entries: list[Entry] = []
        for place, outgoing in enumerate(objects):
            try:
                require_uid(outgoing.sop_class_uid, "SOPClassUID")
                require_uid(outgoing.sop_instance_uid, "SOPInstanceUID")
                syntax = split(read(outgoing.location, HEAD)).transfer_syntax_uid
            except AinodeError as error:
                self._note(outcomes, place, DeliveryOutcome(outgoing.sop_instance_uid, None, error))
            else:
                entries.append((Syntax(outgoing.sop_class_uid, syntax), (place, outgoing)))
        return entries

    def _send_group(self, group: Sequence[Entry], outcomes: dict[int, DeliveryOutcome]) -> None:
        with opened(self._peer, proposals(syntax for syntax, _ in group)) as association:
            contexts = accepted(association)
            for message_id, (syntax, (place, outgoing)) in enumerate(group, start=1):
                # Message ID is a US; more objects than that begin anew, one at a time is on its way.
                outcome = _send_one(association, contexts, syntax, outgoing, message_id & 0xFFFF)
                self._note(outcomes, place, outcome)

    def _note(self, outcomes: dict[int, DeliveryOutcome], place: int, outcome: DeliveryOutcome) -> None:
        outcomes[place] = outcome
        if self._observe is not None:
            self._observe(outcome)


def _send_one(
    association: Association, contexts: Mapping[Syntax, int], own: Syntax, outgoing: Outgoing, message_id: int
) -> DeliveryOutcome:
    uid = outgoing.sop_instance_uid
    try:
        context = choose(own, contexts)
        file = read(outgoing.location)
        as_is = context[0] == own
        data_set = split(file).data_set if as_is else recode(file, context[0].transfer_syntax_uid)
        status, comment = store(association, context, uid, data_set, message_id)
    except AinodeError as error:
        return DeliveryOutcome(uid, None, error)
    return outcome_of(uid, status, comment)
