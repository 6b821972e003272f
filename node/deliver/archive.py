"""An archive that studies are fetched from: C-FIND and C-GET or C-MOVE as SCU, Study Root (PS3.4 C.4, C.6.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import build_role, evt
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from node.deliver.association import Handlers, Peer, accepted, opened
from node.deliver.find import matches, number_in, text_in
from node.deliver.negotiation import Syntax
from node.deliver.taken_classes import TAKEN, taken_contexts
from node.domain.identity import is_uid
from node.domain.retrieval import RemoteSeries, RemoteStudy, Retrieved, StudySearch
from node.errors import DestinationUnreachable, RetrievalFailed, SopClassRefused
from node.ports.retrieval import Incoming, Taker

log = structlog.get_logger()

FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove
PENDING = frozenset({0xFF00, 0xFF01})
SUCCESS, PROCESSING_FAILURE = 0x0000, 0x0110
MAX_STUDIES, MAX_SERIES = 100_000, 10_000
MODALITIES, COUNT = "ModalitiesInStudy", "NumberOfStudyRelatedInstances"
STUDY_KEYS = (
    "StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyDate",
    MODALITIES, COUNT,
)  # fmt: skip
SERIES_KEYS = ("SeriesInstanceUID", "Modality", "BodyPartExamined", "SeriesDescription")
SERIES_COUNT = "NumberOfSeriesRelatedInstances"


class DimseArchive:
    """``ports.Archive``. With ``taker`` (one for each association) studies come by C-GET, else by C-MOVE to us."""

    def __init__(self, name: str, peer: Peer, taker: Callable[[], Taker] | None) -> None:
        self._name = name
        self._peer = peer
        self._taker = taker

    @property
    def name(self) -> str:
        return self._name

    @property
    def ae_title(self) -> str:
        return self._peer.ae_title

    def studies(self, wanted: StudySearch) -> Sequence[RemoteStudy]:
        """Those that match by what they say of themselves: an archive may know less of matching than it should."""
        dates = f"{wanted.first_date}-{wanted.last_date}" if wanted.first_date or wanted.last_date else ""
        keys = {
            "StudyInstanceUID": wanted.study_instance_uid,
            "AccessionNumber": wanted.accession_number,
            "PatientID": wanted.patient_id,
            "StudyDate": dates,
            MODALITIES: wanted.modality,
        }
        found = [_study(one) for one in self._find("STUDY", dict.fromkeys(STUDY_KEYS, "") | keys, MAX_STUDIES)]
        return [one for one in found if is_uid(one.study_instance_uid) and _is_wanted(one, wanted)]

    def series(self, study_instance_uid: str) -> Sequence[RemoteSeries]:
        keys = dict.fromkeys((*SERIES_KEYS, SERIES_COUNT), "") | {"StudyInstanceUID": study_instance_uid}
        found = [_series(one) for one in self._find("SERIES", keys, MAX_SERIES)]
        return [one for one in found if is_uid(one.series_instance_uid)]

    def retrieve(self, study_instance_uid: str, series_instance_uids: Sequence[str] = ()) -> Retrieved:
        """As in the port; what an archive could not send is an error, whatever status it gives that."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "SERIES" if series_instance_uids else "STUDY"
        identifier.StudyInstanceUID = study_instance_uid
        if series_instance_uids:
            identifier.SeriesInstanceUID = list(series_instance_uids)
        if self._taker is None:
            return self._moved(identifier)
        return self._gotten(identifier, self._taker())

    def _find(self, level: str, keys: dict[str, str], most: int) -> list[Dataset]:
        query = Dataset()
        query.QueryRetrieveLevel = level
        query.SpecificCharacterSet = "ISO_IR 192"
        for keyword, value in keys.items():
            setattr(query, keyword, value or None)
        deadline = time.monotonic() + self._peer.timeout_s
        with opened(self._peer, [Syntax(FIND, ImplicitVRLittleEndian)]) as association:
            if not accepted(association):
                raise SopClassRefused("the source does not answer queries of the study root model")
            return [_decoded(match) for match in matches(association, query, deadline, most)]

    def _moved(self, identifier: Dataset) -> Retrieved:
        with opened(self._peer, [Syntax(MOVE, ImplicitVRLittleEndian)]) as association:
            if not accepted(association):
                raise SopClassRefused("the source does not move studies of the study root model")
            return _ended(association.send_c_move(identifier, self._peer.calling_ae_title, MOVE))

    def _gotten(self, identifier: Dataset, taker: Taker) -> Retrieved:
        contexts: list[Syntax | PresentationContext] = [Syntax(GET, ImplicitVRLittleEndian), *taken_contexts()]
        roles = [build_role(uid, scp_role=True) for uid in TAKEN]
        handlers: Handlers = [(evt.EVT_C_STORE, lambda event: _take(taker, event))]
        how = "lost"
        try:
            with opened(self._peer, contexts, handlers, roles) as association:
                if not any(context.abstract_syntax == GET for context in association.accepted_contexts):
                    raise SopClassRefused("the source does not give studies of the study root model")
                ended = _ended(association.send_c_get(identifier, GET))
            how = "released"
            return ended
        finally:
            taker.close(how)


def _take(taker: Taker, event: Any) -> int:
    """C-STORE on our association."""
    try:
        return taker.take(
            Incoming(
                str(event.request.AffectedSOPClassUID),
                str(event.request.AffectedSOPInstanceUID),
                str(event.context.transfer_syntax),
                event.encoded_dataset(),
            )
        )
    except Exception as error:  # noqa: BLE001  DIMSE handler: the archive gets a failure, the process goes on
        log.error("retrieve.not_taken", error=type(error).__name__)
        return PROCESSING_FAILURE


def _ended(answers: Iterator[tuple[Dataset, Dataset | None]]) -> Retrieved:
    """
    Raises:
        DestinationUnreachable: the answer did not come to its end.
        RetrievalFailed: it ended with a failure, or not everything was sent.
    """
    last: Dataset | None = None
    try:
        for status, _ in answers:
            last = status
    except (RuntimeError, ValueError) as error:  # pynetdicom's words for: no longer established
        raise DestinationUnreachable("the association broke off") from error
    if last is None or "Status" not in last or last.Status in PENDING:
        raise DestinationUnreachable("the answer did not come to its end")
    failed = int(last.get("NumberOfFailedSuboperations") or 0)
    done = int(last.get("NumberOfCompletedSuboperations") or 0) + int(last.get("NumberOfWarningSuboperations") or 0)
    if last.Status != SUCCESS or failed:
        raise RetrievalFailed(
            f"ended with {last.Status:04X}H, {failed} of {failed + done} objects were not sent",
            status=int(last.Status), failed=failed, completed=done,
        )  # fmt: skip
    return Retrieved(done, failed)


def _decoded(match: Dataset) -> Dataset:
    """With text in its character set, where that can be read."""
    try:
        match.decode()
    except Exception as error:  # noqa: BLE001  whatever pydicom makes of an outsider's bytes: the identifiers are ASCII
        log.warning("source.text_unreadable", error=type(error).__name__)
    return match


def _study(match: Dataset) -> RemoteStudy:
    return RemoteStudy(
        study_instance_uid=text_in(match, "StudyInstanceUID"),
        patient_id=_text(match, "PatientID"),
        patient_name=_text(match, "PatientName"),
        patient_birth_date=text_in(match, "PatientBirthDate"),
        patient_sex=text_in(match, "PatientSex"),
        accession_number=_text(match, "AccessionNumber"),
        study_date=text_in(match, "StudyDate"),
        modalities=_values(match, MODALITIES),
        instances=number_in(match, COUNT),
    )


def _series(match: Dataset) -> RemoteSeries:
    return RemoteSeries(
        series_instance_uid=text_in(match, "SeriesInstanceUID"),
        modality=text_in(match, "Modality"),
        body_part=text_in(match, "BodyPartExamined").upper(),
        description=_text(match, "SeriesDescription"),
        instances=number_in(match, SERIES_COUNT),
    )


def _text(match: Dataset, keyword: str) -> str:
    value = match.get(keyword)
    return "" if value is None else str(value).strip()


def _values(match: Dataset, keyword: str) -> tuple[str, ...]:
    value = match.get(keyword)
    parts = [value] if isinstance(value, str) or value is None else value
    return tuple(text for part in parts if part is not None and (text := str(part).strip()))


def _is_wanted(found: RemoteStudy, wanted: StudySearch) -> bool:
    """What the archive says nothing of is taken for matching."""
    exact = (
        (wanted.study_instance_uid, found.study_instance_uid),
        (wanted.accession_number, found.accession_number),
        (wanted.patient_id, found.patient_id),
    )
    if any(key and value and key != value for key, value in exact):
        return False
    if wanted.modality and found.modalities and wanted.modality not in found.modalities:
        return False
    date = found.study_date
    return not date or ((wanted.first_date or "0") <= date and (not wanted.last_date or date <= wanted.last_date))
