from __future__ import annotations

import itertools
import random

from node.store.journal.extents import Extents


def test_room_is_given_in_order_until_there_is_none() -> None:
    extents = Extents(100, 200)
    assert [extents.take(40), extents.take(40), extents.take(40)] == [100, 140, None]
    assert extents.take(20) == 180


def test_the_last_one_can_be_extended_the_others_not() -> None:
    extents = Extents(0, 100)
    extents.take(20)
    extents.take(20)
    assert not extents.extend(20, 10)
    assert extents.extend(40, 60)
    assert not extents.extend(100, 1)


def test_what_is_given_back_at_the_end_is_as_if_never_given() -> None:
    extents = Extents(0, 100)
    first, second = extents.take(30), extents.take(30)
    assert (first, second) == (0, 30)
    extents.give_back(0, 30)
    extents.give_back(30, 60)
    assert extents.tail == 0
    assert extents.take(100) == 0


def test_a_hole_is_used_again() -> None:
    extents = Extents(0, 100)
    for _ in range(5):
        extents.take(20)
    extents.give_back(20, 40)
    extents.give_back(40, 60)
    assert extents.take(30) == 20
    assert extents.take(10) == 50
    assert extents.take(1) is None


def test_nothing_is_ever_given_twice() -> None:
    chance = random.Random(5)
    extents = Extents(1000, 9000)
    held: list[tuple[int, int]] = []
    for _ in range(3000):
        if held and chance.random() < 0.5:
            start, end = held.pop(chance.randrange(len(held)))
            cut = chance.choice((start, chance.randint(start, end)))
            extents.give_back(cut, end)
            if cut > start:
                held.append((start, cut))
        else:
            size = chance.randint(1, 600)
            taken = extents.take(size)
            if taken is not None:
                held.append((taken, taken + size))
        held.sort()
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(held))
        assert all(start >= 1000 and end <= 9000 for start, end in held)
    for start, end in held:
        extents.give_back(start, end)
