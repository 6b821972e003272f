"""What a C-STORE status means."""

from __future__ import annotations

import pytest

from node.deliver.storage_scu import outcome_of
from node.errors import SopClassRefused, StoreRefused


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007])
def test_success_and_warnings_are_delivered_with_their_status(status: int) -> None:
    outcome = outcome_of("1.2", status, "")
    assert (outcome.status, outcome.error) == (status, None)


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0x0110, 0x0111, 0x0117, 0x0124, 0xFFFF, 0xFF00])
def test_everything_else_is_refused_and_tried_again(status: int) -> None:
    outcome = outcome_of("1.2", status, "Nachname^Vorname unknown")
    assert isinstance(outcome.error, StoreRefused)
    assert outcome.error.retryable
    assert outcome.error.details["status"] == status
    assert "Nachname" not in f"{outcome.error.message} {outcome.error.details}"


def test_a_class_that_is_not_supported_is_not_tried_again() -> None:
    outcome = outcome_of("1.2", 0x0122, "")
    assert isinstance(outcome.error, SopClassRefused)
