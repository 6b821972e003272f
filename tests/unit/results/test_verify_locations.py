"""Every check of a measurement group catches what it is there for: reports are spoilt one attribute at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC

import numpy as np
import pytest
from pydicom.dataset import Dataset

from node.domain.result import Finding, GraphicType
from node.domain.study import SopRef
from node.errors import ResultVerificationFailed
from node.ports import EncodedObject, Run
from node.results.context import ResultContext
from node.results.source import read_headers
from node.results.verify import verify
from node.results.writer import ENCODERS
from tests import pictures
from tests.unit.results.located import MARGIN, NODULE, mixture, outlines, place, result_of
from tests.unit.results.runs import MAKER, MODEL, header, not_evaluable, run_on, save
from tests.unit.results.test_verify import spoil, walk

Change = Callable[[Dataset], None]


@dataclass(frozen=True)
class Made:
    context: ResultContext
    objects: list[EncodedObject]


def made_of(run: Run) -> Made:
    """The objects of a run, which are right."""
    context = ResultContext(run, read_headers(run.sources, run.locations), MAKER, UTC)
    objects = [one for encoder in ENCODERS for one in encoder.encode(context)]
    verify(context, objects)
    return Made(context, objects)


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Located findings of every kind, and so a report of each template."""
    run = run_on(save([header(number) for number in range(3)], tmp_path_factory.mktemp("volume")))
    assert run.grid is not None
    everything = mixture(run.grid)
    located = tuple(finding for finding in everything.findings if finding.location is not None)
    return made_of(replace(run, result=replace(everything, findings=located)))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Made:
    image = pictures.us_loop(np.zeros((3, 6, 8), np.uint8))
    paths = pictures.save(tmp_path_factory.mktemp("picture"), [image])
    ref = SopRef(str(image.SOPClassUID), str(image.SOPInstanceUID), 2)
    found = outlines(2)
    findings = (replace(found["polygon"], image=ref), replace(found["point"], image=ref))
    return made_of(replace(run_on(paths, not_evaluable(), replace(MODEL, segments=())), result=result_of(*findings)))


@pytest.fixture(scope="module")
def on_slices(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A volume without a frame of reference."""
    folder = tmp_path_factory.mktemp("slices")
    run = run_on(save([header(number, FrameOfReferenceUID=None) for number in range(3)], folder))
    return made_of(replace(run, result=result_of(outlines(3)["point"])))


@pytest.fixture(scope="module")
def on_a_slice(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A volume with a frame of reference and square pixels."""
    folder = tmp_path_factory.mktemp("slice")
    run = run_on(save([header(number, PixelSpacing=[0.75, 0.75]) for number in range(3)], folder))
    return made_of(replace(run, result=result_of(outlines(3)["point"])))


def group_of(report: Dataset, template: str) -> Dataset | None:
    """The last group of this template in a report, where it has any."""
    groups = [item for item in walk(report) if "ContentTemplateSequence" in item]
    found = [one for one in groups if one.ContentTemplateSequence[0].TemplateIdentifier == template]
    return found[-1] if found else None


def in_group(template: str, change: Change) -> Change:
    def apply(report: Dataset) -> None:
        group = group_of(report, template)
        if group is not None:
            change(group)

    return apply


def item(kind: str, change: Change, code: str | None = None) -> Change:
    """``change`` on the first content item of this value type (and concept name) of a group."""

    def apply(group: Dataset) -> None:
        change(
            next(
                one
                for one in group.ContentSequence
                if one.ValueType == kind and code in (None, one.ConceptNameCodeSequence[0].CodeValue)
            )
        )

    return apply


def without(kind: str) -> Change:
    def apply(group: Dataset) -> None:
        group.ContentSequence = [one for one in group.ContentSequence if one.ValueType != kind]

    return apply


def _shift(by: float) -> Change:
    def apply(one: Dataset) -> None:
        one.GraphicData = [one.GraphicData[0] + by, *one.GraphicData[1:]]

    return apply


def _open(one: Dataset) -> None:
    one.GraphicData = [*one.GraphicData[:-3], *one.GraphicData[3:6]]


def _lose_a_point(one: Dataset) -> None:
    one.GraphicData = [*one.GraphicData[:3], *one.GraphicData[6:]]


def _name(code: str) -> Change:
    def apply(one: Dataset) -> None:
        one.ConceptNameCodeSequence[0].CodeValue = code

    return apply


def _set(keyword: str, value: object) -> Change:
    return lambda one: setattr(one, keyword, value)


def _value_code(one: Dataset) -> None:
    one.ConceptCodeSequence[0].CodeValue = "1"


def _lose_quality(group: Dataset) -> None:
    last = [one for one in group.ContentSequence if one.ValueType == "CODE"][-1]
    group.ContentSequence = [one for one in group.ContentSequence if one is not last]


def _other_template(group: Dataset) -> None:
    group.ContentTemplateSequence[0].TemplateIdentifier = "1401"


def _other_frame(one: Dataset) -> None:
    (selected,) = one.ContentSequence
    selected.ReferencedSOPSequence[0].ReferencedFrameNumber = 1


def _within(kind: str, code: str, text: str) -> Change:
    """The text of an item below the first item of this value type."""

    def apply(one: Dataset) -> None:
        below = next(child for child in one.ContentSequence if child.ConceptNameCodeSequence[0].CodeValue == code)
        below.TextValue = text

    return item(kind, apply)


VOLUME: list[tuple[str, str, Change]] = [
    ("1410", "points of the location", item("SCOORD3D", _lose_a_point)),
    ("1410", "a polygon is closed", item("SCOORD3D", _open)),
    ("1410", "Graphic Type", item("SCOORD3D", _set("GraphicType", "POLYLINE"))),
    ("1410", "Frame of Reference of the location", item("SCOORD3D", _set("ReferencedFrameOfReferenceUID", "1.2.3"))),
    ("1410", "purpose of the location", item("SCOORD3D", _name("121112"))),
    ("1410", "one location where the finding has one", without("SCOORD3D")),
    ("1410", "template of the group", _other_template),
    ("1410", "qualities", _lose_quality),
    ("1410", "Finding Site", item("CODE", _value_code, "363698007")),
    ("1410", "Tracking Identifier", item("TEXT", _set("TextValue", "another nodule"), "112039")),
    ("1410", "algorithm", _within("NUM", "111003", "9.9.9")),
    ("1410", "weights", _within("NUM", "111002", "weights_sha256=0")),
    ("1501", "points of the location", item("SCOORD3D", _shift(0.01))),
    ("1501", "points of the location", item("SCOORD3D", _set("GraphicData", [1.0, 2.0]))),
    ("1501", "purpose of the location", item("SCOORD3D", _name("111030"))),
    ("1411", "points of the location", item("SCOORD3D", _shift(0.01))),
    ("1411", "source images of the finding", item("IMAGE", _name("121112"), "121200")),
    ("1411", "qualities", item("CODE", _value_code, MARGIN.concept.value)),
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # spoilt values make pydicom warn
@pytest.mark.parametrize(("template", "check", "change"), VOLUME)
def test_a_spoilt_group_of_a_volume_does_not_leave(template: str, check: str, change: Change, volume: Made) -> None:
    with pytest.raises(ResultVerificationFailed) as caught:
        verify(volume.context, spoil(volume.objects, "SR", in_group(template, change)))
    assert caught.value.details["check"] == check


def test_less_than_the_tolerance_is_rounding(volume: Made) -> None:
    verify(volume.context, spoil(volume.objects, "SR", in_group("1501", item("SCOORD3D", _shift(0.0005)))))


PICTURE: list[tuple[str, str, Change]] = [
    ("1410", "points of the location", item("SCOORD", lambda one: setattr(one, "GraphicData", [*_shifted(one)]))),
    ("1410", "Graphic Type", item("SCOORD", _set("GraphicType", "MULTIPOINT"))),
    ("1410", "image of the location", item("SCOORD", _other_frame)),
    ("1501", "points of the location", item("SCOORD", _shift(-0.5))),
    ("1501", "image of the location", item("SCOORD", _other_frame)),
    ("1501", "source images of the finding", without("IMAGE")),
    ("1501", "presence", item("CODE", _value_code, "121052")),
]


def _shifted(one: Dataset) -> list[float]:
    """A whole outline from pixel corners to pixel centres: the classical mistake."""
    return [float(number) - 0.5 for number in one.GraphicData]


@pytest.mark.filterwarnings("ignore::UserWarning")  # spoilt values make pydicom warn
@pytest.mark.parametrize(("template", "check", "change"), PICTURE)
def test_a_spoilt_group_of_a_picture_does_not_leave(template: str, check: str, change: Change, picture: Made) -> None:
    with pytest.raises(ResultVerificationFailed) as caught:
        verify(picture.context, spoil(picture.objects, "SR", in_group(template, change)))
    assert caught.value.details["check"] == check


def test_a_place_on_another_slice_does_not_leave(on_slices: Made) -> None:
    grid = on_slices.context.run.grid
    assert grid is not None
    other = grid.sources[2].sop_instance_uid

    def move(one: Dataset) -> None:
        one.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = other

    for check, change in (("image of the location", move), ("points of the location", _shift(1.0))):
        with pytest.raises(ResultVerificationFailed) as caught:
            verify(on_slices.context, spoil(on_slices.objects, "SR", in_group("1501", item("SCOORD", change))))
        assert caught.value.details["check"] == check


def test_a_place_between_slices_is_not_moved_onto_one(on_a_slice: Made) -> None:
    run = on_a_slice.context.run
    between = Finding(NODULE, location=place(GraphicType.POINT, (1.25, 2.25, 3.0)), tracking_id="nodule 1")
    with pytest.raises(ResultVerificationFailed) as caught:
        verify(replace(on_a_slice.context, run=replace(run, result=result_of(between))), on_a_slice.objects)
    assert caught.value.details["check"] == "image of the location"


def _forget(uid: str) -> Change:
    """A report whose content does not refer to another object."""

    def apply(report: Dataset) -> None:
        for holder in [report, *walk(report)]:
            if "ContentSequence" in holder:
                holder.ContentSequence = [one for one in holder.ContentSequence if uid not in _referred(one)]

    return apply


def _referred(one: Dataset) -> set[str]:
    return {str(reference.ReferencedSOPInstanceUID) for reference in one.get("ReferencedSOPSequence", [])}


def test_what_the_root_does_not_name_does_not_leave(volume: Made) -> None:
    *others, _ = volume.objects
    for other in others:
        with pytest.raises(ResultVerificationFailed, match="reachable"):
            verify(volume.context, spoil(volume.objects, "SR", _forget(other.sop_instance_uid)))


def test_a_report_too_few_and_a_group_too_many(volume: Made) -> None:
    further = next(one for one in volume.objects if one.modality == "SR")
    with pytest.raises(ResultVerificationFailed, match="every report"):
        verify(volume.context, [one for one in volume.objects if one is not further])

    def double(report: Dataset) -> None:
        for holder in walk(report):
            if holder.ConceptNameCodeSequence[0].CodeValue == "126010":
                holder.ContentSequence = [*holder.ContentSequence, holder.ContentSequence[0]]

    with pytest.raises(ResultVerificationFailed, match="one measurement group for each finding"):
        verify(volume.context, spoil(volume.objects, "SR", double))
