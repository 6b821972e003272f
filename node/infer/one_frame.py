"""One frame of a stored object, whatever the number of its frames: only that one is read and decoded."""

from __future__ import annotations

from dataclasses import replace

from pydicom.encaps import encapsulate, get_frame

from node.domain.study import Picture
from node.errors import NotFound, UndecodablePixelData
from node.infer.headers import Image, PixelSpan
from node.infer.pictures import ImageFile, read_pictures
from node.infer.pixels import SEQUENCE_DELIMITATION, Stored, stored_frames


def read_frame(file: ImageFile, frame: int) -> Picture:
    """Frame ``frame`` (from 1) of a file whose header was read.

    Raises:
        NotFound: the object has no such frame.
        UnsupportedImage, UndecodablePixelData, ObjectMissing: as ``read_pictures``.
    """
    return next(read_pictures(replace(file, image=_alone(file, frame))))


def read_stored(file: ImageFile, frame: int) -> Stored:
    """The stored values (rows, columns) of frame ``frame`` (from 1) of a grey image, unused bits resolved.

    Raises:
        NotFound, UnsupportedImage, UndecodablePixelData, ObjectMissing: as ``read_frame``.
    """
    return next(stored_frames(_alone(file, frame)))


def _alone(file: ImageFile, frame: int) -> Image:
    frames = file.encoding.frames
    if not 1 <= frame <= frames:
        raise NotFound(f"no frame {frame} among {frames}")
    return replace(
        file.image,
        planes=file.image.planes[frame - 1 : frame],
        rescale=file.image.rescale[frame - 1 : frame],
        encoding=replace(file.encoding, frames=1),
        pixels=file.image.pixels if frames == 1 else _span(file, frame),
    )


def _span(file: ImageFile, frame: int) -> PixelSpan:
    pixels, encoding = file.image.pixels, file.encoding
    if encoding.encapsulated:
        data = pixels.read()
        try:
            found = get_frame(data, frame - 1, number_of_frames=encoding.frames)
        except (ValueError, IndexError, EOFError) as error:
            raise UndecodablePixelData(f"frame {frame} of an image cannot be found", frame=frame) from error
        held = encapsulate([found]) + SEQUENCE_DELIMITATION + bytes(4)
        return PixelSpan("", 0, len(held), held)
    size, start = encoding.frame_bytes, (frame - 1) * encoding.frame_bytes
    if pixels.held is not None:
        return PixelSpan("", 0, size, pixels.held[start : start + size])
    return PixelSpan(pixels.path, pixels.offset + start, size)
