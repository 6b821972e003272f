"""Data sets of storage commitment: what is asked, what is understood of an answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from node.deliver.commitment import (
    ALL_COMMITTED,
    Listener,
    action_information,
    parse_report,
)
from node.domain.delivery import CommitmentReport
from node.domain.study import SopRef
from node.errors import IncompleteDataSet, InvalidUid


def reference(uid: str | None, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840"
    if uid is not None:
        item.ReferencedSOPInstanceUID = uid
    if reason is not None:
        item.FailureReason = reason
    return item


def information(
    transaction_uid: str | None = "1.2.3", committed: list[Dataset] | None = None, failed: list[Dataset] | None = None
) -> Dataset:
    made = Dataset()
    if transaction_uid is not None:
        made.TransactionUID = transaction_uid
    if committed is not None:
        made.ReferencedSOPSequence = committed
    if failed is not None:
        made.FailedSOPSequence = failed
    return made


def test_the_request_names_every_instance_once() -> None:
    asked = action_information("1.2.3", [SopRef("1.2.840", "1.1"), SopRef("1.2.841", "1.2")])
    assert asked.TransactionUID == "1.2.3"
    assert [(one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID) for one in asked.ReferencedSOPSequence] == [
        ("1.2.840", "1.1"),
        ("1.2.841", "1.2"),
    ]


def test_all_committed() -> None:
    report = parse_report(information(committed=[reference("1.1"), reference("1.2")]))
    assert report == CommitmentReport("1.2.3", ("1.1", "1.2"), {})


def test_partial_failure_with_reasons() -> None:
    report = parse_report(information(committed=[reference("1.1")], failed=[reference("1.2", 0x0112)]))
    assert report == CommitmentReport("1.2.3", ("1.1",), {"1.2": 0x0112})


def test_a_failed_instance_without_a_reason_failed_all_the_same() -> None:
    assert parse_report(information(failed=[reference("1.2")])).failed == {"1.2": 0x0110}


def test_an_instance_in_both_lists_failed() -> None:
    both = information(committed=[reference("1.1")], failed=[reference("1.1", 0x0213)])
    assert parse_report(both) == CommitmentReport("1.2.3", (), {"1.1": 0x0213})


@pytest.mark.parametrize("committed", [None, [], [reference(None)], [reference("")]])
def test_absent_sequences_and_items_without_uid_commit_nothing(committed: list[Dataset] | None) -> None:
    assert parse_report(information(committed=committed)) == CommitmentReport("1.2.3", (), {})


def test_a_report_needs_its_transaction_uid() -> None:
    with pytest.raises(IncompleteDataSet):
        parse_report(information(transaction_uid=None))
    with pytest.raises(IncompleteDataSet):
        parse_report(information(transaction_uid=""))


def test_a_transaction_uid_that_is_no_uid() -> None:
    odd = information()
    odd.add_new("TransactionUID", "LO", "../../x")
    with pytest.raises(InvalidUid):
        parse_report(odd)


def event(report: Dataset, event_type: int = ALL_COMMITTED) -> Any:
    return SimpleNamespace(request=SimpleNamespace(EventTypeID=event_type), event_information=report)


def test_a_report_is_acknowledged_after_it_was_applied() -> None:
    order: list[object] = []
    listener = Listener("1.2.3", order.append)
    status, _ = listener.handlers[0][1](event(information(committed=[reference("1.1")])))
    order.append(status)
    assert order == [CommitmentReport("1.2.3", ("1.1",), {}), 0x0000]


def test_a_report_that_cannot_be_applied_is_not_acknowledged() -> None:
    def broken(_: CommitmentReport) -> None:
        raise OSError("disk full")

    listener = Listener("1.2.3", broken)
    assert listener.handlers[0][1](event(information(committed=[reference("1.1")])))[0] == 0x0110


@pytest.mark.parametrize(
    ("report", "event_type", "status"),
    [(information(transaction_uid=None), 1, 0x0110), (information(), 3, 0x0113)],
    ids=["no transaction UID", "unknown event type"],
)
def test_what_is_not_understood_is_not_acknowledged(report: Dataset, event_type: int, status: int) -> None:
    applied: list[CommitmentReport] = []
    listener = Listener("1.2.3", applied.append)
    assert listener.handlers[0][1](event(report, event_type))[0] == status
    assert applied == []


def test_a_report_of_another_request_is_applied_but_is_no_answer_to_this_one() -> None:
    applied: list[CommitmentReport] = []
    listener = Listener("1.2.3", applied.append)
    assert listener.handlers[0][1](event(information(transaction_uid="1.2.9")))[0] == 0x0000
    assert [report.transaction_uid for report in applied] == ["1.2.9"]
    assert listener.wait(SimpleNamespace(is_established=False), 0.0) is None  # type: ignore[arg-type]
