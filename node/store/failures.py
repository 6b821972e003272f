"""The one place where the operating system's errors become the store's."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from node.errors import ObjectMissing, StoreUnavailable

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def unavailable(what: str, error: OSError) -> StoreUnavailable:
    """What ``translated`` raises, for where a context manager takes too long."""
    reason = "the disk is full" if error.errno in _NO_ROOM else what
    return StoreUnavailable(reason, errno=error.errno)


@contextmanager
def translated(what: str, missing: bool = False) -> Iterator[None]:
    """``missing``: a file that is not there is an object that is not there.

    Raises:
        ObjectMissing, StoreUnavailable
    """
    try:
        yield
    except FileNotFoundError as error:
        if missing:
            raise ObjectMissing("no such object") from error
        raise StoreUnavailable(what, errno=errno.ENOENT) from error
    except OSError as error:
        raise unavailable(what, error) from error
