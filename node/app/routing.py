"""The route step, wired: which series are closed, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping

from node.app.records import Records
from node.config import Config
from node.domain.admission import Route, RouteCondition
from node.domain.model import ModelDescription
from node.route.close_series import CloseSeries, CompletenessRule, Reprocess


def routes(config: Config) -> tuple[Route, ...]:
    return tuple(
        Route(
            route.models,
            route.destinations,
            tuple(RouteCondition(when.attribute, when.op, when.value) for when in route.when),
            route.priority,
        )
        for route in config.routes
    )


def completeness_rule(config: Config) -> CompletenessRule:
    return CompletenessRule(config.receive.quiet_period_s, config.receive.open_association_quiet_s)


def series_closer(records: Records, models: Mapping[str, ModelDescription]) -> CloseSeries:
    config = records.config
    return CloseSeries(
        records.catalogue, records.clock, lambda: list(models.values()), routes(config), completeness_rule(config)
    )


def reprocess(records: Records, models: Mapping[str, ModelDescription]) -> Reprocess:
    return Reprocess(records.catalogue, records.queue, lambda: list(models.values()), routes(records.config))
