"""What is held, what is sent, and what waits, when the PACS is asked whose a study is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from node.deliver.patient_check import PatientCheck
from node.domain.delivery import Delivery, DeliveryState
from node.domain.retrieval import RemoteStudy, StudySearch
from node.errors import AinodeError, DestinationUnreachable, PatientMismatch, QueryRefused, SopClassRefused

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OURS = RemoteStudy("1.2.3", "P1", "Smith^John", "19500101", "M", "A1")


class Pacs:
    """Answers with ``found``, or raises it; it counts how often it was asked."""

    def __init__(self, *found: RemoteStudy | AinodeError) -> None:
        self._found = found
        self.asked = 0
        self.alerts: list[tuple[str, list[str]]] = []

    def studies(self, wanted: StudySearch) -> Sequence[RemoteStudy]:
        self.asked += 1
        assert wanted == StudySearch(study_instance_uid="1.2.3")
        for one in self._found:
            if isinstance(one, AinodeError):
                raise one
        return [one for one in self._found if isinstance(one, RemoteStudy)]

    def check(self, *claimed: Delivery, ours: RemoteStudy | None = OURS) -> dict[int, str]:
        """The codes of the refusals by delivery."""
        check = PatientCheck(self, lambda uid: ours, lambda uid, differs: self.alerts.append((uid, list(differs))))
        return {number: error.code for number, error in check(claimed).items()}


def delivery(number: int = 1, error_code: str | None = None, released: bool = False) -> Delivery:
    return Delivery(
        number, 1, "pacs", DeliveryState.IN_PROGRESS, "1.2.3", "1.2", f"9.{number}", "key", 1, 100, NOW,
        error_code=error_code, released_at=NOW if released else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "theirs",
    [
        OURS,
        replace(OURS, patient_name="SMITH^JOHN^^DR"),
        replace(OURS, patient_birth_date="", patient_sex="", accession_number="", patient_id=""),
    ],
)
def test_the_same_patient_is_sent(theirs: RemoteStudy) -> None:
    pacs = Pacs(theirs)
    assert pacs.check(delivery()) == {}
    assert pacs.alerts == []


def test_a_study_that_the_pacs_does_not_have_is_sent() -> None:
    assert Pacs().check(delivery()) == {}
    assert Pacs(replace(OURS, patient_id="P2")).check(delivery(), ours=None) == {}


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"patient_id": "P2"}, ["PatientID"]),
        ({"patient_birth_date": "19510101", "patient_sex": "F"}, ["PatientBirthDate", "PatientSex"]),
        ({"accession_number": "A2"}, ["AccessionNumber"]),
    ],
)
def test_another_patient_is_held(change: dict[str, str], differs: list[str]) -> None:
    pacs = Pacs(replace(OURS, **change))  # type: ignore[arg-type]
    assert pacs.check(delivery(1), delivery(2)) == {1: PatientMismatch.code, 2: PatientMismatch.code}
    assert pacs.alerts == [("1.2.3", differs)]


def test_a_study_without_an_id_that_belongs_to_somebody_now_is_held() -> None:
    assert Pacs(OURS).check(delivery(), ours=replace(OURS, patient_id="")) == {1: PatientMismatch.code}
    assert Pacs(OURS).check(delivery(), ours=replace(OURS, accession_number="")) == {}


def test_what_is_held_stays_held_until_it_is_released() -> None:
    """Also where the PACS would say something else by now: nobody has looked at it."""
    pacs = Pacs(OURS)
    assert pacs.check(delivery(1, PatientMismatch.code), delivery(2)) == dict.fromkeys((1, 2), PatientMismatch.code)
    assert pacs.asked == 0
    assert pacs.check(delivery(1, released=True), delivery(2, PatientMismatch.code)) == {2: PatientMismatch.code}
    other = Pacs(replace(OURS, patient_id="P2"))
    assert other.check(delivery(1, released=True)) == {}
    assert other.asked == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DestinationUnreachable("no connection"), DestinationUnreachable.code),
        (SopClassRefused("no queries"), QueryRefused.code),
    ],
)
def test_nothing_goes_unasked(error: AinodeError, code: str) -> None:
    """It is tried again later."""
    pacs = Pacs(error)
    assert pacs.check(delivery()) == {1: code}
    assert pacs.alerts == []
    assert QueryRefused.retryable
