"""Accept headers as programs write them, and as nobody should."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.errors import NotAcceptable
from node.show.dicom_web.accepting import (
    Wish,
    frames_wanted,
    json_wanted,
    objects_wanted,
    octets_wanted,
    picture_wanted,
    ranges,
)

DICOM, OCTETS = "application/dicom", "application/octet-stream"
J2K, ELE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1"


def test_ranges_are_sorted_by_quality() -> None:
    found = ranges('text/html;q=0.1, multipart/related; type="a,b;c"; Q=0.5 ,*/*;q=0,image/png')
    assert [one.media_type for one in found] == ["image/png", "multipart/related", "text/html"]
    assert found[1].parameters == {"type": "a,b;c"}
    assert [one.media_type for one in ranges("")] == ["*/*"]


@pytest.mark.parametrize(
    ("accept", "syntax", "alone"),
    [
        ("", "", False),
        ("*/*", "", False),
        ("multipart/related", "", False),
        ('multipart/related; type="application/dicom"', "", False),
        ("multipart/related;type=application/dicom;transfer-syntax=*", "*", False),
        (f'multipart/related; type="application/dicom"; transfer-syntax={J2K}', J2K, False),
        (f"application/dicom; transfer-syntax={ELE}", ELE, True),
    ],
)
def test_objects(accept: str, syntax: str, alone: bool) -> None:
    assert objects_wanted(accept) == [Wish(DICOM, syntax, alone)]


def test_frames() -> None:
    assert frames_wanted("multipart/related; type=application/octet-stream; transfer-syntax=*") == [Wish(OCTETS, "*")]
    assert Wish("image/jp2", J2K) in frames_wanted('multipart/related; type="image/jp2"')
    assert frames_wanted(f'multipart/related; type="image/jp2"; transfer-syntax={J2K}') == [Wish("image/jp2", J2K)]
    with pytest.raises(NotAcceptable):
        frames_wanted(f'multipart/related; type="image/jls"; transfer-syntax={J2K}')


@pytest.mark.parametrize(
    ("asked", "accept"),
    [
        (objects_wanted, "text/html"),
        (objects_wanted, 'multipart/related; type="application/dicom+xml"'),
        (objects_wanted, "application/dicom; transfer-syntax=not-a-uid"),
        (objects_wanted, "application/dicom;q=0"),
        (frames_wanted, "image/png"),
        (octets_wanted, "application/dicom"),
        (json_wanted, "application/dicom+xml"),
        (picture_wanted, "image/gif"),
        (ranges, "a" * 10_000),
        (ranges, 'text/html; type="'),
        (ranges, "*/*;q=2"),
        (ranges, "a," * 100),
    ],
)
def test_what_cannot_be_given_is_said(asked: Callable[[str], object], accept: str) -> None:
    with pytest.raises(NotAcceptable):
        asked(accept)


def test_pictures() -> None:
    assert [picture_wanted(one) for one in ("", "image/*", "image/png", "image/png;q=0.2,image/jpeg")] == [
        "image/jpeg",
        "image/jpeg",
        "image/png",
        "image/jpeg",
    ]
