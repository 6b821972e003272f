"""What stands in the journal, read back for its row: digest and header."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import structlog

from node.domain.study import Arrival, ByteRange, StoredInstance, Value
from node.errors import AinodeError, UndecodableDataSet
from node.ports import InstanceArrived, Unrecorded, View
from node.receive import header, part10
from node.receive.familiar import HeaderReader
from node.receive.recording import stored_instance

log = structlog.get_logger()

# An object up to this size is read at once; a larger one in pieces, so that memory does not grow with it.
SMALL = 4 << 20
PIECE = 1 << 20

Read = tuple[Arrival, StoredInstance] | Unrecorded


class Reader:
    """``extra_keywords`` are those that routes ask for besides those always kept."""

    def __init__(self, extra_keywords: Iterable[str] = ()) -> None:
        self._headers = HeaderReader(header.wanted_tags(extra_keywords))

    def read(self, events: Iterable[InstanceArrived]) -> Iterator[Read]:
        """One answer for each, in order; what cannot be read is no error of another."""
        with ExitStack() as stack:
            descriptors: dict[str, int] = {}
            for event in events:
                try:
                    path = event.location.path
                    if path not in descriptors:
                        descriptors[path] = os.open(path, os.O_RDONLY)
                        stack.callback(os.close, descriptors[path])
                    yield self._read(event, descriptors[path])
                except (OSError, AinodeError) as error:
                    log.error("record.unreadable", storage_key=event.stored.key, error=_code(error))
                    yield unrecorded("instance_unreadable", event, error)
                except Exception as error:  # noqa: BLE001  edge: whatever this one is made of, the others get their rows
                    log.error("record.unrecordable", storage_key=event.stored.key, error=_code(error))
                    yield unrecorded("instance_not_recorded", event, error)

    def _read(self, event: InstanceArrived, descriptor: int) -> tuple[Arrival, StoredInstance]:
        arrival, location = event.arrival, event.location
        if location.length <= SMALL:
            data = b"".join(_pieces(descriptor, location.offset, location.length))
            digest = hashlib.sha256(memoryview(data)[arrival.data_set_offset :]).hexdigest()
            attributes = self._header(View(data, 0, len(data)), arrival)
        else:
            digest = _digest(descriptor, location, arrival.data_set_offset)
            # All of it was read just now, so the disk answers: a page that it cannot give would end this process.
            with part10.mapped(location) as view:
                attributes = self._header(view, arrival)
        return arrival, stored_instance(arrival, replace(event.stored, sha256=digest), attributes)

    def _header(self, view: View, arrival: Arrival) -> Mapping[str, Value]:
        return self._headers.attributes(view, arrival.transfer_syntax_uid, arrival.data_set_offset)


def unrecorded(kind: str, event: InstanceArrived, error: Exception) -> Unrecorded:
    """The alert instead of a row."""
    return Unrecorded(kind, event.stored, event.arrival, {"error": _code(error)})


def _digest(descriptor: int, location: ByteRange, data_set_offset: int) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(descriptor, location.offset + data_set_offset, location.length - data_set_offset):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(descriptor: int, offset: int, length: int) -> Iterator[bytes]:
    end = offset + length
    while offset < end:
        piece = os.pread(descriptor, min(PIECE, end - offset), offset)
        if not piece:
            raise UndecodableDataSet("the object is shorter than it was")
        yield piece
        offset += len(piece)


def _code(error: Exception) -> str:
    """In technical words alone."""
    if isinstance(error, OSError):
        return f"errno {error.errno}"
    return error.code if isinstance(error, AinodeError) else type(error).__name__
