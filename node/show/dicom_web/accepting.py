"""What an Accept header asks for (PS3.18 sections 8.3.3 and 8.7; RFC 9110 section 12.5.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom import uid

from node.domain.identity import is_uid
from node.errors import NotAcceptable
from node.ports.dicom_web import AS_STORED, UNSAID

DICOM, DICOM_JSON, JSON, OCTETS = (
    "application/dicom",
    "application/dicom+json",
    "application/json",
    "application/octet-stream",
)
MULTIPART = "multipart/related"
# Media types of compressed frames, and the transfer syntaxes that they are of (PS3.18 Table 8.7.3-5).
COMPRESSED: Mapping[str, Sequence[str]] = {
    "image/jpeg": (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1),
    "image/jls": (uid.JPEGLSLossless, uid.JPEGLSNearLossless),
    "image/jp2": (uid.JPEG2000Lossless, uid.JPEG2000),
    "image/jphc": (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K),
    "image/dicom-rle": (uid.RLELossless,),
}
PICTURES = ("image/jpeg", "image/png")
LONGEST = 4096
MOST = 64
_QUALITY = re.compile(r"(0(\.\d{0,3})?|1(\.0{0,3})?)\Z")
_SEPARATED = re.compile(r'((?:[^",;]|"[^"]*")*)([,;]|\Z)')


@dataclass(frozen=True, slots=True)
class Range:
    """One media range: ``parameters`` have names in lower case, and values without quotation marks."""

    media_type: str
    parameters: Mapping[str, str]
    quality: float = 1.0


@dataclass(frozen=True, slots=True)
class Wish:
    """Parts of ``media_type`` in ``syntax``; ``alone``: as the whole body, not as parts of it."""

    media_type: str
    syntax: str
    alone: bool = False


def ranges(accept: str) -> list[Range]:
    """The dearest first; those of the same quality as they stand. Without a header everything is welcome.

    Raises:
        NotAcceptable: it is too long, or cannot be read.
    """
    if len(accept) > LONGEST:
        raise NotAcceptable("the Accept header is too long", length=len(accept))
    found = [_range(parts) for parts in _parts(accept or "*/*")]
    if len(found) > MOST:
        raise NotAcceptable("the Accept header names too many media types")
    return sorted((one for one in found if one.quality > 0), key=lambda one: -one.quality)


def json_wanted(accept: str) -> None:
    """
    Raises:
        NotAcceptable: anything but JSON is.
    """
    if not any(one.media_type in (DICOM_JSON, JSON, "application/*", "*/*") for one in ranges(accept)):
        raise NotAcceptable(f"this is answered as {DICOM_JSON}")


def objects_wanted(accept: str) -> list[Wish]:
    """How DICOM objects are wanted.

    Raises:
        NotAcceptable: not as DICOM.
    """
    return _required([wish for wish in _wishes(accept, DICOM) if wish.media_type == DICOM], DICOM)


def frames_wanted(accept: str) -> list[Wish]:
    """
    Raises:
        NotAcceptable: neither as octets nor in a media type of compressed frames.
    """
    known = [wish for wish in _wishes(accept, OCTETS) if wish.media_type == OCTETS or wish.media_type in COMPRESSED]
    found = []
    for wish in known:
        if wish.media_type == OCTETS:
            found.append(wish)
            continue
        family = COMPRESSED[wish.media_type]
        asked = family if wish.syntax in (AS_STORED, UNSAID) else [wish.syntax] if wish.syntax in family else []
        found += [Wish(wish.media_type, str(syntax), wish.alone) for syntax in asked]
    return _required(found, OCTETS)


def octets_wanted(accept: str) -> list[Wish]:
    """
    Raises:
        NotAcceptable: anything but octets is wanted.
    """
    return _required([wish for wish in _wishes(accept, OCTETS) if wish.media_type == OCTETS], OCTETS)


def picture_wanted(accept: str) -> str:
    """The media type of a rendered image; JPEG, where nothing is preferred (PS3.18 Table 8.7.4-1).

    Raises:
        NotAcceptable: neither JPEG nor PNG.
    """
    for one in ranges(accept):
        if one.media_type in PICTURES:
            return one.media_type
        if one.media_type in ("image/*", "*/*"):
            return PICTURES[0]
    raise NotAcceptable("an image is rendered as " + " or ".join(PICTURES))


def _wishes(accept: str, usual: str) -> Iterator[Wish]:
    for one in ranges(accept):
        syntax = one.parameters.get("transfer-syntax", UNSAID)
        if syntax not in (AS_STORED, UNSAID) and not is_uid(syntax):
            continue
        if one.media_type == MULTIPART:
            yield Wish(one.parameters.get("type", usual).lower(), syntax)
        elif one.media_type == "*/*":
            yield Wish(usual, syntax)
        else:
            yield Wish(one.media_type, syntax, alone=True)


def _required(found: list[Wish], usual: str) -> list[Wish]:
    if not found:
        raise NotAcceptable(f'this is answered as {MULTIPART}; type="{usual}"')
    return found


def _parts(text: str) -> Iterator[list[str]]:
    """The parts between semicolons of each item between commas; neither separates within quotation marks."""
    at, parts = 0, []
    while at <= len(text):
        match = _SEPARATED.match(text, at)
        if match is None:
            raise NotAcceptable("the Accept header cannot be read")
        parts.append(match[1].strip())
        if match[2] != ";":
            if any(parts):
                yield parts
            parts = []
        if not match[2]:
            return
        at = match.end()


def _range(parts: Sequence[str]) -> Range:
    parameters = {}
    for part in parts[1:]:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    quality = parameters.pop("q", "1")
    if not _QUALITY.match(quality):
        raise NotAcceptable("the Accept header cannot be read")
    return Range(parts[0].lower(), parameters, float(quality))
