from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import AinodeError, InvalidUid, StoreError
from node.store.layout import instance_key, is_key, object_path

DIGEST = "0123456789abcdef" * 4


def test_the_key_names_study_series_instance_and_digest() -> None:
    assert instance_key("1.2", "3.4", "5.6", DIGEST) == "1.2/3.4/5.6.0123456789abcdef.dcm"


def test_other_bytes_under_the_same_uid_are_another_object() -> None:
    assert instance_key("1.2", "3.4", "5.6", DIGEST) != instance_key("1.2", "3.4", "5.6", "f" * 64)


@pytest.mark.parametrize("uid", ["../../x", "", "1" * 65, "1.2/3", ".", "..", "1.2\n", "1.2\x00", "१.२"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_uid_is_checked_before_it_is_part_of_a_key(uid: str, place: int) -> None:
    uids = ["1.2", "3.4", "5.6"]
    uids[place] = uid
    with pytest.raises(InvalidUid):
        instance_key(*uids, DIGEST)


@pytest.mark.parametrize("digest", ["", "abc", "../" * 22, DIGEST.upper(), DIGEST + "\n"])
def test_a_digest_is_checked_too(digest: str) -> None:
    with pytest.raises(StoreError):
        instance_key("1.2", "3.4", "5.6", digest)


def test_the_longest_uids_make_a_key() -> None:
    uid = "1" * 64
    assert is_key(instance_key(uid, uid, uid, DIGEST))


@given(st.text())
def test_whatever_the_key_its_path_stays_inside(key: str) -> None:
    root = Path("/root/of/store")
    try:
        path = object_path(root, key)
    except AinodeError:
        return
    assert path.resolve().is_relative_to(root)
    assert path != root


@given(st.text(alphabet="./0123456789a\\", max_size=30))
def test_dots_and_slashes_do_not_lead_outside(key: str) -> None:
    if is_key(key):
        assert ".." not in Path(key).parts
        assert not key.startswith("/")
