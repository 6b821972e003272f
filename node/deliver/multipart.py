"""The body of a STOW-RS request and of its answer (PS3.18 sections 8.6.1.2 and 10.5). Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.errors import UnexpectedAnswer

# PS3.18 Table 10.5.3-1, in the DICOM JSON model (annex F).
_STORED, _FAILED = "00081199", "00081198"
_UID, _WARNING, _FAILURE = "00081155", "00081196", "00081197"


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """By SOP Instance UID: a Warning Reason (0 without one) of what was stored, the Failure Reason of what was not."""

    stored: Mapping[str, int]
    failed: Mapping[str, int]


def boundary_of(sop_instance_uids: Iterable[str]) -> str:
    """A delimiter that no object holds by chance, the same for the same objects; 70 characters at most (RFC 2046)."""
    return "ainode-" + hashlib.sha256("\\".join(sop_instance_uids).encode()).hexdigest()[:40]


def content_type(boundary: str) -> str:
    return f'multipart/related; type="application/dicom"; boundary={boundary}'


def head(boundary: str) -> bytes:
    """What stands before each object (RFC 2046 section 5.1.1).

    Without the parameter ``transfer-syntax``, which the file meta information says too: Orthanc's plugin 1.7 passes
    over a part that has it, and answers 200.
    """
    return f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()


def tail(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()


END_OF_PART = b"\r\n"


def length(sizes: Sequence[int], boundary: str) -> int:
    """Of the whole body, for objects of these sizes."""
    return sum(len(head(boundary)) + size + len(END_OF_PART) for size in sizes) + len(tail(boundary))


def parse_answer(body: bytes) -> StoreAnswer:
    """
    Raises:
        UnexpectedAnswer: it is no Store Instances Response.
    """
    try:
        found = json.loads(body)
        module = found[0] if isinstance(found, list) and found else found
        return StoreAnswer(
            {uid: reason or 0 for uid, reason in _items(module, _STORED, _WARNING)},
            # A failure without a reason is one all the same: Processing Failure (PS3.7 C.5.7).
            {uid: reason or 0x0110 for uid, reason in _items(module, _FAILED, _FAILURE)},
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise UnexpectedAnswer("the answer is no Store Instances Response", bytes=len(body)) from error


def uids_found(body: bytes) -> frozenset[str]:
    """The SOP Instance UIDs of a QIDO-RS answer (PS3.18 section 10.6).

    Raises:
        UnexpectedAnswer: it is none.
    """
    try:
        return frozenset(str(one["00080018"]["Value"][0]) for one in json.loads(body))
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise UnexpectedAnswer("the answer is no list of instances", bytes=len(body)) from error


def _items(module: Mapping[str, Any], sequence: str, reason: str) -> Iterator[tuple[str, int | None]]:
    for item in module.get(sequence, {}).get("Value") or []:
        values = item.get(reason, {}).get("Value")
        yield str(item[_UID]["Value"][0]), None if not values else int(values[0])
