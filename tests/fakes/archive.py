"""``ports.Archive`` and ``ports.Retrievals`` in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from node.domain.retrieval import (
    Purpose,
    RemoteSeries,
    RemoteStudy,
    Retrieval,
    RetrievalState,
    Retrieved,
    StudySearch,
)
from node.errors import DeliveryError

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class FakeRetrievals:
    def __init__(self) -> None:
        self.rows: dict[str, Retrieval] = {}
        self.here: dict[str, int] = {}

    def request(self, study_instance_uid: str, source: str, ae_title: str, purpose: Purpose) -> Retrieval:
        known = self.rows.get(study_instance_uid)
        if known is not None and purpose is Purpose.PRIOR:
            purpose = known.purpose
        made = Retrieval(study_instance_uid, source, ae_title, purpose, RetrievalState.REQUESTED, NOW, NOW)
        self.rows[study_instance_uid] = made
        return made

    def fetched(self, study_instance_uid: str, instances: int) -> None:
        self._change(study_instance_uid, RetrievalState.FETCHED, instances, None)

    def failed(self, study_instance_uid: str, error_code: str) -> None:
        self._change(study_instance_uid, RetrievalState.FAILED, None, error_code)

    def of(self, study_instance_uid: str) -> Retrieval | None:
        return self.rows.get(study_instance_uid)

    def held(self, study_instance_uid: str) -> int:
        return self.here.get(study_instance_uid, 0)

    def _change(self, uid: str, state: RetrievalState, instances: int | None, error_code: str | None) -> None:
        self.rows[uid] = replace(self.rows[uid], state=state, instances=instances, error_code=error_code)


@dataclass
class FakeArchive:
    """``fails`` is raised for these studies, or, by ``*``, at everything."""

    retrievals: FakeRetrievals
    held: list[RemoteStudy] = field(default_factory=list)
    of_study: dict[str, list[RemoteSeries]] = field(default_factory=dict)
    fails: dict[str, DeliveryError] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    name: str = "archive"
    ae_title: str = "ARCHIVE"

    def studies(self, wanted: StudySearch) -> Sequence[RemoteStudy]:
        self._fail("*")
        return [
            one
            for one in self.held
            if wanted.study_instance_uid in ("", one.study_instance_uid)
            and wanted.accession_number in ("", one.accession_number)
            and wanted.patient_id in ("", one.patient_id)
            and (wanted.modality in ("", *one.modalities))
            and (wanted.first_date or "0") <= one.study_date <= (wanted.last_date or "9")
        ]

    def series(self, study_instance_uid: str) -> Sequence[RemoteSeries]:
        self._fail("*")
        return self.of_study.get(study_instance_uid, [])

    def retrieve(self, study_instance_uid: str, series_instance_uids: Sequence[str] = ()) -> Retrieved:
        self.asked.append((study_instance_uid, tuple(series_instance_uids)))
        self._fail("*")
        self._fail(study_instance_uid)
        (found,) = [one for one in self.held if one.study_instance_uid == study_instance_uid]
        self.retrievals.here[study_instance_uid] = found.instances or 1
        return Retrieved(found.instances or 1)

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise self.fails[what]
