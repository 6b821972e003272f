"""Whether a PACS still says of a study whose it is, wired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from node.app.reading_back import query_peer
from node.app.records import Records
from node.config import DimseDestination, Served
from node.database.holds import SqlHolds
from node.deliver.archive import DimseArchive
from node.deliver.patient_check import PatientCheck
from node.domain.delivery import Delivery
from node.domain.study import Value
from node.errors import AinodeError

ALERT = "patient_mismatch"
Check = Callable[[Sequence[Delivery]], Mapping[int, AinodeError]]


def patient_check(records: Records, settings: Served) -> Check:
    """What the sender of this destination asks before it sends; nothing where that is not configured."""
    if not isinstance(settings, DimseDestination) or not settings.requery:
        return lambda claimed: {}

    def alert(study_instance_uid: str, differs: Sequence[str]) -> None:
        detail: dict[str, Value] = {
            "study_instance_uid": study_instance_uid,
            "destination": settings.name,
            "differs": list(differs),
        }
        records.catalogue.raise_alert(ALERT, study_instance_uid, detail)

    peer = query_peer(records.config, settings)
    return PatientCheck(DimseArchive(settings.name, peer, None), holds(records).received, alert)


def holds(records: Records) -> SqlHolds:
    return SqlHolds(records.engine, records.clock)
