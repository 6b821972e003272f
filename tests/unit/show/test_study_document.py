"""What the page of a study says, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from node import errors
from node.route.admission import LIMIT_CODES
from node.show import reasons
from node.show.study_page import document
from node.show.study_page.words import STUDY

AT = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "condition", "words"),
    [
        ("SliceGapOutsideLimits", ("slice gap", "at most 3 mm", "10 mm"), "层间距为10 mm；本模型要求至多3 mm。"),
        ("PatientAgeOutsideLimits", ("patient age", "at least 1 and at most 5 years", "not stated"),
         "未注明患者年龄；本模型要求至少1且至多5岁。"),
        ("OrientationNotSupported", ("orientation", "axial or coronal", "sagittal"),
         "图像方向为矢状位；本模型要求横断位或冠状位。"),
        ("SliceCountOutsideLimits", ("slices", "at least 5", "4"), "序列共4层；本模型要求至少5。"),
        ("GantryTilt", None, "扫描机架有倾斜。"),
        ("SomethingNew", None, "该序列未被评估。"),
    ],
)  # fmt: skip
def test_reasons_in_chinese(code: str, condition: tuple[str, str, str] | None, words: str) -> None:
    unmet = [] if condition is None else [
        {"name": condition[0], "kind": "limit", "wanted": condition[1], "found": condition[2], "met": False}
    ]  # fmt: skip
    assert reasons.in_chinese(code, unmet) == words


def codes_below(kind: type[errors.AinodeError]) -> set[str]:
    return {kind.__name__}.union(*(codes_below(one) for one in kind.__subclasses__()))


@pytest.mark.parametrize(
    "kind", [errors.InputError, errors.ModelError, errors.InferenceError, errors.ResultError, errors.StoreError]
)
def test_every_reason_has_chinese_words(kind: type[errors.AinodeError]) -> None:
    """Whatever may end a job; what admission and pictures say besides."""
    unknown = reasons.in_chinese("SomethingNew", [])
    assert [code for code in sorted(codes_below(kind)) if reasons.in_chinese(code, []) == unknown] == []
    for code in ("ImagesNotEvaluable", "NoSeriesFits", "PerformedElsewhere", "Failed", *LIMIT_CODES.values()):
        assert reasons.in_chinese(code, []) != unknown


def test_every_word_is_there_in_both_languages() -> None:
    assert all(len(pair) == 2 and all(pair) for pair in STUDY.values())
    for _, word in document.LIKELIHOODS:
        assert f"study.likely.{word}" in STUDY


@pytest.mark.parametrize(
    ("probability", "word"),
    [(1.0, "very_likely"), (0.95, "very_likely"), (0.94, "likely"), (0.5, "rather_likely"), (0.49, "rather_unlikely"),
     (0.05, "unlikely"), (0.0, "very_unlikely")],
)  # fmt: skip
def test_probabilities_are_worded(probability: float, word: str) -> None:
    assert document.likelihood(probability) == word


@pytest.mark.parametrize(
    ("value", "text"),
    [(14.23456, "14.23"), (13317.4, "13317"), (1234567.0, "1234567"), (0.000123, "0.000123"), (2.0, "2")],
)
def test_numbers_are_written_as_a_person_reads_them(value: float, text: str) -> None:
    assert document.number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.24, "0.2 s"), (65, "1 min 5 s"), (7380, "2 h 3 min")])
def test_durations(seconds: float, text: str) -> None:
    assert document.duration(seconds) == text


def series(uid: str, first: float, last: float, closed: float | None) -> dict[str, Any]:
    return {
        "series_instance_uid": uid, "modality": "MR", "series_description": uid,
        "first_instance_at": AT + timedelta(seconds=first), "last_instance_at": AT + timedelta(seconds=last),
        "closed_at": None if closed is None else AT + timedelta(seconds=closed),
    }  # fmt: skip


def test_the_way_of_a_study_has_one_beginning_and_durations() -> None:
    job = {"model": "m", "started_at": AT + timedelta(seconds=9), "finished_at": None, "withdrawn_at": None}
    moments = ("stored_at", "committed_at", "read_back_at")
    study = {"series": [series("a", 0, 3, 5), series("b", 1, 4, 6)], "jobs": [job]}
    sent = [
        {"destination": "pacs"}
        | {key: None if at is None else AT + timedelta(seconds=at) for key, at in zip(moments, times, strict=True)}
        for times in ((10, 11, 13), (10, 12, None), (None, None, None))
    ]
    found = [(one.key, one.detail, one.after_s) for one in document.timeline(study, sent)]
    assert found == [
        ("first_image", "a", None), ("last_image", "b", 4.0), ("closed", "b", 2.0), ("started", "m", 3.0),
        ("stored", "pacs", 1.0), ("committed", "pacs", 2.0), ("read_back", "pacs", 1.0),
    ]  # fmt: skip


def test_what_stands_for_what_is_known_now() -> None:
    def job(number: int, state: str = "COMPLETED", superseded: bool = False, model: str = "m") -> dict[str, Any]:
        return {"id": number, "state": state, "superseded_at": AT if superseded else None, "model": model,
                "series_instance_uids": ["1"]}  # fmt: skip

    study = {"jobs": [job(1, superseded=True), job(2), job(3, "CANCELED"), job(4, model="other")]}
    assert [one["id"] for one in document.current_jobs(study)] == [2, 4]
    assert [one["id"] for one in document.earlier_jobs(study)] == [3, 1]
