"""The node answers C-FIND: Patient Root and Study Root, without relational queries (PS3.4 C.4.1, C.6)."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from node.domain.audit import Action, Use
from node.domain.query import Level, OneOf, Query
from node.errors import AinodeError, UnusableKey
from node.ports.holdings import Holdings, Uses
from node.receive.query.asking import asked, asker
from node.receive.query.identifier import answer, knows_all, query_of
from node.receive.services import Handler
from node.receive.status import MAX_ERROR_COMMENT

log = structlog.get_logger()


class FindStatus(enum.IntEnum):
    """PS3.4 Table C.4-1. Where there are more matches than are answered, the answer is not whole, and A700 says so to

    everybody; B001 is not among the statuses that every requestor knows.
    """

    SUCCESS = 0x0000
    PENDING = 0xFF00
    PENDING_WITHOUT_KEYS = 0xFF01
    CANCELED = 0xFE00
    OUT_OF_RESOURCES = 0xA700
    MISMATCH = 0xA900
    UNABLE = 0xC000


MODELS: Final[Mapping[str, tuple[Level, ...]]] = {
    PatientRootQueryRetrieveInformationModelFind: (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE),
    StudyRootQueryRetrieveInformationModelFind: (Level.STUDY, Level.SERIES, Level.IMAGE),
}
SYNTAXES: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

Answers = Iterator[tuple[int | Dataset, Dataset | None]]


class FindScp:
    """A ``Service``. At most ``max_matches`` are answered; then the answer ends as not whole."""

    def __init__(self, holdings: Holdings, ae_title: str, max_matches: int, uses: Uses) -> None:
        self._holdings = holdings
        self._ae_title = ae_title
        self._max_matches = max_matches
        self._uses = uses

    def contexts(self) -> Sequence[PresentationContext]:
        return query_contexts()

    def handlers(self) -> Mapping[Any, Handler]:
        return {evt.EVT_C_FIND: self.find}

    def find(self, event: Any) -> Answers:
        """The matches one by one; a C-CANCEL is looked for before each of them."""
        try:
            yield from self._find(event)
        except UnusableKey as error:
            log.warning("query.refused", error=error.code, problem=error.message)
            yield _failure(FindStatus.MISMATCH, error.message)
        except AinodeError as error:
            log.error("query.failed", error=error.code)
            yield _failure(FindStatus.OUT_OF_RESOURCES, error.code)
        except Exception as error:  # noqa: BLE001  DIMSE handler: the peer gets a failure, the process goes on
            log.error("query.failed", error=type(error).__name__)
            yield _failure(FindStatus.UNABLE, "not answered")

    def _find(self, event: Any) -> Answers:
        self._uses.require()
        identifier, query = asked(event, MODELS[str(event.context.abstract_syntax)], query_of)
        pending = FindStatus.PENDING if knows_all(identifier, query.level) else FindStatus.PENDING_WITHOUT_KEYS
        found = self._holdings.find(query)
        answered = 0
        try:
            for entity in islice(found, self._max_matches):
                if event.is_cancelled:
                    yield FindStatus.CANCELED, None
                    return
                answered += 1
                yield pending, answer(identifier, query, entity, self._ae_title)
            if event.is_cancelled:
                yield FindStatus.CANCELED, None
            elif next(found, None) is not None:
                log.warning("query.not_whole", level=query.level, answered=self._max_matches)
                yield _failure(FindStatus.OUT_OF_RESOURCES, f"more than {self._max_matches} matches")
        finally:
            # Also where who asked has gone: what was answered was answered.
            self._uses.note(asker(event), _use(query, answered))


def query_contexts() -> list[PresentationContext]:
    return [build_context(model, list(SYNTAXES)) for model in MODELS]


def _use(query: Query, answered: int) -> Use:
    """The keys by name: their values may be names of patients. A study that was named is told."""
    named = query.keys.get("StudyInstanceUID")
    study = next(iter(named.texts)) if isinstance(named, OneOf) and len(named.texts) == 1 else None
    return Use(
        Action.HOLDINGS_QUERIED, f"C-FIND {query.level}", study, {"keys": sorted(query.keys), "matches": answered}
    )


def _failure(status: FindStatus, comment: str) -> tuple[Dataset, None]:
    made = Dataset()
    made.Status = int(status)
    made.ErrorComment = comment[:MAX_ERROR_COMMENT]
    return made, None
