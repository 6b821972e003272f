"""The results step, wired."""

from __future__ import annotations

from node import __version__
from node.domain.study import ByteRange, Picture, SopRef
from node.infer.pictures import read_file, read_pictures
from node.results.context import Maker
from node.results.rejection import IocmRejectionWriter
from node.results.writer import DicomResultWriter

MANUFACTURER = "ainode project"
MODEL_NAME = "ainode"


MAKER = Maker(MANUFACTURER, MODEL_NAME, __version__)


def result_writer() -> DicomResultWriter:
    return DicomResultWriter(MAKER, pictures=source_picture)


def source_picture(location: ByteRange, image: SopRef) -> Picture:
    """The pixels of an image, or of one frame of it, whatever its size (``ports.SourcePictures``)."""
    file = read_file(location, 0)
    return next(picture for picture in read_pictures(file, file.encoding.frames) if picture.ref == image)


def rejection_writer() -> IocmRejectionWriter:
    return IocmRejectionWriter(MAKER)
