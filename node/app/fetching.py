"""Studies from archives: looked up, fetched, and routed like any study that came."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from node.app import packages, routing
from node.app.records import Records
from node.app.taking import IntakeTaker, intake_of
from node.config.sections import Source
from node.database.retrievals import SqlRetrievals
from node.deliver.archive import DimseArchive
from node.deliver.association import Peer
from node.domain.identity import is_uid
from node.domain.retrieval import Purpose, RemoteStudy, RetrievalState, StudySearch
from node.errors import DeliveryError, NotFound
from node.ports.retrieval import Archive, Retrievals
from node.receive.intake import Intake

log = structlog.get_logger()


class FetchState(enum.StrEnum):
    """HELD: all of it was here already. FAILED: it did not come, or not all of it."""

    FETCHED = "FETCHED"
    HELD = "HELD"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Fetched:
    """``expected`` instances are here, or on their way into the rows."""

    study: RemoteStudy
    source: str
    state: FetchState
    expected: int = 0
    error: DeliveryError | None = None


class Fetching:
    """``judge`` has a study, by its UID, judged that was here as a mere prior of another one."""

    def __init__(self, archives: Sequence[Archive], retrievals: Retrievals, judge: Callable[[str], object]) -> None:
        self._archives = archives
        self._retrievals = retrievals
        self._judge = judge

    @property
    def archives(self) -> Sequence[Archive]:
        return self._archives

    def look_up(self, accession_or_uid: str) -> list[tuple[Archive, RemoteStudy]]:
        """The studies with this accession number, or else with this UID, in the first archive that has them.

        Raises:
            NotFound: no archive has one.
            DeliveryError: none has one, and at least one does not answer.
        """
        trouble: DeliveryError | None = None
        searches = [StudySearch(accession_number=accession_or_uid)]
        if is_uid(accession_or_uid):
            searches.append(StudySearch(study_instance_uid=accession_or_uid))
        for archive in self._archives:
            try:
                for wanted in searches:
                    if found := [one for one in archive.studies(wanted) if _is_named(one, wanted)]:
                        return [(archive, one) for one in found]
            except DeliveryError as error:
                log.warning("fetch.source_failed", source=archive.name, error=error.code)
                trouble = trouble or error
        raise trouble or NotFound("no source has a study with this accession number or UID")

    def was_fetched(self, study_instance_uid: str) -> bool:
        """Whether the study came once, for itself; it may be gone since."""
        known = self._retrievals.of(study_instance_uid)
        return known is not None and known.state is RetrievalState.FETCHED and known.purpose is Purpose.DEMAND

    def fetch(self, archive: Archive, study: RemoteStudy) -> Fetched:
        """Have it sent here. What is here already comes no second time."""
        uid = study.study_instance_uid
        held, before = self._retrievals.held(uid), self._retrievals.of(uid)
        self._retrievals.request(uid, archive.name, archive.ae_title, Purpose.DEMAND)
        state, expected = FetchState.HELD, held
        if not study.instances or held < study.instances:
            try:
                completed = archive.retrieve(uid).completed
            except DeliveryError as error:
                self._retrievals.failed(uid, error.code)
                log.warning("fetch.failed", study_instance_uid=uid, source=archive.name, error=error.code)
                return Fetched(study, archive.name, FetchState.FAILED, error=error)
            state, expected = FetchState.FETCHED, max(study.instances or completed, held)
        self._retrievals.fetched(uid, expected)
        if before is not None and before.purpose is Purpose.PRIOR and held:
            self._judge(uid)
        log.info("fetch.done", study_instance_uid=uid, source=archive.name, state=state.value, instances=expected)
        return Fetched(study, archive.name, state, expected)


def _is_named(found: RemoteStudy, wanted: StudySearch) -> bool:
    """By the archive's own word: one that ignores the key answers with everything that it has."""
    return wanted.study_instance_uid == found.study_instance_uid or (
        wanted.accession_number != "" and wanted.accession_number == found.accession_number
    )


def archives(records: Records, name: str | None = None) -> list[DimseArchive]:
    """The sources that studies are fetched from, or the one of this name.

    Raises:
        NotFound: there is none.
    """
    chosen = [one for one in records.config.sources if one.retrieve != "none" and name in (None, one.name)]
    if not chosen:
        what = "no source is" if name is None else f"no source {name!r} is"
        raise NotFound(f"{what} configured to be fetched from: set retrieve in a [[sources]] table")
    intake = intake_of(records)
    return [_archive(records, source, intake) for source in chosen]


def _archive(records: Records, source: Source, intake: Intake) -> DimseArchive:
    ours = records.config.node.ae_title
    peer = Peer(source.ae_title, source.host, source.port, ours, source.retrieve_timeout_s)
    return DimseArchive(
        source.name, peer, (lambda: IntakeTaker(intake, source, ours)) if source.retrieve == "get" else None
    )


def fetching(records: Records, name: str | None = None) -> Fetching:
    """
    Raises:
        NotFound: no source is configured to be fetched from.
    """

    def judge(study_instance_uid: str) -> object:
        series = records.worklist.series_ids(study_instance_uid)
        return routing.reprocess(records, packages.open_models(records.config))(series)

    return Fetching(archives(records, name), SqlRetrievals(records.engine, records.clock), judge)


def is_routed(records: Records, fetched: Fetched) -> bool:
    """Whether everything of it has its row, and every series is closed and judged."""
    uid = fetched.study.study_instance_uid
    if SqlRetrievals(records.engine, records.clock).held(uid) < fetched.expected:
        return False
    try:
        return not records.worklist.receiving(uid)
    except NotFound:
        return False
