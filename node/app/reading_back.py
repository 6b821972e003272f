"""Looking for results where they were sent, wired."""

from __future__ import annotations

from node.app.destinations import delivery_policy, web_access
from node.app.records import Records
from node.config import Config, DimseDestination, Served, StowDestination
from node.database.read_backs import SqlReadBacks
from node.deliver.association import Peer
from node.deliver.find_back import FindBack
from node.deliver.http import WebPeer
from node.deliver.qido import QidoBack
from node.deliver.read_back import ReadBackSettings, Reader
from node.ports.read_back import Query


def readers(records: Records) -> list[Reader]:
    """One for each destination at which something is looked for."""
    return [
        Reader(
            query,
            SqlReadBacks(records.engine, records.clock),
            records.clock,
            ReadBackSettings(delivery_policy(settings), patience_s),
        )
        for settings in records.config.destinations
        if (query := _query(records.config, settings)) is not None and (patience_s := _patience_s(settings))
    ]


def query_peer(config: Config, settings: DimseDestination) -> Peer:
    """Who answers C-FIND for a PACS: it, or somebody else of it."""
    return Peer(
        ae_title=settings.query_ae_title or settings.ae_title,
        host=settings.query_host or settings.host,
        port=settings.query_port or settings.port,
        calling_ae_title=config.node.ae_title,
        timeout_s=settings.timeout_s,
    )


def _query(config: Config, settings: Served) -> Query | None:
    match settings:
        case DimseDestination(read_back=True):
            return FindBack(settings.name, query_peer(config, settings))
        case StowDestination(read_back=True):
            return QidoBack(settings.name, WebPeer(web_access(settings)))
    return None


def _patience_s(settings: Served) -> float:
    return settings.read_back_patience_s if isinstance(settings, DimseDestination | StowDestination) else 0.0
