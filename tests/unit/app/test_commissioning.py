"""Work that others ask for waits for earlier studies as configured, and only where its model wants some."""

from __future__ import annotations

import pytest

from node.app.commissioning import Commissioning
from node.domain.admission import Route
from node.domain.job import Priority
from node.domain.model import ModelDescription
from node.domain.study import CloseReason, Closure
from node.domain.workitem import Commission
from tests.contract.rows import SERIES, STUDY, stored
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.outbox import StandingClock
from tests.unit.route.test_priors import GROWTH, PLAIN


@pytest.mark.parametrize(("model", "waits_s"), [(GROWTH, 7.0), (PLAIN, None)])
def test_how_long_a_created_workitem_waits_for_priors(model: ModelDescription, waits_s: float | None) -> None:
    clock = StandingClock()
    catalogue = FakeCatalogue(clock.now)
    catalogue.record(stored("1.9.1", clock.now(), attributes={"Modality": "MR"}))
    [series] = catalogue.open_series()
    assert catalogue.close_series(series.series_id, series.revision, Closure(CloseReason.OPERATOR, {}), [], [])
    routes = [Route(("*",), ("pacs",), (), "MEDIUM")]
    commissioning = Commissioning(
        catalogue, {model.id: model}, routes, lambda _: [series.series_id], lambda _: "P1", priors_wait_s=7.0
    )
    made = commissioning(Commission("1.2.60", model.id, "", STUDY, SERIES, Priority.LOW, "P1"))
    assert (made.job.priors_wait_s, made.job.priority) == (waits_s, Priority.LOW)
