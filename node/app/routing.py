"""The route step, wired: which series are closed, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from node.app.records import Records
from node.app.stores import has_journal
from node.config import Config
from node.database.closings import SqlClosings
from node.database.retrievals import SqlRetrievals
from node.deliver.association import Peer
from node.deliver.find import FindSource
from node.domain.admission import Route, RouteCondition
from node.domain.model import ModelDescription
from node.domain.retrieval import Purpose
from node.domain.study import Series
from node.route.backlog import Backlog
from node.route.close_series import CloseSeries, Reprocess
from node.route.completeness import CompletenessRule
from node.route.evidence import Gathering
from node.route.inquiry import CountSource, Inquiry


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
    receive = config.receive
    return CompletenessRule(
        receive.quiet_period_s,
        receive.open_association_quiet_s,
        learned=receive.quiet_period_learned,
        quiet_min_s=receive.quiet_period_min_s,
        quiet_max_s=receive.quiet_period_max_s,
    )


def count_sources(config: Config) -> list[CountSource]:
    return [
        CountSource(
            FindSource(
                source.name,
                Peer(
                    ae_title=source.ae_title,
                    host=source.host,
                    port=source.port,
                    calling_ae_title=config.node.ae_title,
                    timeout_s=source.timeout_s,
                ),
            ),
            source.calling,
            source.granted_s,
        )
        for source in config.sources
    ]


def series_closer(
    records: Records, models: Mapping[str, ModelDescription], answered: Callable[[], object] = lambda: None
) -> CloseSeries:
    """``answered`` is called, from another thread, when a source has said something new."""
    config, clock = records.config, records.clock
    rule = completeness_rule(config)
    inquiry = Inquiry(count_sources(config), clock, answered)
    gathering = Gathering(records.catalogue, rule, SqlClosings(records.engine, clock), inquiry)
    backlog = Backlog(records.journal, records.arrivals, clock) if has_journal(config) else None
    return CloseSeries(
        records.catalogue,
        clock,
        lambda: list(models.values()),
        routes(config),
        rule,
        gathering,
        backlog,
        is_prior=is_prior(SqlRetrievals(records.engine, clock)),
        priors_wait_s=config.work.priors_wait_s,
    )


def reprocess(records: Records, models: Mapping[str, ModelDescription]) -> Reprocess:
    return Reprocess(
        records.catalogue,
        records.queue,
        lambda: list(models.values()),
        routes(records.config),
        records.config.work.priors_wait_s,
    )


def is_prior(retrievals: SqlRetrievals) -> Callable[[Series], bool]:
    """Whether a series came because its study was fetched as a prior of another one, and for nothing else.

    What somebody else sends of that study is judged like everything that comes.
    """

    def asked(series: Series) -> bool:
        known = retrievals.of(series.study_instance_uid)
        return known is not None and known.purpose is Purpose.PRIOR and known.ae_title == series.calling_ae

    return asked
