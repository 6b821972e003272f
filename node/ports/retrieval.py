"""Archives that studies are fetched from, and the record of what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.domain.retrieval import Purpose, RemoteSeries, RemoteStudy, Retrieval, Retrieved, StudySearch


@dataclass(frozen=True, slots=True)
class Incoming:
    """An object that an archive sends on our association; ``part10`` is it as a file."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    part10: bytes


class Taker(Protocol):
    """Takes what a C-GET brings, of one association."""

    def take(self, incoming: Incoming) -> int:
        """Keep it durably; the DIMSE status that the archive is answered."""
        ...

    def close(self, how: str) -> None:
        """The association is over: ``released`` or ``lost``."""
        ...


class Archive(Protocol):
    """One place that studies are fetched from. For one thread at a time.

    Every method raises ``DeliveryError`` where the archive does not answer, refuses, or does not send everything.
    """

    @property
    def name(self) -> str: ...

    @property
    def ae_title(self) -> str: ...

    def studies(self, wanted: StudySearch) -> Sequence[RemoteStudy]: ...

    def series(self, study_instance_uid: str) -> Sequence[RemoteSeries]: ...

    def retrieve(self, study_instance_uid: str, series_instance_uids: Sequence[str] = ()) -> Retrieved:
        """Have the study, or these series of it, sent to this node; all of it is durable here on return.

        Raises:
            RetrievalFailed: some of it did not come.
        """
        ...


class Retrievals(Protocol):
    """What was asked for. A study has one row, whoever asks for it."""

    def request(self, study_instance_uid: str, source: str, ae_title: str, purpose: Purpose) -> Retrieval:
        """Written before the archive is asked, so that nothing comes before it is known why.

        A study that was wanted for itself never becomes a mere prior: its purpose stays.
        """
        ...

    def fetched(self, study_instance_uid: str, instances: int) -> None: ...

    def failed(self, study_instance_uid: str, error_code: str) -> None: ...

    def of(self, study_instance_uid: str) -> Retrieval | None: ...

    def held(self, study_instance_uid: str) -> int:
        """How many instances of the study are here."""
        ...
