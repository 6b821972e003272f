"""A database as it is after years: finished jobs by the million, made inside the database in seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Engine

# Jobs of a study, and instances of its series.
MANY = 10
ROOT = "1.2.826.0.1.3680043.10.1099"
# Times start here; a job is ten seconds younger than the one before it.
SINCE = "2020-01-01 00:00:00"
PROVENANCE = '{"device": "cpu", "weights": "' + "ab" * 32 + '", "durations_s": {"read": 0.5, "run": 2.5, "write": 0.4}}'
FINDINGS = '[{"concept": "Hippocampus", "probability": 0.98, "measurements": [{"concept": "Volume", "value": 3.25}]}]'
SHA = "'" + "ab" * 32 + "'"


def study_uid(number: int) -> str:
    """Of the studies that ``fill`` makes, counted from 1."""
    return f"{ROOT}.1.{number + 10**9}"


def series_uid(number: int) -> str:
    """Of the study's one series."""
    return f"{ROOT}.2.{number + 10**9}"


def fill(engine: Engine, jobs: int, only: Collection[str] | None = None) -> None:
    """As many jobs, each with a result and a delivery, and a tenth as many studies of one series with ten instances.

    The database was empty. Nearly every job is COMPLETED, one in 500 FAILED, one in 700 CANCELED. Every second result
    went to ``pacs``, which committed it, the others to ``archive``, which is not asked to. ``only`` these tables are
    filled.
    """
    words = {"studies": jobs // MANY, "jobs": jobs}
    dialect = POSTGRESQL if engine.dialect.name == "postgresql" else SQLITE
    with _cursor(engine) as cursor:
        for count, statement in STATEMENTS:
            counted = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
            table, columns, values = statement
            if only is not None and table not in only:
                continue
            rows = f"INSERT INTO {table} ({columns}) " + counted + f"SELECT {values} FROM n"
            for word, meaning in (dialect | {"count": str(words[count])}).items():
                rows = rows.replace("{" + word + "}", meaning)
            cursor.execute(rows)
        # What triggers wrote meanwhile; the lines are as the projection makes them, but for their words.
        for table in ("tally", "study_change"):
            cursor.execute(f"DELETE FROM {table}")
        for table in ("job", "delivery"):
            counted = f"SELECT '{table}', state, count(*) FROM {table} GROUP BY state"
            cursor.execute(f"INSERT INTO tally (kind, state, amount) {counted}")
    if engine.dialect.name == "postgresql":
        _analyze(engine)


SQLITE = {
    "at": f"strftime('%Y-%m-%d %H:%M:%f000', '{SINCE}', '+' || (i * 10) || ' seconds')",
    "json": "",
    # Digits as their bytes: '12' is 3132.
    "hex": "lower(hex(CAST(i AS TEXT)))",
    "false": "0",
    "micros": "(unixepoch('2020-01-01 00:00:00') + i * 10) * 1000000",
}
POSTGRESQL = {
    "at": f"TIMESTAMPTZ '{SINCE}+00' + i * INTERVAL '10 seconds'",
    "json": "::json",
    "hex": "encode(i::text::bytea, 'hex')",
    "false": "FALSE",
    "micros": "(extract(epoch FROM TIMESTAMPTZ '2020-01-01 00:00:00+00')::bigint + i * 10) * 1000000",
}
ARRIVED = f"(999999999999999999 - {{micros}}) || '{ROOT}.1.' || (1000000000 + i)"
# As many as ``URGENCIES`` has; most find nothing.
URGENCY = "CASE WHEN i % 50 = 0 THEN 0 WHEN i % 9 = 0 THEN 1 WHEN i % 40 = 0 THEN 2 ELSE 6 END"
STUDY = f"'{ROOT}.1.' || (1000000000 + i)"
SERIES = f"'{ROOT}.2.' || (1000000000 + i)"
STUDY_OF_JOB = f"'{ROOT}.1.' || (1000000001 + (i - 1) / {MANY})"
SERIES_OF_JOB = f"'{ROOT}.2.' || (1000000001 + (i - 1) / {MANY})"
OBJECT = f"'{ROOT}.4.' || (1000000000 + i)"
DELIVERED = "CASE WHEN i % 500 = 0 THEN 'FAILED' WHEN i % 2 = 0 THEN 'COMMITTED' ELSE 'STORED' END"

LINE = (
    '"study_description": "FILLED", "modalities": ["MR"], "series": 1, "instances": 10, "state": "COMPLETED", '
    '"outcome": {"model-1": "POSITIVE"}, "received_at": "2020-01-01T00:00:00+00:00", "updated_at": '
    '"2020-01-01T00:00:00+00:00", "patient": {"id": "P", "name": "NOBODY^FILLED", "birth_date": "19700101", '
    '"sex": "O"}, "acquired_at": "2019-12-31T12:00:00", "models": [{"model": "model-1", "outcome": "POSITIVE", '
    '"finding": {"concept": "Hippocampus", "probability": 0.98, "value": 3.25, "unit": "mL", "findings": 1}, '
    '"reason": null, "jobs": []}], "delivery": {"wanted": 2, "to_commit": 1, "stored": 2, "committed": 1, '
    '"read_back": null, "failed": 0, "error_code": null}, "assessment": null, "urgency": 1'
)


def _hex(text: str) -> str:
    return text.encode().hex()


# What every line has, what one in 40 and a dozen have, and words that no two lines share.
TERMS = (
    f"'m{_hex('MR')}'",
    f"CASE WHEN i <= 12 THEN 'm{_hex('US')}' WHEN i % 3 = 0 THEN 'm{_hex('CT')}' ELSE 'm{_hex('DX')}' END",
    f"CASE WHEN i % 40 = 0 THEN 'o{_hex('FAILED')}' WHEN i % 9 = 0 THEN 'o{_hex('POSITIVE')}' "
    f"ELSE 'o{_hex('NEGATIVE')}' END",
    f"'n{_hex('model-1')}'",
    "'u'",
    f"'w{_hex('nobody')}'",
    f"'w{_hex('a')}' || {{hex}}",
    f"'w{_hex('p')}' || {{hex}}",
)

# What is counted, and: table, columns, values of row ``i``.
STATEMENTS = (
    (
        "studies",
        (
            "association",
            "id, calling_ae, called_ae, peer_host, receiver, opened_at, ended_at, how",
            "'association-' || i, 'CT1', 'AINODE', '127.0.0.1', 'receive-0', {at}, {at}, 'released'",
        ),
    ),
    (
        "studies",
        (
            "study",
            "study_instance_uid, patient_id, patient_name, patient_birth_date, patient_sex, accession_number, "
            "study_date, study_time, study_description, received_at, updated_at",
            f"{STUDY}, 'P' || i, 'NOBODY^' || i, '', 'O', 'A' || i, '20290101', '120000', 'FILLED', {{at}}, {{at}}",
        ),
    ),
    (
        "studies",
        (
            "series",
            "study_instance_uid, series_instance_uid, state, revision, modality, series_description, body_part, "
            "calling_ae, instances, first_instance_at, last_instance_at, closed_at, close_reason, attributes",
            f"{STUDY}, {SERIES}, 'CLOSED', 1, 'MR', 'T1', 'HEAD', 'CT1', 10, {{at}}, {{at}}, {{at}}, 'quiet', "
            "'{}'{json}",
        ),
    ),
    (
        "studies",
        ("series_closing", "series_id, revision, reason, evidence, closed_at", "i, 1, 'quiet', '{}'{json}, {at}"),
    ),
    (
        "studies",
        (
            "alert",
            "kind, subject, study_instance_uid, detail, raised_at",
            f"'instance_conflict', {SERIES}, {STUDY}, '{{}}'{{json}}, {{at}}",
        ),
    ),
    ("studies", ("removal", "kept, storage_key, removed_at", "'instances', '00000000/' || i, {at}")),
    ("studies", ("series_association", "series_id, association_id", "i, 'association-' || i")),
    (
        "jobs",
        (
            "instance",
            "series_id, sop_instance_uid, variant, sop_class_uid, transfer_syntax_uid, storage_key, size, sha256, "
            "calling_ae, association_id, received_at, instance_number, attributes",
            f"1 + (i - 1) / {MANY}, '{ROOT}.3.' || (1000000000 + i), 0, '1.2.840.10008.5.1.4.1.1.4', "
            f"'1.2.840.10008.1.2.1', '00000001/' || i, 33000, {SHA}, 'CT1', "
            f"'association-' || (1 + (i - 1) / {MANY}), {{at}}, "
            f"1 + i % {MANY}, '{{}}'{{json}}",
        ),
    ),
    (
        "jobs",
        (
            "admission",
            "series_id, revision, model, model_version, verdict, conditions, priority, destinations, decided_at",
            f"1 + (i - 1) / {MANY}, 1, 'model-' || (i % {MANY}), '1.0', 'ADMITTED', '[]'{{json}}, "
            "'MEDIUM', '[\"pacs\"]'{json}, {at}",
        ),
    ),
    (
        "jobs",
        (
            "job",
            "key, state, model, model_version, study_instance_uid, series_instance_uids, revision, accession_number, "
            "destinations, priority, attempt, max_attempts, budget, run_after, cancel_requested, created_at, "
            "updated_at, started_at, finished_at, error_code, outcome, findings, provenance",
            "'filled/' || i, CASE WHEN i % 500 = 0 THEN 'FAILED' WHEN i % 700 = 0 THEN 'CANCELED' ELSE 'COMPLETED' "
            f"END, 'model-' || (i % {MANY}), '1.0', {STUDY_OF_JOB}, ('[\"' || {SERIES_OF_JOB} || '\"]'){{json}}, 1, "
            f"'A' || (1 + (i - 1) / {MANY}), '[\"pacs\"]'{{json}}, i % 3, 1, 3, 3, {{at}}, {{false}}, {{at}}, "
            "{at}, {at}, {at}, CASE WHEN i % 500 = 0 THEN 'InferenceTimeout' END, 'POSITIVE', "
            f"'{FINDINGS}'{{json}}, '{PROVENANCE}'{{json}}",
        ),
    ),
    ("jobs", ("workitem", "job_id, attributes", "i, '{}'{json}")),
    (
        "jobs",
        (
            "result",
            "job_id, sop_class_uid, sop_instance_uid, series_instance_uid, modality, storage_key, sha256, size, "
            "created_at",
            f"i, '1.2.840.10008.5.1.4.1.1.88.33', {OBJECT}, {SERIES_OF_JOB}, 'SR', 'results/' || i, {SHA}, 9000, "
            "{at}",
        ),
    ),
    (
        "jobs",
        (
            "delivery",
            "job_id, result_id, destination, state, priority, attempt, max_attempts, budget, run_after, created_at, "
            "updated_at",
            f"i, i, CASE WHEN i % 2 = 0 THEN 'pacs' ELSE 'archive' END, {DELIVERED}, i % 3, 1, 100, 100, "
            "{at}, {at}, {at}",
        ),
    ),
    (
        "studies",
        (
            "assessment",
            "study_instance_uid, model, model_version, scanner, outcome_found, decision, said_by, said_at, reason, "
            "corrected, state, attempt",
            f"{STUDY}, 'model-1', '1.0', 'MR1', 'POSITIVE', 'ACCEPT', 'reader', {{at}}, '', '[]'{{json}}, 'WRITTEN', 1",
        ),
    ),
    (
        "studies",
        (
            "worklist_line",
            "study_instance_uid, urgency, arrived, revision, projected_at, document",
            f'{STUDY}, {URGENCY}, {ARRIVED}, 1, {{at}}, (\'{{"study_instance_uid": "\' || {STUDY} || \'", '
            f'"accession_number": "A\' || i || \'", {LINE}}}\'){{json}}',
        ),
    ),
    *(
        (
            "studies",
            ("worklist_term", "study_instance_uid, term, urgency, arrived", f"{STUDY}, {term}, {URGENCY}, {ARRIVED}"),
        )
        for term in TERMS
    ),
    (
        "studies",
        (
            "commitment",
            "transaction_uid, destination, state, requested_at, expires_at, answered_at",
            "'2.25.' || i, 'pacs', 'COMMITTED', {at}, {at}, {at}",
        ),
    ),
    (
        "studies",
        ("commitment_delivery", "transaction_uid, delivery_id", f"'2.25.' || i, {MANY} * i"),
    ),
)


@contextlib.contextmanager
def _cursor(engine: Engine) -> Iterator[Any]:
    """Nothing here need survive a power cut; SQLite does without its journal meanwhile."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        if engine.dialect.name == "sqlite":
            for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "foreign_keys = OFF"):
                cursor.execute(f"PRAGMA {setting}")
            cursor.execute("BEGIN")
        else:
            # Neither the triggers of the tally nor foreign keys.
            cursor.execute("SET session_replication_role = replica")
        yield cursor
        connection.commit()
    finally:
        # What was set above ends with the connection.
        connection.invalidate()


def _analyze(engine: Engine) -> None:
    """What autovacuum does in time."""
    connection = engine.raw_connection()
    try:
        connection.driver_connection.autocommit = True  # type: ignore[union-attr]
        connection.cursor().execute("VACUUM ANALYZE")
    finally:
        connection.invalidate()
