"""Counting after the kills: the ledger against the tables, the store, the results and what the PACS holds."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pydicom
from sqlalchemy import Engine, Row, and_, func, not_, select

from node.app.records import Records
from node.database.tables import admission, alert, commitment, delivery, instance, job, journal_segment, result, series
from node.domain.delivery import CommitmentState, DeliveryState
from node.domain.job import JobState
from node.domain.result import Outcome
from node.domain.study import SeriesState
from node.errors import AinodeError
from node.receive import part10
from tests.e2e.kills import KilledSite
from tests.e2e.ledger import Ledger
from tests.orthanc import Orthanc
from tests.waiting import wait_for

# Every drawn image has bright voxels, so a whole series is POSITIVE. One that was closed before a late image came may
# be NOT EVALUABLE; its next revision is not.
OBJECTS = {Outcome.POSITIVE: ["SEG", "SR"], Outcome.NOT_EVALUABLE: ["SR"]}
FINAL_DELIVERIES = (DeliveryState.COMMITTED, DeliveryState.FAILED, DeliveryState.CANCELED)
Rows = Sequence[Row[*tuple[Any, ...]]]
# While images move to other segments both copies lie there, one of them without a row: for as long as timers take.
NAMED_OR_FREED_WITHIN_S = 60.0


@dataclass(slots=True)
class Reckoning:
    """Every list names what is wrong and is empty when nothing is."""

    studies: int = 0
    series: int = 0
    acknowledged: int = 0
    sent_again: int = 0
    removed: int = 0
    jobs: int = 0
    attempts: int = 0
    results: int = 0
    late_revisions: int = 0
    superseded_jobs: int = 0
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    doubled_instances: list[str] = field(default_factory=list)
    never_acknowledged: list[str] = field(default_factory=list)
    objects_without_row: list[str] = field(default_factory=list)
    series_not_closed: list[str] = field(default_factory=list)
    unexplained_revisions: list[str] = field(default_factory=list)
    revisions_without_job: list[str] = field(default_factory=list)
    doubled_jobs: list[str] = field(default_factory=list)
    stuck_jobs: list[str] = field(default_factory=list)
    failed_jobs: list[str] = field(default_factory=list)
    ended_twice: list[str] = field(default_factory=list)
    incomplete_results: list[str] = field(default_factory=list)
    half_a_series: list[str] = field(default_factory=list)
    stuck_deliveries: list[str] = field(default_factory=list)
    missing_in_pacs: list[str] = field(default_factory=list)
    doubled_in_pacs: list[str] = field(default_factory=list)
    unknown_in_pacs: list[str] = field(default_factory=list)
    changed_in_pacs: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)

    def problems(self) -> dict[str, list[str]]:
        """What is wrong, by its name."""
        return {name: found for name, found in self.plain().items() if isinstance(found, list) and found}

    def plain(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def unfinished(records: Records, ledger: Ledger) -> dict[str, int]:
    """As ``under_way``, and what the stores still hold for nobody."""
    return under_way(records.engine, ledger) or _some({"objects without a row": len(objects_without_row(records))})


def under_way(engine: Engine, ledger: Ledger) -> dict[str, int]:
    """What is still under way, by its kind; empty when everything is final."""
    with engine.connect() as connection:

        def count(*conditions: Any) -> int:
            return int(connection.execute(select(func.count()).where(*conditions)).scalar_one())

        recorded = set(connection.execute(select(instance.c.sop_instance_uid)).scalars())
        found = {
            "instances without a row": len(set(ledger.acknowledged) - recorded),
            "entries of the journal": count(journal_segment.c.recorded_until.is_not(None)),
            "open series": count(series.c.state != SeriesState.CLOSED),
            "jobs": count(job.c.state.in_([JobState.SCHEDULED, JobState.IN_PROGRESS])),
            "deliveries": count(not_(delivery.c.state.in_(FINAL_DELIVERIES))),
            "commitments": count(commitment.c.state == CommitmentState.REQUESTED),
        }
    return _some(found)


def _some(counts: dict[str, int]) -> dict[str, int]:
    return {kind: number for kind, number in counts.items() if number}


def objects_without_row(records: Records) -> list[str]:
    """Keys of both stores that no row names. Duplicates and what attempts left are freed by a timer, a little later."""
    named = select(instance.c.storage_key).where(instance.c.removed_at.is_(None))
    instances = {row.storage_key for row in _all(records, named)}
    return sorted({*records.instances.keys()} - instances) + sorted(_results_without_row(records))


def lasting_without_row(records: Records) -> list[str]:
    """As ``objects_without_row``, but for those that the running node names or frees."""
    left = set(objects_without_row(records))

    def gone() -> bool:
        left.intersection_update(objects_without_row(records))
        return not left

    with contextlib.suppress(AssertionError):
        wait_for(gone, "every object has its row", timeout_s=NAMED_OR_FREED_WITHIN_S)
    return sorted(left)


def _results_without_row(records: Records) -> set[str]:
    return {*records.results.keys()} - {row.storage_key for row in _all(records, select(result.c.storage_key))}


def reckon(records: Records, site: KilledSite, orthanc: Orthanc, ledger: Ledger) -> Reckoning:
    """Count everything; the node may run, but nothing may be under way."""
    found = Reckoning(
        studies=len(ledger.studies),
        acknowledged=len(ledger.acknowledged),
        sent_again=sum(1 for one in ledger.acknowledged.values() if one.tries > 1),
    )
    _instances(records, ledger, found)
    _series(records, found)
    _jobs(records, site, found)
    _pacs(records, orthanc, found)
    _leftovers(records, found)
    return found


def _all(records: Records, statement: Any) -> Rows:
    with records.engine.connect() as connection:
        return connection.execute(statement).all()


def _instances(records: Records, ledger: Ledger, found: Reckoning) -> None:
    rows = _all(records, select(instance))
    times = Counter(row.sop_instance_uid for row in rows)
    by_uid = {row.sop_instance_uid: row for row in rows if row.variant == 0}
    found.lost = sorted(set(ledger.acknowledged) - set(by_uid))
    found.never_acknowledged = sorted(set(times) - set(ledger.acknowledged))
    found.doubled_instances = sorted(uid for uid, number in times.items() if number > 1)
    for uid in sorted(set(ledger.acknowledged) & set(by_uid)):
        row, problem = _settled(records, by_uid[uid], ledger.acknowledged[uid].digest)
        # By retention, and only what has its results in the PACS: the row stays and tells of it.
        found.removed += row.removed_at is not None
        if problem:
            found.damaged.append(f"{uid}: {problem}")
    found.objects_without_row = lasting_without_row(records)
    found.alerts = [f"{row.kind} {row.subject}" for row in _all(records, select(alert))]


def _settled(records: Records, row: Any, digest: str) -> tuple[Any, str]:
    """The row of an instance as it is now, and what is wrong: its bytes may have moved, or gone, since it was read."""
    problem = _wrong(records, row, digest)
    while problem:
        (now,) = _all(records, select(instance).where(instance.c.id == row.id))
        if (now.storage_key, now.removed_at) == (row.storage_key, row.removed_at):
            break
        row, problem = now, _wrong(records, now, digest)
    return row, problem


def _wrong(records: Records, row: Any, digest: str) -> str:
    if row.removed_at is None:
        return _damage(records, row, digest)
    return "" if row.sha256 == digest else "another digest than was sent in its row"


def _damage(records: Records, row: Any, digest: str) -> str:
    """What is wrong with the bytes of an instance; they are read through the store, as a model would."""
    try:
        location = records.instances.locate(row.storage_key)
        with Path(location.path).open("rb") as file:
            file.seek(location.offset)
            content = file.read(location.length)
        data_set = content[part10.data_set_offset(content) :]
    except (AinodeError, OSError, ValueError) as error:
        return f"cannot be read: {type(error).__name__}: {error}"
    if len(content) != row.size:
        return f"{len(content)} bytes, the row says {row.size}"
    if sha256(data_set).hexdigest() != digest:
        return "other bytes than were sent"
    if row.sha256 != digest:
        return "another digest than was sent in its row"
    return ""


def _series(records: Records, found: Reckoning) -> None:
    rows = _all(records, select(series))
    found.series = len(rows)
    found.series_not_closed = [row.series_instance_uid for row in rows if row.state != SeriesState.CLOSED]
    for row in rows:
        found.late_revisions += row.revision - 1
        for revision in range(1, row.revision):
            if not _came_late(records, row.id, revision):
                found.unexplained_revisions.append(f"{row.series_instance_uid} revision {revision + 1}")


def _came_late(records: Records, series_id: int, revision: int) -> bool:
    """Whether an image came after this revision was closed: nothing else may open a series again."""
    judged = select(func.max(admission.c.decided_at)).where(
        admission.c.series_id == series_id, admission.c.revision == revision
    )
    later = select(func.count()).where(
        and_(instance.c.series_id == series_id, instance.c.received_at > judged.scalar_subquery())
    )
    with records.engine.connect() as connection:
        return bool(connection.execute(later).scalar_one())


def _jobs(records: Records, site: KilledSite, found: Reckoning) -> None:
    jobs = _all(records, select(job))
    results = _all(records, select(result))
    found.jobs, found.results = len(jobs), len(results)
    found.attempts = sum(row.attempt for row in jobs)
    of_revision = Counter((row.series_instance_uids[0], row.revision) for row in jobs)
    found.doubled_jobs = [f"{uid} revision {number}" for (uid, number), times in of_revision.items() if times > 1]
    wanted = {
        (row.series_instance_uid, revision)
        for row in _all(records, select(series))
        for revision in range(1, row.revision + 1)
    }
    found.revisions_without_job = [f"{uid} revision {number}" for uid, number in sorted(wanted - set(of_revision))]
    newest = {row.series_instance_uid: (row.revision, row.instances) for row in _all(records, select(series))}
    for row in jobs:
        name = f"job {row.id}: {row.state}, attempt {row.attempt} of {row.max_attempts}, {row.error_code}"
        revision, images = newest[row.series_instance_uids[0]]
        written = [each for each in results if each.job_id == row.id]
        if row.state in (JobState.SCHEDULED, JobState.IN_PROGRESS):
            found.stuck_jobs.append(name)
        elif row.state == JobState.CANCELED and row.revision < revision:
            # A late image came before it ran, or while it did: its next revision stands for it.
            found.superseded_jobs += 1
        elif row.state != JobState.COMPLETED:
            found.failed_jobs.append(name)
        elif sorted(each.modality for each in written) != OBJECTS.get(row.outcome):
            found.incomplete_results.append(f"{name}: {row.outcome}, {[each.modality for each in written]}")
        elif row.revision == revision and _images_referred_to(records, written) != images:
            found.half_a_series.append(f"{name}: {row.outcome}, not of all {images} images")
    said = Counter(record["job"] for record in site.every_record() if record.get("event") == "job.completed")
    found.ended_twice = [f"job {number}: {times} times" for number, times in said.items() if times > 1]


def _images_referred_to(records: Records, results: Rows) -> int:
    """How many images the segmentation among the results is of; 0 where there is none."""
    for row in results:
        if row.modality == "SEG":
            with records.results.open(row.storage_key) as file:
                (referred,) = pydicom.dcmread(file, stop_before_pixels=True).ReferencedSeriesSequence
                return len(referred.ReferencedInstanceSequence)
    return 0


def _pacs(records: Records, orthanc: Orthanc, found: Reckoning) -> None:
    results = {row.sop_instance_uid: row for row in _all(records, select(result))}
    held = [(one["MainDicomTags"]["SOPInstanceUID"], one["ID"]) for one in orthanc.get("/instances?expand")]
    times = Counter(uid for uid, _ in held)
    found.doubled_in_pacs = sorted(uid for uid, number in times.items() if number > 1)
    found.missing_in_pacs = sorted(set(results) - set(times))
    found.unknown_in_pacs = sorted(set(times) - set(results))
    for uid, ours in held:
        part10_held = orthanc.get_bytes(f"/instances/{ours}/file")
        if uid in results and not _same(records, results[uid].storage_key, part10_held):
            found.changed_in_pacs.append(uid)
    for row in _all(records, select(delivery)):
        if row.state != DeliveryState.COMMITTED:
            found.stuck_deliveries.append(f"delivery {row.id}: {row.state}, attempt {row.attempt}, {row.error_code}")


def _same(records: Records, key: str, held: bytes) -> bool:
    with records.results.open(key) as file:
        return bool(pydicom.dcmread(io.BytesIO(held)) == pydicom.dcmread(file))


def _leftovers(records: Records, found: Reckoning) -> None:
    """Bytes under way that nobody will finish."""
    for incoming in sorted(records.config.node.data_dir.rglob("incoming")):
        found.leftovers += [str(path.relative_to(incoming.parent)) for path in incoming.rglob("*") if path.is_file()]
