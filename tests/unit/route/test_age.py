"""How old a patient was, from what headers say."""

from __future__ import annotations

import pytest

from node.domain.model import InputLimits, Interval
from node.domain.study import Instance, Value
from node.route.admission import judge, unfit_reason
from node.route.age import age_years
from node.route.facts import SeriesFacts
from tests.unit.route.descriptions import EVERYWHERE, model

CHILDREN = InputLimits(patient_age_years=Interval(1, 5))


@pytest.mark.parametrize(
    ("attributes", "age"),
    [
        ({"PatientAge": "004Y"}, 4),
        ({"PatientAge": "012M"}, 1),
        ({"PatientAge": "023M"}, 1),
        ({"PatientAge": "011M"}, 0),
        ({"PatientAge": "060M"}, 5),
        ({"PatientAge": "104W"}, 1),
        ({"PatientAge": "010D"}, 0),
        ({"PatientAge": "004y "}, 4),
        ({"PatientAge": "4Y"}, None),
        ({"PatientAge": ""}, None),
        ({"PatientAge": None}, None),
        ({}, None),
        ({"PatientBirthDate": "20200302", "StudyDate": "20260303"}, 6),
        ({"PatientBirthDate": "20200303", "StudyDate": "20260303"}, 6),
        ({"PatientBirthDate": "20200304", "StudyDate": "20260303"}, 5),
        ({"PatientBirthDate": "2020.03.04", "StudyDate": "20260303"}, 5),
        ({"PatientBirthDate": "20200229", "StudyDate": "20210228"}, 0),
        ({"PatientBirthDate": "20200304", "SeriesDate": "20260303"}, 5),
        ({"PatientBirthDate": "20270101", "StudyDate": "20260303"}, None),
        ({"PatientBirthDate": "20201399", "StudyDate": "20260303"}, None),
        ({"PatientBirthDate": "20200304"}, None),
        ({"PatientAge": "0Y", "PatientBirthDate": "20200304", "StudyDate": "20260303"}, 5),
        ({"PatientAge": "030Y", "PatientBirthDate": "20200304", "StudyDate": "20260303"}, 30),
    ],
)
def test_completed_years(attributes: dict[str, Value], age: int | None) -> None:
    assert age_years(Instance("1.2", "1.3", "1.4", "1.5", "1.6", attributes)) == age


@pytest.mark.parametrize(
    ("ages", "words"),
    [
        ((3,), None),
        ((1, 5), None),
        ((34,), "Patient age of 34 years; this model needs at least 1 and at most 5 years"),
        ((0,), "Patient age of 0 years; this model needs at least 1 and at most 5 years"),
        ((3, 34), "Patient age of 3, 34 years; this model needs at least 1 and at most 5 years"),
        ((None,), "The patient age is not stated; this model needs at least 1 and at most 5 years"),
        (
            (3, None),
            "Patient age of 3 years, in other images not stated; this model needs at least 1 and at most 5 years",
        ),
        ((), "The patient age is not stated; this model needs at least 1 and at most 5 years"),
    ],
)
def test_a_limit_of_age(ages: tuple[int | None, ...], words: str | None) -> None:
    """Unknown is not within the limit."""
    reason = unfit_reason(judge(SeriesFacts(ages_years=ages), model(limits=CHILDREN), [EVERYWHERE]))
    assert (None if reason is None else (reason.code, reason.text)) == (
        None if words is None else ("PatientAgeOutsideLimits", words)
    )
