"""The log of uses: what was done, by whom and to what, as a chain in which every entry seals all those before it.

The digest of an entry is the SHA-256 of its own facts and of the digest of the entry before it. So no entry can be
changed, taken away, put in between or moved without every later digest being another one; where the chain ends says the
head, which is kept beside it. Nothing here is patient data: UIDs, numbers, technical words.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

# Kinds of actors; behind a colon stands who it was. A person with an account is USER whichever way he asks: on a page,
# by the API, or where a command names him; else whoever types a command is known by login name and host.
SYSTEM = "system"  # a process of the node
USER = "user"  # the name of an account
COMMAND_LINE = "cli"  # the login name and host of who typed a command
PAGES = "web"  # nobody who is named: whoever reads the pages on this machine itself
WORKITEMS = "ups"  # the AE title, or the account, that asked for a workitem
# Before the first entry there is nothing: the digest that it follows.
NOTHING = "0" * 64
# Part of what is digested: another encoding would be another word.
_ENCODING = "ainode audit 1"


class Action(enum.StrEnum):
    """What was done."""

    JOB_COMPLETED = "JOB_COMPLETED"
    JOB_FAILED = "JOB_FAILED"
    DOCUMENT_WRITTEN = "DOCUMENT_WRITTEN"  # on a failure, or on a withdrawal
    RESULT_WITHDRAWN = "RESULT_WITHDRAWN"
    RESULT_VERIFIED = "RESULT_VERIFIED"
    RESULT_ASSESSED = "RESULT_ASSESSED"  # by a person
    ASSESSMENT_UNDONE = "ASSESSMENT_UNDONE"
    ASSESSMENT_WRITTEN = "ASSESSMENT_WRITTEN"
    JOB_REQUESTED = "JOB_REQUESTED"  # a study is reprocessed
    JOB_RETRIED = "JOB_RETRIED"
    JOB_CANCELED = "JOB_CANCELED"
    JOB_PRIORITISED = "JOB_PRIORITISED"
    REVIEW_CHANGED = "REVIEW_CHANGED"  # the workitem of a person: made, claimed, ended
    QUEUE_PAUSED = "QUEUE_PAUSED"
    QUEUE_RESUMED = "QUEUE_RESUMED"
    DELIVERY_RETRIED = "DELIVERY_RETRIED"
    SERIES_COMPLETED = "SERIES_COMPLETED"  # by an operator's word
    STUDY_ACCESSED = "STUDY_ACCESSED"  # its images or results were given out over DICOMweb
    ACCOUNT_ADDED = "ACCOUNT_ADDED"
    ACCOUNT_DISABLED = "ACCOUNT_DISABLED"
    HOLDINGS_QUERIED = "HOLDINGS_QUERIED"  # by C-FIND
    RETRIEVAL_BEGUN = "RETRIEVAL_BEGUN"  # by C-MOVE or C-GET
    RETRIEVAL_ENDED = "RETRIEVAL_ENDED"


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that was done to ``subject``; ``detail`` is what JSON can hold, without numbers that are not whole."""

    action: Action
    subject: str
    study_instance_uid: str | None = None
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: the number (from 1; 0 is none) and the digest of its last entry."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A link of the chain, every field as it is kept: ``at`` is ISO 8601 in UTC, ``detail`` is JSON."""

    number: int
    at: str
    actor: str
    action: str
    subject: str
    study_instance_uid: str | None
    detail: str
    previous: str
    digest: str

    def sealed(self) -> str:
        """The digest that these facts have."""
        facts = (
            _ENCODING, self.number, self.at, self.actor, self.action, self.subject, self.study_instance_uid,
            self.detail, self.previous,
        )  # fmt: skip
        return hashlib.sha256(_canonical(facts).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry that is not as it was sealed, or is not there, and why."""

    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class Examination:
    """``entries`` are those that hold, from the first on; ``noted_at`` is the entry that has the digest asked for."""

    entries: int
    head: Head | None
    broken: Broken | None
    noted_at: int | None = None


def seal(head: Head, actor: str, at: datetime, uses: Iterable[Use]) -> list[Entry]:
    """Entries that follow ``head``, in this order."""
    entries: list[Entry] = []
    moment = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    for use in uses:
        follows = Head(entries[-1].number, entries[-1].digest) if entries else head
        draft = Entry(
            number=follows.number + 1,
            at=moment,
            actor=actor,
            action=use.action.value,
            subject=use.subject,
            study_instance_uid=use.study_instance_uid,
            detail=_canonical(dict(use.detail or {})),
            previous=follows.digest,
            digest="",
        )
        entries.append(replace(draft, digest=draft.sealed()))
    return entries


def examine(entries: Iterable[Entry], head: Head | None, noted: str | None = None) -> Examination:
    """Whether ``entries``, in the order of their numbers, are the chain that ends at ``head``.

    ``noted`` is a digest that was written down elsewhere, when it was the head: it must be one of this chain.
    """
    last, noted_at = Head(0, NOTHING), 0 if noted == NOTHING else None
    if head is None:
        return Examination(0, None, Broken(0, "the head is gone"))
    for entry in entries:
        problem = _problem(entry, last, head)
        if problem is not None:
            return Examination(last.number, head, problem, noted_at)
        last = Head(entry.number, entry.digest)
        noted_at = entry.number if entry.digest == noted else noted_at
    broken = _wrong_end(last, head)
    if broken is None and noted is not None and noted_at is None:
        words = "no entry has the digest that was noted: the chain was cut before it, or written anew"
        broken = Broken(last.number, words)
    return Examination(last.number, head, broken, noted_at)


def _problem(entry: Entry, last: Head, head: Head) -> Broken | None:
    if entry.number > last.number + 1:
        return Broken(last.number + 1, "it is missing")
    if entry.number <= last.number:
        return Broken(entry.number, "no entry has this number: it was put in")
    if entry.digest != entry.sealed():
        return Broken(entry.number, "what it says is not what was sealed")
    if entry.previous != last.digest:
        return Broken(entry.number, "it does not follow the entry before it: one of them was written anew")
    if entry.number > head.number:
        return Broken(entry.number, f"it is behind the head, which is {head.number}: it was put in")
    return None


def _wrong_end(last: Head, head: Head) -> Broken | None:
    if last.number < head.number:
        return Broken(last.number + 1, f"it is missing: the head is {head.number}")
    if last.digest != head.digest:
        return Broken(last.number, "the head has another digest: one of them was written anew")
    return None


def provenance_detail(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run: the model, the digest of its weights, and one digest of all that it was given."""
    inputs: Sequence[Mapping[str, str]] = provenance.get("inputs") or ()
    return {
        "weights_sha256": provenance.get("weights_sha256"),
        "inputs": len(inputs),
        "inputs_sha256": inputs_digest(inputs),
    }


def inputs_digest(inputs: Sequence[Mapping[str, str]]) -> str:
    """SHA-256 of one line ``SOP Instance UID, space, SHA-256`` for each input, sorted."""
    lines = sorted(f"{one['sop_instance_uid']} {one['sha256']}\n" for one in inputs)
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def _canonical(value: Any) -> str:
    """One text for one value: keys sorted, no spaces, ASCII alone (what is no JSON, after tampering, as Python's)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=repr)
