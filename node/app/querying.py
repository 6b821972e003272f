"""Queries of others about what the node holds, wired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from pydicom.uid import ExplicitVRLittleEndian

from node.app.records import Records
from node.database.holdings import SqlHoldings
from node.domain.study import Value
from node.errors import AinodeError
from node.ports import ObjectStore
from node.receive import header, part10
from node.receive.query.find_scp import FindScp
from node.receive.services import Service

# Result objects never change, and a study has a handful of them.
REMEMBERED = 1024


def query_services(records: Records) -> list[Service]:
    """What the receivers serve besides storage."""
    config = records.config
    if not config.query.enabled:
        return []
    return [FindScp(held_by(records), config.node.ae_title, config.query.max_matches)]


def held_by(records: Records) -> SqlHoldings:
    """What the node holds, for whoever asks by DIMSE or over the web."""
    return SqlHoldings(records.engine, result_header(records.results))


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
