"""Reports with groups of every template, tied by a root, against public validators and readers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.sr import srread
from pydicom.dataset import Dataset

from node.domain.location import in_patient
from node.domain.result import Finding
from node.domain.study import SopRef
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests import pictures
from tests.conformance import validators
from tests.peers import data_dir
from tests.unit.results.located import MARGIN, SHAPE, between_slices, mixture, outlines, result_of
from tests.unit.results.runs import MAKER, MODEL, header, not_evaluable, run_on, save

REAL = {
    "glioma": "brain-mr-glioma-study3/11-T1post-18670",
    "enhanced": "mini-series-dicom2nifti/philips_enhanced_anatomical_001",
}
# PixelMed takes seconds for each report: those in the patient are in ``test_golden``.
ASKED_OF_PIXELMED = ("one outline on a picture", "on slices")


@dataclass(frozen=True)
class Written:
    """``reports``: the root first."""

    run: Run
    images: list[Path]
    others: list[Path]
    reports: list[Path]


def _write(run: Run, images: list[Path], folder: Path) -> Written:
    folder.mkdir()
    reports, others = {}, []
    for number, written in enumerate(DicomResultWriter(MAKER, zone=UTC).write(run)):
        path = folder / f"{written.modality}{number}.dcm"
        path.write_bytes(written.part10)
        if written.modality == "SR":
            reports[int(pydicom.dcmread(path).InstanceNumber)] = path
        else:
            others.append(path)
    return Written(run, images, others, [reports[number] for number in sorted(reports)])


def _on_picture(image: Dataset, path: Path, findings: list[Finding]) -> Run:
    frame = 2 if int(image.get("NumberOfFrames", 1)) > 1 else None
    ref = SopRef(str(image.SOPClassUID), str(image.SOPInstanceUID), frame)
    base = run_on([path], not_evaluable(), replace(MODEL, segments=(), demonstration=True))
    return replace(base, result=result_of(*(replace(finding, image=ref) for finding in findings)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    folder = tmp_path_factory.mktemp("located")
    (folder / "images").mkdir()
    axial = save([header(number) for number in range(4)], folder / "images")
    (folder / "square").mkdir()
    square = save([header(number, PixelSpacing=[0.75, 0.75]) for number in range(4)], folder / "square")
    images = {"mixture": axial, "on slices": square} | {
        name: sorted((data_dir(top) / rest).glob("*.dcm"))
        for name, (top, _, rest) in ((name, place.partition("/")) for name, place in REAL.items())
    }
    made = {}
    for name, paths in images.items():
        run = run_on(paths)
        assert run.grid is not None
        result = mixture(run.grid)
        if name == "glioma":  # whose pixels are square
            result = replace(result, findings=tuple(map(between_slices, result.findings)))
        made[name] = _write(replace(run, result=result), paths, folder / name)
    found, picture, loop = outlines(2), pictures.dx(np.zeros((24, 20), np.uint8), 1), np.zeros((3, 24, 20), np.uint8)
    for name, image, findings in (
        ("outlines on a picture", picture, [*found.values(), found["polygon"]]),
        ("one outline on a picture", pictures.us_loop(loop), [found["polygon"]]),
    ):
        paths = pictures.save(folder / f"{name}, image", [image])
        made[name] = _write(_on_picture(image, paths[0], findings), paths, folder / name)
    return made


@pytest.mark.timeout(900)  # Java on a busy machine
def test_reports_are_valid(written: dict[str, Written]) -> None:
    """dciodvfy and dsrdump on every report, PixelMed's validator on some: no error."""
    assert {name: len(one.reports) for name, one in written.items()} == {
        "mixture": 3, "on slices": 3, "glioma": 3, "enhanced": 3,
        "outlines on a picture": 2, "one outline on a picture": 1,
    }  # fmt: skip
    pixelmed = validators.pixelmed([path for name in ASKED_OF_PIXELMED for path in written[name].reports])
    complaints = {
        path: validators.dciodvfy(path) + validators.dsrdump(path) + pixelmed.get(path, [])
        for one in written.values()
        for path in one.reports
    }
    assert {path: found for path, found in complaints.items() if found} == {}


def test_reports_fit_into_their_study(written: dict[str, Written]) -> None:
    for one in written.values():
        assert validators.dcentvfy([*one.images, *one.others, *one.reports]) == []


@pytest.mark.parametrize("name", ["mixture", "glioma"])
def test_highdicom_reads_the_groups_of_each_template(name: str, written: dict[str, Written]) -> None:
    one = written[name]
    grid, findings = one.run.grid, one.run.result.findings
    assert grid is not None
    root, regions, others = (srread(path).content for path in one.reports)
    for content in (root, regions, others):
        assert isinstance(content, hd.sr.MeasurementReport)

    rich, plain = root.get_volumetric_roi_measurement_groups()
    assert (rich.tracking_identifier, plain.tracking_identifier) == ("the one in front", "Posterior hippocampus")
    assert [(each.name.value, each.value.value) for each in rich.get_qualitative_evaluations()] == [
        ("121052", "52101004"),
        (MARGIN.concept.value, MARGIN.value.value),
    ]

    (region,) = regions.get_planar_roi_measurement_groups()
    outline = next(each.location for each in findings if each.tracking_id == "nodule 2")
    assert outline is not None
    assert isinstance(region.roi, hd.sr.ImageRegion3D)
    assert region.roi.graphic_type is hd.sr.GraphicTypeValues3D.POLYGON
    assert region.roi.frame_of_reference_uid == grid.frame_of_reference_uid
    meant = in_patient(np.array(outline.points), grid.affine)
    np.testing.assert_allclose(region.roi.value, [*meant, meant[0]], atol=1e-3)
    assert [each.name.value for each in region.get_qualitative_evaluations()] == [
        MARGIN.concept.value,
        SHAPE.concept.value,
    ]
    assert [each.value for each in region.get_measurements()] == [80.0, 70.0]

    groups = others.get_image_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["Nodule", "nodule 1", "Nodule", "Nodule"]
    places = [
        [each for each in group[0].ContentSequence if isinstance(each, hd.sr.Scoord3DContentItem)] for group in groups
    ]
    assert [[str(each.graphic_type.value) for each in drawn] for drawn in places] == [
        [], ["POINT"], ["MULTIPOINT"], ["POLYLINE"],
    ]  # fmt: skip
    point = next(each.location for each in findings if each.tracking_id == "nodule 1")
    assert point is not None
    np.testing.assert_allclose(places[1][0].value, in_patient(np.array(point.points), grid.affine), atol=1e-3)


def test_highdicom_reads_outlines_on_pictures(written: dict[str, Written]) -> None:
    """(column, row) from the corner of the first pixel."""
    outline = outlines(2)["polygon"].location
    assert outline is not None
    meant = np.array([*outline.points, outline.points[0]])[:, ::-1] + 0.5
    for name, frames in (("outlines on a picture", None), ("one outline on a picture", [2])):
        content = srread(written[name].reports[0]).content
        assert isinstance(content, hd.sr.MeasurementReport)
        groups = content.get_planar_roi_measurement_groups()
        assert len(groups) == (1 if frames else 2)
        for group in groups:
            assert isinstance(group.roi, hd.sr.ImageRegion)
            np.testing.assert_allclose(group.roi.value, meant, atol=1e-6)
            (selected,) = group.roi.ContentSequence
            assert selected.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == (
                written[name].run.sources[0].instance.sop_instance_uid
            )
            assert selected.ReferencedSOPSequence[0].get("ReferencedFrameNumber") == (frames[0] if frames else None)


def test_what_lies_on_a_slice_with_square_pixels_is_on_its_image(written: dict[str, Written]) -> None:
    """The coordinates that most viewers draw, in reports of each template."""
    one = written["on slices"]
    assert one.run.grid is not None
    image = one.run.grid.sources[1].sop_instance_uid
    drawn = [_drawn(pydicom.dcmread(path)) for path in one.reports]
    kinds = [[kind for kind, _ in each] for each in drawn]
    assert kinds == [["POLYLINE"], ["POLYLINE"], ["POINT", "MULTIPOINT", "POLYLINE"]]
    assert {uid for each in drawn for _, uid in each} == {image}
    content = srread(one.reports[1]).content
    assert isinstance(content, hd.sr.MeasurementReport)
    (region,) = content.get_planar_roi_measurement_groups()
    outline = outlines(3)["polygon"].location
    assert outline is not None
    meant = np.array([*outline.points, outline.points[0]])[:, :0:-1] + 0.5
    np.testing.assert_allclose(region.roi.value, meant, atol=1e-6)


def _drawn(item: Dataset) -> list[tuple[str, str]]:
    """Graphic Type and image of every SCOORD."""
    found = [one for child in item.get("ContentSequence", []) for one in _drawn(child)]
    if item.get("ValueType") == "SCOORD":
        (selected,) = item.ContentSequence
        found.append((str(item.GraphicType), str(selected.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)))
    return found


def test_a_volume_without_a_frame_of_reference_is_its_frames(written: dict[str, Written]) -> None:
    """One enhanced object, whose frames are the slices."""
    one = written["enhanced"]
    grid = one.run.grid
    assert grid is not None
    assert grid.frame_of_reference_uid == ""
    content = srread(one.reports[1]).content
    assert isinstance(content, hd.sr.MeasurementReport)
    (region,) = content.get_planar_roi_measurement_groups()
    assert isinstance(region.roi, hd.sr.ImageRegion)
    (selected,) = region.roi.ContentSequence
    assert selected.ReferencedSOPSequence[0].ReferencedFrameNumber == grid.sources[1].frame


def test_dcmqi_reads_the_numbers_of_every_report(written: dict[str, Written], tmp_path: Path) -> None:
    reports = [validators.tid1500reader(path, tmp_path / path.stem) for path in written["mixture"].reports]
    assert [len(groups) for groups in reports] == [2, 1, 4]
    area, certainty = reports[1][0]["measurementItems"]
    assert (float(area["value"]), float(certainty["value"])) == (80.0, 70.0)
    assert area["measurementAlgorithmIdentification"]["AlgorithmName"] == MODEL.algorithm.name
