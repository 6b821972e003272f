"""``ainode store``: what the stores hold, and whether it is what the tables say."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from node.app.keeping import retention_rule
from node.app.records import Records
from node.app.room import room
from node.app.stores import has_journal, journal_pool
from node.database.inventory import SqlInventory
from node.ports.retention import Kept
from node.store.file_shelf import FileShelf
from node.store.journal.shelf import JournalShelf
from node.store.verify import Report, Shelf, Verify

# Whatever was under way when something looked wrong is over then.
PAUSE_S = 3.0


def verify(records: Records, deep: bool, repair: bool, tell: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
    """The document of ``ainode store verify``."""
    begin = time.monotonic()
    opens = {Kept.INSTANCES: records.instances.open, Kept.RESULTS: records.results.open}
    check = Verify(SqlInventory(records.engine), opens, deep, repair, lambda: time.sleep(PAUSE_S), tell)
    report = check.run(shelves(records))
    return {
        "ok": report.ok,
        "store": records.config.store.kind,
        "deep": deep,
        "rows": _counts(report.rows),
        "records": _counts(report.records),
        "waiting": report.waiting,
        "unjudged": report.unjudged,
        "bytes_read": report.bytes_read,
        "repaired": report.repaired,
        "duration_s": round(time.monotonic() - begin, 3),
        "findings": _findings(report),
    }


def shelves(records: Records) -> list[Shelf]:
    """Every place where objects lie; a site that changed from one kind of store to the other has both."""
    found: list[Shelf] = [FileShelf(records.files, Kept.INSTANCES), FileShelf(records.results, Kept.RESULTS)]
    if has_journal(records.config):
        found.append(JournalShelf(records.journal, journal_pool(records.config).folder))
    return found


def status(records: Records) -> dict[str, Any]:
    """The document of ``ainode store status``."""
    config = records.config
    space = room(config)
    rule = retention_rule(config)
    document: dict[str, Any] = {
        "store": config.store.kind,
        "free_bytes": space.free_bytes,
        "watermark_bytes": space.watermark_bytes,
        "room": space.has_room_for(),
        "images_kept_s": rule.images.total_seconds() if rule.images else None,
        "rows_kept_s": rule.rows.total_seconds() if rule.rows else None,
        "to_be_freed": SqlInventory(records.engine).to_be_freed(),
    }
    if has_journal(config):
        document["journal"] = _journal(records)
    return document


def _journal(records: Records) -> dict[str, Any]:
    pool = journal_pool(records.config)
    if not pool.folder.segments.is_dir():
        return {"segments": [], "spare_segments": 0, "bytes": 0, "max_bytes": pool.settings.max_bytes}
    journal = records.journal
    recorded = records.arrivals.recorded(journal.id)
    facts = [found for number in journal.segments() if (found := journal.facts(number)) is not None]
    return {
        "segments": [
            {
                "segment": one.number,
                "sealed": one.sealed,
                "entries": one.entries,
                "recorded": recorded.get(one.number, 0),
                "live": one.live,
                "freed": one.freed,
                "live_bytes": one.live_bytes,
                "bytes": one.size,
                "changed_at": one.changed_at,
            }
            for one in facts
        ],
        "spare_segments": len(pool.spares()),
        "bytes": pool.folder.bytes_taken(),
        "max_bytes": pool.settings.max_bytes,
    }


def _counts(counts: dict[Kept, int]) -> dict[str, int]:
    return {kept.value: count for kept, count in counts.items()}


def _findings(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "problem": one.problem.value,
            "store": one.kept.value,
            "storage_key": one.key,
            "sop_instance_uid": one.sop_instance_uid,
            "detail": one.detail,
        }
        for one in report.findings
    ]
