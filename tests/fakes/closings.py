"""``ports.Closings`` in memory, and sources that count as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from node.domain.completeness import Habit, InstanceCount, Sender
from node.ports import EarlierClosing


class FakeClosings:
    def __init__(self) -> None:
        self.known: dict[Sender, Habit] = {}
        self.closed: dict[tuple[int, int], EarlierClosing] = {}
        self.of_study: dict[str, int] = {}

    def habits(self) -> Mapping[Sender, Habit]:
        return dict(self.known)

    def learn(self, sender: Sender, change: Callable[[Habit], Habit]) -> Habit:
        self.known[sender] = change(self.known.get(sender, Habit()))
        return self.known[sender]

    def earlier(self, series_id: int, revision: int) -> EarlierClosing | None:
        return self.closed.get((series_id, revision))

    def instances_of_study(self, study_instance_uid: str) -> int:
        return self.of_study.get(study_instance_uid, 0)


class FakeSource:
    """``answer`` is what it says next: a count, or an error to raise. While ``held`` is not set it says nothing."""

    def __init__(self, answer: InstanceCount | Exception, name: str = "archive") -> None:
        self._name = name
        self.answer = answer
        self.asked: list[tuple[str, str]] = []
        self.held = threading.Event()
        self.held.set()

    @property
    def name(self) -> str:
        return self._name

    def count(self, study_instance_uid: str, series_instance_uid: str) -> InstanceCount:
        self.asked.append((study_instance_uid, series_instance_uid))
        assert self.held.wait(30), "the test forgot to let the source answer"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
