"""What the responses to a retrieval say of its sub-operations."""

from __future__ import annotations

from node.errors import StoreRefused
from node.ports import DeliveryOutcome
from node.receive.query.tally import LONGEST_VALUE, RetrieveStatus, Tally, response

REFUSED = StoreRefused("C-STORE answered A700H")


def tally(completed: int = 0, warnings: int = 0, failed: int = 0, remaining: int = 0) -> Tally:
    made = Tally(completed + warnings + failed + remaining)
    for number in range(completed):
        made.add(DeliveryOutcome(f"1.{number}", 0))
    for number in range(warnings):
        made.add(DeliveryOutcome(f"2.{number}", 0xB000))
    for number in range(failed):
        made.add(DeliveryOutcome(f"3.{number}", 0xA700, REFUSED))
    return made


def test_the_last_word() -> None:
    cases = [
        ((0, 0, 0), 0x0000), ((3, 0, 0), 0x0000), ((3, 1, 0), 0xB000), ((0, 1, 0), 0xB000), ((1, 0, 1), 0xB000),
        ((0, 1, 1), 0xB000), ((0, 0, 2), 0xA702),
    ]  # fmt: skip
    for (completed, warnings, failed), expected in cases:
        status, identifier = tally(completed, warnings, failed).last()
        assert status.Status == expected
        assert (status.NumberOfCompletedSuboperations, status.NumberOfWarningSuboperations) == (completed, warnings)
        assert status.NumberOfFailedSuboperations == failed
        assert "NumberOfRemainingSuboperations" not in status
        assert (identifier is None) == (expected == 0)
        assert status.get("ErrorComment") == (REFUSED.message if failed else None)


def test_while_something_remains() -> None:
    status, identifier = tally(completed=2, failed=1, remaining=4).pending()
    assert (status.Status, status.NumberOfRemainingSuboperations, identifier) == (0xFF00, 4, None)
    assert "ErrorComment" not in status
    status, identifier = tally(completed=2, failed=1, remaining=4).canceled()
    assert (status.Status, status.NumberOfRemainingSuboperations) == (0xFE00, 4)
    assert identifier is not None
    assert identifier.FailedSOPInstanceUIDList == "3.0"


def test_more_failures_than_a_list_can_hold() -> None:
    """In an explicit VR the length of UI has 16 bits; the count is of all."""
    made = Tally(2000)
    for number in range(2000):
        made.add(DeliveryOutcome(f"2.25.{10**58 + number}", None, REFUSED))
    status, identifier = made.last()
    assert identifier is not None
    listed = "\\".join(identifier.FailedSOPInstanceUIDList)
    assert status.NumberOfFailedSuboperations == 2000
    assert LONGEST_VALUE - 65 < len(listed) <= LONGEST_VALUE


def test_a_comment_is_cut() -> None:
    assert len(response(RetrieveStatus.UNABLE, "x" * 100).ErrorComment) == 64
    assert "ErrorComment" not in response(RetrieveStatus.UNABLE, "")
