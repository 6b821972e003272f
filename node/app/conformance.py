"""The tables of docs/conformance.md, from what the code says.

``python -m node.app.conformance PAGE`` writes them anew, each between ``<!-- begin NAME -->`` and
``<!-- end NAME -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    AllTransferSyntaxes,
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import sop_class
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from node.app import conformance_ups, conformance_web
from node.config import DimseDestination, ReceiveSection
from node.config.sections import Source
from node.deliver import archive, association, find, statuses, taken_classes
from node.deliver.negotiation import Syntax, proposals
from node.domain.document import REJECTIONS
from node.domain.holdings import OF_LEVEL, UNIQUE
from node.domain.query import Level
from node.receive import contexts, peers, storage_scp
from node.receive.query.find_scp import FindStatus, query_contexts
from node.receive.query.retrieve_scp import retrieval_contexts
from node.receive.query.tally import RetrieveStatus
from node.receive.status import Status
from node.results import header, source
from node.results.context import LABEL_MAP_SEGMENTATION

# What the results step writes, and when.
RESULTS: Final[Mapping[str, str]] = {
    Comprehensive3DSRStorage: "always: one for every outcome, and one more for each further kind of measurement group",
    SegmentationStorage: "where something is delineated (BINARY; FRACTIONAL by choice of the model)",
    LABEL_MAP_SEGMENTATION: "instead, by choice of the model or for a destination that wants it",
    ParametricMapStorage: "for each parametric map of the model",
    KeyObjectSelectionDocumentStorage: "where the model names key images; for the withdrawal of a result",
    SecondaryCaptureImageStorage: "for a destination that wants it",
    GrayscaleSoftcopyPresentationStateStorage: "for a destination that wants it",
}
_ANSWERS: Final[Mapping[Status, str]] = {
    Status.SUCCESS: "the instance is durable; an identical duplicate as well. C-ECHO. A report that was applied",
    Status.PROCESSING_FAILURE: "an error of the node itself; a commitment report of a transaction that is not known",
    Status.NO_SUCH_EVENT_TYPE: "N-EVENT-REPORT of another event type",
    Status.INVALID_ARGUMENT: "N-EVENT-REPORT without a usable Transaction UID",
    Status.OUT_OF_RESOURCES: "no room above the free-space watermark, or the store cannot write",
    Status.DATA_SET_MISMATCH: "SOP Class or SOP Instance UID differ from the command",
    Status.INVALID_UID: "a UID that is none (PS3.5 section 9)",
    Status.UNDECODABLE_DATA_SET: "the data set cannot be parsed",
    Status.INCOMPLETE_DATA_SET: "a mandatory identifying attribute is absent",
}
_QUERY_ANSWERS: Final[Mapping[FindStatus, str]] = {
    FindStatus.PENDING: "a match",
    FindStatus.PENDING_WITHOUT_KEYS: "a match, without keys that were asked for and are not supported",
    FindStatus.SUCCESS: "no further match",
    FindStatus.CANCELED: "C-CANCEL was received",
    FindStatus.OUT_OF_RESOURCES: "more matches than `query.max_matches`, or the database does not answer",
    FindStatus.MISMATCH: "a level of another model, no single unique key of a level above, or an unusable key",
    FindStatus.UNABLE: "an error of the node itself",
}
_RETRIEVAL_ANSWERS: Final[Mapping[RetrieveStatus, str]] = {
    RetrieveStatus.PENDING: "sub-operations are under way: at first, and then every second while something was sent",
    RetrieveStatus.SUCCESS: "every instance was sent, or there is none",
    RetrieveStatus.NOT_ALL: "some were not sent, or with a warning; those that failed are listed",
    RetrieveStatus.CANCELED: "C-CANCEL was received between two of them",
    RetrieveStatus.NOT_COUNTED: "more than 65535 instances, or neither database nor log of uses can be reached",
    RetrieveStatus.NOT_SENT: "none was sent; those that failed are listed",
    RetrieveStatus.DESTINATION_UNKNOWN: "C-MOVE: the Move Destination is not configured",
    RetrieveStatus.MISMATCH: "a level of another model, or a unique key that names nothing",
    RetrieveStatus.UNABLE: "an error of the node itself",
}
_REJECTIONS: Final[Mapping[peers.Rejection, str]] = {
    peers.Rejection.CALLING_AE_NOT_RECOGNISED: "the calling AE title, or its address, is not on the allow list",
    peers.Rejection.CALLED_AE_NOT_RECOGNISED: "another AE was called",
    peers.Rejection.TEMPORARY_CONGESTION: "no room to receive; the sender may try again",
}


def tables() -> dict[str, str]:
    """Every generated table (and one list) in Markdown, by its name."""
    makers: Mapping[str, Callable[[], str]] = {
        "result objects": _results,
        "scp contexts": _scp,
        "scu contexts": _scu,
        "answers": _answers,
        "rejections": _rejections,
        "query answers": _query_answers,
        "query keys": _query_keys,
        "retrieval answers": _retrieval_answers,
        "classes taken": _taken,
        "ups contexts": _ups_contexts,
        "ups answers": lambda: _table(("status", "name", "service", "clause", "when"), conformance_ups.answers()),
        "ups attributes": _ups_attributes,
        "web resources": lambda: _table(("service", "resource", "answered as"), conformance_web.resources()),
        "web keys": _web_keys,
        "web uncompressed": lambda: _uids(conformance_web.uncompressed()),
        "limits": _limits,
        "withdrawals": _withdrawals,
        "copied attributes": _copied,
        "equipment attributes": _equipment,
        "character sets": _character_sets,
        "transfer syntaxes": lambda: _uids(transfer_syntaxes()),
        "storage classes": lambda: _uids(storage_classes()),
    }
    return {name: make() for name, make in makers.items()}


def storage_classes() -> list[str]:
    """The SOP classes of PS3.4 Annex B that the Storage SCP takes by name."""
    return sorted({str(context.abstract_syntax) for context in AllStoragePresentationContexts}, key=in_words)


def transfer_syntaxes() -> list[str]:
    """The transfer syntaxes that an instance is taken in by name."""
    return [str(uid) for uid in AllTransferSyntaxes if contexts.is_known(str(uid))]


def other_scp_contexts() -> list[tuple[str, Sequence[str]]]:
    """Beside storage: abstract syntax and the transfer syntaxes accepted for it."""
    return [
        (str(context.abstract_syntax), [str(uid) for uid in context.transfer_syntax or []])
        for context in (*contexts.other_than_storage(), *query_contexts(), *retrieval_contexts())
    ]


def scu_contexts() -> dict[str, list[Syntax]]:
    """What is proposed, by what is asked for."""
    written = [Syntax(str(uid), str(ExplicitVRLittleEndian)) for uid in RESULTS]
    implicit = str(ImplicitVRLittleEndian)
    return {
        "C-STORE": proposals(written),
        "N-ACTION": proposals([Syntax(str(StorageCommitmentPushModel), implicit)]),
        "C-ECHO": [Syntax(str(Verification), implicit)],
        "C-FIND": [Syntax(str(find.MODEL), implicit)],
        "C-MOVE": [Syntax(str(archive.MOVE), implicit)],
    }


def fill(page: str, made: Mapping[str, str]) -> str:
    """The page with these tables between their markers.

    Raises:
        ValueError: a marker is not there.
    """
    for name, table in made.items():
        begin, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
        start = page.index(begin) + len(begin)
        page = page[:start] + table + page[page.index(end, start - 1) :]
    return page


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)])


def in_words(uid: str) -> str:
    """The name of a SOP class or transfer syntax, which pydicom may not have while pynetdicom has its keyword."""
    name: str = UID(uid).name.partition(" (Retired")[0]
    if name != uid:
        return name
    keywords = (keyword for keyword, value in vars(sop_class).items() if isinstance(value, UID) and value == uid)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", next(keywords, uid))


def _results() -> str:
    return _table(("object", "SOP Class UID", "written"), ((in_words(uid), uid, RESULTS[uid]) for uid in RESULTS))


def _scp() -> str:
    storage = (
        "every class of annex D, private ones, and those not in PS3.6",
        "as sent: those of annex C, and others",
        "SCP",
    )
    others = [
        (f"{in_words(uid)} ({uid})", "; ".join(map(in_words, syntaxes)), _role(uid))
        for uid, syntaxes in other_scp_contexts()
    ]
    return _table(("abstract syntax", "transfer syntaxes", "role"), [*others, storage])


def _role(uid: str) -> str:
    return "SCU, by role selection: takes N-EVENT-REPORT" if uid == StorageCommitmentPushModel else "SCP"


def _scu() -> str:
    return _table(
        ("for", "abstract syntax", "transfer syntax"),
        (
            (service, f"{in_words(each.sop_class_uid)} ({each.sop_class_uid})", in_words(each.transfer_syntax_uid))
            for service, proposed in scu_contexts().items()
            for each in proposed
        ),
    )


def _answers() -> str:
    return _table(("status", "name", "when"), ((f"{one:04X}", one.name, _ANSWERS[one]) for one in Status))


def _taken() -> str:
    return _table(
        ("name", "UID", "proposed"),
        (
            (in_words(uid), uid, "uncompressed; compressed" if uid in taken_classes.IMAGES else "uncompressed")
            for uid in taken_classes.TAKEN
        ),
    )


def _query_answers() -> str:
    return _table(("status", "name", "when"), ((f"{one:04X}", one.name, _QUERY_ANSWERS[one]) for one in FindStatus))


def _retrieval_answers() -> str:
    rows = ((f"{one:04X}", one.name, _RETRIEVAL_ANSWERS[one]) for one in RetrieveStatus)
    return _table(("status", "name", "when"), rows)


def _query_keys() -> str:
    """Each at the highest level that has it."""
    rows: dict[str, tuple[str, str, str]] = {}
    for level in Level:
        for keyword in OF_LEVEL[level]:
            kind = "unique" if keyword == UNIQUE[level] else "matched and returned"
            rows.setdefault(keyword, (level.value, _tag(keyword), kind))
    return _table(("level", "attribute", "key"), rows.values())


def _rejections() -> str:
    return _table(
        ("result, source, reason", "name", "when"),
        ((", ".join(map(str, one.value)), one.name, _REJECTIONS[one]) for one in peers.Rejection),
    )


def _ups_contexts() -> str:
    return _table(
        ("abstract syntax", "transfer syntaxes", "role"),
        (
            (f"{in_words(uid)} ({uid})", "; ".join(map(in_words, syntaxes)), role)
            for uid, syntaxes, role in conformance_ups.contexts()
        ),
    )


def _ups_attributes() -> str:
    return _table(
        ("attribute", "N-CREATE", "N-SET"),
        ((_tag(keyword), created, changed) for keyword, created, changed in conformance_ups.attributes()),
    )


def _web_keys() -> str:
    found = conformance_web.matched()
    return _table(("level", "attribute"), ((level.value, _tag(keyword)) for level, keyword in found))


def _limits() -> str:
    receive, send = ReceiveSection.model_fields, DimseDestination.model_fields
    implementation = f"{header.IMPLEMENTATION_CLASS_UID} {header.IMPLEMENTATION_VERSION_NAME}"
    return _table(
        ("what", "as acceptor", "as requestor"),
        [
            ("maximum PDU length", storage_scp.MAXIMUM_PDU_LENGTH, association.MAX_PDU),
            ("associations at a time", receive["max_associations"].default, "1 for each destination or source"),
            ("ARTIM, DIMSE and network timeout, s", receive["timeout_s"].default,
             f"{send['timeout_s'].default}; C-FIND {Source.model_fields['timeout_s'].default}"),
            ("asynchronous operations", "not accepted", "never proposed"),
            ("port", receive["port"].default, "as configured"),
            ("attempts for an object", "", send["max_attempts"].default),
            ("C-STORE statuses taken for stored", "", _statuses((0, *statuses.WARNINGS))),
            ("implementation in files written", implementation, "the same"),
        ],
    )  # fmt: skip


def _statuses(values: Iterable[int]) -> str:
    return ", ".join(f"{value:04X}" for value in sorted(values))


def _withdrawals() -> str:
    return _table(
        ("said by the operator", "document title"),
        ((title.value, f"({code.value}, {code.scheme}, {code.meaning!r})") for title, code in REJECTIONS.items()),
    )


def _copied() -> str:
    rows = [(_tag(keyword), "empty" if keyword in source.NEVER_ABSENT else "absent") for keyword in _COPIED]
    return _table(("attribute", "where the source has none"), rows)


_COPIED: Final = (*source.PATIENT_AND_STUDY, "BodyPartExamined", "Laterality", "RequestAttributesSequence")


def _equipment() -> str:
    return _table(("attribute of the item for the scanner",), ((_tag(keyword),) for keyword in source.EQUIPMENT))


def _tag(keyword: str) -> str:
    number = tag_for_keyword(keyword)
    assert number is not None
    tag = Tag(number)
    return f"{dictionary_description(tag)} ({tag.group:04X},{tag.element:04X})"


def _character_sets() -> str:
    return ", ".join(sorted(name for name in python_encoding if name.startswith(("ISO_IR", "ISO 2022 IR", "GB"))))


def _uids(uids: Iterable[str]) -> str:
    return _table(("name", "UID"), ((in_words(uid), uid) for uid in uids))


def main(arguments: Sequence[str]) -> None:
    """Write the tables into a page."""
    path = Path(arguments[0])
    path.write_text(fill(path.read_text(encoding="utf-8"), tables()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
