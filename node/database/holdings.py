"""What the node holds, asked by level (``ports.Holdings``).

SQL narrows down by indexes, never leaving out what may match; the query itself then judges each row, the same over both
databases. Rows are read in pieces, each in a transaction of its own that is over before they are given out: a peer that
reads slowly holds nothing up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, tuple_

from node.database import held
from node.database.held import Entity, Header
from node.database.narrowing import narrowed
from node.database.tables import instance, study
from node.database.unit_of_work import UnitOfWork
from node.domain.query import Level, Query
from node.domain.study import Value

PIECE = 500
Order = Sequence[ColumnElement[Any]]
Make = Callable[[Connection, Sequence[Row[*tuple[Any, ...]]]], list[Entity]]


class SqlHoldings:
    """``header`` gives the facts of a result object by its storage key, none where it cannot be read."""

    def __init__(self, engine: Engine, header: Header, piece: int = PIECE) -> None:
        self._work = UnitOfWork(engine)
        self._header = header
        self._piece = piece

    def find(self, query: Query) -> Iterator[Mapping[str, Value]]:
        found: Mapping[Level, Callable[[Query], Iterator[Entity]]] = {
            Level.PATIENT: self._patients,
            Level.STUDY: lambda query: self._studies(query, (study.c.study_instance_uid,)),
            Level.SERIES: self._series,
            Level.IMAGE: self._images,
        }
        return (entity for entity in found[query.level](query) if query.matches(entity))

    def _patients(self, query: Query) -> Iterator[Entity]:
        """Those with a Patient ID: without one nobody says which studies are of the same patient."""
        studies = self._studies(query, (study.c.patient_id, study.c.study_instance_uid))
        for patient_id, of_patient in groupby(studies, lambda entity: entity["PatientID"]):
            if patient_id:
                yield held.patient(list(of_patient))

    def _studies(self, query: Query, order: Order) -> Iterator[Entity]:
        def make(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Entity]:
            return held.studies(
                connection, [each for each in map(held.study_facts, rows) if query.matches(each)], query
            )

        return self._in_pieces(held.STUDIES.where(*narrowed(query, held.STUDY_COLUMNS)), order, make)

    def _series(self, query: Query) -> Iterator[Entity]:
        with self._work.read() as connection:
            found = self._series_of(connection, query)
        yield from found

    def _series_of(self, connection: Connection, query: Query) -> list[Entity]:
        """The series of the one study that the query names, unless the study's own facts do not match."""
        named = held.STUDIES.where(study.c.study_instance_uid.in_(held.uids(query, "StudyInstanceUID")))
        of_study = [held.study_facts(row) for row in connection.execute(named)]
        return [
            one | each
            for one in held.with_study_ids(connection, of_study, query)
            if query.matches(one)
            for each in held.series_of(connection, str(one["StudyInstanceUID"]), query, self._header)
        ]

    def _images(self, query: Query) -> Iterator[Entity]:
        with self._work.read() as connection:
            of_series = [one for one in self._series_of(connection, query) if query.matches(one)]
        for one in of_series:
            received = held.received_images(str(one["StudyInstanceUID"]), str(one["SeriesInstanceUID"]), query)
            images = self._in_pieces(
                received, (instance.c.sop_instance_uid,), lambda _, rows: [held.image(row) for row in rows]
            )
            yield from (one | each for each in images)
            yield from (one | each for each in self._result_images(one, query))

    def _result_images(self, one: Entity, query: Query) -> list[Entity]:
        wanted = held.result_images(str(one["StudyInstanceUID"]), str(one["SeriesInstanceUID"]), query)
        with self._work.read() as connection:
            rows = connection.execute(wanted).all()
        return [held.result_image(row, self._header(row.storage_key)) for row in rows]

    def _in_pieces(self, wanted: Select[*tuple[Any, ...]], order: Order, make: Make) -> Iterator[Entity]:
        """What ``make`` makes of the rows; ``order`` is unique among them."""
        marks = [column.label(f"mark_{number}") for number, column in enumerate(order)]
        statement = wanted.add_columns(*marks).order_by(*order).limit(self._piece)
        after: tuple[Any, ...] = ()
        while True:
            beyond = statement.where(tuple_(*order) > tuple_(*after)) if after else statement
            with self._work.read() as connection:
                rows = connection.execute(beyond).all()
                made = make(connection, rows)
            yield from made
            if len(rows) < self._piece:
                return
            after = tuple(rows[-1]._mapping[mark.name] for mark in marks)
