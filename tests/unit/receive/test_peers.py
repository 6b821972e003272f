from __future__ import annotations

import pytest

from node.config import AllowedPeer
from node.receive.peers import Caller, Rejection, reject

ALLOW = (AllowedPeer(ae_title="CT1"), AllowedPeer(ae_title="MR1", host="10.0.0.7"))


@pytest.mark.parametrize(
    ("calling", "host", "rejection"),
    [
        ("CT1", "10.0.0.1", None),
        (" CT1 ", "10.0.0.1", None),
        ("MR1", "10.0.0.7", None),
        ("MR1", "10.0.0.70", Rejection.CALLING_AE_NOT_RECOGNISED),
        ("CT2", "10.0.0.7", Rejection.CALLING_AE_NOT_RECOGNISED),
        ("ct1", "10.0.0.1", Rejection.CALLING_AE_NOT_RECOGNISED),
        ("", "10.0.0.1", Rejection.CALLING_AE_NOT_RECOGNISED),
    ],
)
def test_the_allow_list(calling: str, host: str, rejection: Rejection | None) -> None:
    assert reject(Caller(calling, "AINODE", host), "AINODE", True, ALLOW) is rejection


def test_an_empty_list_lets_everybody_in() -> None:
    assert reject(Caller("ANY", "AINODE", "10.0.0.1"), "AINODE", True, ()) is None


def test_the_called_ae_title_is_checked_where_wanted() -> None:
    caller = Caller("CT1", "OTHER", "10.0.0.1")
    assert reject(caller, "AINODE", True, ()) is Rejection.CALLED_AE_NOT_RECOGNISED
    assert reject(caller, "AINODE", False, ()) is None


def test_the_reasons_are_those_of_the_standard() -> None:
    """PS3.8 Table 9-21."""
    assert Rejection.CALLING_AE_NOT_RECOGNISED.value == (1, 1, 3)
    assert Rejection.CALLED_AE_NOT_RECOGNISED.value == (1, 1, 7)
