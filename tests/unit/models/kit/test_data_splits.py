"""A split keeps groups whole and labels in their shares, is the same everywhere, and a leak is found."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from models.kit.cases import Case, Split
from models.kit.data.splits import PARTS, SplitLeak, check_split, folds, make_split, read_split, write_split


def _cases(count: int = 400, seed: int = 0) -> tuple[Case, ...]:
    """Patients of 1 to 6 pictures; one in six is of the rare class; some have both."""
    generator = random.Random(seed)
    cases: list[Case] = []
    patient = 0
    while len(cases) < count:
        patient += 1
        label = 2 if generator.random() < 1 / 6 else int(generator.random() < 0.4)
        for picture in range(generator.randint(1, 6)):
            own = 0 if generator.random() < 0.1 else label
            cases.append(Case(f"p{patient}_{picture}", Path(f"p{patient}_{picture}.png"), own, f"p{patient}"))
    return tuple(cases)


def test_no_group_is_in_two_parts_and_none_is_lost() -> None:
    cases = _cases()
    split = make_split(cases, (0.7, 0.15, 0.15), 0)
    assert split.train | split.validation | split.test == {case.group for case in cases}
    assert len(split.train) + len(split.validation) + len(split.test) == len({case.group for case in cases})
    check_split(cases, split)


def test_each_label_keeps_its_share() -> None:
    cases = _cases(600)
    split = make_split(cases, (0.7, 0.15, 0.15), 3)
    totals = Counter(case.label for case in cases)
    for name, fraction in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
        found = Counter(case.label for case in split.part(cases, name))
        for label, total in totals.items():
            assert found[label] / total == pytest.approx(fraction, abs=0.04)


def test_the_order_of_cases_does_not_matter_and_the_seed_does() -> None:
    cases = _cases()
    shuffled = random.Random(1).sample(cases, len(cases))
    assert make_split(cases, (0.7, 0.15, 0.15), 5) == make_split(shuffled, (0.7, 0.15, 0.15), 5)
    assert make_split(cases, (0.7, 0.15, 0.15), 5) != make_split(cases, (0.7, 0.15, 0.15), 6)


def test_the_split_is_the_same_on_every_machine() -> None:
    cases = [Case(f"c{number}", Path("x"), number % 2, f"g{number}") for number in range(12)]
    split = make_split(cases, (0.5, 0.25, 0.25), 0)
    assert sorted(split.train) == ["g0", "g10", "g11", "g2", "g3", "g5"]
    assert sorted(split.validation) == ["g1", "g6", "g8", "g9"]
    assert sorted(split.test) == ["g4", "g7"]


def test_shares_are_kept_where_groups_are_few_and_large() -> None:
    sizes = [92, 36, 16, 15, 12, *[4] * 39]
    cases = [
        Case(f"{group}.{number}", Path("x"), 0, str(group))
        for group, size in enumerate(sizes)
        for number in range(size)
    ]
    for seed in range(8):
        split = make_split(cases, (0.7, 0.15, 0.15), seed)
        shares = [len(split.part(tuple(cases), name)) / len(cases) for name in PARTS]
        assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.01)


def test_a_part_of_nothing_stays_empty_and_few_groups_reach_every_part() -> None:
    cases = _cases(60)
    assert not make_split(cases, (0.8, 0.2, 0.0), 0).test
    three = [Case(f"c{number}", Path("x"), 0, f"g{number}") for number in range(3)]
    assert [len(getattr(make_split(three, (0.7, 0.15, 0.15), 0), name)) for name in PARTS] == [1, 1, 1]


@pytest.mark.parametrize("parts", [(0.7, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_fractions_must_be_fractions(parts: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="no fractions"):
        make_split(_cases(20), parts, 0)


def test_nothing_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="no cases"):
        make_split((), (0.7, 0.15, 0.15), 0)


def test_folds_are_whole_groups_of_the_same_labels() -> None:
    cases = _cases(500)
    dealt = folds(cases, 5, 0)
    assert sum(len(groups) for groups in dealt) == len({case.group for case in cases})
    assert frozenset.union(*dealt) == {case.group for case in cases}
    rare = [sum(case.label == 2 for case in cases if case.group in groups) for groups in dealt]
    assert max(rare) - min(rare) <= 6
    with pytest.raises(ValueError, match="cannot be dealt"):
        folds(cases[:2], 5, 0)


def test_a_group_in_two_parts_is_a_leak() -> None:
    cases = _cases(40)
    group = cases[0].group
    split = Split(frozenset(case.group for case in cases), frozenset({group}), frozenset())
    with pytest.raises(SplitLeak, match=f"{group} is in train and in validation"):
        check_split(cases, split)


def test_a_case_in_no_part_is_found() -> None:
    cases = _cases(40)
    with pytest.raises(SplitLeak, match="in no part"):
        check_split(cases, Split(frozenset({cases[0].group}), frozenset(), frozenset()))


def test_a_near_duplicate_across_parts_is_a_leak() -> None:
    cases = [Case(name, Path(name), 0, name) for name in ("a", "b", "c")]
    split = Split(frozenset({"a", "b"}), frozenset({"c"}), frozenset())
    check_split(cases, split, [("a", "b")])
    with pytest.raises(SplitLeak, match="b in train and c in validation"):
        check_split(cases, split, [("a", "b"), ("b", "c")])


def test_a_split_is_stored_and_read(tmp_path: Path) -> None:
    split = make_split(_cases(), (0.7, 0.15, 0.15), 0)
    write_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == split


@pytest.mark.parametrize(
    "text", ["[]", '{"train": ["a"], "validation": []}', '{"train": ["a"], "validation": ["a"], "test": []}', "{"]
)
def test_a_damaged_split_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(ValueError, match=r"no split|is in train and in validation|Expecting"):
        read_split(tmp_path / "split.json")
