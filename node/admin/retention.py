"""The timer's step: what is finished and old enough goes, images first, rows later, bytes when no row names them.

It may die anywhere: a row says that its image is removed before a byte of it is freed, and the next run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from node.domain.retention import AT_LEAST, KEPT_AGAIN, RetentionRule, Step, StudyFacts, Verdict, judge
from node.ports import Clock
from node.ports.retention import Kept, Removals, RetentionRecord

log = structlog.get_logger()

# Studies that one run looks at, and rows that one transaction changes: receivers write between two of them.
STUDIES = 200
ROWS = 500
# Objects that one transaction deletes; a file takes longer than a row.
OBJECTS = 50
PAUSE_S = 0.02


class Retention:
    """``deletes`` says for each store how an object goes: by its key and the time at which it was removed."""

    def __init__(
        self,
        record: RetentionRecord,
        removals: Removals,
        deletes: Mapping[Kept, Callable[[str, datetime], None]],
        clock: Clock,
        rule: RetentionRule,
        pause: Callable[[], None] = lambda: time.sleep(PAUSE_S),
    ) -> None:
        self._record = record
        self._removals = removals
        self._deletes = deletes
        self._clock = clock
        self._rule = rule
        self._pause = pause

    def run_once(self) -> Mapping[str, int]:
        """How many instances were removed and rows deleted; empty where there was nothing to do."""
        now = self._clock.now()
        counts: dict[str, int] = {}
        again: dict[str, datetime] = {}
        for facts in self._record.due(now - (self._rule.images or timedelta(0)), now, STUDIES):
            verdict = self._judge(facts)
            again[facts.study_instance_uid] = verdict.again_at
            if verdict.step is not Step.KEEP:
                again[facts.study_instance_uid] = self._act(facts.study_instance_uid, verdict.step, counts)
        self._record.look_again(again)
        self._remove_associations(now, counts)
        return counts

    def free_once(self) -> Mapping[str, int]:
        """How many objects were freed in each store: those of rows that are gone, and duplicates."""
        counts: dict[str, int] = {}
        for kept in Kept:
            self._free(kept, counts)
        return counts

    def _judge(self, facts: StudyFacts) -> Verdict:
        return judge(facts, self._clock.now(), self._rule)

    def _act(self, study_uid: str, step: Step, counts: dict[str, int]) -> datetime:
        """Do it, batch by batch; when the study is looked at again."""
        images = step is Step.REMOVE_IMAGES
        remove = self._record.remove_images if images else self._record.remove_rows
        done = 0
        while changed := remove(study_uid, self._judge, ROWS):
            done += changed
            self._pause()
        if done:
            log.info("retention.removed", study_instance_uid=study_uid, what="images" if images else "rows", count=done)
            _count(counts, "images" if images else "rows", done)
        # Where nothing was removed after all, something happened meanwhile: the next run looks at it.
        return self._clock.now() + (min(self._rule.rows or KEPT_AGAIN, KEPT_AGAIN) if done else AT_LEAST)

    def _remove_associations(self, now: datetime, counts: dict[str, int]) -> None:
        if self._rule.images is None or self._rule.rows is None:
            return
        while gone := self._record.remove_associations(now - self._rule.images - self._rule.rows, ROWS):
            _count(counts, "rows", gone)
            self._pause()

    def _free(self, kept: Kept, counts: dict[str, int]) -> None:
        after: int | None = 0
        while after is not None:
            freed = self._removals.free(kept, self._deletes[kept], OBJECTS, after)
            _count(counts, kept, freed.freed)
            after = freed.last
            if after is not None:
                self._pause()


def _count(counts: dict[str, int], what: str, number: int) -> None:
    if number:
        counts[what] = counts.get(what, 0) + number
