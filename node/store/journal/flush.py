"""Group flush: of all threads that want the same file durable, one acts for all who wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _Waiting(Generic[Item]):
    __slots__ = ("error", "gate", "item", "leads", "position")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.gate = threading.Lock()
        self.gate.acquire()
        self.leads = True  # unless a leader finds it and acts for it
        self.position = -1
        self.error: OSError | None = None


class GroupFlush(Generic[Item]):
    """``act`` makes a batch of items durable, in their order, and returns the position of the first."""

    def __init__(self, act: Callable[[Sequence[Item]], int]) -> None:
        self._act = act
        self._guard = threading.Lock()
        self._queue: list[_Waiting[Item]] = []
        self._busy = False

    def submit(self, item: Item) -> int:
        """The position of ``item``. Returns when the batch it went with is durable.

        Raises:
            OSError: what ``act`` raised for its batch.
        """
        mine = _Waiting(item)
        with self._guard:
            self._queue.append(mine)
            waits = self._busy
            self._busy = True
        if waits:
            mine.gate.acquire()
        if mine.leads:
            self._lead(mine)
        if mine.error is not None:
            raise OSError(mine.error.errno, mine.error.strerror) from mine.error
        return mine.position

    def _lead(self, mine: _Waiting[Item]) -> None:
        with self._guard:
            batch, self._queue = self._queue, []
        error: OSError | None = OSError("the flush was interrupted")
        first = -1
        try:
            first = self._act([each.item for each in batch])
            error = None
        except OSError as raised:
            error = raised
        finally:
            self._hand_over()
            for index, each in enumerate(batch):
                each.position = first + index
                each.error = error
                if each is not mine:
                    each.leads = False
                    each.gate.release()

    def _hand_over(self) -> None:
        """The first of those who came meanwhile leads next."""
        with self._guard:
            if self._queue:
                self._queue[0].gate.release()
            else:
                self._busy = False
