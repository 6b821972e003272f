"""Which model wants a series, and if not, why not: every condition is evaluated and kept, none ends the judgement.

- A *selection* condition says what kind of series a model wants; unmet: NOT WANTED, nothing is written.
- A *limit* says what a wanted series must satisfy; unmet: NOT EVALUABLE, and a result says so.
- A *route* says where results go; without a matching route: NOT WANTED.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterator, Sequence

from node.domain.admission import Admission, Condition, Route, RouteCondition, Verdict
from node.domain.interval import Interval
from node.domain.model import InputLimits, InputSelection, ModelDescription
from node.domain.result import Reason
from node.route.contrast import after_contrast
from node.route.facts import Scalar, SeriesFacts, number_of

UNKNOWN = "not stated"
ORIENTATION, SLICES, SLICE_GAP, PIXEL_SPACING = "orientation", "slices", "slice gap", "pixel spacing"
PATIENT_AGE = "patient age"

# Stable codes of the reasons that limits give.
LIMIT_CODES = {
    ORIENTATION: "OrientationNotSupported",
    SLICES: "SliceCountOutsideLimits",
    SLICE_GAP: "SliceGapOutsideLimits",
    PIXEL_SPACING: "PixelSpacingOutsideLimits",
    PATIENT_AGE: "PatientAgeOutsideLimits",
}


def judge(facts: SeriesFacts, model: ModelDescription, routes: Sequence[Route]) -> Admission:
    """Whether ``model`` wants the series. The first route that names the model and whose conditions hold decides."""
    index, route, route_conditions = choose_route(facts, model.id, routes)
    conditions = (*_selection(facts, model.selection), *_limits(facts, model.limits), *route_conditions)
    return Admission(
        model=model.id,
        model_version=model.version,
        verdict=_verdict(conditions),
        conditions=conditions,
        route=index,
        priority="MEDIUM" if route is None else route.priority,
        destinations=() if route is None else route.destinations,
    )


def unfit_reason(admission: Admission) -> Reason | None:
    """The unmet limits as a sentence for a physician; None where every limit is met."""
    unmet = [condition for condition in admission.unmet if condition.kind == "limit"]
    if not unmet:
        return None
    return Reason(LIMIT_CODES[unmet[0].name], ". ".join(_sentence(condition) for condition in unmet))


def choose_route(
    facts: SeriesFacts, model_id: str, routes: Sequence[Route]
) -> tuple[int | None, Route | None, tuple[Condition, ...]]:
    """The first route that matches, with its index and conditions; else None and what every candidate missed."""
    missed: list[Condition] = []
    for index, route in enumerate(routes):
        if not any(fnmatch.fnmatchcase(model_id, pattern) for pattern in route.models):
            continue
        conditions = tuple(_route_condition(facts, index, condition) for condition in route.when)
        if all(condition.met for condition in conditions):
            return index, route, conditions
        missed.extend(conditions)
    nobody = Condition("route", "route", "a route that names this model", "none", False)
    return None, None, tuple(missed) or (nobody,)


def keywords_of(routes: Sequence[Route]) -> frozenset[str]:
    """The attributes that these routes ask for."""
    return frozenset(condition.attribute for route in routes for condition in route.when)


def _verdict(conditions: Sequence[Condition]) -> Verdict:
    unmet = {condition.kind for condition in conditions if not condition.met}
    if unmet & {"selection", "route"}:
        return Verdict.NOT_WANTED
    return Verdict.NOT_EVALUABLE if unmet else Verdict.ADMITTED


def _selection(facts: SeriesFacts, wanted: InputSelection) -> Iterator[Condition]:
    """An empty list makes no condition. One fitting instance is enough; inference judges the rest."""
    if wanted.modalities:
        yield _any_of("modality", wanted.modalities, facts.modalities)
    if wanted.sop_classes:
        yield _any_of("SOP class", wanted.sop_classes, facts.sop_classes)
    if wanted.body_parts:
        yield _body_part(facts, wanted)
    if wanted.description_include:
        met = any(_found(pattern, text) for pattern in wanted.description_include for text in facts.descriptions)
        yield _description("description", "contains " + _either(wanted.description_include), facts, met)
    if wanted.description_exclude:
        met = not any(_found(pattern, text) for pattern in wanted.description_exclude for text in facts.descriptions)
        yield _description("description", "does not contain " + _either(wanted.description_exclude), facts, met)
    if wanted.field_of_view_mm != Interval():
        yield _field_of_view(facts, wanted.field_of_view_mm)
    if wanted.contrast_agent:
        found = f"agent {_list(facts.contrast_agents)}, described as {_list(facts.descriptions)}"
        met = after_contrast(facts.contrast_agents, facts.descriptions)
        yield Condition("contrast agent", "selection", "stated or described", found, met)
    if wanted.echo_time_ms != Interval():
        times = ", ".join(f"{time:g}" for time in facts.echo_times_ms)
        met = all(wanted.echo_time_ms.holds(time) for time in facts.echo_times_ms)
        words = f"{wanted.echo_time_ms} ms or {UNKNOWN}"
        yield Condition("echo time", "selection", words, f"{times} ms" if times else UNKNOWN, met)


def _any_of(name: str, wanted: Collection[str], found: Sequence[str]) -> Condition:
    return Condition(name, "selection", _either(wanted), _list(found), any(item in wanted for item in found))


def _body_part(facts: SeriesFacts, wanted: InputSelection) -> Condition:
    met = any(part in wanted.body_parts for part in facts.body_parts)
    absent_is_fine = wanted.body_part_may_be_absent and not facts.body_parts
    words = _either(wanted.body_parts) + (f" or {UNKNOWN}" if wanted.body_part_may_be_absent else "")
    return Condition("body part", "selection", words, _list(facts.body_parts), met or absent_is_fine)


def _description(name: str, wanted: str, facts: SeriesFacts, met: bool) -> Condition:
    return Condition(name, "selection", wanted, _list(facts.descriptions), met)


def _field_of_view(facts: SeriesFacts, wanted: Interval) -> Condition:
    words = " x ".join("?" if extent is None else f"{extent:.4g}" for extent in facts.extents_mm)
    met = all(extent is not None and wanted.holds(extent) for extent in facts.extents_mm)
    return Condition("field of view", "selection", f"{wanted} mm on every side", f"{words} mm", met)


def _limits(facts: SeriesFacts, wanted: InputLimits) -> Iterator[Condition]:
    """Every image must satisfy a limit; what no header states does not satisfy it."""
    if wanted.orientations:
        met = bool(facts.orientations) and all(plane in wanted.orientations for plane in facts.orientations)
        yield Condition(ORIENTATION, "limit", _either(wanted.orientations), _list(facts.orientations), met)
    if wanted.slices != Interval():
        yield Condition(SLICES, "limit", str(wanted.slices), str(facts.slices), wanted.slices.holds(facts.slices))
    if wanted.slice_spacing_mm != Interval():
        gaps = () if facts.slice_spacing_mm is None else (facts.slice_spacing_mm,)
        yield _length_limit(SLICE_GAP, wanted.slice_spacing_mm, gaps)
    if wanted.pixel_spacing_mm != Interval():
        spacings = tuple(dict.fromkeys(side for pair in facts.pixel_spacings_mm for side in pair))
        yield _length_limit(PIXEL_SPACING, wanted.pixel_spacing_mm, spacings)
    if wanted.patient_age_years != Interval():
        yield _age_limit(facts.ages_years, wanted.patient_age_years)


def _age_limit(ages: Sequence[int | None], wanted: Interval) -> Condition:
    """Every image has to state an age, or the dates that give one."""
    known = [age for age in ages if age is not None]
    words = f"{', '.join(map(str, known))} years" if known else UNKNOWN
    if known and len(known) < len(ages):
        words += f", in other images {UNKNOWN}"
    met = bool(known) and len(known) == len(ages) and all(wanted.holds(age) for age in known)
    return Condition(PATIENT_AGE, "limit", f"{wanted} years", words, met)


def _length_limit(name: str, wanted: Interval, found: Sequence[float]) -> Condition:
    words = f"{', '.join(f'{length:.4g}' for length in found)} mm" if found else UNKNOWN
    return Condition(name, "limit", f"{wanted} mm", words, bool(found) and all(wanted.holds(side) for side in found))


def _sentence(condition: Condition) -> str:
    needs = f"this model needs {condition.wanted}"
    if condition.name == SLICES:
        return f"Series of {condition.found} slices; {needs}"
    if condition.found == UNKNOWN:
        return f"The {condition.name} is {UNKNOWN}; {needs}"
    if condition.name == ORIENTATION:
        return f"Images are {condition.found}; {needs}"
    return f"{condition.name.capitalize()} of {condition.found}; {needs}"


def _route_condition(facts: SeriesFacts, index: int, wanted: RouteCondition) -> Condition:
    values = facts.attributes.get(wanted.attribute, ())
    return Condition(
        name=f"routes[{index}] {wanted.attribute}",
        kind="route",
        wanted=_route_words(wanted),
        found=_list([str(value) for value in values]),
        met=_holds(wanted, values),
    )


def _route_words(wanted: RouteCondition) -> str:
    if wanted.op == "exists":
        return "stated" if wanted.value else UNKNOWN
    values = wanted.value if isinstance(wanted.value, tuple) else (wanted.value,)
    return f"{wanted.op.replace('_', ' ')} {', '.join(str(value) for value in values)}"


def _holds(wanted: RouteCondition, values: Sequence[Scalar]) -> bool:
    """Any value of a multi-valued attribute may fulfil a condition; ``ne`` and ``not_in`` hold when none is equal."""
    options = wanted.value if isinstance(wanted.value, tuple) else (wanted.value,)
    match wanted.op:
        case "exists":
            return bool(values) == bool(wanted.value)
        case "eq" | "in":
            return any(_equal(value, option) for value in values for option in options)
        case "ne" | "not_in":
            return not any(_equal(value, option) for value in values for option in options)
        case "matches":
            return any(_found(str(option), str(value), flags=0) for value in values for option in options)
        case _:
            order = ORDER.get(wanted.op)
            return order is not None and any(_ordered(order, value, option) for value in values for option in options)


ORDER: dict[str, Callable[[float, float], bool]] = {
    "lt": lambda value, limit: value < limit,
    "le": lambda value, limit: value <= limit,
    "gt": lambda value, limit: value > limit,
    "ge": lambda value, limit: value >= limit,
}


def _ordered(order: Callable[[float, float], bool], value: Scalar, limit: Scalar) -> bool:
    left, right = number_of(value), number_of(limit)
    return left is not None and right is not None and order(left, right)


def _equal(value: Scalar, option: Scalar) -> bool:
    """Two texts as texts ("007" is not "7"); where one of the two is a number, as numbers (1 is "1.0")."""
    if isinstance(value, str) and isinstance(option, str):
        return value.strip() == option.strip()
    left, right = number_of(value), number_of(option)
    return left is not None and left == right


def _found(pattern: str, text: str, flags: int = re.IGNORECASE) -> bool:
    """Whether the regular expression occurs in the text; one that is not valid occurs nowhere."""
    try:
        return re.search(pattern, text, flags) is not None
    except re.error:
        return False


def _either(words: Collection[str]) -> str:
    return " or ".join(words)


def _list(words: Sequence[str]) -> str:
    return ", ".join(words) or UNKNOWN
