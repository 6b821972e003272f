"""Which presentation contexts are proposed for which objects, and which accepted one an object goes through.

Pure: decided here, acted on in ``association``. Contexts are pairs (SOP Class UID, Transfer Syntax UID).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.deliver.part10 import RECODABLE, RECODED
from node.errors import SopClassRefused

# PS3.8 section 9.3.2.2: a context's id is an odd number of one byte.
MAX_CONTEXTS = 128


class Syntax(NamedTuple):
    """What an object needs: its SOP class, in the transfer syntax that it is stored in."""

    sop_class_uid: str
    transfer_syntax_uid: str


Item = TypeVar("Item")


def proposals(objects: Iterable[Syntax]) -> list[Syntax]:
    """For each SOP class the objects' own syntaxes first, then both uncompressed ones, each in a context of its own.

    One syntax for each context: an acceptor picks one of several by its own taste (PS3.8 section 9.3.3.2), and a
    syntax of its choice would force a recoding that nobody needs. Implicit VR Little Endian is always among them,
    as the standard wants it of every SOP class (PS3.5 section 10.1).
    """
    wanted: dict[Syntax, None] = {}
    for own in objects:
        for transfer_syntax in (own.transfer_syntax_uid, ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            wanted[Syntax(own.sop_class_uid, str(transfer_syntax))] = None
    return list(wanted)


def associations(objects: Sequence[tuple[Syntax, Item]]) -> Iterator[list[tuple[Syntax, Item]]]:
    """The objects in order, parted where one association would need more contexts than there can be."""
    group: list[tuple[Syntax, Item]] = []
    for entry in objects:
        if len(proposals(syntax for syntax, _ in [*group, entry])) > MAX_CONTEXTS:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def choose(wanted: Syntax, accepted: Mapping[Syntax, int]) -> tuple[Syntax, int]:
    """The accepted context (and its id) for an object: its own syntax, else an uncompressed one it can be recoded to.

    Raises:
        SopClassRefused: none was accepted.
    """
    if wanted in accepted:
        return wanted, accepted[wanted]
    if wanted.transfer_syntax_uid in RECODABLE:
        for transfer_syntax in RECODED:
            other = Syntax(wanted.sop_class_uid, str(transfer_syntax))
            if other in accepted:
                return other, accepted[other]
    known = any(context.sop_class_uid == wanted.sop_class_uid for context in accepted)
    raise SopClassRefused(
        "the destination does not take this transfer syntax"
        if known
        else "the destination does not take this SOP class",
        sop_class_uid=wanted.sop_class_uid,
        transfer_syntax_uid=wanted.transfer_syntax_uid,
    )
