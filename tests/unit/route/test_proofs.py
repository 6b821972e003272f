"""What proves completeness, and what it takes: a table for each kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.domain.completeness import Habit
from node.domain.study import CloseReason, OpenSeries
from node.route.images import Images
from node.route.proofs import Evidence, can_prove, prove
from tests.unit.route.evidence import GRID, SERIES, STATED, UNKNOWN, after, said

SETTLE_S = 1.0
STILL_OPEN = replace(SERIES, open_associations=1, last_association_ended_at=None, last_release_at=None)
BROKEN_OFF = replace(SERIES, last_release_at=None)
RESUMED = replace(SERIES, associations=2)
ONE = replace(SERIES, instances=1)


def reason(evidence: Evidence, at_s: float = 1.0) -> CloseReason | None:
    proof = prove(evidence, after(at_s), SETTLE_S)
    return None if proof is None else proof.reason


@pytest.mark.parametrize(
    ("series", "of_series", "of_study", "proven"),
    [
        (SERIES, 40, None, True),
        (BROKEN_OFF, 40, None, True),
        (RESUMED, 40, None, True),
        (SERIES, 41, None, False),
        (SERIES, 39, None, False),
        (SERIES, 0, None, False),
        (SERIES, None, 90, True),
        (SERIES, None, 91, False),
        (SERIES, 39, 90, False),
        (SERIES, None, None, False),
    ],
)
def test_a_source_that_counts_what_has_come(
    series: OpenSeries, of_series: int | None, of_study: int | None, proven: bool
) -> None:
    evidence = Evidence(series, images=UNKNOWN, answers=(said(of_series, of_study),), of_study=90)
    assert (reason(evidence) is CloseReason.SOURCE_COUNT) == proven


def test_a_source_knows_better_than_numbers_with_gaps() -> None:
    gaps = replace(GRID, highest_number=80, missing=(2, 4))
    assert reason(Evidence(SERIES, images=gaps, answers=(said(of_series=40),))) is CloseReason.SOURCE_COUNT


def test_a_source_that_counts_more_forbids_every_other_proof() -> None:
    for images in (GRID, STATED):
        assert reason(Evidence(SERIES, images=images)) is not None
        assert reason(Evidence(SERIES, images=images, answers=(said(of_series=41),))) is None


def test_a_source_that_fails_or_knows_nothing_costs_nothing() -> None:
    for answer in (said(error="DestinationUnreachable"), said(), said(of_series=2), said(of_study=3)):
        assert reason(Evidence(SERIES, images=GRID, answers=(answer,))) is CloseReason.GAPLESS


def test_while_a_source_may_still_answer_nothing_weaker_is_proof() -> None:
    assert reason(Evidence(SERIES, images=GRID, asking=True)) is None
    both = Evidence(SERIES, images=GRID, answers=(said(of_series=40),), asking=True)
    assert reason(both) is CloseReason.SOURCE_COUNT


@pytest.mark.parametrize(
    ("series", "images", "proven"),
    [
        (SERIES, STATED, True),
        (BROKEN_OFF, STATED, True),
        (RESUMED, STATED, True),
        (SERIES, replace(STATED, stated=80), False),
        (SERIES, replace(STATED, stated=20), False),
        (SERIES, replace(STATED, missing=(3,)), False),
        (SERIES, replace(STATED, instances=39), False),
        (SERIES, UNKNOWN, False),
    ],
)
def test_headers_that_state_the_count(series: OpenSeries, images: Images, proven: bool) -> None:
    assert (reason(Evidence(series, images=images)) is CloseReason.STATED_COUNT) == proven


@pytest.mark.parametrize(
    ("series", "images", "proven"),
    [
        (SERIES, GRID, True),
        (SERIES, replace(GRID, positions=20, each=2), True),
        (SERIES, replace(GRID, positions=4, each=10), False),
        (SERIES, replace(GRID, each=0), False),
        (SERIES, replace(GRID, spacing_mm=None), False),
        (SERIES, replace(GRID, numbered=False), False),
        (SERIES, replace(GRID, highest_number=41, missing=(5,)), False),
        (SERIES, replace(GRID, highest_number=79), False),
        (SERIES, replace(GRID, stated=80, stated_by="ImagesInAcquisition"), False),
        (SERIES, replace(GRID, instances=39), False),
        (BROKEN_OFF, GRID, False),
        (RESUMED, GRID, False),
        (replace(SERIES, associations=0, last_association_ended_at=None, last_release_at=None), GRID, False),
        (replace(SERIES, last_association_ended_at=after(0.5), last_release_at=after(0.1)), GRID, False),
    ],
)
def test_a_gapless_grid_from_one_association_that_was_released(
    series: OpenSeries, images: Images, proven: bool
) -> None:
    assert (reason(Evidence(series, images=images)) is CloseReason.GAPLESS) == proven


@pytest.mark.parametrize(
    ("series", "images", "proven"),
    [
        (ONE, Images(instances=1, frames=30), True),
        (ONE, Images(instances=1), False),
        (replace(ONE, associations=2), Images(instances=1, frames=30), False),
        (replace(ONE, last_release_at=None), Images(instances=1, frames=30), False),
        (SERIES, Images(instances=1, frames=30), False),
    ],
)
def test_one_enhanced_object(series: OpenSeries, images: Images, proven: bool) -> None:
    assert (reason(Evidence(series, images=images)) is CloseReason.WHOLE_OBJECT) == proven


def test_an_open_association_needs_a_count_and_a_silence() -> None:
    counted = Evidence(STILL_OPEN, images=UNKNOWN, answers=(said(of_series=40),))
    stated = Evidence(STILL_OPEN, images=STATED)
    for evidence, found in ((counted, CloseReason.SOURCE_COUNT), (stated, CloseReason.STATED_COUNT)):
        assert reason(evidence, 0.99) is None
        assert reason(evidence, 1.0) is found
    assert reason(Evidence(STILL_OPEN, images=GRID), 1000) is None
    one = replace(STILL_OPEN, instances=1)
    assert reason(Evidence(one, images=Images(instances=1, frames=30)), 1000) is None


def test_nothing_is_worth_looking_at_before_the_rows_are_there() -> None:
    assert not can_prove(SERIES, after(0.9), SETTLE_S)
    assert can_prove(SERIES, after(1.0), SETTLE_S)
    assert not can_prove(STILL_OPEN, after(0.9), SETTLE_S)
    assert can_prove(STILL_OPEN, after(1.0), SETTLE_S)


def test_evidence_that_misled_is_not_believed() -> None:
    evidence = Evidence(SERIES, images=replace(GRID, stated=40, stated_by="ImagesInAcquisition"))
    assert reason(evidence) is CloseReason.STATED_COUNT
    no_statement = Habit(distrusted={CloseReason.STATED_COUNT.value: 1})
    assert reason(replace(evidence, habit=no_statement)) is CloseReason.GAPLESS
    neither = Habit(distrusted={CloseReason.STATED_COUNT.value: 1, CloseReason.GAPLESS.value: 9})
    assert reason(replace(evidence, habit=neither)) is None
    no_source = Habit(distrusted={CloseReason.SOURCE_COUNT.value: 1})
    assert reason(Evidence(SERIES, no_source, UNKNOWN, (said(of_series=40),))) is None
