"""Assessments, wired: what persons say of results, and the timer that makes documents of it."""

from __future__ import annotations

from node.admin.assessing import Assessing, AssessmentWriter
from node.admin.timers import Timer
from node.app.logins import logins
from node.app.provenance import withdraw
from node.app.records import Records
from node.app.writing import MAKER
from node.domain.document import RejectionTitle, ResultKind
from node.domain.identity import require_uid
from node.domain.result import ResultObject
from node.errors import NotFound, OperationError
from node.infer.record import result_object, storage_key
from node.ports import EncodedObject
from node.results.assessed import VerifiedReportWriter

WRITE_EVERY_S = 1.0
# Who asks for accounts here: nothing is changed in this name.
COMMANDS = "cli"


def assessing(records: Records) -> Assessing:
    return Assessing(records.assessments, records.clock)


def assessment_timer(records: Records) -> Timer:
    """Looks every second for what cannot be undone any more."""
    return Timer("write assessments", WRITE_EVERY_S, assessment_writer(records).run_once)


def assessment_writer(records: Records) -> AssessmentWriter:
    def keep(study_instance_uid: str, written: EncodedObject) -> ResultObject:
        key = storage_key(study_instance_uid, written)
        records.results.put(written.part10, key)
        return result_object(written, key)

    def reject(uid: str, by: str, reason: str, title: RejectionTitle) -> object:
        return withdraw(records, uid, by, reason, title)

    return AssessmentWriter(records.assessments, records.results, VerifiedReportWriter(MAKER), keep, reject)


def require_account(records: Records, name: str) -> str:
    """
    Raises:
        NotFound: there is no such account, or it is disabled.
    """
    if not any(one.name == name and one.disabled_at is None for one in logins(records, COMMANDS).all()):
        raise NotFound(f"no account {name!r}: 'ainode users add' makes one")
    return name


def job_named(records: Records, uid: str) -> int:
    """The job whose result ``uid`` names: one of its objects, its series, or its study where that has one result.

    Raises:
        InvalidUid: it is none.
        NotFound: it names no result.
        OperationError: it names those of several jobs.
    """
    rows = [row for row in records.written.of(require_uid(uid, "UID")) if row["kind"] == ResultKind.RESULT]
    if not rows:
        raise NotFound(f"no result has this UID: {uid}")
    current = [row for row in rows if row["superseded_at"] is None] or rows
    said: dict[int, set[str]] = {}
    for row in current:
        said.setdefault(row["job_id"], set()).add(row["sop_instance_uid"])
    if len({frozenset(objects) for objects in said.values()}) > 1:
        raise OperationError(f"{uid} names the results of several jobs: name one of their objects")
    return max(said)
