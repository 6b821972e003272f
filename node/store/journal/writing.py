"""The segments of this process: which one takes the next object, and when one is finished."""

from __future__ import annotations

import threading
from collections.abc import Callable

from node.store.failures import translated
from node.store.journal.draft import JournalDraft, Place
from node.store.journal.format import BLOCK, RECORD_SPACE, round_up
from node.store.journal.pool import Pool
from node.store.journal.segment import Segment

_FIRST_GUESS = 64 * 1024
_LARGE = 4  # an object of more than this part of a segment lets the segment grow instead of leaving its rest unused
_FORGETS = 8  # the guess of sizes falls by this part with each smaller object


class Writing:
    """``take`` gives a fresh segment, ``tell`` wakes who follows.

    Places go to the newest segment only, so that what an association tells last lies behind all it sent: in a higher
    segment or at a later position.
    """

    def __init__(self, pool: Pool, take: Callable[[], Segment], tell: Callable[[], None]) -> None:
        self._pool = pool
        self._take = take
        self._tell = tell
        self._guard = threading.Lock()
        self._current: Segment | None = None
        self._guess = _FIRST_GUESS

    def begin(self, size_hint: int) -> JournalDraft:
        """
        Raises:
            StoreUnavailable: there is no room.
        """
        with self._guard:
            size = round_up(RECORD_SPACE + size_hint) if size_hint else self._guess
            return JournalDraft(self, self._placed(size))

    def begin_note(self) -> JournalDraft:
        """Room for a record without data.

        Raises:
            StoreUnavailable: there is no room.
        """
        with self._guard:
            return JournalDraft(self, self._placed(BLOCK))

    def grow(self, place: Place, size: int) -> Place:
        held = place.end - place.start
        large = self._is_large(held)
        in_place = held + round_up(self._pool.segment_bytes // _LARGE) if large else 4 * held
        elsewhere = 2 * held if large else 4 * held
        with self._guard, translated("the segment has failed"):
            if place.segment.broken:
                raise OSError("the segment is broken")
            for wanted in (max(size, in_place), size):
                if self._extended(place, wanted - held):
                    return place
            return self._placed(max(size, elsewhere))

    def leave(self, place: Place) -> None:
        self._ended(place, place.start, committed=False)

    def keep(self, place: Place, used: int) -> None:
        self._guess = max(used, self._guess - self._guess // _FORGETS // BLOCK * BLOCK)
        self._ended(place, place.start + used, committed=True)
        self._tell()

    def abandon(self, place: Place) -> None:
        self._ended(place, place.end, committed=False)

    def close(self) -> None:
        """Finish the segment; one with objects under way is finished with the last of them."""
        with self._guard:
            old, self._current = self._current, None
        self._end_early(old)

    def spare_is_ready(self) -> None:
        """Leave a segment that was only allocated for one that was written ahead, if that wastes little."""
        with self._guard:
            old = self._current
            if old is None or old.written_ahead or not old.is_hardly_used:
                return
            self._current = None
        self._end_early(old)

    def _end_early(self, segment: Segment | None) -> None:
        with self._guard:
            unused = segment is not None and segment.retire(trim=True)
        if segment is not None and unused:
            segment.finish()

    def _placed(self, size: int) -> Place:
        """Under the lock."""
        for attempt in (1, 2):
            segment = self._current
            if segment is None or segment.broken or attempt == 2:
                segment = self._renewed()
            start = segment.take(size)
            if start is None and (attempt == 2 or self._may_grow(segment, size)):
                self._enlarge(segment, segment.missing(size))
                start = segment.take(size)
            if start is not None:
                return Place(segment, start, start + size)
        raise AssertionError("a fresh segment has room")

    def _renewed(self) -> Segment:
        fresh = self._take()
        old, self._current = self._current, fresh
        if old is not None and old.retire():
            old.finish()
        return fresh

    def _extended(self, place: Place, size: int) -> bool:
        """Under the lock. At the end of its segment a place grows; a large one takes the file with it."""
        segment = place.segment
        if not segment.is_last(place.end) or segment.broken:
            return False
        missing = segment.missing(size)
        if missing and self._is_large(place.end - place.start + size):
            self._enlarge(segment, missing)
        if segment.extend(place.end, size):
            place.end += size
            return True
        return False

    def _may_grow(self, segment: Segment, size: int) -> bool:
        return self._is_large(size) and not (segment.enlarged or segment.retired or segment.broken)

    def _is_large(self, size: int) -> bool:
        return size > self._pool.segment_bytes // _LARGE

    def _enlarge(self, segment: Segment, size: int) -> None:
        if size:
            self._pool.require(size)
            with translated("the segment cannot grow"):
                segment.enlarge(size)

    def _ended(self, place: Place, end: int, committed: bool) -> None:
        segment = place.segment
        with self._guard:
            segment.give_back(end, place.end)
            unused = segment.release(committed)
        if unused:
            segment.finish()
