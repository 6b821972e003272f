"""DIMSE statuses by name, and what the sender of a refused instance is told."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from node.errors import ReceiveError, StoreUnavailable

MAX_ERROR_COMMENT = 64


class Status(enum.IntEnum):
    """What we answer to C-STORE (PS3.4 Table B.2-1, PS3.7 Annex C), C-ECHO and N-EVENT-REPORT (PS3.7 10.1.1.1.8)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_EVENT_TYPE = 0x0113
    INVALID_ARGUMENT = 0x0115
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    INVALID_UID = 0xC001
    UNDECODABLE_DATA_SET = 0xC002
    INCOMPLETE_DATA_SET = 0xC003


@dataclass(frozen=True, slots=True)
class Answer:
    """A DIMSE status and its Error Comment (0000,0902): our own words, at most 64 characters, empty for Success."""

    status: int
    comment: str = ""


SUCCESS = Answer(Status.SUCCESS)


def answer_to(error: Exception) -> Answer:
    """The answer to an instance that was not accepted. What is not foreseen is a processing failure without detail."""
    if isinstance(error, ReceiveError):
        return Answer(error.dimse_status, _comment(error.message))
    if isinstance(error, StoreUnavailable):
        return Answer(Status.OUT_OF_RESOURCES, _comment(error.message))
    return Answer(Status.PROCESSING_FAILURE, "not stored")


def _comment(message: str) -> str:
    printable = "".join(character if " " <= character <= "~" and character != "\\" else "?" for character in message)
    return printable[:MAX_ERROR_COMMENT].strip()
