"""UIDs: what one is (PS3.5 section 9), and how ours are derived."""

from __future__ import annotations

import re
import uuid
from functools import lru_cache

from node.errors import InvalidUid

MAX_UID_LENGTH = 64
_UID = re.compile(r"[0-9]+(\.[0-9]+)*\Z")
_NAMESPACE = uuid.UUID("5d4a9f4e-6d0f-5e55-9c1c-0b9c6b7d2a11")


def is_uid(text: str) -> bool:
    """Digits and dots, at most 64 characters. Leading zeros in a component are tolerated: real archives hold them."""
    return len(text) <= MAX_UID_LENGTH and _is_uid(text)


# The images of a series share all but one of theirs.
@lru_cache(maxsize=1024)
def _is_uid(text: str) -> bool:
    return _UID.match(text) is not None


def require_uid(text: str, attribute: str) -> str:
    """``text`` if it is a UID.

    Raises:
        InvalidUid: naming ``attribute``; the value itself is not repeated, it is an outsider's bytes.
    """
    if not is_uid(text):
        raise InvalidUid(f"{attribute} is not a UID", attribute=attribute, length=len(text))
    return text


def derive_uid(*parts: str) -> str:
    """The same parts give the same UID: ``2.25.`` and a UUID of version 5 as an integer (PS3.5 section B.2)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(parts)).int}"
