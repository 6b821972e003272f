"""The note that rejects a result: a Key Object Selection after IHE IOCM (RAD TF-3 4.66.4.1.3.1, PS3.16 TID 2010)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import tzinfo

import pydicom
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import CodedConcept as DicomConcept
from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from node.domain.document import REJECTIONS, Withdrawal
from node.domain.identity import derive_uid
from node.ports import EncodedObject
from node.results.concepts import dicom
from node.results.context import Maker, offset_of
from node.results.header import anonymous_reference, copy_identity, encoded
from node.results.source import UTF_8, copy_element
from node.results.voxels import require

SERIES_NUMBERS_FROM = 95_000


class IocmRejectionWriter:
    """``ports.RejectionWriter``: identity comes from the rejected objects, the times from the withdrawal."""

    def __init__(self, maker: Maker, zone: tzinfo | None = None) -> None:
        """``zone``: the site's time zone, for objects that name none; None is that of this machine."""
        self._maker = maker
        self._zone = zone

    def reject(self, objects: Sequence[bytes], withdrawal: Withdrawal) -> EncodedObject:
        """See ``ports.RejectionWriter``."""
        read = [pydicom.dcmread(io.BytesIO(part10), stop_before_pixels=True) for part10 in objects]
        rejected = sorted(read, key=lambda one: str(one.SOPInstanceUID))
        with disable_value_validation():
            note = encoded(self._note(rejected, withdrawal))
        _verify(note, rejected, withdrawal)
        return note

    def _note(self, rejected: Sequence[Dataset], withdrawal: Withdrawal) -> Dataset:
        first, parts = rejected[0], _uid_parts(rejected, withdrawal)
        references = [_reference(one) for one in rejected]
        note = KeyObjectSelectionDocument(
            evidence=references,
            content=self._content(references, withdrawal),
            series_instance_uid=derive_uid("rejection series", *parts),
            series_number=SERIES_NUMBERS_FROM + int(first.get("SeriesNumber") or 0) % 1000,
            sop_instance_uid=derive_uid("rejection note", *parts),
            instance_number=1,
            manufacturer=self._maker.manufacturer,
        )
        _unname_references(note)
        # highdicom names itself there, at the time of now.
        note.pop("ContributingEquipmentSequence", None)
        note.SpecificCharacterSet = UTF_8
        copy_identity(first, into=note)
        note.SeriesDescription = f"AI result WITHDRAWN: {REJECTIONS[withdrawal.title].meaning}"[:64]
        note.ManufacturerModelName = self._maker.model_name
        note.SoftwareVersions = self._maker.software_version
        self._times(note, first, withdrawal)
        if first.get("ReferencedRequestSequence"):
            copy_element(first, "ReferencedRequestSequence", into=note)
        return note

    def _content(self, references: Sequence[Dataset], withdrawal: Withdrawal) -> KeyObjectSelection:
        observer = ObserverContext(
            observer_type=DicomConcept.from_code(codes.DCM.Device),
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=self._maker.device_uid, name=self._maker.model_name, manufacturer_name=self._maker.manufacturer
            ),
        )
        return KeyObjectSelection(
            document_title=dicom(REJECTIONS[withdrawal.title]),
            referenced_objects=references,
            observer_device_context=observer,
            description=withdrawal.reason,
        )

    def _times(self, note: Dataset, first: Dataset, withdrawal: Withdrawal) -> None:
        offset = offset_of(str(first.get("TimezoneOffsetFromUTC") or ""))
        at = withdrawal.at.astimezone(offset or self._zone)
        for kind in ("Series", "Content", "InstanceCreation"):
            setattr(note, f"{kind}Date", at.strftime("%Y%m%d"))
            setattr(note, f"{kind}Time", at.strftime("%H%M%S"))
        if offset is not None:
            copy_element(first, "TimezoneOffsetFromUTC", into=note)


def _reference(rejected: Dataset) -> Dataset:
    """What highdicom refers to as IMAGE where it has rows and columns, else as COMPOSITE (PS3.16 TID 2010)."""
    reference = anonymous_reference(rejected)
    for keyword in ("Rows", "Columns"):
        if keyword in rejected:
            copy_element(rejected, keyword, into=reference)
    return reference


def _uid_parts(rejected: Sequence[Dataset], withdrawal: Withdrawal) -> tuple[str, ...]:
    """Everything that the note's content depends on: one UID, one content."""
    uids = [str(one.SOPInstanceUID) for one in rejected]
    return (REJECTIONS[withdrawal.title].value, withdrawal.reason, withdrawal.at.isoformat(), *uids)


def _unname_references(note: Dataset) -> None:
    """TID 2010 gives its references no concept name; dicom3tools' dciodvfy calls one an error."""
    for item in note.ContentSequence:
        if item.ValueType in ("IMAGE", "COMPOSITE"):
            del item.ConceptNameCodeSequence


def _verify(written: EncodedObject, rejected: Sequence[Dataset], withdrawal: Withdrawal) -> None:
    """
    Raises:
        ResultVerificationFailed
    """
    note, where = pydicom.dcmread(io.BytesIO(written.part10)), written.sop_instance_uid
    require(note.ConceptNameCodeSequence[0].CodeValue == REJECTIONS[withdrawal.title].value, "document title", where)
    wanted = {str(one.SOPInstanceUID) for one in rejected}
    items = [item for item in note.ContentSequence if "ReferencedSOPSequence" in item]
    named = [str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in items]
    require(sorted(named) == sorted(wanted), "every object is rejected once", where)
    evidence = {
        str(item.ReferencedSOPInstanceUID)
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    require(evidence == wanted, "the evidence is the rejected objects", where)
    first = rejected[0]
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber"):
        require(note[keyword].value == first[keyword].value, keyword, where)
