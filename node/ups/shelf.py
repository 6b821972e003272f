"""Jobs and reviews as one list of workitems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from node.domain.review import Review
from node.domain.workitem import Change, NewWorkitem, Referenced, Step, Workitem, WorkitemQuery
from node.errors import NoSuchWorkitem
from node.ports import WorkitemStore
from node.ports.workitems import S, StepStore

PAGE = 200


class Shelf:
    def __init__(self, jobs: WorkitemStore, reviews: StepStore[Review]) -> None:
        self._jobs = jobs
        self._reviews = reviews

    def get(self, uid: str) -> Step:
        """
        Raises:
            NoSuchWorkitem
        """
        try:
            return self._jobs.get(uid)
        except NoSuchWorkitem:
            return self._reviews.get(uid)

    def find(self, query: WorkitemQuery) -> Iterator[Step]:
        yield from _paged(self._jobs, query)
        yield from _paged(self._reviews, query)

    def inputs(self, workitem: Step) -> Sequence[Referenced]:
        if isinstance(workitem, Review):
            return self._reviews.inputs(workitem)
        assert isinstance(workitem, Workitem)
        return self._jobs.inputs(workitem)

    def outputs(self, workitem: Step) -> Sequence[Referenced]:
        if isinstance(workitem, Review):
            return self._reviews.outputs(workitem)
        assert isinstance(workitem, Workitem)
        return self._jobs.outputs(workitem)

    def create(self, new: NewWorkitem, actor: str) -> Step:
        """A job: what is created from outside is work for a model.

        Raises:
            DuplicateWorkitem
        """
        return self._jobs.create(new, actor)

    def change(self, uid: str, actor: str, decide: Callable[[Step], Change]) -> Step:
        """As ``ports.workitems.StepStore.change``."""
        try:
            return self._jobs.change(uid, actor, decide)
        except NoSuchWorkitem:
            return self._reviews.change(uid, actor, decide)


def _paged(store: StepStore[S], query: WorkitemQuery) -> Iterator[Step]:
    after = -1
    while page := store.find(query, after, PAGE):
        yield from page
        after = page[-1].row
