"""The ingest journal: received objects in recycled segments that many threads append to, one flush for all who wait."""

from node.store.journal.pool import JournalSettings
from node.store.journal.recycling import Held, SegmentFacts
from node.store.journal.store import JournalStore

__all__ = ["Held", "JournalSettings", "JournalStore", "SegmentFacts"]
