"""What the pages are given: the records they read, and what they may have done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from node.config import Config
from node.domain.assessment import Agreement, Assessment, CorrectedValue
from node.domain.document import RejectionTitle
from node.domain.job import Priority
from node.domain.result import Outcome
from node.errors import OperationError
from node.ports import Clock, ObjectStore, ProcedureSteps, ToldReports
from node.ports.dicom_web import DicomWeb
from node.ports.viewing import StudyViews
from node.show.choices import Choices
from node.show.destinations import Destinations
from node.show.listing import Listing
from node.show.projection import Projection
from node.show.throughput import Throughput
from node.show.waiting import Waiting
from node.show.worklist import Worklist


class Done(Protocol):
    """What became of one operation on one row."""

    @property
    def id(self) -> int: ...

    @property
    def error(self) -> OperationError | None: ...


class Actions(Protocol):
    """What an operator may do; the command line does the same."""

    def retry_jobs(self, ids: Sequence[int]) -> Sequence[Done]: ...

    def cancel_jobs(self, ids: Sequence[int]) -> Sequence[Done]: ...

    def prioritise_jobs(self, ids: Sequence[int], priority: Priority) -> Sequence[Done]: ...

    def retry_deliveries(self, ids: Sequence[int]) -> Sequence[Done]: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class AssessmentActions(Protocol):
    """What a named person may say of a result; the command line does the same."""

    def accept(self, job: int, by: str, reason: str = "") -> Assessment: ...

    def reject(self, job: int, by: str, reason: str, title: RejectionTitle) -> Assessment: ...

    def correct(
        self, job: int, by: str, outcome: Outcome | None, values: Sequence[CorrectedValue], reason: str = ""
    ) -> Assessment: ...

    def undo(self, assessment: int, by: str) -> Assessment: ...

    def of_study(self, study_instance_uid: str) -> Sequence[Assessment]: ...

    def agreement(self) -> Sequence[Agreement]: ...


class Logins(Protocol):
    """Who is logged in. ``secret`` is what the browser holds."""

    def login(self, name: str, password: str) -> str: ...

    def who(self, secret: str) -> str | None: ...

    def csrf(self, secret: str) -> str: ...

    def logout(self, secret: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Site:
    """``status`` answers with CONTRACT's document; ``instances`` and ``results`` hold the bytes of DICOM objects.

    ``actions`` are those of a user, under whose name they are logged. ``open_reading``: who reaches the pages may read
    them, because only this machine does. ``demonstrations``: the models that are no more than that.
    ``steps``: workitems, and ``reports``: what their subscribers are to be told, where they are served.
    ``dicom_web``: what is searched and retrieved. ``viewer``: where the files of an installed viewer are, or would be.
    """

    config: Config
    clock: Clock
    worklist: Worklist
    listing: Listing
    projection: Projection
    waiting: Waiting
    destinations: Destinations
    throughput: Throughput
    choices: Choices
    status: Callable[[], dict[str, Any]]
    actions: Callable[[str], Actions]
    logins: Logins
    instances: ObjectStore
    results: ObjectStore
    open_reading: bool
    views: StudyViews
    assessments: AssessmentActions
    demonstrations: frozenset[str]
    steps: ProcedureSteps | None = None
    dicom_web: DicomWeb | None = None
    viewer: Path | None = None
    reports: ToldReports | None = None

    def workers(self) -> int:
        """How many processes run models now."""
        return int(self.worklist.roles().get("work", {}).get("processes", 0))
