"""Keys of an identifier against a workitem (PS3.4 section C.2.2.2)."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from node.domain.job import Priority
from node.domain.workitem import StepState
from node.errors import InvalidAttributeValue
from node.ups.elements import item
from node.ups.matching import matches, query_of, told

WHOLE = item(
    SpecificCharacterSet="ISO_IR 192",
    SOPClassUID="1.2.840.10008.5.1.4.34.6.1",
    SOPInstanceUID="1.2.3",
    PatientName="Müller^Jürgen",
    PatientID="P[1]",
    PatientBirthDate="19500607",
    ProcedureStepState="SCHEDULED",
    ScheduledProcedureStepStartDateTime="20300101120000.500000+0000",
    ScheduledWorkitemCodeSequence=[item(CodeValue="hippocampus", CodingSchemeDesignator="99AINODE")],
    ScheduledStationClassCodeSequence=[],
)


def sequence(**values: Any) -> list[Dataset]:
    return [item(**values)]


@pytest.mark.parametrize(
    ("found", "keys"),
    [
        (True, {"SOPInstanceUID": ["9.9", "1.2.3"]}),
        (False, {"SOPInstanceUID": "1.2"}),
        (True, {"SOPInstanceUID": ""}),
        (True, {"PatientName": "MÜLLER^*"}),
        (False, {"PatientName": "Miller*"}),
        (True, {"PatientName": "*"}),
        (True, {"PatientID": "P[1]"}),
        (True, {"PatientID": "P[?]"}),
        (False, {"PatientID": "P1*"}),
        (True, {"PatientBirthDate": "19500101-19501231"}),
        (True, {"PatientBirthDate": "-19500607"}),
        (False, {"PatientBirthDate": "19500608-"}),
        (True, {"ProcedureStepState": "SCHEDULED"}),
        (False, {"ProcedureStepState": "scheduled"}),
        (True, {"ScheduledProcedureStepStartDateTime": "2030"}),
        (True, {"ScheduledProcedureStepStartDateTime": "20300101120000.5+0000"}),
        (True, {"ScheduledProcedureStepStartDateTime": "20300101130000+0100"}),
        (False, {"ScheduledProcedureStepStartDateTime": "20300101120000-0100"}),
        (True, {"ScheduledProcedureStepStartDateTime": "20300101-20300102"}),
        (True, {"ScheduledProcedureStepStartDateTime": "203001-"}),
        (True, {"ScheduledProcedureStepStartDateTime": "20300101120000+0100-20300101150000+0000"}),
        (False, {"ScheduledProcedureStepStartDateTime": "-20291231"}),
        (True, {"ScheduledWorkitemCodeSequence": sequence(CodeValue="hippo*")}),
        (True, {"ScheduledWorkitemCodeSequence": sequence(CodeValue="")}),
        (True, {"ScheduledWorkitemCodeSequence": []}),
        (False, {"ScheduledWorkitemCodeSequence": sequence(CodeValue="hippocampus", CodingSchemeDesignator="DCM")}),
        (False, {"ScheduledStationClassCodeSequence": sequence(CodeValue="any")}),
        (False, {"WorklistLabel": "Night"}),
        (True, {"WorklistLabel": "", "SpecificCharacterSet": "GB18030"}),
    ],
)
def test_matching(found: bool, keys: dict[str, Any]) -> None:
    assert matches(WHOLE, item(**keys)) is found


@pytest.mark.parametrize("text", ["now", "2030-13", "20301301", "20300101250000", "1-2-3-4"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidAttributeValue):
        matches(WHOLE, item(ScheduledProcedureStepStartDateTime=text))


def test_what_is_told_is_what_was_asked() -> None:
    asked = item(
        PatientName="*", WorklistLabel="", ScheduledWorkitemCodeSequence=sequence(CodeValue=""), TransactionUID=""
    )
    answer = told(WHOLE, asked)
    assert {each.keyword for each in answer} == {
        "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "PatientName", "WorklistLabel",
        "ScheduledWorkitemCodeSequence", "TransactionUID",
    }  # fmt: skip
    assert not answer.TransactionUID
    assert [each.keyword for each in answer.ScheduledWorkitemCodeSequence[0]] == ["CodeValue"]


def test_the_tables_are_asked_for_no_less_than_what_matches() -> None:
    query = query_of(
        item(
            SOPInstanceUID=["1.2", "1.3"],
            PatientID="P*",
            ProcedureStepState="SCHEDULED",
            ScheduledProcedureStepPriority="HIGH",
            ScheduledWorkitemCodeSequence=sequence(CodeValue="hippo*"),
        )
    )
    assert (query.uids, query.patient_ids, query.models) == (("1.2", "1.3"), (), ())
    assert (query.states, query.priorities) == ((StepState.SCHEDULED,), (Priority.HIGH,))
    assert query_of(item(ProcedureStepState="NO SUCH STATE")).states == ()
