"""``ainode results list|show|withdraw``, wired."""

from __future__ import annotations

from typing import Any

from node.app.records import Records
from node.database.result_rows import Row
from node.domain.document import RejectionTitle, ResultKind, Withdrawal
from node.errors import NotFound, OperationError
from node.show import provenance


def list_results(records: Records, study_instance_uid: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest objects first."""
    return [provenance.listed(row) for row in records.written.newest(study_instance_uid, limit)]


def show_results(records: Records, uid: str) -> list[dict[str, Any]]:
    """Every result that ``uid`` (of an object, a series of results, or a study) names, with all that is known of it.

    Raises:
        NotFound: it names none.
    """
    rows = _named(records, uid)
    jobs = list(dict.fromkeys(row["job_id"] for row in rows))
    successors = {
        job: records.written.successors(
            next(row["study_instance_uid"] for row in rows if row["job_id"] == job),
            [row["sop_instance_uid"] for row in rows if row["job_id"] == job],
        )
        for job in jobs
    }
    return provenance.results(rows, records.written.deliveries(jobs), successors)


def withdraw(records: Records, uid: str, by: str, reason: str, title: RejectionTitle) -> list[int]:
    """Reject the result that ``uid`` names, with all its objects; the ids of its jobs.

    Raises:
        NotFound: it names none.
        AlreadyWithdrawn, InvalidTransition: it cannot be withdrawn (any more, or yet).
        OperationError: it names several results.
    """
    rows = [row for row in _named(records, uid) if row["kind"] != ResultKind.REJECTION]
    said: dict[int, set[str]] = {}
    for row in rows:
        said.setdefault(row["job_id"], set()).add(row["sop_instance_uid"])
    if len({frozenset(objects) for objects in said.values()}) > 1:
        raise OperationError(f"{uid} names the results of several jobs: name one of their objects")
    # A run that was repeated said the very same objects: what is withdrawn of one is withdrawn of all.
    twins = {row["job_id"] for row in rows for row in records.written.of(row["sop_instance_uid"])}
    records.withdrawals.withdraw(sorted(twins), Withdrawal(records.clock.now(), by, reason, title))
    return sorted(twins)


def _named(records: Records, uid: str) -> list[Row]:
    rows = records.written.of(uid)
    if not rows:
        raise NotFound(f"no result has this UID: {uid}")
    return rows
