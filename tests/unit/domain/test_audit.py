"""The chain of uses: whatever is done to it shows, and where."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from node.domain.audit import (
    NOTHING,
    Action,
    Entry,
    Examination,
    Head,
    Use,
    examine,
    inputs_digest,
    provenance_detail,
    seal,
)

AT = datetime(2026, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
USES = (
    Use(Action.JOB_COMPLETED, "job 1", "1.2.3", {"objects": ["1.2.9"], "model": "Müller's"}),
    Use(Action.QUEUE_PAUSED, "queue"),
    Use(Action.JOB_RETRIED, "job 2", "1.2.4"),
    Use(Action.RESULT_WITHDRAWN, "job 1", "1.2.3", {"title": "safety"}),
)
CHAIN = tuple(seal(Head(0, NOTHING), "cli:ada@ward", AT, USES))
HEAD = Head(4, CHAIN[-1].digest)
Chain = tuple[Entry, ...]


def changed(index: int, **fields: object) -> Chain:
    entry = replace(CHAIN[index], **fields)  # type: ignore[arg-type]
    return (*CHAIN[:index], entry, *CHAIN[index + 1 :])


def written_anew(index: int, **fields: object) -> Chain:
    """With the digest that the changed entry has."""
    chain = list(changed(index, **fields))
    chain[index] = replace(chain[index], digest=chain[index].sealed())
    return tuple(chain)


def swapped() -> Chain:
    """Two entries in each other's place, numbers and all."""
    second, third = CHAIN[1], CHAIN[2]
    return (CHAIN[0], replace(third, number=2), replace(second, number=3), CHAIN[3])


def forged(number: int) -> Entry:
    return replace(CHAIN[0], number=number, previous=CHAIN[-1].digest)


def test_a_chain_that_nobody_touched_is_whole() -> None:
    assert examine(CHAIN, HEAD) == Examination(4, HEAD, None)
    assert examine((), Head(0, NOTHING)) == Examination(0, Head(0, NOTHING), None)
    assert [one.number for one in CHAIN] == [1, 2, 3, 4]
    assert CHAIN[0].detail == '{"model":"M\\u00fcller\'s","objects":["1.2.9"]}'


def test_the_encoding_is_as_it_was() -> None:
    """What an older version sealed is still whole: this digest never changes."""
    text = (
        '["ainode audit 1",2,"2026-05-06T07:08:09.000010Z","cli:ada@ward","QUEUE_PAUSED","queue",null,"{}",'
        f'"{CHAIN[0].digest}"]'
    )
    assert CHAIN[1].digest == hashlib.sha256(text.encode()).hexdigest()


def test_going_on_from_a_head_is_the_same_as_at_once() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=2)))
    first = seal(Head(0, NOTHING), "cli:ada@ward", elsewhere, USES[:2])
    assert [*first, *seal(Head(2, first[-1].digest), "cli:ada@ward", AT, USES[2:])] == list(CHAIN)


@pytest.mark.parametrize("field", [one.name for one in fields(Entry) if one.name not in ("number", "digest")])
def test_every_field_is_sealed(field: str) -> None:
    found = examine(changed(1, **{field: "something else"}), HEAD)
    assert found.broken is not None
    assert (found.broken.number, found.broken.problem) == (2, "what it says is not what was sealed")
    assert found.entries == 1


@pytest.mark.parametrize(
    ("make", "head", "number", "problem"),
    [
        (lambda: written_anew(1, actor="somebody"), HEAD, 3, "does not follow"),
        (lambda: written_anew(3, actor="somebody"), HEAD, 4, "the head has another digest"),
        (lambda: CHAIN[1:], HEAD, 1, "it is missing"),
        (lambda: (*CHAIN[:1], *CHAIN[2:]), HEAD, 2, "it is missing"),
        (lambda: CHAIN[:3], HEAD, 4, "it is missing: the head is 4"),
        (tuple, HEAD, 1, "it is missing: the head is 4"),
        (swapped, HEAD, 2, "not what was sealed"),
        (lambda: (forged(0), *CHAIN), HEAD, 0, "it was put in"),
        (lambda: (CHAIN[0], CHAIN[0], *CHAIN[1:]), HEAD, 1, "it was put in"),
        (lambda: (*CHAIN, *seal(HEAD, "x", AT, USES[:1])), HEAD, 5, "behind the head"),
        (lambda: CHAIN, Head(3, CHAIN[2].digest), 4, "behind the head"),
        (lambda: CHAIN, Head(4, NOTHING), 4, "the head has another digest"),
        (lambda: CHAIN, Head(5, CHAIN[-1].digest), 5, "it is missing"),
        (lambda: CHAIN, None, 0, "the head is gone"),
        (lambda: changed(2, actor=b"bytes", at=None), HEAD, 3, "not what was sealed"),
    ],
)
def test_the_first_entry_that_is_wrong_is_named(
    make: Callable[[], Chain], head: Head | None, number: int, problem: str
) -> None:
    found = examine(make(), head)
    assert found.broken is not None
    assert found.broken.number == number
    assert problem in found.broken.problem


def test_a_chain_written_anew_is_whole_but_not_the_one_that_was_noted() -> None:
    noted = CHAIN[1].digest
    assert examine(CHAIN, HEAD, noted) == Examination(4, HEAD, None, 2)
    forgery = seal(Head(0, NOTHING), "somebody", AT, USES)
    end = Head(4, forgery[-1].digest)
    assert examine(forgery, end).broken is None, "who owns the database can do that"
    found = examine(forgery, end, noted)
    assert found.broken is not None
    assert "noted" in found.broken.problem
    cut = examine(CHAIN[:1], Head(1, CHAIN[0].digest), noted)
    assert cut.broken is not None, "as after an older backup was restored"
    assert examine(CHAIN, HEAD, NOTHING).noted_at == 0, "every chain begins with nothing"


def test_inputs_have_one_digest_in_any_order() -> None:
    one, two = ({"sop_instance_uid": uid, "sha256": digest} for uid, digest in (("1.2", "ab"), ("1.10", "cd")))
    assert inputs_digest([one, two]) == inputs_digest([two, one]) == hashlib.sha256(b"1.10 cd\n1.2 ab\n").hexdigest()
    assert inputs_digest([one]) != inputs_digest([two])
    told = provenance_detail({"inputs": [one], "weights_sha256": "ef", "device": "cpu"})
    assert told == {"weights_sha256": "ef", "inputs": 1, "inputs_sha256": inputs_digest([one])}
    assert provenance_detail({})["inputs"] == 0
