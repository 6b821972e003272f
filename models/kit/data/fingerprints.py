"""What identifies a picture: exactly (a digest of its pixels) and roughly (a perceptual hash and a thumbnail).

The hash is the sign pattern of the low frequencies of a discrete cosine transform (Zauner 2010, "pHash"); brightness,
contrast, size and recompression hardly change it. It proposes. The correlation of locally normalised thumbnails
decides: without the normalisation the outline that all pictures of a kind share (the disc of a fundus photograph) would
make them alike. Where such an outline has many times the contrast of what lies in it, some unlike pictures still pass
for near, which joins groups without need and does no other harm. Turned and mirrored copies are not
looked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft, ndimage

Float = npt.NDArray[np.float32]

THUMBNAIL = 64
HASHED = 32
FREQUENCIES = 8
# Of a thumbnail: the neighbourhood that is normalised, in its pixels, and the noise that is not, of a contrast of 1.
NEIGHBOURHOOD = 2.0
NOISE = 0.04
# Nearly the same: at most so many of 63 bits differ, and the thumbnails correlate at least so well.
NEAR = ((10, 0.6), (6, 0.5))
# The same in all but encoding and brightness.
SAME = 0.8
BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of one picture.

    Attributes:
        digest: SHA-256 of shape and decoded values: equal for the same pixels in another file or format.
        bits: perceptual hash; the distance of two pictures is the number of bits that differ.
        thumbnail: float32 (THUMBNAIL * THUMBNAIL,) of mean 0 and length 1, zeros of a picture without contrast.
    """

    digest: str
    bits: int
    thumbnail: Float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that are nearly the same: their indices (``first`` < ``second``) and how well they correlate."""

    first: int
    second: int
    correlation: float


def fingerprint(pixels: Float) -> Fingerprint:
    """Of grey (rows, columns), colour (rows, columns, 3) or a volume (k, rows, columns), which its mean stands for."""
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2 if pixels.shape[-1] == 3 else 0, dtype=np.float32)
    return Fingerprint(digest(pixels), _hash(_small(grey, HASHED)), _detail(_small(grey, THUMBNAIL)))


def digest(pixels: npt.NDArray[np.generic]) -> str:
    """SHA-256 of type, shape and values in C order, little endian."""
    values = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    return hashlib.sha256(f"{values.dtype.str}{values.shape}".encode() + values.tobytes()).hexdigest()


def near_pairs(prints: Sequence[Fingerprint]) -> list[Pair]:
    """All pairs of pictures that are nearly the same, sorted; the correlation of exact twins is 1."""
    if not prints:
        return []
    bits = np.array([one.bits for one in prints], dtype=np.uint64)
    thumbnails = np.stack([one.thumbnail for one in prints])
    digests = np.array([one.digest for one in prints])
    pairs: list[Pair] = []
    for start in range(0, len(prints), BLOCK):
        distance = np.bitwise_count(bits[start : start + BLOCK, np.newaxis] ^ bits[np.newaxis, start:])
        rows, columns = np.nonzero(distance <= max(most for most, _ in NEAR))
        later = columns > rows
        rows, columns = rows[later], columns[later]
        correlation = np.einsum("ij,ij->i", thumbnails[rows + start], thumbnails[columns + start])
        correlation[digests[rows + start] == digests[columns + start]] = 1.0
        near = np.any([(distance[rows, columns] <= most) & (correlation >= least) for most, least in NEAR], axis=0)
        pairs += [
            Pair(int(row) + start, int(column) + start, float(value))
            for row, column, value in zip(rows[near], columns[near], correlation[near], strict=True)
        ]
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def _small(grey: Float, side: int) -> Float:
    picture = Image.fromarray(np.ascontiguousarray(grey, dtype=np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX), dtype=np.float32)


def _hash(small: Float) -> int:
    low = fft.dctn(small.astype(np.float64), norm="ortho")[:FREQUENCIES, :FREQUENCIES].ravel()[1:]
    return int.from_bytes(np.packbits(np.append(low > np.median(low), False)).tobytes(), "big")


def _detail(small: Float) -> Float:
    contrast = float(small.std())
    if contrast == 0:
        return np.zeros(small.size, dtype=np.float32)
    detail = (small - ndimage.gaussian_filter(small, NEIGHBOURHOOD)) / contrast
    detail /= np.sqrt(ndimage.gaussian_filter(detail * detail, NEIGHBOURHOOD) + NOISE**2)
    detail -= detail.mean()
    return np.asarray(detail / max(float(np.linalg.norm(detail)), 1e-12), dtype=np.float32).ravel()
