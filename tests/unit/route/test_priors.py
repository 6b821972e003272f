"""What was fetched as a prior makes no job; a job of a model that wants priors waits for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from node.domain.admission import Route, Verdict
from node.domain.model import ModelDescription
from node.domain.study import Series
from node.infer.registry import check_package
from node.route.close_series import FETCHED_AS_PRIOR, CloseSeries
from node.route.completeness import CompletenessRule
from tests.contract.rows import stored
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.outbox import StandingClock

GROWTH = check_package(Path(__file__).parents[2] / "fakes" / "models" / "growth")
PLAIN = replace(GROWTH, id="plain", priors=None)


def closed(model: ModelDescription, prior_from: str = "") -> FakeCatalogue:
    """A series that one calling AE title sent, closed; ``prior_from`` sends priors."""
    clock = StandingClock()
    catalogue = FakeCatalogue(clock.now)
    catalogue.record(stored("1.9.1", clock.now(), attributes={"Modality": "MR"}))
    clock.advance(60.0)

    def is_prior(series: Series) -> bool:
        return series.calling_ae == prior_from

    routes = [Route(("*",), ("pacs",), (), "MEDIUM")]
    rule = CompletenessRule(5.0, 60.0)
    closer = CloseSeries(catalogue, clock, lambda: [model], routes, rule, is_prior=is_prior, priors_wait_s=90.0)
    assert closer.run_once() == 1
    return catalogue


@pytest.mark.parametrize("model", [GROWTH, PLAIN])
def test_a_prior_makes_no_job(model: ModelDescription) -> None:
    catalogue = closed(model, prior_from="CT1")
    assert catalogue.jobs == []
    (admission,) = catalogue.admissions
    assert admission.verdict is Verdict.NOT_WANTED
    assert admission.conditions[-1] == FETCHED_AS_PRIOR
    assert all(condition.met for condition in admission.conditions[:-1])


def test_what_somebody_else_sends_is_judged() -> None:
    (job,) = closed(PLAIN, prior_from="PACS").jobs
    assert job.priors_wait_s is None


def test_a_job_waits_for_its_priors() -> None:
    (job,) = closed(GROWTH).jobs
    assert job.priors_wait_s == 90.0
