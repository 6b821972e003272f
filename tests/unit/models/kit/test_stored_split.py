"""A split that finished weights were trained on stays what it was, and takes new groups in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.kit.cases import Split
from models.kit.data.prepare import prepare
from models.kit.data.splits import write_split
from tests.unit.models.kit.tiny_task import tiny_task, write_set


def groups(split: Split) -> frozenset[str]:
    return split.train | split.validation | split.test


def test_the_stored_split_is_kept_and_unknown_groups_are_dealt(tmp_path: Path) -> None:
    write_set(tmp_path)
    dealt = prepare(tiny_task(), tmp_path, tmp_path / "dealt").split
    # As no dealing would do it: training and test exchanged, and one group nobody knows yet.
    new = min(dealt.validation)
    turned = Split(dealt.test, dealt.validation - {new}, dealt.train | {"gone"})
    write_split(turned, tmp_path / "stored.json")
    task = replace(tiny_task(), split=tmp_path / "stored.json")
    kept = prepare(task, tmp_path, tmp_path / "kept").split
    assert groups(kept) == groups(dealt), "a group without cases is in no part"
    assert kept.train - {new} == dealt.test
    assert kept.test - {new} == dealt.train
    assert kept.validation - {new} == dealt.validation - {new}
