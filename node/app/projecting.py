"""The projection of the worklist over the node's database."""

from __future__ import annotations

from node.app.records import Records
from node.show.projection import Projection


def projection(records: Records) -> Projection:
    return Projection(records.engine, records.clock, records.worklist)
