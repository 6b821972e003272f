"""Reading what is to be sent out of our own store."""

from __future__ import annotations

from pathlib import Path

from node.domain.study import ByteRange
from node.errors import ObjectMissing, StoreUnavailable

# Enough for any file meta information.
HEAD = 1 << 16


def read(location: ByteRange, limit: int | None = None) -> bytes:
    """The object's bytes, or the first ``limit`` of them.

    Raises:
        ObjectMissing: there is no such file, or it ends too early.
        StoreUnavailable: the file system does not give them.
    """
    wanted = location.length if limit is None else min(limit, location.length)
    try:
        with Path(location.path).open("rb") as file:
            file.seek(location.offset)
            data = file.read(wanted)
    except FileNotFoundError as error:
        raise ObjectMissing("the object is not in the store") from error
    except OSError as error:
        raise StoreUnavailable(f"the object cannot be read: {error.strerror}") from error
    if len(data) < wanted:
        raise ObjectMissing("the object in the store is shorter than recorded", missing_bytes=wanted - len(data))
    return data
