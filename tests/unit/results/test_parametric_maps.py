"""Parametric maps: an object for each, bit for bit what the model said, reachable from the main report."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage

from node.domain.result import CodedConcept, InferenceResult, Outcome, ParametricMap
from node.domain.study import Grid
from node.errors import InvalidModelOutput, ResultVerificationFailed
from node.ports import EncodedObject, Run
from node.results.context import ResultContext
from node.results.pm import ParametricMapEncoder
from node.results.source import read_headers
from node.results.verify_images import verify_parametric_maps
from node.results.writer import DicomResultWriter
from node.results.written import read_back
from tests.unit.results.runs import MAKER, header, run_on, save
from tests.unit.results.test_geometry import enhanced

DIFFUSION = CodedConcept("113041", "DCM", "Apparent Diffusion Coefficient")
UNIT = CodedConcept("um2/s", "UCUM", "square micrometer per second")


def values(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """No two alike; below zero, and such as no decimal fraction gives."""
    return (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / np.float32(7) - 3).astype(np.float32)


def mapped(run: Run, *arrays: npt.NDArray[np.float32]) -> Run:
    """The run with a map of each array, without a finding that refers to them."""
    assert run.grid is not None
    maps = tuple(
        ParametricMap(f"Diffusion {number}", DIFFUSION, UNIT, array)
        for number, array in enumerate(arrays or (values(run.grid.shape), -values(run.grid.shape)), 1)
    )
    return replace(run, result=InferenceResult(Outcome.NEGATIVE, parametric_maps=maps))


def datasets(written: tuple[EncodedObject, ...]) -> list[Dataset]:
    return [pydicom.dcmread(io.BytesIO(one.part10)) for one in written]


def context_of(run: Run) -> ResultContext:
    return ResultContext(run, read_headers(run.sources, run.locations), MAKER, UTC)


def test_every_map_is_an_object_and_the_report_refers_to_it(series: list[Path], writer: DicomResultWriter) -> None:
    run = mapped(run_on(series))
    first, second, report = datasets(tuple(writer.write(run)))
    assert {one.SOPClassUID for one in (first, second)} == {ParametricMapStorage}
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID != report.SeriesInstanceUID
    assert [one.InstanceNumber for one in (first, second)] == [1, 2]
    referred = {str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in _referring(report)}
    assert {str(first.SOPInstanceUID), str(second.SOPInstanceUID)} <= referred


def _referring(item: Dataset) -> list[Dataset]:
    children = [found for child in item.get("ContentSequence", []) for found in _referring(child)]
    return [*([item] if "ReferencedSOPSequence" in item else []), *children]


def test_highdicom_reads_the_values_and_their_meaning(series: list[Path], writer: DicomResultWriter) -> None:
    run = mapped(run_on(series))
    (written, *_) = writer.write(run)
    image = hd.imread(io.BytesIO(written.part10))
    (mapping,) = image.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert (mapping.LUTLabel, mapping.LUTExplanation) == ("Diffusion 1", "Diffusion 1")
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "um2/s"
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "113041"
    given = run.result.parametric_maps[0].array
    volume = image.get_volume(apply_real_world_transform=True)
    assert run.grid is not None
    forward = np.allclose(volume.position, run.grid.affine[:3, 3])
    np.testing.assert_array_equal(volume.array, given if forward else given[::-1])


def test_against_the_order_of_the_slices_and_left_out_frames(tmp_path: Path, writer: DicomResultWriter) -> None:
    run = run_on(save([enhanced(1, 6, shared=True)], tmp_path))
    assert run.grid is not None
    part = Grid((4, *run.grid.shape[1:]), run.grid.affine, run.grid.frame_of_reference_uid, run.grid.sources[:4])
    written, _ = datasets(tuple(writer.write(mapped(replace(run, grid=part), values(part.shape)))))
    assert written.NumberOfFrames == 4
    shown = np.frombuffer(written.FloatPixelData, "<f4").reshape(part.shape)
    for frame, item in zip(shown, written.PerFrameFunctionalGroupsSequence, strict=True):
        z = float(item.PlanePositionSequence[0].ImagePositionPatient[2])
        k = round((z - part.affine[2, 3]) / part.affine[2, 0])
        np.testing.assert_array_equal(frame, values(part.shape)[k])
    indices = [
        int(item.FrameContentSequence[0].DimensionIndexValues) for item in written.PerFrameFunctionalGroupsSequence
    ]
    assert indices == [1, 2, 3, 4]


def test_a_single_slice_of_one_value(tmp_path: Path, writer: DicomResultWriter) -> None:
    run = run_on(save([header(0)], tmp_path))
    written, _ = datasets(tuple(writer.write(mapped(run, np.full((1, 6, 8), 2.5, np.float32)))))
    assert np.frombuffer(written.FloatPixelData, "<f4").tolist() == [2.5] * 48


def test_the_same_run_is_the_same_bytes(series: list[Path]) -> None:
    first, again = (ParametricMapEncoder().encode(context_of(mapped(run_on(series)))) for _ in range(2))
    assert [one.part10 for one in first] == [one.part10 for one in again]


def _other_unit(dataset: Dataset) -> None:
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    mapping.MeasurementUnitsCodeSequence[0].CodeValue = "mm2/s"


def _other_quantity(dataset: Dataset) -> None:
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue = "113042"


def _other_slope(dataset: Dataset) -> None:
    dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0].RealWorldValueSlope = 2.0


def _other_value(dataset: Dataset) -> None:
    dataset.FloatPixelData = dataset.FloatPixelData[:-4] + b"\0\0\0\0"


def _lose_a_frame(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[dataset.NumberOfFrames - 1]
    dataset.NumberOfFrames -= 1


def _refer_to_a_stranger(dataset: Dataset) -> None:
    source = dataset.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPInstanceUID = "1.2.3.4"


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("unit of the parametric map", _other_unit),
        ("quantity of the parametric map", _other_quantity),
        ("values as they are", _other_slope),
        ("voxels", _other_value),
        ("a frame for every slice", _lose_a_frame),
        ("source images of the parametric map", _refer_to_a_stranger),
    ],
)
def test_a_spoilt_map_does_not_leave(check: str, change: Callable[[Dataset], None], series: list[Path]) -> None:
    run = mapped(run_on(series))
    context = context_of(run)
    written = ParametricMapEncoder().encode(context)
    verify_parametric_maps(context, [read_back(one) for one in written])
    dataset, buffer = datasets(written)[0], io.BytesIO()
    change(dataset)
    dataset.save_as(buffer)
    spoilt = [replace(written[0], part10=buffer.getvalue()), written[1]]
    with pytest.raises(ResultVerificationFailed) as caught:
        verify_parametric_maps(context, [read_back(one) for one in spoilt])
    assert caught.value.details["check"] == check
    with pytest.raises(ResultVerificationFailed, match="every parametric map"):
        verify_parametric_maps(context, [read_back(written[0])])


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("array", {"array": np.zeros((4, 6, 8), np.float32)}),
        ("array", {"array": np.zeros((5, 6, 8), np.float64)}),
        ("array", {"array": np.full((5, 6, 8), np.nan, np.float32)}),
        ("array", {"array": np.full((5, 6, 8), np.inf, np.float32)}),
        ("array", {"array": None}),
        ("label", {"label": "x" * 70}),
        ("unit", {"unit": CodedConcept("1", "99X", "no unit")}),
        ("quantity.value", {"quantity": CodedConcept("", "DCM", "nothing")}),
    ],
)
def test_what_is_no_map(field: str, change: dict[str, object], series: list[Path], writer: DicomResultWriter) -> None:
    run = mapped(run_on(series))
    good, bad = run.result.parametric_maps
    result = replace(run.result, parametric_maps=(good, replace(bad, **change)))  # type: ignore[arg-type]
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(replace(run, result=result))
    assert caught.value.details["field"] == f"parametric_maps[1].{field}"
