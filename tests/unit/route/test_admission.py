"""Admission: each condition alone, the verdicts, the routes, and the real series of the data folder."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.admission import Condition, Route, RouteCondition, Verdict
from node.domain.model import InputLimits, InputSelection, Interval
from node.domain.result import Reason
from node.domain.study import Value
from node.route.admission import judge, keywords_of, unfit_reason
from node.route.facts import SeriesFacts, describe
from tests.peers import data_dir
from tests.unit.route.descriptions import EVERYWHERE, HIPPOCAMPUS_SELECTION, model
from tests.unit.route.headers import axial_stack, real_series, series_of
from tests.unit.route.test_facts import header_values

FACTS = SeriesFacts(
    modalities=("MR",),
    sop_classes=("1.2.840.10008.5.1.4.1.1.4",),
    body_parts=("BRAIN",),
    descriptions=("T1 post Ax T1 +C",),
    orientations=("axial",),
    slices=40,
    slice_spacing_mm=1.0,
    pixel_spacings_mm=((1.0, 0.5),),
    extents_mm=(40.0, 50.0, 34.0),
)


def only(selection: InputSelection | None = None, limits: InputLimits | None = None) -> Condition:
    """The one condition of a judgement of FACTS."""
    conditions = judge(FACTS, model(selection, limits), [EVERYWHERE]).conditions
    assert len(conditions) == 1
    return conditions[0]


@pytest.mark.parametrize(
    ("selection", "met", "wanted", "found"),
    [
        (InputSelection(modalities=("CT", "MR")), True, "CT or MR", "MR"),
        (InputSelection(modalities=("CT",)), False, "CT", "MR"),
        (InputSelection(sop_classes=("1.2.3",)), False, "1.2.3", "1.2.840.10008.5.1.4.1.1.4"),
        (InputSelection(body_parts=("BRAIN",)), True, "BRAIN or not stated", "BRAIN"),
        (InputSelection(body_parts=("CHEST",)), False, "CHEST or not stated", "BRAIN"),
        (InputSelection(description_include=("t1.*post",)), True, "contains t1.*post", "T1 post Ax T1 +C"),
        (InputSelection(description_include=("FLAIR", "T2")), False, "contains FLAIR or T2", "T1 post Ax T1 +C"),
        (InputSelection(description_include=("(",)), False, "contains (", "T1 post Ax T1 +C"),
        (InputSelection(description_exclude=(r"\+c",)), False, r"does not contain \+c", "T1 post Ax T1 +C"),
        (InputSelection(description_exclude=("localizer",)), True, "does not contain localizer", "T1 post Ax T1 +C"),
        (InputSelection(field_of_view_mm=Interval(high=90)), True, "at most 90 mm on every side", "40 x 50 x 34 mm"),
        (InputSelection(field_of_view_mm=Interval(low=35)), False, "at least 35 mm on every side", "40 x 50 x 34 mm"),
    ],
)
def test_selection(selection: InputSelection, met: bool, wanted: str, found: str) -> None:
    condition = only(selection)
    assert (condition.kind, condition.met, condition.wanted, condition.found) == ("selection", met, wanted, found)


@pytest.mark.parametrize(
    ("limits", "met", "wanted", "found"),
    [
        (InputLimits(orientations=("axial", "coronal")), True, "axial or coronal", "axial"),
        (InputLimits(orientations=("sagittal",)), False, "sagittal", "axial"),
        (InputLimits(slices=Interval(16, 160)), True, "at least 16 and at most 160", "40"),
        (InputLimits(slices=Interval(high=39)), False, "at most 39", "40"),
        (InputLimits(slice_spacing_mm=Interval(high=1.0)), True, "at most 1 mm", "1 mm"),
        (InputLimits(slice_spacing_mm=Interval(high=0.9)), False, "at most 0.9 mm", "1 mm"),
        (InputLimits(pixel_spacing_mm=Interval(0.5, 1.0)), True, "at least 0.5 and at most 1 mm", "1, 0.5 mm"),
        (InputLimits(pixel_spacing_mm=Interval(low=0.6)), False, "at least 0.6 mm", "1, 0.5 mm"),
    ],
)
def test_limits(limits: InputLimits, met: bool, wanted: str, found: str) -> None:
    condition = only(limits=limits)
    assert (condition.kind, condition.met, condition.wanted, condition.found) == ("limit", met, wanted, found)


def test_a_series_without_a_body_part() -> None:
    selection = InputSelection(body_parts=("CHEST",))
    assert judge(SeriesFacts(), model(selection), [EVERYWHERE]).verdict is Verdict.ADMITTED
    strict = InputSelection(body_parts=("CHEST",), body_part_may_be_absent=False)
    assert judge(SeriesFacts(), model(strict), [EVERYWHERE]).verdict is Verdict.NOT_WANTED


def test_what_no_header_states_satisfies_no_limit() -> None:
    limits = InputLimits(("axial",), Interval(low=1), Interval(high=3), Interval(high=1))
    admission = judge(SeriesFacts(), model(limits=limits), [EVERYWHERE])
    assert admission.verdict is Verdict.NOT_EVALUABLE
    assert [condition.found for condition in admission.unmet] == ["not stated", "0", "not stated", "not stated"]


def test_every_condition_is_evaluated_and_kept() -> None:
    admission = judge(
        FACTS,
        model(InputSelection(modalities=("CT",), body_parts=("CHEST",)), InputLimits(slices=Interval(high=1))),
        [EVERYWHERE],
    )
    assert admission.verdict is Verdict.NOT_WANTED
    assert [condition.name for condition in admission.unmet] == ["modality", "body part", "slices"]


def test_an_unmet_limit_is_not_evaluable_with_a_sentence() -> None:
    facts = describe(series_of(axial_stack(gap=10.0)))
    limits = InputLimits(slice_spacing_mm=Interval(high=3.0))
    admission = judge(facts, model(limits=limits), [EVERYWHERE])
    assert admission.verdict is Verdict.NOT_EVALUABLE
    assert unfit_reason(admission) == Reason(
        "SliceGapOutsideLimits", "Slice gap of 10 mm; this model needs at most 3 mm"
    )


def test_several_unmet_limits_are_all_said() -> None:
    limits = InputLimits(("sagittal",), Interval(low=60), Interval(high=0.5), Interval(high=0.5))
    reason = unfit_reason(judge(FACTS, model(limits=limits), [EVERYWHERE]))
    assert reason is not None
    assert reason.code == "OrientationNotSupported"
    assert reason.text == (
        "Images are axial; this model needs sagittal. Series of 40 slices; this model needs at least 60. "
        "Slice gap of 1 mm; this model needs at most 0.5 mm. "
        "Pixel spacing of 1, 0.5 mm; this model needs at most 0.5 mm"
    )


def test_an_unknown_limit_is_said_as_unknown() -> None:
    reason = unfit_reason(judge(SeriesFacts(), model(limits=InputLimits(slice_spacing_mm=Interval(high=3))), []))
    assert reason == Reason("SliceGapOutsideLimits", "The slice gap is not stated; this model needs at most 3 mm")


def test_no_reason_where_every_limit_is_met() -> None:
    assert unfit_reason(judge(FACTS, model(InputSelection(modalities=("CT",))), [EVERYWHERE])) is None


# ------------------------------------------------------------------------------------------------ routes


def route(*when: RouteCondition, models: tuple[str, ...] = ("*",), to: str = "pacs", priority: str = "LOW") -> Route:
    return Route(models, (to,), when, priority)


def facts_with(**attributes: tuple[str | int | float, ...]) -> SeriesFacts:
    return SeriesFacts(attributes=attributes)


STATION = RouteCondition("StationName", "in", ("CT1", "CT2"))


def test_the_first_route_that_names_the_model_and_holds_decides() -> None:
    routes = [
        route(to="other", models=("lung_*",)),
        route(STATION, to="urgent", priority="HIGH"),
        route(to="rest"),
    ]
    first = judge(facts_with(StationName=("CT2",)), model(), routes)
    assert (first.route, first.destinations, first.priority) == (1, ("urgent",), "HIGH")
    assert [condition.met for condition in first.conditions] == [True]
    rest = judge(facts_with(StationName=("MR1",)), model(), routes)
    assert (rest.route, rest.destinations, rest.priority) == (2, ("rest",), "LOW")
    assert rest.verdict is Verdict.ADMITTED
    assert rest.unmet == ()


def test_without_a_route_that_holds_the_series_is_not_wanted_and_says_which_conditions_failed() -> None:
    routes = [route(STATION), route(RouteCondition("Modality", "eq", "CT"), to="rest")]
    admission = judge(facts_with(StationName=("MR1",), Modality=("MR",)), model(), routes)
    assert admission.verdict is Verdict.NOT_WANTED
    assert admission.route is None
    assert admission.destinations == ()
    assert admission.unmet == (
        Condition("routes[0] StationName", "route", "in CT1, CT2", "MR1", False),
        Condition("routes[1] Modality", "route", "eq CT", "MR", False),
    )


@pytest.mark.parametrize("routes", [[], [route(models=("lung_*",))]])
def test_a_model_that_no_route_names_is_not_wanted(routes: list[Route]) -> None:
    admission = judge(FACTS, model(), routes)
    assert admission.verdict is Verdict.NOT_WANTED
    assert [condition.wanted for condition in admission.unmet] == ["a route that names this model"]


def test_the_attributes_that_routes_ask_for() -> None:
    assert keywords_of([EVERYWHERE, route(STATION, RouteCondition("Modality", "ne", "CT"))]) == {
        "StationName",
        "Modality",
    }


@pytest.mark.parametrize(
    ("op", "value", "found", "holds"),
    [
        ("eq", "CT1", ("CT1",), True),
        ("eq", "CT1", (" CT1 ",), True),
        ("eq", "CT1", ("CT2",), False),
        ("eq", "CT1", (), False),
        ("eq", 3, ("3.0",), True),
        ("eq", "3", (3.0,), True),
        ("eq", "7", ("007",), False),
        ("eq", "PRIMARY", ("ORIGINAL", "PRIMARY"), True),
        ("ne", "CT1", ("CT2",), True),
        ("ne", "CT1", (), True),
        ("ne", "PRIMARY", ("ORIGINAL", "PRIMARY"), False),
        ("in", ("CT1", "CT2"), ("CT2",), True),
        ("in", ("CT1", "CT2"), ("CT3",), False),
        ("in", (1, 2), (2.0,), True),
        ("not_in", ("CT1", "CT2"), ("CT3",), True),
        ("not_in", ("CT1", "CT2"), ("CT3", "CT1"), False),
        ("matches", "^CT[0-9]$", ("CT7",), True),
        ("matches", "^ct", ("CT7",), False),
        ("matches", "(", ("(",), False),
        ("lt", 10, (9.5,), True),
        ("lt", 10, ("9",), True),
        ("lt", 10, (10,), False),
        ("le", 10, (10,), True),
        ("gt", 10, (2, 11), True),
        ("gt", 10, ("many",), False),
        ("ge", 10, (10,), True),
        ("ge", 10, (), False),
        ("exists", True, ("x",), True),
        ("exists", True, (), False),
        ("exists", False, (), True),
        ("unheard_of", 1, (1,), False),
    ],
)
def test_operators(
    op: str, value: str | int | float | tuple[str | int | float, ...], found: tuple[str | int | float, ...], holds: bool
) -> None:
    admission = judge(facts_with(StationName=found), model(), [route(RouteCondition("StationName", op, value))])
    assert (admission.verdict is Verdict.ADMITTED) is holds


operators = st.sampled_from(["eq", "ne", "in", "not_in", "matches", "lt", "le", "gt", "ge", "exists"])
scalar_values = st.text(max_size=8) | st.integers() | st.floats() | st.booleans()


@settings(max_examples=200)
@given(value=header_values, op=operators, wanted=scalar_values | st.tuples(st.text(max_size=8), st.integers()))
def test_no_attribute_value_raises_and_each_operator_has_its_opposite(
    value: Value, op: str, wanted: str | int | float | bool | tuple[str | int, ...]
) -> None:
    facts = describe(series_of([{"StationName": value}]), ["StationName"])

    def holds(operator: str) -> bool:
        condition = RouteCondition("StationName", operator, wanted)
        return judge(facts, model(), [route(condition)]).verdict is Verdict.ADMITTED

    assert holds(op) in (True, False)
    assert holds("eq") is not holds("ne")
    assert holds("in") is not holds("not_in")


# ------------------------------------------------------------------------------------------------ real series

LIMITS = InputLimits(slices=Interval(16, 160), slice_spacing_mm=Interval(0.5, 2), pixel_spacing_mm=Interval(0.5, 2))


def test_the_real_hippocampus_series_is_admitted() -> None:
    (series,) = real_series(data_dir("hippocampus-dicom-study3"))
    admission = judge(describe(series), model(HIPPOCAMPUS_SELECTION, LIMITS), [EVERYWHERE])
    assert admission.verdict is Verdict.ADMITTED
    assert admission.destinations == ("pacs",)
    assert all(condition.met for condition in admission.conditions)


@pytest.mark.parametrize(
    ("folder", "series_count", "unmet"),
    [
        ("brain-mr-glioma-study3", 4, {"field of view": "143 x 220 x 192.5 mm"}),
        ("chest-ct-ricord", 1, {"modality": "CT", "field of view": "310 x 360 x 360 mm"}),
        ("cxr-dicom-nih", 2, {"modality": "DX", "field of view": "? x ? x ? mm"}),
        ("cxr-dicom-rsna", 1, {"modality": "CR"}),
        ("xa-fodicom", 1, {"modality": "XA"}),
        ("mini-series-dicom2nifti/generic_compressed_rle_001", 1, {"field of view": "4 x 256 x 256 mm"}),
        ("mini-series-dicom2nifti/failing_gantrytilting_001", 1, {"modality": "CT"}),
    ],
)
def test_other_real_series_are_not_wanted_and_say_why(folder: str, series_count: int, unmet: dict[str, str]) -> None:
    found = real_series(data_dir(folder))
    assert len(found) == series_count
    for series in found:
        admission = judge(describe(series), model(HIPPOCAMPUS_SELECTION, LIMITS), [EVERYWHERE])
        assert admission.verdict is Verdict.NOT_WANTED
        selection = {condition.name: condition.found for condition in admission.unmet if condition.kind == "selection"}
        assert unmet.items() <= selection.items()
