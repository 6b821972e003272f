"""What stands in reports on places: groups of three templates, coordinates, qualities, names and images."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset

from node.domain.declared import (
    Activation,
    DeclaredNetwork,
    NetworkFormat,
    Postprocessing,
    Preprocessing,
    Rescale,
    ZScore,
)
from node.domain.identity import derive_uid
from node.domain.model import ModelDescription, Runtime
from node.domain.result import (
    CodedConcept,
    Finding,
    GraphicType,
    InferenceResult,
    Measurement,
    Outcome,
    Segment,
    Segmentation,
)
from node.domain.study import SopRef
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests import pictures
from tests.unit.results.located import MARGIN, NODULE, SHAPE, mixture, outlines, place, result_of
from tests.unit.results.runs import (
    HIPPOCAMPUS,
    MAKER,
    MILLILITRE,
    MODEL,
    STRUCTURE,
    VOLUME,
    header,
    not_evaluable,
    positive,
    run_on,
    save,
)

FRAME = "1.2.3.5"


def written(writer: DicomResultWriter, run: Run) -> list[Dataset]:
    return [pydicom.dcmread(io.BytesIO(one.part10)) for one in writer.write(run)]


def reports(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The main report first."""
    return sorted((one for one in datasets if one.Modality == "SR"), key=lambda one: int(one.InstanceNumber))


def groups(report: Dataset) -> list[Dataset]:
    containers = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    return [group for container in containers for group in container.ContentSequence]


def values(group: Dataset, code: str) -> list[Dataset]:
    return [item for item in group.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == code]


def template(group: Dataset) -> str:
    return str(group.ContentTemplateSequence[0].TemplateIdentifier)


def drawn(group: Dataset) -> Dataset:
    (item,) = (item for item in group.ContentSequence if item.ValueType in ("SCOORD", "SCOORD3D"))
    return item


def points(item: Dataset, axes: int) -> npt.NDArray[np.float64]:
    return np.reshape(item.GraphicData, (-1, axes))


def walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from walk(child)


# ---------------------------------------------------------------- in the patient


@pytest.mark.parametrize("kind", ["point", "points", "line", "polygon"])
def test_a_place_in_a_volume_is_in_the_patient(kind: str, series: list[Path], writer: DicomResultWriter) -> None:
    """The images are axial, 1.5 mm between rows, 0.75 mm between columns and 2 mm apart."""
    finding = outlines(3)[kind]
    (report,) = written(writer, replace(run_on(series), result=result_of(finding)))
    (group,) = groups(report)
    item = drawn(group)
    assert finding.location is not None
    assert item.ValueType == "SCOORD3D"
    assert item.GraphicType == finding.location.graphic_type
    assert item.ReferencedFrameOfReferenceUID == FRAME
    first = pydicom.dcmread(series[0]).ImagePositionPatient
    meant = [[first[0] + 0.75 * c, first[1] + 1.5 * r, first[2] + 2 * k] for k, r, c in finding.location.points]
    if kind == "polygon":
        assert template(group) == "1410"
        assert item.ConceptNameCodeSequence[0].CodeMeaning == "Image Region"
        meant.append(meant[0])
    else:
        assert template(group) == "1501"
        assert item.ConceptNameCodeSequence[0].CodeMeaning == "Source of Measurement"
    np.testing.assert_allclose(points(item, 3), meant, atol=1e-4)


def test_a_place_in_an_oblique_volume(tmp_path: Path, writer: DicomResultWriter) -> None:
    """By the standard's own equation (PS3.3 C.7.6.2.1.1), from the headers alone."""
    step = np.array([0.48, -0.64, 0.6]) * -2
    paths = save(
        [
            header(
                number,
                ImageOrientationPatient=["0.8", "0.6", "0", "-0.36", "0.48", "0.8"],
                ImagePositionPatient=[f"{value:.6f}" for value in number * step],
            )
            for number in range(4)
        ],
        tmp_path,
    )
    run = run_on(paths)
    assert run.grid is not None
    uid = run.grid.sources[2].sop_instance_uid
    image = next(one for one in map(pydicom.dcmread, paths) if one.SOPInstanceUID == uid)
    orientation = np.array(image.ImageOrientationPatient, float)
    meant = np.array(image.ImagePositionPatient, float) + 3.0 * 1.5 * orientation[3:] + 4.5 * 0.75 * orientation[:3]
    finding = Finding(NODULE, location=place(GraphicType.POINT, (2.0, 3.0, 4.5)))
    (report,) = written(writer, replace(run, result=result_of(finding)))
    np.testing.assert_allclose(points(drawn(groups(report)[0]), 3), [meant], atol=1e-4)


def test_a_polygon_across_slices_is_flat(tmp_path: Path, writer: DicomResultWriter) -> None:
    paths = save([header(number) for number in range(4)], tmp_path)
    outline = place(GraphicType.POLYGON, (0, 0.1, 0.3), (3, 0.1, 0.3), (3, 4.7, 6.9), (1.1, 4.7, 6.9), (0, 4.7, 6.9))
    (report,) = written(writer, replace(run_on(paths), result=result_of(Finding(NODULE, location=outline))))
    assert drawn(groups(report)[0]).GraphicType == "POLYGON"


# ---------------------------------------------------------------- on an image


@pytest.mark.parametrize("kind", ["point", "points", "line", "polygon"])
def test_a_place_on_a_slice_with_square_pixels_is_on_its_image(
    kind: str, tmp_path: Path, writer: DicomResultWriter
) -> None:
    """Whatever the frame of reference: viewers draw on images what is said of images."""
    run = run_on(save([header(number, PixelSpacing=[0.75, 0.75]) for number in range(4)], tmp_path))
    finding = outlines(3)[kind]
    (report,) = written(writer, replace(run, result=result_of(finding)))
    item = drawn(groups(report)[0])
    assert finding.location is not None
    assert run.grid is not None
    meant = [[c + 0.5, r + 0.5] for _, r, c in finding.location.points]
    if kind == "polygon":
        meant.append(meant[0])
    assert item.ValueType == "SCOORD"
    assert item.GraphicType == ("POLYLINE" if kind == "polygon" else finding.location.graphic_type)
    np.testing.assert_allclose(points(item, 2), meant, atol=1e-6)
    (selected,) = item.ContentSequence
    assert selected.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == run.grid.sources[1].sop_instance_uid


def test_a_place_between_slices_is_on_none(tmp_path: Path, writer: DicomResultWriter) -> None:
    run = run_on(save([header(number, PixelSpacing=[0.75, 0.75]) for number in range(4)], tmp_path))
    between = Finding(NODULE, location=place(GraphicType.POINT, (1.25, 2.0, 3.0)))
    (report,) = written(writer, replace(run, result=result_of(between)))
    assert drawn(groups(report)[0]).ValueType == "SCOORD3D"


@pytest.mark.parametrize("kind", ["point", "points", "line", "polygon"])
@pytest.mark.parametrize("frame", [None, 2])
def test_a_place_on_a_picture_counts_from_its_corner(
    kind: str, frame: int | None, tmp_path: Path, writer: DicomResultWriter
) -> None:
    """PS3.3 C.18.6.1.2: the centre of the first pixel is 0.5 / 0.5, column before row."""
    pixels = np.zeros((6, 8), np.uint8)
    image = pictures.dx(pixels, 1) if frame is None else pictures.us_loop(np.stack([pixels] * 3))
    run = run_on(pictures.save(tmp_path, [image]), not_evaluable(), replace(MODEL, segments=()))
    ref = SopRef(str(image.SOPClassUID), str(image.SOPInstanceUID), frame)
    finding = replace(outlines(2)[kind], image=ref)
    (report,) = written(writer, replace(run, result=result_of(finding)))
    item = drawn(groups(report)[0])
    assert finding.location is not None
    meant = [[c + 0.5, r + 0.5] for r, c in finding.location.points]
    if kind == "polygon":
        meant.append(meant[0])
    assert item.ValueType == "SCOORD"
    assert item.GraphicType == ("POLYLINE" if kind == "polygon" else finding.location.graphic_type)
    np.testing.assert_allclose(points(item, 2), meant, atol=1e-6)
    (selected,) = item.ContentSequence
    assert selected.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert selected.ReferencedSOPSequence[0].get("ReferencedFrameNumber") == frame


def test_without_a_frame_of_reference_a_slice_is_a_picture(tmp_path: Path, writer: DicomResultWriter) -> None:
    paths = save([header(number, FrameOfReferenceUID=None) for number in range(4)], tmp_path)
    run = run_on(paths)
    assert run.grid is not None
    on_one, across = outlines(3)["point"], Finding(NODULE, location=place(GraphicType.POLYLINE, (0, 1, 1), (3, 2, 2)))
    (report,) = written(writer, replace(run, result=result_of(on_one, across)))
    flat, deep = map(drawn, groups(report))
    assert (flat.ValueType, points(flat, 2).tolist()) == ("SCOORD", [[3.5, 2.75]])
    assert flat.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == (
        run.grid.sources[1].sop_instance_uid
    )
    # What lies on several slices has no image of its own: it is in the frame of reference that a SEG would name.
    assert deep.ValueType == "SCOORD3D"
    assert str(deep.ReferencedFrameOfReferenceUID).startswith("2.25.")


# ---------------------------------------------------------------- groups and documents


def test_one_report_for_each_template_and_one_root(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    assert run.grid is not None
    run = replace(run, result=mixture(run.grid))
    objects = written(writer, run)
    main, regions, others = reports(objects)
    assert [[template(group) for group in groups(one)] for one in (main, regions, others)] == [
        ["1411", "1411"],
        ["1410"],
        ["1501"] * 4,
    ]
    assert objects[-1].SOPInstanceUID == main.SOPInstanceUID, "what is referred to travels first"
    referred = {
        str(reference.ReferencedSOPInstanceUID)
        for item in walk(main)
        for reference in item.get("ReferencedSOPSequence", [])
    }
    evidence = {
        str(item.ReferencedSOPInstanceUID)
        for each in main.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in each.ReferencedSOPSequence
    }
    rest = {str(one.SOPInstanceUID) for one in objects} - {str(main.SOPInstanceUID)}
    assert rest < evidence
    assert rest < referred
    for keyword in ("SeriesInstanceUID", "SeriesNumber"):
        assert len({str(one[keyword].value) for one in objects}) == len(objects), "viewers show one report of a series"
    assert [one.SOPInstanceUID for one in objects] == [one.SOPInstanceUID for one in written(writer, run)]


def test_the_root_holds_what_is_delineated_best(series: list[Path], writer: DicomResultWriter) -> None:
    found = outlines(3)
    run = run_on(series)
    main, other = reports(written(writer, replace(run, result=result_of(found["point"], found["polygon"]))))
    assert [template(group) for group in groups(main) + groups(other)] == ["1410", "1501"]
    (alone,) = reports(written(writer, replace(run, result=result_of(found["point"]))))
    assert alone.SOPInstanceUID == main.SOPInstanceUID


def test_a_segment_with_a_place_qualities_and_an_image(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    assert run.grid is not None
    objects = written(writer, replace(run, result=mixture(run.grid)))
    main = reports(objects)[0]
    (seg,) = (one for one in objects if one.Modality == "SEG")
    rich, plain = groups(main)
    assert [item.TextValue for item in values(rich, "112039")] == ["the one in front"]
    assert [item.TextValue for item in values(plain, "112039")] == ["Posterior hippocampus"]
    assert [item.TrackingID for item in seg.SegmentSequence] == ["the one in front", "Posterior hippocampus"]
    assert drawn(rich).GraphicType == "POLYLINE"
    (shown,) = values(rich, "121200")
    assert shown.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == run.grid.sources[1].sop_instance_uid
    assert [item.ConceptCodeSequence[0].CodeValue for item in values(rich, MARGIN.concept.value)] == [
        MARGIN.value.value
    ]
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in values(rich, "121052")] == ["Present"]
    assert not values(plain, "121052")


def test_a_place_and_qualities_need_no_measurement(series: list[Path], writer: DicomResultWriter) -> None:
    finding = replace(outlines(3)["point"], qualities=(SHAPE,))
    (report,) = written(writer, replace(run_on(series), result=result_of(finding)))
    (group,) = groups(report)
    assert {item.ValueType for item in group.ContentSequence} == {"TEXT", "UIDREF", "CODE", "SCOORD3D"}
    assert [item.TextValue for item in values(group, "112039")] == ["nodule 1"]
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in values(group, "SHAPE")] == ["Round"]
    assert [item.CodingSchemeDesignator for item in report.CodingSchemeIdentificationSequence] == ["99AINODE"]


def test_a_slice_is_the_image_of_its_group(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    assert run.grid is not None
    image = run.grid.sources[1]
    (report,) = written(writer, replace(run, result=result_of(Finding(NODULE, image=image), Finding(NODULE))))
    on_one, on_all = groups(report)
    assert [
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in on_one.ContentSequence
        if item.ValueType == "IMAGE"
    ] == [image.sop_instance_uid]  # fmt: skip
    assert not [item for item in on_all.ContentSequence if item.ValueType == "IMAGE"]


def test_a_segmentation_that_no_finding_names_is_reachable(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    result = replace(run.result, findings=(Finding(NODULE, probability=0.5),))
    seg, report = written(writer, replace(run, result=result))
    referred = [item for item in walk(report) if item.ValueType == "IMAGE"]
    assert [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in referred] == [seg.SOPInstanceUID]


def test_what_a_segment_was_looked_for_in_vain(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    absent = tuple(replace(finding, present=False) for finding in run.result.findings)
    objects = written(writer, replace(run, result=replace(run.result, outcome=Outcome.NEGATIVE, findings=absent)))
    for group in groups(reports(objects)[0]):
        assert [item.ConceptCodeSequence[0].CodeMeaning for item in values(group, "121052")] == ["Absent"]


# ---------------------------------------------------------------- parameters and size


def _parameters(report: Dataset) -> set[str]:
    return {str(item.TextValue) for item in walk(report) if item.ConceptNameCodeSequence[0].CodeValue == "111002"}


def test_the_declared_parameters_of_the_algorithm(series: list[Path], writer: DicomResultWriter) -> None:
    def told(model: ModelDescription) -> str:
        (report,) = written(writer, replace(run_on(series, model=model), result=result_of(outlines(3)["line"])))
        (parameters,) = _parameters(report)
        return parameters

    weights = f"weights_sha256={'ab' * 32}"
    assert told(MODEL) == f"{weights}; runtime: precision=fp32"
    windows = replace(MODEL, runtime=Runtime(precision="bf16", window=(16, 96, 96), overlap=0.25))
    assert told(windows) == f"{weights}; runtime: precision=bf16, window=16 96 96, overlap=0.25, blend=gaussian"
    steps = Preprocessing("RAS", (1.0, 0.5, 0.5), intensity=(Rescale(-1000, 400), ZScore(nonzero=True)))
    declared = DeclaredNetwork(NetworkFormat.TORCHSCRIPT, steps, Postprocessing(Activation.SIGMOID))
    assert told(replace(MODEL, declared=declared)).endswith(
        "preprocessing: orientation=RAS, spacing_mm=1 0.5 0.5, intensity=Rescale(low=-1000, high=400, target=0 1, "
        "clip=True) ZScore(nonzero=True), divisible_by=1, channels=1"
    )


def test_a_report_on_many_slices_is_small(tmp_path: Path) -> None:
    """10 segments with two numbers each on 300 images: below 60 kB."""
    paths = save([header(number, SOPInstanceUID=derive_uid("slice", str(number))) for number in range(300)], tmp_path)
    segments = tuple(
        Segment(
            number, f"Structure {number}", STRUCTURE, CodedConcept(f"S{number}", "99AINODE", f"Structure {number}"),
            HIPPOCAMPUS,
        )
        for number in range(1, 11)
    )  # fmt: skip
    run = run_on(paths, InferenceResult(Outcome.NEGATIVE), replace(MODEL, segments=segments))
    assert run.grid is not None
    label_map = np.zeros(run.grid.shape, np.uint8)
    label_map[:10, 2, 2] = range(1, 11)
    findings = tuple(
        Finding(one.type, (Measurement(VOLUME, 1.5, MILLILITRE),), 0.9, one.number, HIPPOCAMPUS) for one in segments
    )
    result = InferenceResult(Outcome.POSITIVE, findings, Segmentation(segments, label_map))
    *_, report = DicomResultWriter(MAKER, zone=UTC).write(replace(run, result=result))
    assert report.modality == "SR"
    assert len(report.part10) < 60_000


def test_without_places_nothing_is_drawn(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    assert run.grid is not None
    report = reports(written(writer, replace(run, result=positive(run.grid))))[0]
    assert not [item for item in walk(report) if item.ValueType in ("SCOORD", "SCOORD3D")]
