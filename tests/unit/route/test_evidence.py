"""Evidence is gathered cheaply, believed with care and learned from: the closer over a catalogue in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from node.domain.admission import Admission
from node.domain.completeness import Habit, InstanceCount, Sender
from node.domain.job import NewJob
from node.domain.study import CloseReason, Closure, Series, StoredInstance
from node.errors import InvalidTransition, NotFound
from node.ports import EarlierClosing
from node.route.close_series import CloseSeries
from node.route.evidence import Gathering
from node.route.habits import DISTRUSTED_FOR
from node.route.inquiry import CountSource, Inquiry
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.closings import FakeClosings, FakeSource
from tests.unit.route.descriptions import EVERYWHERE, model
from tests.unit.route.evidence import RULE, T0
from tests.unit.route.headers import axial_stack, series_of
from tests.waiting import wait_for

SENDER = Sender("CT1", "MR")


class CountingCatalogue(FakeCatalogue):
    """Counts how often a series is read; ``late`` is recorded right before the next closing."""

    def __init__(self, node: Node) -> None:
        super().__init__(lambda: node.time)
        self.node = node
        self.reads = 0
        self.late: list[StoredInstance] = []

    def series(self, series_id: int) -> Series:
        self.reads += 1
        return super().series(series_id)

    def close_series(
        self, series_id: int, revision: int, closure: Closure, admissions: Sequence[Admission], jobs: Sequence[NewJob]
    ) -> bool:
        if self.late:
            self.record(self.late.pop())
        done = super().close_series(series_id, revision, closure, admissions, jobs)
        if done:
            self.node.note(series_id, revision, closure)
        return done


class Node:
    """A closer with everything around it in memory, and senders."""

    def __init__(self, source: FakeSource | None = None) -> None:
        self.time = T0
        self.catalogue = CountingCatalogue(self)
        self.closings = FakeClosings()
        self.closures: list[tuple[int, Closure]] = []
        inquiry = Inquiry([CountSource(source)] if source else [], self)
        gathering = Gathering(self.catalogue, RULE, self.closings, inquiry)
        self.closer = CloseSeries(self.catalogue, self, lambda: [model()], (EVERYWHERE,), RULE, gathering)

    def now(self) -> datetime:
        return self.time

    def step(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def note(self, series_id: int, revision: int, closure: Closure) -> None:
        self.closings.closed[series_id, revision] = EarlierClosing(closure.reason.value, self.time)
        self.closures.append((revision, closure))

    def open(self, association: str) -> None:
        self.catalogue.open_association(association, "CT1", "AINODE", "127.0.0.1", "receiver")

    def send(self, images: Sequence[StoredInstance], association: str) -> None:
        for image in images:
            self.step(0.01)
            self.catalogue.record(self.arriving(image, association))

    def arriving(self, image: StoredInstance, association: str) -> StoredInstance:
        return replace(image, received_at=self.time, association_id=association)

    def transfer(self, images: Sequence[StoredInstance], association: str = "a", how: str = "released") -> None:
        self.open(association)
        self.send(images, association)
        self.catalogue.end_association(association, how)

    def reasons(self) -> list[CloseReason]:
        return [closure.reason for _, closure in self.closures]


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def stack() -> tuple[StoredInstance, ...]:
    headers = axial_stack(slices=10, gap=1.5)
    return series_of([header | {"InstanceNumber": n} for n, header in enumerate(headers, start=1)]).instances


def stating(stack: Sequence[StoredInstance], count: int) -> list[StoredInstance]:
    return [
        replace(
            one,
            instance=replace(one.instance, attributes=dict(one.instance.attributes) | {"ImagesInAcquisition": count}),
        )
        for one in stack
    ]


def elsewhere(stack: Sequence[StoredInstance], series_uid: str) -> list[StoredInstance]:
    """The same images as another series."""
    return [
        replace(
            one,
            instance=replace(
                one.instance,
                series_instance_uid=series_uid,
                sop_instance_uid=f"{series_uid}.{number}",
            ),
        )
        for number, one in enumerate(stack)
    ]


def test_a_gapless_stack_closes_the_moment_its_association_is_released(
    node: Node, stack: tuple[StoredInstance, ...]
) -> None:
    node.open("a")
    node.send(stack, "a")
    assert node.closer.run_once() == 0
    node.step(10)
    assert node.closer.run_once() == 0, "nothing but silence closes it while its association is open"
    node.catalogue.end_association("a", "released")
    assert node.closer.run_once() == 1
    assert node.reasons() == [CloseReason.GAPLESS]
    assert [job.revision for job in node.catalogue.jobs] == [1]


def test_a_gap_or_an_abort_waits_for_the_quiet_period(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.transfer([*stack[:4], *stack[5:]])
    node.transfer(elsewhere(stack, "1.2.3.5"), "b", how="aborted")
    assert node.closer.run_once() == 0
    node.step(5)
    assert node.closer.run_once() == 2
    assert set(node.reasons()) == {CloseReason.ASSOCIATION_RELEASED}


def test_a_sender_with_an_association_for_every_image_is_not_cut_off(
    node: Node, stack: tuple[StoredInstance, ...]
) -> None:
    for number, image in enumerate(stack):
        node.transfer([image], f"a{number}")
        assert node.closer.run_once() == 0
    node.step(5)
    assert node.closer.run_once() == 1
    assert node.catalogue.all_series[1].revision == 1


def test_several_series_in_one_association_close_by_their_counts(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.open("a")
    node.send(stating(stack, 10), "a")
    node.send(elsewhere(stack, "1.2.3.5"), "a")
    assert node.closer.run_once() == 0
    node.step(1)
    assert node.closer.run_once() == 1, "the series whose headers count it, although the association is open"
    assert node.reasons() == [CloseReason.STATED_COUNT]
    node.catalogue.end_association("a", "released")
    assert node.closer.run_once() == 1
    assert node.reasons() == [CloseReason.STATED_COUNT, CloseReason.GAPLESS]


def test_an_image_that_comes_during_the_close_is_not_overlooked(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.transfer(stack[:9])
    node.catalogue.late = [node.arriving(stack[9], "a")]
    assert node.closer.run_once() == 0, "ten images, judged as nine"
    assert node.closer.run_once() == 1
    (revision, closure) = node.closures[0]
    assert (revision, closure.evidence["instances"], closure.evidence["numbers"]) == (1, 10, "1 to 10")


def test_other_bytes_under_a_known_uid_do_not_count(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.open("a")
    node.send(stack[:9], "a")
    node.send([replace(stack[0], sha256="11"), replace(stack[1], sha256="22")], "a")
    node.catalogue.end_association("a", "released")
    assert node.closer.run_once() == 1
    assert node.closures[0][1].evidence["numbers"] == "1 to 9"


def test_headers_are_read_once_for_each_state(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.open("a")
    for image in stack[::2]:
        node.send([image], "a")
        node.closer.run_once()
    assert node.catalogue.reads == 0, "nothing can be proven while images come"
    node.catalogue.end_association("a", "released")
    for _ in range(5):
        assert node.closer.run_once() == 0
    assert node.catalogue.reads == 1
    node.transfer(stack[1::2], "b")
    node.step(5)
    assert node.closer.run_once() == 1
    assert node.catalogue.reads == 2


def test_a_source_is_asked_and_decides(stack: tuple[StoredInstance, ...]) -> None:
    source = FakeSource(InstanceCount(of_series=9))
    node = Node(source)
    node.transfer(stack[:4])
    assert node.closer.run_once() == 0
    wait_for(lambda: node.closer.run_once() == 0 and len(source.asked) == 1, "it is asked")
    node.transfer(stack[4:9], "b")
    wait_for(node.closer.run_once, "the source's count of nine closes it, two associations or not")
    assert node.reasons() == [CloseReason.SOURCE_COUNT]


def test_a_source_that_counts_only_studies_is_compared_with_the_study(stack: tuple[StoredInstance, ...]) -> None:
    node = Node(FakeSource(InstanceCount(of_study=25)))
    node.closings.of_study["1.2.3"] = 25
    node.transfer(stack[:4], how="aborted")
    wait_for(node.closer.run_once, "the count of the study closes it")
    assert node.closures[0][1].evidence["source_level"] == "STUDY"


def test_late_images_make_the_evidence_that_misled_untrustworthy(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.transfer(stack[:8])
    assert node.closer.run_once() == 1
    node.step(3)
    node.transfer(stack[8:], "b")
    assert node.closer.run_once() == 0, "two associations brought it: the grid is no proof"
    node.step(6.1)
    assert node.closer.run_once() == 1
    assert [revision for revision, _ in node.closures] == [1, 2]
    habit = node.closings.known[SENDER]
    assert habit.distrusted == {CloseReason.GAPLESS.value: DISTRUSTED_FOR}
    assert habit.silences_s == (0.0, 3.01)
    node.transfer(elsewhere(stack, "1.2.3.5"), "c")
    assert node.closer.run_once() == 0, "not believed any more, and a longer silence is asked for"
    node.step(6.01)
    assert node.closer.run_once() == 0
    node.step(0.02)
    assert node.closer.run_once() == 1


def test_an_addition_long_after_is_nobodys_fault(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.transfer(stack[:8])
    assert node.closer.run_once() == 1
    node.step(3600)
    node.transfer(stack[8:], "b")
    node.step(5)
    assert node.closer.run_once() == 1
    assert node.closings.known[SENDER] == Habit((0.0, 0.0))


def test_a_learned_habit_shortens_the_quiet_period(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.closings.known[SENDER] = Habit((0.0,) * 30)
    node.transfer(stack[::2])
    node.step(0.99)
    assert node.closer.run_once() == 0
    node.step(0.01)
    assert node.closer.run_once() == 1


def test_rows_that_are_late_are_waited_for(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.transfer(stack)
    node.catalogue.until = node.time - timedelta(seconds=0.001)
    node.step(100)
    assert node.closer.run_once() == 0
    node.catalogue.until = node.time
    assert node.closer.run_once() == 1


# ------------------------------------------------------------------------------------------------ an operator's word


def test_an_operators_word_closes_at_once(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.open("a")
    node.send(stack[:5], "a")
    assert node.closer.complete(1, "somebody@console") == 5
    assert node.reasons() == [CloseReason.OPERATOR]
    assert [job.revision for job in node.catalogue.jobs] == [1]
    node.send(stack[5:], "a")
    assert node.closer.complete(1, "somebody@console") == 10
    assert [job.revision for job in node.catalogue.jobs] == [1, 2]


def test_a_word_is_said_again_while_images_come(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.open("a")
    node.send(stack[:5], "a")
    node.catalogue.late = [node.arriving(one, "a") for one in stack[5:8]]
    assert node.closer.complete(1, "somebody@console") == 8


def test_a_word_about_what_is_closed_or_unknown(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.transfer(stack)
    node.closer.run_once()
    with pytest.raises(InvalidTransition):
        node.closer.complete(1, "somebody@console")
    with pytest.raises(NotFound):
        node.closer.complete(2, "somebody@console")


def test_a_word_on_a_sender_that_never_stops(node: Node, stack: tuple[StoredInstance, ...]) -> None:
    node.open("a")
    node.send(stack[:1], "a")
    node.catalogue.late = [node.arriving(one, "a") for number in range(2) for one in elsewhere(stack, f"9.{number}")]
    for one in range(len(node.catalogue.late)):
        image = node.catalogue.late[one]
        node.catalogue.late[one] = replace(
            image, instance=replace(image.instance, series_instance_uid="1.2.3.4", sop_instance_uid=f"8.{one + 1}")
        )
    with pytest.raises(InvalidTransition):
        node.closer.complete(1, "somebody@console")
