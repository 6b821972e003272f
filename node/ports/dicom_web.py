"""What DICOMweb gives out: the objects that are here, their frames, and pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from node.domain.viewing import Spread, Window
from node.ports.holdings import Holdings

# A transfer syntax that is asked for: the one it is stored in, or none in particular.
AS_STORED, UNSAID = "*", ""
# Who it is (None: nobody is logged in) and the Study Instance UID.
Record = Callable[[str | None, str], None]


@dataclass(frozen=True, slots=True)
class HeldObject:
    """One SOP Instance whose bytes are here: a received one, or a result (of which ``transfer_syntax_uid`` is empty:

    its file says it).
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    storage_key: str
    is_result: bool
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it is sent; compressed where ``transfer_syntax_uid`` is a compressed one."""

    content: bytes
    transfer_syntax_uid: str


class HeldObjects(Protocol):
    """Received instances (variant 0) and results that are not withdrawn; those that ``Holdings`` answers with."""

    def of(self, study: str, series: str | None = None, instance: str | None = None) -> Sequence[HeldObject]:
        """By series, then by Instance Number; empty where nothing of it is here."""
        ...

    def studies_of(self, series_uids: Sequence[str], instance_uids: Sequence[str]) -> Sequence[str]:
        """Studies that have one of these series or instances."""
        ...


class ObjectContents(Protocol):
    """``syntaxes`` are those asked for, the dearest first: UIDs, ``AS_STORED`` or ``UNSAID``, which is Explicit VR

    Little Endian where that can be made, else the stored one.

    Raises (each method):
        NotAcceptable: none of them can be given.
        ObjectMissing: the bytes are gone.
    """

    def open(self, held: HeldObject) -> BinaryIO:
        """The Part 10 file as it is stored."""
        ...

    def sent_as(self, held: HeldObject, syntaxes: Sequence[str]) -> str:
        """The transfer syntax that ``part10`` gives it in."""
        ...

    def part10(self, held: HeldObject, syntax: str) -> Iterator[bytes]:
        """The Part 10 file in pieces."""
        ...

    def frames(self, held: HeldObject, numbers: Sequence[int], syntaxes: Sequence[str]) -> Iterator[Frame]:
        """These frames, counted from 1, one at a time; none in ``numbers`` means all.

        Raises:
            NotFound: the object has no pixels, or no such frame.
        """
        ...

    def rendered(
        self, held: HeldObject, frame: int, window: Window | Spread, edge: int, media_type: str, quality: int
    ) -> bytes:
        """A frame as a viewer would show it, as PNG or JPEG, its longer side at most ``edge`` pixels.

        Raises:
            NotFound: the object has no pixels, or no such frame.
        """
        ...


@dataclass(frozen=True, slots=True)
class DicomWeb:
    """``record`` writes into the log of uses who looked at what."""

    holdings: Holdings
    objects: HeldObjects
    contents: ObjectContents
    record: Record
