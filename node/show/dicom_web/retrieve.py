"""WADO-RS: objects, metadata, frames, bulk data and pictures of what is here (PS3.18 sections 10.4 and 10.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from node.domain.identity import require_uid
from node.errors import NotAcceptable, NotFound, UnusableKey
from node.ports.dicom_web import AS_STORED, DicomWeb, HeldObject
from node.show.dicom_web import accepting
from node.show.dicom_web.accepting import DICOM, DICOM_JSON, OCTETS, Wish
from node.show.dicom_web.accesses import Accesses
from node.show.dicom_web.addresses import accept_of, address
from node.show.dicom_web.metadata import bulk_value, is_pixels, metadata
from node.show.dicom_web.multipart import Part, begun, parts_answer
from node.show.dicom_web.rendering import add_rendering
from node.show.visitor import Visiting, Visitor

# In the browser alone, and not for long: another person may sit down.
KEPT = {"Cache-Control": "private, max-age=300"}
MOST_FRAMES = 100_000


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What is here of a path, for a visitor whose look is in the log of uses by then."""

    web: DicomWeb
    accesses: Accesses

    def of(self, visitor: Visitor, *uids: str) -> Sequence[HeldObject]:
        """
        Raises:
            InvalidUid: one of them is none.
            NotFound: nothing of it is here.
        """
        found = self.web.objects.of(*(require_uid(uid, "UID") for uid in uids))
        if not found:
            raise NotFound("nothing of this is here")
        self.accesses.note(visitor.user, uids[0])
        return found

    def one(self, visitor: Visitor, *uids: str) -> HeldObject:
        return self.of(visitor, *uids)[0]


def add_retrieval(router: APIRouter, web: DicomWeb, accesses: Accesses) -> None:
    retrieval = Retrieval(web, accesses)
    _add_objects(router, retrieval)
    _add_metadata(router, retrieval)
    _add_frames(router, retrieval)
    _add_bulk_data(router, retrieval)
    add_rendering(router, web, retrieval.of)


def _add_objects(router: APIRouter, retrieval: Retrieval) -> None:
    @router.get("/studies/{study}")
    def of_study(request: Request, visitor: Visiting, study: str) -> Response:
        return _objects(request, retrieval, retrieval.of(visitor, study))

    @router.get("/studies/{study}/series/{series}")
    def of_series(request: Request, visitor: Visiting, study: str, series: str) -> Response:
        return _objects(request, retrieval, retrieval.of(visitor, study, series))

    @router.get("/studies/{study}/series/{series}/instances/{instance}")
    def of_instance(request: Request, visitor: Visiting, study: str, series: str, instance: str) -> Response:
        return _objects(request, retrieval, retrieval.of(visitor, study, series, instance))


def _objects(request: Request, retrieval: Retrieval, found: Sequence[HeldObject]) -> Response:
    """Which transfer syntax each is sent in is settled before the first of them is."""
    wishes = accepting.objects_wanted(accept_of(request))
    contents = retrieval.web.contents
    if wishes[0].alone and len(found) > 1:
        raise NotAcceptable("several objects are sent as parts of one body")
    syntaxes = [wish.syntax for wish in wishes]
    sent = [(held, contents.sent_as(held, syntaxes)) for held in found]
    if wishes[0].alone:
        held, syntax = sent[0]
        body = begun(contents.part10(held, syntax))
        return StreamingResponse(body, media_type=f"{DICOM}; transfer-syntax={syntax}", headers=KEPT)
    parts = (
        Part(f"{DICOM}; transfer-syntax={syntax}", _address(request, held), contents.part10(held, syntax))
        for held, syntax in sent
    )
    return parts_answer(DICOM, parts, KEPT)


def _add_metadata(router: APIRouter, retrieval: Retrieval) -> None:
    @router.get("/studies/{study}/metadata")
    def of_study(request: Request, visitor: Visiting, study: str) -> Response:
        return _metadata(request, retrieval, retrieval.of(visitor, study))

    @router.get("/studies/{study}/series/{series}/metadata")
    def of_series(request: Request, visitor: Visiting, study: str, series: str) -> Response:
        return _metadata(request, retrieval, retrieval.of(visitor, study, series))

    @router.get("/studies/{study}/series/{series}/instances/{instance}/metadata")
    def of_instance(request: Request, visitor: Visiting, study: str, series: str, instance: str) -> Response:
        return _metadata(request, retrieval, retrieval.of(visitor, study, series, instance))


def _metadata(request: Request, retrieval: Retrieval, found: Sequence[HeldObject]) -> Response:
    accepting.json_wanted(accept_of(request))

    def body() -> Iterator[bytes]:
        for number, held in enumerate(found):
            with retrieval.web.contents.open(held) as file:
                told = metadata(file, f"{_address(request, held)}/bulkdata")
            yield ("," if number else "[").encode() + told.encode()
        yield b"]"

    return StreamingResponse(begun(body()), media_type=DICOM_JSON, headers=KEPT)


def _add_frames(router: APIRouter, retrieval: Retrieval) -> None:
    @router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{numbers}")
    def of_instance(
        request: Request, visitor: Visiting, study: str, series: str, instance: str, numbers: str
    ) -> Response:
        listed = frame_numbers(numbers)
        wishes = accepting.frames_wanted(accept_of(request))
        return _frames(request, retrieval, retrieval.one(visitor, study, series, instance), listed, wishes)


def _frames(
    request: Request, retrieval: Retrieval, held: HeldObject, numbers: Sequence[int], wishes: Sequence[Wish]
) -> Response:
    """As one of ``wishes``; which of them it is says the first frame."""
    frames = retrieval.web.contents.frames(held, numbers, [wish.syntax for wish in wishes])
    first = next(frames)
    wish = next(
        (one for one in wishes if one.syntax in (first.transfer_syntax_uid, AS_STORED)),
        next(one for one in wishes),
    )
    kind = f"{wish.media_type}; transfer-syntax={first.transfer_syntax_uid}"
    where = f"{_address(request, held)}/frames"
    if wish.alone:
        if len(numbers) != 1:
            raise NotAcceptable("several frames are sent as parts of one body")
        return Response(first.content, media_type=kind, headers=KEPT)

    def parts() -> Iterator[Part]:
        yield Part(kind, f"{where}/{numbers[0] if numbers else 1}", [first.content])
        for number, frame in enumerate(frames, 1):
            yield Part(kind, f"{where}/{numbers[number] if numbers else number + 1}", [frame.content])

    return parts_answer(wish.media_type, parts(), KEPT)


def _add_bulk_data(router: APIRouter, retrieval: Retrieval) -> None:
    @router.get("/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path:path}")
    def of_instance(request: Request, visitor: Visiting, study: str, series: str, instance: str, path: str) -> Response:
        held = retrieval.one(visitor, study, series, instance)
        if is_pixels(path):
            return _frames(request, retrieval, held, (), accepting.frames_wanted(accept_of(request)))
        wish = accepting.octets_wanted(accept_of(request))[0]
        with retrieval.web.contents.open(held) as file:
            value = bulk_value(file, path)
        if wish.alone:
            return Response(value, media_type=OCTETS, headers=KEPT)
        parts = iter([Part(OCTETS, f"{_address(request, held)}/bulkdata/{path}", [value])])
        return parts_answer(OCTETS, parts, KEPT)


def frame_numbers(text: str) -> list[int]:
    """Of a list with commas, counted from 1.

    Raises:
        UnusableKey: one of them is none.
    """
    found = text.split(",")
    if not all(one.isascii() and one.isdigit() and 1 <= len(one) < 10 and int(one) for one in found):
        raise UnusableKey("frames are listed as numbers from 1, with commas between")
    if len(found) > MOST_FRAMES:
        raise UnusableKey(f"at most {MOST_FRAMES} frames at a time")
    return [int(one) for one in found]


def _address(request: Request, held: HeldObject) -> str:
    return address(request, held.study_instance_uid, held.series_instance_uid, held.sop_instance_uid)
