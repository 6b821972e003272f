"""Pages of the worklist out of any number of studies: never by counting or sorting all of them.

A page begins behind the last line of the one before it (a cursor), so that the thousandth costs as much as the first.
Where few lines have what is looked for, those are gathered and sorted; where many have it, the order is walked along
until the page is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, and_, exists, func, or_, select

from node.database.tables import study_change, worklist_line, worklist_term
from node.database.unit_of_work import UnitOfWork
from node.show.line import ARRIVED_DIGITS, URGENCIES, arrived_key
from node.show.terms import Range
from node.show.wanted import Wanted

Document = dict[str, Any]
# Lines that are gathered and sorted.
FEW = 2000
# Who follows changes is told again of those so long ago: clocks of several hosts differ, and commits come late.
OVERLAP = timedelta(seconds=10)
AT_MOST_FOLLOWED = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Of a line in the order. The cursor of a page is the place of its last line."""

    urgency: int
    arrived: str

    def __str__(self) -> str:
        return f"{self.urgency}-{self.arrived}"

    @classmethod
    def read(cls, cursor: str | None) -> Place | None:
        """None, before every line, also where it is no cursor."""
        urgency, _, arrived = (cursor or "").partition("-")
        if len(urgency) != 1 or not urgency.isdecimal() or not urgency.isascii():
            return None
        return cls(int(urgency), arrived) if len(arrived) > ARRIVED_DIGITS and "\0" not in arrived else None


@dataclass(frozen=True, slots=True)
class Page:
    """``following`` is the cursor of the next page, None on the last one."""

    studies: list[Document]
    following: str | None


@dataclass(frozen=True, slots=True)
class Changed:
    """A line that was computed; ``new`` when it is the first of its study."""

    document: Document
    revision: int
    arrived: str
    terms: frozenset[str]

    @property
    def new(self) -> bool:
        return self.revision == 1


class Listing:
    """So ``few`` lines are gathered and sorted rather than looked for along the order."""

    def __init__(self, engine: Engine, few: int = FEW) -> None:
        self._work = UnitOfWork(engine)
        self._few = few

    def page(self, wanted: Wanted, limit: int, after: str | None = None, by_age: bool = False) -> Page:
        """The most urgent first, and of these the newest; ``by_age`` the newest alone."""
        behind = Place.read(after)
        with self._work.read() as connection:
            places = _places(connection, wanted, limit + 1, behind, by_age, self._few)
            documents = _documents(connection, [uid_of(place) for place in places[:limit]])
        return Page(documents, str(places[limit - 1]) if len(places) > limit else None)

    def study(self, study_instance_uid: str) -> Document | None:
        with self._work.read() as connection:
            return next(iter(_documents(connection, [study_instance_uid])), None)

    def changed(self, since: datetime) -> list[Changed]:
        """Lines that were computed after this, or shortly before it; the newest ones where there are too many."""
        line, term = worklist_line.c, worklist_term.c
        newest = select(line.document, line.revision, line.arrived, line.study_instance_uid)
        newest = newest.where(line.projected_at >= since - OVERLAP).order_by(line.projected_at.desc())
        with self._work.read() as connection:
            rows = connection.execute(newest.limit(AT_MOST_FOLLOWED)).all()
            by_study: dict[str, set[str]] = {row.study_instance_uid: set() for row in rows}
            of_lines = select(term.study_instance_uid, term.term).where(term.study_instance_uid.in_(list(by_study)))
            for row in connection.execute(of_lines):
                by_study[row.study_instance_uid].add(row.term)
        return [
            Changed(row.document, row.revision, row.arrived, frozenset(by_study[row.study_instance_uid]))
            for row in reversed(rows)
        ]

    def newest_change(self) -> datetime | None:
        """When a line was computed last."""
        with self._work.read() as connection:
            at: datetime | None = connection.execute(select(func.max(worklist_line.c.projected_at))).scalar()
        return at

    def pending(self) -> bool:
        """Whether changes wait to be shown."""
        with self._work.read() as connection:
            return connection.execute(select(study_change.c.id).limit(1)).first() is not None

    def is_empty(self) -> bool:
        with self._work.read() as connection:
            return connection.execute(select(worklist_line.c.urgency).limit(1)).first() is None


def uid_of(place: Place) -> str:
    return place.arrived[ARRIVED_DIGITS:]


def _places(
    connection: Connection, wanted: Wanted, limit: int, behind: Place | None, by_age: bool, few: int
) -> list[Place]:
    ranges = wanted.ranges()
    sizes = [_size(connection, one, few) for one in ranges]
    if sizes and min(sizes) <= few:
        rarest = ranges.pop(sizes.index(min(sizes)))
        statement = _conditions(_with(worklist_term, rarest), worklist_term, wanted, ranges, behind, by_age)
        return _read(connection, statement.distinct(), worklist_term, by_age, limit)
    # One term's own index is in the order already; words that begin alike are not.
    single = next((one for one in ranges if one.behind is None), None)
    rest = [one for one in ranges if one is not single]
    table = worklist_line if single is None else worklist_term
    start = [] if single is None else _with(worklist_term, single)
    if by_age:
        return _read(connection, _conditions(start, table, wanted, rest, behind, True), table, True, limit)
    found: list[Place] = []
    for urgency in URGENCIES[0 if behind is None else behind.urgency :]:
        here = behind if behind is not None and behind.urgency == urgency else None
        statement = _conditions([*start, table.c.urgency == urgency], table, wanted, rest, here, True)
        found += _read(connection, statement, table, True, limit - len(found))
        if len(found) == limit:
            break
    return found


def _size(connection: Connection, one: Range, few: int) -> int:
    """How many terms there are in it, but no more than matters."""
    some = select(worklist_term.c.term).where(*_with(worklist_term, one)).limit(few + 1)
    size: int = connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()
    return size


def _with(table: Table | Any, one: Range) -> list[ColumnElement[bool]]:
    if one.behind is None:
        return [table.c.term == one.lowest]
    return [table.c.term >= one.lowest, table.c.term < one.behind]


def _conditions(
    start: Sequence[ColumnElement[bool]],
    table: Table,
    wanted: Wanted,
    ranges: Sequence[Range],
    behind: Place | None,
    one_urgency: bool,
) -> Select[int, str]:
    """``one_urgency``: it is the same in all rows that come into question, or does not matter."""
    line = table.c
    conditions = list(start)
    if behind is not None:
        further = line.arrived > behind.arrived
        if not one_urgency:
            further = or_(line.urgency > behind.urgency, and_(line.urgency == behind.urgency, further))
        conditions.append(further)
    if wanted.since is not None:
        conditions.append(line.arrived < arrived_key(wanted.since))
    for one in ranges:
        other = worklist_term.alias()
        conditions.append(exists().where(other.c.study_instance_uid == line.study_instance_uid, *_with(other, one)))
    return select(line.urgency, line.arrived).where(*conditions)


def _read(connection: Connection, statement: Select[int, str], table: Table, by_age: bool, limit: int) -> list[Place]:
    order = (table.c.arrived,) if by_age else (table.c.urgency, table.c.arrived)
    return [Place(row.urgency, row.arrived) for row in connection.execute(statement.order_by(*order).limit(limit))]


def _documents(connection: Connection, uids: Sequence[str]) -> list[Document]:
    """In the order of ``uids``."""
    wanted = select(worklist_line.c.study_instance_uid, worklist_line.c.document)
    rows = connection.execute(wanted.where(worklist_line.c.study_instance_uid.in_(uids)))
    found = {row.study_instance_uid: row.document for row in rows}
    return [found[uid] for uid in uids if uid in found]
