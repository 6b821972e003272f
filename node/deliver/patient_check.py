"""Before results are sent: whether the PACS still says of the study whose it is what was said when it came.

Patients are merged and corrected while a model runs. What was written then would stand in the wrong patient's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from node.domain.delivery import Delivery
from node.domain.retrieval import RemoteStudy, StudySearch
from node.errors import AinodeError, PatientMismatch, QueryRefused, SopClassRefused

log = structlog.get_logger()

# What is compared. A name is written in many ways, and says nothing where the ID is the same.
COMPARED = {
    "PatientID": "patient_id",
    "PatientBirthDate": "patient_birth_date",
    "PatientSex": "patient_sex",
    "AccessionNumber": "accession_number",
}


class Studies(Protocol):
    """What answers queries for the destination."""

    def studies(self, wanted: StudySearch) -> Sequence[RemoteStudy]: ...


class PatientCheck:
    """``received`` is what was said of a study when it came; ``alert`` is told its UID and what differs, by keyword."""

    def __init__(
        self,
        pacs: Studies,
        received: Callable[[str], RemoteStudy | None],
        alert: Callable[[str, Sequence[str]], None],
    ) -> None:
        self._pacs = pacs
        self._received = received
        self._alert = alert

    def __call__(self, claimed: Sequence[Delivery]) -> Mapping[int, AinodeError]:
        """Why deliveries of one study may not be sent, by their ids; those that an operator has released may."""
        asked = [one for one in claimed if one.released_at is None]
        held = [one for one in asked if one.error_code == PatientMismatch.code]
        if held:
            return {one.id: PatientMismatch(one.error or "held") for one in asked}
        if not asked:
            return {}
        try:
            differing = self._differing(asked[0].study_instance_uid)
        except SopClassRefused as error:
            # It may be configured to answer: until then nothing goes unasked.
            return {one.id: QueryRefused(error.message) for one in asked}
        except AinodeError as error:
            return dict.fromkeys((one.id for one in asked), error)
        if not differing:
            return {}
        self._alert(asked[0].study_instance_uid, differing)
        words = f"the PACS has another {', '.join(differing)}: ainode deliveries release sends it all the same"
        return {one.id: PatientMismatch(words, differs=list(differing)) for one in asked}

    def _differing(self, study_instance_uid: str) -> tuple[str, ...]:
        """The attributes of which the PACS says something else. It may not have the study yet: then nothing differs."""
        ours = self._received(study_instance_uid)
        theirs = self._pacs.studies(StudySearch(study_instance_uid=study_instance_uid))
        if ours is None or len(theirs) != 1:
            return ()
        found = tuple(keyword for keyword, name in COMPARED.items() if _differs(ours, theirs[0], name))
        if found:
            log.warning("deliver.patient_mismatch", study_instance_uid=study_instance_uid, differs=list(found))
        return found


def _differs(ours: RemoteStudy, theirs: RemoteStudy, name: str) -> bool:
    """What one of them leaves open is no contradiction; but a study that had no ID belongs to somebody now."""
    before, now = str(getattr(ours, name)), str(getattr(theirs, name))
    return now not in ("", before) and (before != "" or name == "patient_id")
