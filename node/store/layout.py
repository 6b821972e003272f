"""Where an object lies, as pure functions. A UID is an outsider's input: it is part of a path only after a check."""

from __future__ import annotations

import re
from pathlib import Path

from node.domain.identity import require_uid
from node.errors import StoreError

DIGEST_PREFIX_LENGTH = 16
MAX_KEY_SEGMENTS = 8
MAX_SEGMENT_LENGTH = 200
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")


def instance_key(study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str, sha256: str) -> str:
    """``<study>/<series>/<SOP instance>.<first 16 hex digits of the digest>.dcm``.

    The digest makes other bytes under the same SOP Instance UID another object, so that nothing is ever overwritten
    by something else, whoever comes first.

    Raises:
        InvalidUid: one of the three is no UID.
        StoreError: ``sha256`` is no SHA-256 in lower-case hexadecimal.
    """
    if not _DIGEST.match(sha256):
        raise StoreError("not a SHA-256", length=len(sha256))
    study = require_uid(study_instance_uid, "StudyInstanceUID")
    series = require_uid(series_instance_uid, "SeriesInstanceUID")
    instance = require_uid(sop_instance_uid, "SOPInstanceUID")
    return f"{study}/{series}/{instance}.{sha256[:DIGEST_PREFIX_LENGTH]}.dcm"


def is_key(key: str) -> bool:
    """1 to 8 segments of letters, digits, ``.``, ``_`` and ``-``; none begins with a dot or a hyphen."""
    segments = key.split("/")
    return len(segments) <= MAX_KEY_SEGMENTS and all(
        len(segment) <= MAX_SEGMENT_LENGTH and _SEGMENT.match(segment) is not None for segment in segments
    )


def object_path(root: Path, key: str) -> Path:
    """The path of the object ``key`` below ``root``.

    Raises:
        StoreError: ``key`` is no key; the value itself is not repeated.
    """
    if not is_key(key):
        raise StoreError("not a storage key", length=len(key))
    return root.joinpath(*key.split("/"))
