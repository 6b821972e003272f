"""What the node holds, for others: C-FIND, C-MOVE and C-GET, wired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from pydicom.uid import ExplicitVRLittleEndian

from node.app.noting import UsesLater
from node.app.records import Records
from node.config import Config, DimseDestination, MoveDestination
from node.database.holdings import SqlHoldings
from node.database.retrievable import SqlRetrievable
from node.deliver.association import Peer
from node.deliver.carrying import Carriers
from node.domain.holdings import RetrievableObject
from node.domain.study import ByteRange, Value
from node.errors import AinodeError
from node.ports import ObjectStore
from node.ports.holdings import Uses
from node.receive import header, part10, peers
from node.receive.query.find_scp import FindScp
from node.receive.query.retrieve_scp import RetrieveScp
from node.receive.services import Service

# Result objects never change, and a study has a handful of them.
REMEMBERED = 1024


def uses_of(records: Records) -> UsesLater:
    """The log of uses, for those who ask."""
    return UsesLater(records.clock, records.audit.record_all)


def query_services(records: Records, uses: Uses) -> list[Service]:
    """What the receivers serve besides storage; nothing where nobody may ask."""
    config = records.config
    if not config.query.enabled or not config.query.allow:
        return []
    carriers = Carriers(move_destinations(config), lambda one: _located(records, one))
    return [
        FindScp(held_by(records), config.node.ae_title, config.query.max_matches, uses),
        RetrieveScp(SqlRetrievable(records.engine), carriers, uses),
    ]


def held_by(records: Records) -> SqlHoldings:
    """What the node holds, for whoever asks by DIMSE or over the web."""
    return SqlHoldings(records.engine, result_header(records.results))


def may_ask(config: Config) -> Callable[[peers.Caller], bool]:
    return lambda caller: peers.is_among(caller, config.query.allow)


def move_destinations(config: Config) -> Mapping[str, Peer]:
    """By AE title: those for this alone, and the PACS that results go to."""
    pacs = [one for one in config.destinations if isinstance(one, DimseDestination)]
    places: list[DimseDestination | MoveDestination] = [*reversed(pacs), *config.query.move_to]
    ours = config.node.ae_title
    return {one.ae_title: Peer(one.ae_title, one.host, one.port, ours, one.timeout_s) for one in places}


def _located(records: Records, one: RetrievableObject) -> ByteRange:
    store: ObjectStore = records.results if one.is_result else records.instances
    return store.locate(one.storage_key)


def result_header(results: ObjectStore) -> Callable[[str], Mapping[str, Value]]:
    """The header of a result object by its storage key; nothing of one that cannot be read."""
    wanted = header.wanted_tags()

    @lru_cache(maxsize=REMEMBERED)
    def read(storage_key: str) -> Mapping[str, Value]:
        with part10.mapped(results.locate(storage_key)) as view:
            return header.read(view, ExplicitVRLittleEndian, wanted).attributes

    def facts(storage_key: str) -> Mapping[str, Value]:
        try:
            return read(storage_key)
        except (AinodeError, OSError):
            return {}

    return facts
