"""What was received, what became of it and why: read-only queries for commands and pages.

Answers are plain dicts with CONTRACT's keys; times are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, func, or_, select

from node.database import tallies
from node.database.roles import STALE_AFTER
from node.database.statements import beside, in_state
from node.database.tables import admission, alert, delivery, instance, job, result, role, series, series_closing, study
from node.database.unit_of_work import UnitOfWork
from node.domain.delivery import DeliveryState
from node.domain.job import JobState
from node.domain.study import SeriesState
from node.errors import NotFound, WorkerLost
from node.ports import Clock
from node.show import outcome
from node.show.documents import HIDDEN_IN_LISTS, Document, job_document, series_document, study_document, why_document
from node.show.line import acquired
from node.show.outcome import Finality, StudyRows


class Worklist:
    """``committing`` names the destinations that are asked for storage commitment; None means every one.

    ``reading_back`` names those at which what was stored is looked for.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        committing: Collection[str] | None = None,
        reading_back: Collection[str] = (),
    ) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._committing = committing
        self._reading_back = frozenset(reading_back)

    # ------------------------------------------------------------ jobs and deliveries

    def jobs(self, state: str | None = None, study: str | None = None, limit: int = 100) -> list[Document]:
        """The newest first."""
        statement = _chosen(LISTED_JOBS, job.c.state, state, study).order_by(job.c.id.desc()).limit(limit)
        with self._work.read() as connection:
            return [job_document(row) for row in _rows(connection, statement)]

    def job(self, job_id: int) -> Document:
        """One job with everything about it.

        Raises:
            NotFound: there is no such job.
        """
        with self._work.read() as connection:
            rows = _rows(connection, select(job).where(job.c.id == job_id))
            if not rows:
                raise NotFound(f"no job {job_id}")
            return {
                **job_document(rows[0]),
                "findings": rows[0]["findings"] or [],
                "objects": _rows(connection, RESULTS.where(result.c.job_id == job_id)),
                "deliveries": _rows(connection, DELIVERIES.where(delivery.c.job_id == job_id)),
                "provenance": rows[0]["provenance"] or {},
            }

    def deliveries(self, state: str | None = None, study: str | None = None, limit: int = 100) -> list[Document]:
        """The newest first."""
        statement = _chosen(DELIVERIES, delivery.c.state, state, study).order_by(None).order_by(delivery.c.id.desc())
        with self._work.read() as connection:
            return _rows(connection, statement.limit(limit))

    def alerts(self, limit: int = 100) -> list[Document]:
        """The newest first."""
        with self._work.read() as connection:
            return _rows(connection, select(*ALERTS).order_by(alert.c.id.desc()).limit(limit))

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many jobs and how many deliveries there are in each state."""
        with self._work.read() as connection:
            found = tallies.counts(connection)
        return (
            {state.value: found["job", state.value] for state in JobState},
            {state.value: found["delivery", state.value] for state in DeliveryState},
        )

    def documents(self) -> dict[str, int]:
        """How many documents on failures and withdrawals are ``due``, and how many were ``given_up``."""
        with self._work.read() as connection:
            due, given_up = connection.execute(DOCUMENTS).one()
        return {"due": due, "given_up": given_up}

    def quarantined(self) -> int:
        """How many jobs are FAILED because whatever ran them died, at every attempt, and wait for an operator."""
        with self._work.read() as connection:
            found: int = connection.execute(QUARANTINED).scalar_one()
        return found

    # ------------------------------------------------------------ studies

    def studies(self, limit: int = 100) -> list[Document]:
        """The newest first."""
        newest = select(study).order_by(study.c.received_at.desc(), study.c.study_instance_uid).limit(limit)
        with self._work.read() as connection:
            rows = _rows(connection, newest)
            about = self.about(connection, [row["study_instance_uid"] for row in rows])
        return [study_document(row, about[row["study_instance_uid"]]) for row in rows]

    def study(self, study_instance_uid: str) -> Document:
        """One study with its series, jobs, results and deliveries.

        Raises:
            NotFound: nothing of it was received.
        """
        with self._work.read() as connection:
            rows = _rows(connection, select(study).where(study.c.study_instance_uid == study_instance_uid))
            if not rows:
                raise NotFound(f"nothing of study {study_instance_uid} was received")
            about = self.about(connection, [study_instance_uid])[study_instance_uid]
            results = _rows(connection, RESULTS.where(job.c.study_instance_uid == study_instance_uid))
            kept = connection.execute(IMAGES_KEPT.where(series.c.study_instance_uid == study_instance_uid)).one()
        return {
            **study_document(rows[0], about),
            # Once retention has taken every image away.
            "images_removed_at": None if kept.there else kept.removed_at,
            "patient": {key: rows[0][f"patient_{key}"] for key in ("id", "name", "birth_date", "sex")},
            "acquired_at": acquired(rows[0]["study_date"], rows[0]["study_time"]),
            # What a list counts, this tells.
            "series": [series_document(row) for row in about.series],
            "jobs": [job_document(row) for row in about.jobs],
            "results": results,
            "deliveries": list(about.deliveries),
        }

    def series_ids(self, study_instance_uid: str) -> list[int]:
        """Row ids of the study's series.

        Raises:
            NotFound: nothing of it was received.
        """
        with self._work.read() as connection:
            wanted = select(series.c.id).where(series.c.study_instance_uid == study_instance_uid)
            found = list(connection.execute(wanted.order_by(series.c.id)).scalars())
        if not found:
            raise NotFound(f"nothing of study {study_instance_uid} was received")
        return found

    def receiving(self, study_instance_uid: str, series_instance_uid: str | None = None) -> dict[int, str]:
        """The row ids and UIDs of the study's series that are not closed yet, or of this one if it is not.

        Raises:
            NotFound: nothing of the study, or of this series, was received.
        """
        wanted = series.c.study_instance_uid == study_instance_uid
        if series_instance_uid is not None:
            wanted = and_(wanted, series.c.series_instance_uid == series_instance_uid)
        columns = (series.c.id, series.c.series_instance_uid, series.c.state)
        with self._work.read() as connection:
            found = connection.execute(select(*columns).where(wanted).order_by(series.c.id)).all()
        if not found:
            raise NotFound(f"nothing of {series_instance_uid or study_instance_uid} was received")
        return {row.id: row.series_instance_uid for row in found if row.state == SeriesState.RECEIVING}

    def finality(self, study_instance_uid: str) -> Finality:
        with self._work.read() as connection:
            return outcome.finality(self.about(connection, [study_instance_uid])[study_instance_uid])

    def why(self, study_or_accession: str) -> Document:
        """Every judgement behind the study with this UID, or behind every study with this accession number.

        Raises:
            NotFound: there is none.
        """
        named = or_(study.c.study_instance_uid == study_or_accession, study.c.accession_number == study_or_accession)
        with self._work.read() as connection:
            # Studies without an accession number are not what an empty word asks for.
            wanted = select(study).where(named).order_by(study.c.received_at)
            rows = _rows(connection, wanted) if study_or_accession else []
            if not rows:
                raise NotFound("no study has this UID or accession number")
            about = self.about(connection, [row["study_instance_uid"] for row in rows])
            alerts = {uid: _alerts(connection, uid, about[uid]) for uid in about}
            closings = {
                uid: _rows(connection, EARLIER_CLOSINGS.where(series.c.study_instance_uid == uid)) for uid in about
            }
        return {
            "studies": [
                why_document(row, about[uid], alerts[uid], closings[uid])
                for row in rows
                if (uid := row["study_instance_uid"])
            ]
        }

    def about(self, connection: Connection, study_uids: Sequence[str]) -> dict[str, StudyRows]:
        """Everything that the outcomes of these studies are computed from."""
        found: dict[str, list[list[Document]]] = {uid: [[], [], [], []] for uid in study_uids}
        statements = (
            select(series).where(series.c.study_instance_uid.in_(study_uids)).order_by(series.c.id),
            LATEST_ADMISSIONS.where(series.c.study_instance_uid.in_(study_uids)),
            LISTED_JOBS.where(job.c.study_instance_uid.in_(study_uids)).order_by(job.c.id),
            DELIVERIES.where(job.c.study_instance_uid.in_(study_uids)),
        )
        for part, statement in enumerate(statements):
            for row in _rows(connection, statement):
                found[row["study_instance_uid"]][part].append(row)
        return {
            uid: StudyRows(parts[0], parts[1], parts[2], parts[3], self._committing, self._reading_back)
            for uid, parts in found.items()
        }

    # ------------------------------------------------------------ the node

    def roles(self, now: datetime | None = None) -> dict[str, Document]:
        """``up`` while one process of the role is alive; ``processes`` counts those that are.

        ``waiting`` is what a recorder has not written yet.
        """
        since = (now or self._clock.now()) - STALE_AFTER
        with self._work.read() as connection:
            rows = _rows(connection, select(role).order_by(role.c.role, role.c.host, role.c.instance))
        found: dict[str, Document] = {}
        for row in rows:
            entry = found.setdefault(
                row["role"], {"state": "stale", "processes": 0, "heartbeat_at": row["heartbeat_at"]}
            )
            entry["heartbeat_at"] = max(entry["heartbeat_at"], row["heartbeat_at"])
            if row["heartbeat_at"] >= since:
                entry["state"] = "up"
                entry["processes"] += 1
                if "waiting" in row["detail"]:
                    entry["waiting"] = entry.get("waiting", 0) + row["detail"]["waiting"]
        return found

    def devices(self, now: datetime | None = None) -> list[Document]:
        """What living workers say of the device they run on."""
        since = (now or self._clock.now()) - STALE_AFTER
        alive = and_(role.c.role == "work", role.c.heartbeat_at >= since)
        with self._work.read() as connection:
            rows = _rows(connection, select(role).where(alive).order_by(role.c.host, role.c.instance))
        return [{"host": row["host"], "worker": row["instance"], **row["detail"]} for row in rows]


QUARANTINED = (
    select(func.count())
    .select_from(job)
    .where(in_state(job.c.state, JobState.FAILED), job.c.error_code == WorkerLost.code, job.c.superseded_at.is_(None))
)

# Each in the words of its partial index, and as a range of it: SQLite reads it for nothing less.
DOCUMENTS = select(
    select(func.count())
    .where(job.c.document_due_at.is_not(None), job.c.document_due_at >= datetime.fromtimestamp(0, UTC))
    .scalar_subquery(),
    select(func.count())
    .where(job.c.document_due_at.is_(None), job.c.document_error.is_not(None), job.c.document_error >= "")
    .scalar_subquery(),
)

IMAGES_KEPT = select(
    func.count(instance.c.id).filter(instance.c.removed_at.is_(None)).label("there"),
    func.max(instance.c.removed_at).label("removed_at"),
).join(series, series.c.id == instance.c.series_id)

LISTED_JOBS = select(*(column for column in job.c if column.name not in HIDDEN_IN_LISTS))

RESULTS = (
    select(
        result.c.id,
        result.c.job_id.label("job"),
        result.c.modality,
        result.c.sop_class_uid,
        result.c.sop_instance_uid,
        result.c.series_instance_uid,
        result.c.size,
        result.c.sha256,
        result.c.storage_key,
        result.c.created_at,
        result.c.predecessors,
        result.c.kind,
        result.c.rendition,
        job.c.superseded_by,
        job.c.superseded_at,
        job.c.withdrawn_at,
    )
    .join(job, job.c.id == result.c.job_id)
    .order_by(result.c.id)
)

DELIVERIES = (
    select(
        delivery.c.id,
        delivery.c.destination,
        delivery.c.state,
        delivery.c.job_id.label("job"),
        job.c.study_instance_uid,
        result.c.modality,
        result.c.sop_class_uid,
        result.c.sop_instance_uid,
        result.c.kind,
        delivery.c.attempt,
        delivery.c.max_attempts,
        delivery.c.run_after,
        delivery.c.transaction_uid,
        delivery.c.error_code,
        delivery.c.error,
        delivery.c.created_at,
        delivery.c.updated_at,
        delivery.c.stored_at,
        delivery.c.committed_at,
        delivery.c.read_back_at,
        delivery.c.read_back_due,
    )
    .join(result, result.c.id == delivery.c.result_id)
    .join(job, job.c.id == delivery.c.job_id)
    .order_by(delivery.c.id)
)

# A series that was reopened is not judged anew before it closes: until then its last judgement stands here.
_SAME_SERIES = admission.alias()
LATEST_ADMISSIONS = (
    select(admission, series.c.study_instance_uid, series.c.series_instance_uid)
    .join(series, series.c.id == admission.c.series_id)
    .where(
        admission.c.revision
        == select(func.max(_SAME_SERIES.c.revision)).where(_SAME_SERIES.c.series_id == series.c.id).scalar_subquery()
    )
    .order_by(admission.c.series_id, admission.c.model, admission.c.id)
)

# How a series was closed before a late image opened it again.
EARLIER_CLOSINGS = (
    select(series_closing)
    .join(series, and_(series.c.id == series_closing.c.series_id, series_closing.c.revision < series.c.revision))
    .order_by(series_closing.c.series_id, series_closing.c.revision)
)


ALERTS = (alert.c.id, alert.c.kind, alert.c.subject, alert.c.detail, alert.c.raised_at)


def _rows(connection: Connection, statement: Select[*tuple[Any, ...]]) -> list[Document]:
    return [dict(row) for row in connection.execute(statement).mappings()]


def _chosen(
    statement: Select[*tuple[Any, ...]], column: ColumnElement[str], state: str | None, study_uid: str | None
) -> Select[*tuple[Any, ...]]:
    """Of one study, whatever else is asked, everything is read by the study's index: it has few rows."""
    if study_uid is None:
        return statement if state is None else statement.where(column == state)
    of_study = statement.where(job.c.study_instance_uid == study_uid)
    return of_study if state is None else of_study.where(beside(column) == state)


def _alerts(connection: Connection, study_uid: str, about: StudyRows) -> list[Document]:
    subjects = [study_uid, *(row["series_instance_uid"] for row in about.series)]
    of_study = or_(alert.c.study_instance_uid == study_uid, alert.c.subject.in_(subjects))
    return _rows(connection, select(*ALERTS).where(of_study).order_by(alert.c.id))
