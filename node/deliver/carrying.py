"""What others ask for is brought to them: sub-operations of C-MOVE and C-GET (``ports.Carriers``; PS3.4 C.4.2, C.4.3).

An instance goes as it lies in the store. Where its transfer syntax was not accepted, it is written anew in another
uncompressed one if it is uncompressed itself; nothing is decompressed.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence

import structlog
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.association import Association

from node.deliver.association import Peer, accepted, opened, store
from node.deliver.negotiation import Syntax, associations, choose, proposals
from node.deliver.part10 import Part10, recode, split
from node.deliver.statuses import outcome_of
from node.deliver.stored import HEAD, read
from node.domain.holdings import RetrievableObject
from node.domain.study import ByteRange
from node.errors import AinodeError, AssociationRejected, DestinationUnreachable, ObjectMissing
from node.ports import DeliveryOutcome
from node.ports.holdings import Originator

log = structlog.get_logger()


class Carriers:
    """``ports.Carriers``. ``locate`` says where the bytes of an object lie.

    It raises ``ObjectMissing`` or ``StoreUnavailable`` where they are not.
    """

    def __init__(self, destinations: Mapping[str, Peer], locate: Callable[[RetrievableObject], ByteRange]) -> None:
        self._destinations = destinations
        self._locate = locate

    def knows(self, ae_title: str) -> bool:
        return ae_title in self._destinations

    def move(
        self, ae_title: str, held: Sequence[RetrievableObject], originator: Originator
    ) -> Generator[DeliveryOutcome]:
        """As in the port. More contexts than one association has make it several, one after the other."""
        syntaxes = [self._syntax(one) for one in held]
        groups = list(associations([(each, each) for each in dict.fromkeys(syntaxes)]))
        place = {syntax: number for number, group in enumerate(groups) for syntax, _ in group}
        refused: AinodeError | None = None
        for number, group in enumerate(groups):
            part = [one for one, syntax in zip(held, syntaxes, strict=True) if place[syntax] == number]
            if refused is None:
                try:
                    with opened(self._destinations[ae_title], proposals(syntax for syntax, _ in group)) as association:
                        yield from self._in_order(association, part, originator)
                    continue
                except (DestinationUnreachable, AssociationRejected) as error:
                    refused = error
            yield from (DeliveryOutcome(one.sop_instance_uid, None, refused) for one in part)

    def _in_order(
        self, association: Association, held: Sequence[RetrievableObject], originator: Originator
    ) -> Generator[DeliveryOutcome]:
        """Where it is closed, between two of them, the association is released as ever."""
        with contextlib.suppress(GeneratorExit):
            yield from self._carried(association, accepted(association), held, originator)

    def give(self, association: Association, held: Sequence[RetrievableObject]) -> Generator[DeliveryOutcome]:
        taken = {str(uid) for uid, role in association.requestor.role_selection.items() if role.scp_role}
        contexts = {syntax: number for syntax, number in accepted(association).items() if syntax.sop_class_uid in taken}
        yield from self._carried(association, contexts, held, None)

    def _syntax(self, one: RetrievableObject) -> Syntax:
        """Of what cannot be read nothing is known: it fails when it is its turn."""
        if one.transfer_syntax_uid:
            return Syntax(one.sop_class_uid, one.transfer_syntax_uid)
        try:
            return Syntax(one.sop_class_uid, split(read(self._locate(one), HEAD)).transfer_syntax_uid)
        except AinodeError:
            return Syntax(one.sop_class_uid, str(ExplicitVRLittleEndian))

    def _carried(
        self,
        association: Association,
        contexts: Mapping[Syntax, int],
        held: Sequence[RetrievableObject],
        origin: Originator | None,
    ) -> Generator[DeliveryOutcome]:
        broken: DestinationUnreachable | None = None
        for number, one in enumerate(held):
            uid = one.sop_instance_uid
            try:
                if broken is not None:
                    raise broken
                # Message ID is a US, and 0 is none.
                outcome = self._one(association, contexts, one, number % 0xFFFF + 1, origin)
            except DestinationUnreachable as error:
                broken = error
                outcome = DeliveryOutcome(uid, None, error)
            except AinodeError as error:
                log.warning("carry.failed", sop_instance_uid=uid, error=error.code, details=dict(error.details))
                outcome = DeliveryOutcome(uid, None, error)
            yield outcome

    def _one(
        self,
        association: Association,
        contexts: Mapping[Syntax, int],
        one: RetrievableObject,
        message_id: int,
        origin: Originator | None,
    ) -> DeliveryOutcome:
        file = read(self._locate(one))
        parts = split(file)
        _require_same(one, file, parts)
        own = Syntax(one.sop_class_uid, parts.transfer_syntax_uid)
        context = choose(own, contexts)
        data_set = parts.data_set if context[0] == own else recode(file, context[0].transfer_syntax_uid)
        status, comment = store(association, context, one.sop_instance_uid, data_set, message_id, origin)
        return outcome_of(one.sop_instance_uid, status, comment)


def _require_same(one: RetrievableObject, file: bytes, parts: Part10) -> None:
    """Whether the bytes are those that were recorded: a place in the journal may have been given to others meanwhile.

    Raises:
        ObjectMissing: they are not.
    """
    if hashlib.sha256(file if one.is_result else parts.data_set).hexdigest() != one.sha256:
        raise ObjectMissing("the object in the store is not the one that was recorded")
