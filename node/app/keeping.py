"""What keeps store and tables in order, wired: retention, and the journal's segments used again."""

from __future__ import annotations

import functools
from datetime import timedelta

from node.admin.retention import Retention
from node.admin.timers import Timer
from node.app.records import Records
from node.app.room import room
from node.app.stores import has_journal, journal_pool
from node.config import Config, commits
from node.database.removals import SqlRelocation, SqlRemovals
from node.database.retention import SqlRetentionRecord
from node.domain.retention import RetentionRule
from node.ports.retention import Kept
from node.store.journal.reuse import Reuse

# Duplicates are freed by it too; an idle turn is one read of an empty index.
FREE_EVERY_S = 5.0


def keeping_timers(records: Records) -> tuple[Timer, ...]:
    """What the timers role runs for this."""
    config = records.config
    kept = retention(records)
    timers = (
        Timer("retention", config.retention.every_s, kept.run_once),
        Timer("free removed objects", min(FREE_EVERY_S, config.retention.every_s), kept.free_once),
    )
    if not has_journal(config):
        return timers
    return (*timers, Timer("reuse journal", config.retention.every_s, reuse(records).run_once))


def retention(records: Records) -> Retention:
    deletes = {Kept.INSTANCES: records.instances.delete_older, Kept.RESULTS: records.results.delete_older}
    return Retention(
        SqlRetentionRecord(records.engine, records.clock),
        SqlRemovals(records.engine),
        deletes,
        records.clock,
        retention_rule(records.config),
    )


def retention_rule(config: Config) -> RetentionRule:
    return RetentionRule(
        images=_for(config.retention.images_s),
        rows=_for(config.retention.rows_s),
        committing=frozenset(one.name for one in config.destinations if commits(one)),
    )


def reuse(records: Records) -> Reuse:
    return Reuse(
        records.journal,
        journal_pool(records.config),
        records.arrivals,
        SqlRelocation(records.engine, records.clock),
        records.clock,
        functools.partial(room, records.config),
    )


def _for(seconds: float) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None
