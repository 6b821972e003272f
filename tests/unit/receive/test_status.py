from __future__ import annotations

import pytest

from node.errors import (
    DataSetMismatch,
    IncompleteDataSet,
    InvalidUid,
    OutOfResources,
    ReceiveError,
    StoreUnavailable,
    UndecodableDataSet,
)
from node.receive.status import MAX_ERROR_COMMENT, Status, answer_to


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OutOfResources(), Status.OUT_OF_RESOURCES),
        (StoreUnavailable("the disk is full"), Status.OUT_OF_RESOURCES),
        (DataSetMismatch(), Status.DATA_SET_MISMATCH),
        (InvalidUid(), Status.INVALID_UID),
        (UndecodableDataSet(), Status.UNDECODABLE_DATA_SET),
        (IncompleteDataSet(), Status.INCOMPLETE_DATA_SET),
        (RuntimeError("Doe^John 1970"), Status.PROCESSING_FAILURE),
    ],
)
def test_every_error_has_its_status(error: Exception, status: Status) -> None:
    assert answer_to(error).status == status


def test_every_receive_error_has_a_named_status() -> None:
    for kind in ReceiveError.__subclasses__():
        assert kind.dimse_status in set(Status)


def test_what_is_not_foreseen_is_not_told() -> None:
    assert answer_to(RuntimeError("Doe^John 1970")).comment == "not stored"


@pytest.mark.parametrize("message", ["x" * 100, "a\\b", "umlaut ü", "line\nbreak", "tab\t"])
def test_a_comment_is_a_valid_short_text(message: str) -> None:
    comment = answer_to(UndecodableDataSet(message)).comment
    assert 0 < len(comment) <= MAX_ERROR_COMMENT
    assert all(" " <= character <= "~" for character in comment)
    assert "\\" not in comment
