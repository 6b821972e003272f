"""``ports.DicomWeb``, wired: what the node holds, over both stores, decoded as for a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from node.app.kept import Kept
from node.app.querying import held_by
from node.app.records import Records
from node.app.viewing import LARGEST_PIXELS
from node.database.audit import SqlAudit
from node.database.held_objects import SqlHeldObjects
from node.domain.audit import PAGES, USER, Action, Use
from node.domain.study import ByteRange
from node.domain.viewing import Spread, Window
from node.errors import InputError, NoPixelData, NotAcceptable, NotFound
from node.infer.encoded_frames import EncodedFrames, encoded_frames, frame_of
from node.infer.headers import readable
from node.infer.one_frame import read_frame
from node.infer.pictures import read_file
from node.infer.uncompressed import SAME_PIXELS, can_be_uncompressed, uncompressed_frame, uncompressed_object
from node.ports import ObjectStore
from node.ports.dicom_web import AS_STORED, UNSAID, DicomWeb, Frame, HeldObject, Record
from node.results.display import DISPLAY_TAGS, pixel_aspect
from node.results.viewing.image import jpeg, png, visible

# So many objects or frames are decoded at once; whoever asks for more waits.
AT_ONCE = 4
# Where the frames lie, of objects that are looked at just now.
FRAMES_KEPT = 32
PIECE = 1 << 18
EXPLICIT = str(ExplicitVRLittleEndian)


def dicom_web(records: Records) -> DicomWeb:
    return DicomWeb(held_by(records), SqlHeldObjects(records.engine), Contents(records), recording(records))


def recording(records: Records) -> Record:
    def record(user: str | None, study_instance_uid: str) -> None:
        named = PAGES if user is None else f"{USER}:{user}"
        use = Use(Action.STUDY_ACCESSED, f"study {study_instance_uid}", study_instance_uid)
        SqlAudit(records.engine, records.clock, named).record(use)

    return record


class Contents:
    def __init__(self, records: Records) -> None:
        self._records = records
        self._decoding = threading.Semaphore(AT_ONCE)
        self._frames: Kept[str, EncodedFrames] = Kept(FRAMES_KEPT)

    def open(self, held: HeldObject) -> BinaryIO:
        return self._store(held).open(held.storage_key)

    def sent_as(self, held: HeldObject, syntaxes: Sequence[str]) -> str:
        return _chosen(self._stored_as(held), syntaxes)

    def part10(self, held: HeldObject, syntax: str) -> Iterator[bytes]:
        with self.open(held) as file:
            if syntax == self._stored_as(held):
                while piece := file.read(PIECE):
                    yield piece
                return
            with self._decoding, _acceptable():
                whole = uncompressed_object(file)
        yield whole

    def frames(self, held: HeldObject, numbers: Sequence[int], syntaxes: Sequence[str]) -> Iterator[Frame]:
        with self.open(held) as file:
            with _acceptable():
                found = self._index(held, file)
            syntax = _chosen(found.transfer_syntax_uid, syntaxes)
            for number in numbers or range(1, found.count + 1):
                with _acceptable():
                    yield Frame(self._frame(held, file, found, number, syntax), syntax)

    def rendered(
        self, held: HeldObject, frame: int, window: Window | Spread, edge: int, media_type: str, quality: int
    ) -> bytes:
        with self._decoding, _acceptable():
            file = read_file(self._locate(held), 0, DISPLAY_TAGS)
            if file.encoding.rows * file.encoding.columns > LARGEST_PIXELS:
                raise NotAcceptable(f"{file.encoding.rows} x {file.encoding.columns} pixels are not rendered")
            levels = visible(read_frame(file, frame), file.header, window)
            aspect = pixel_aspect(file.header, frame)
        return jpeg(levels, edge, aspect, quality) if media_type == "image/jpeg" else png(levels, edge, aspect)

    def _frame(self, held: HeldObject, file: BinaryIO, found: EncodedFrames, number: int, syntax: str) -> bytes:
        if syntax == found.transfer_syntax_uid or found.transfer_syntax_uid in SAME_PIXELS:
            return frame_of(file, found, number)
        with self._decoding:
            return uncompressed_frame(self._locate(held), number)

    def _index(self, held: HeldObject, file: BinaryIO) -> EncodedFrames:
        """That of a deflated object holds its pixels, and is not kept."""
        if held.transfer_syntax_uid and held.transfer_syntax_uid in SAME_PIXELS[2:]:
            return encoded_frames(file)
        return self._frames.get(held.storage_key, lambda: encoded_frames(file))

    def _stored_as(self, held: HeldObject) -> str:
        if held.transfer_syntax_uid:
            return held.transfer_syntax_uid
        with self.open(held) as file, readable(0):
            return str(
                dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta.TransferSyntaxUID
            )

    def _locate(self, held: HeldObject) -> ByteRange:
        return self._store(held).locate(held.storage_key)

    def _store(self, held: HeldObject) -> ObjectStore:
        return self._records.results if held.is_result else self._records.instances


def _chosen(stored: str, syntaxes: Sequence[str]) -> str:
    """
    Raises:
        NotAcceptable: none of ``syntaxes`` can be given.
    """
    for asked in syntaxes:
        if asked in (AS_STORED, stored):
            return stored
        if asked in (UNSAID, EXPLICIT) and can_be_uncompressed(stored):
            return EXPLICIT
        if asked == UNSAID:
            return stored
    raise NotAcceptable("it can be given in no transfer syntax that was asked for", stored=stored)


@contextmanager
def _acceptable() -> Iterator[None]:
    """What cannot be decoded cannot be given in this form; its bytes can."""
    try:
        yield
    except NoPixelData as error:
        raise NotFound(error.message) from error
    except InputError as error:
        raise NotAcceptable(error.message, **error.details) from error
