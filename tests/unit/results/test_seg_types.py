"""A SEG of each type says the same as highdicom's own, and reads back as what the model said."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from highdicom.seg import SegmentationTypeValues
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation

from node.domain.result import InferenceResult, Outcome, Segmentation, SegmentationType
from node.domain.study import Grid, SopRef
from node.errors import InvalidModelOutput, ResultVerificationFailed
from node.ports import EncodedObject, Run
from node.results import multiframe, seg
from node.results.context import LABEL_MAP_SEGMENTATION, ResultContext
from node.results.header import anonymous_reference
from node.results.source import copy_element, read_headers
from node.results.verify_images import verify_segmentation
from node.results.writer import DicomResultWriter
from node.results.written import read_back
from tests.unit.results.runs import MAKER, MODEL, SEGMENTS, draw, header, run_on, save
from tests.unit.results.seen import label_map_of, slice_of
from tests.unit.results.test_geometry import PLANES, enhanced

BINARY, FRACTIONAL, LABELMAP = SegmentationType.BINARY, SegmentationType.FRACTIONAL, SegmentationType.LABELMAP
GEOMETRY = ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient", "FrameOfReferenceUID")


def fractions_of(label_map: npt.NDArray[np.uint8], segments: int) -> npt.NDArray[np.float32]:
    """Every voxel has another fraction, on both sides of the steps of 1/255; what is no segment has none."""
    values = np.linspace(0.01, 1.0, label_map.size, dtype=np.float32).reshape(label_map.shape)
    return np.stack([np.where(label_map == number, values, np.float32(0)) for number in range(1, segments + 1)])


def typed(run: Run, kind: SegmentationType, label_map: npt.NDArray[np.uint8] | None = None, segments: int = 2) -> Run:
    """The run of a model that declares this type and so many segments."""
    assert run.grid is not None
    drawn = draw(run.grid.shape) if label_map is None else label_map
    fractions = fractions_of(drawn, segments) if kind is FRACTIONAL else None
    findings = tuple(one for one in run.result.findings if one.segment is not None and one.segment <= segments)
    return replace(
        run,
        model=replace(MODEL, segmentation_type=kind, segments=SEGMENTS[:segments]),
        result=InferenceResult(Outcome.POSITIVE, findings, Segmentation(SEGMENTS[:segments], drawn, fractions)),
    )


def context_of(run: Run) -> ResultContext:
    return ResultContext(run, read_headers(run.sources, run.locations), MAKER, UTC)


def encoded(run: Run) -> EncodedObject:
    (written,) = seg.SegmentationEncoder().encode(context_of(run))
    return written


def dataset_of(written: EncodedObject) -> Dataset:
    return pydicom.dcmread(io.BytesIO(written.part10))


def plainly(run: Run) -> Dataset:
    """What highdicom makes of the same segments on the same images by itself, finished as ours."""
    context, segmentation = context_of(run), run.result.segmentation
    assert segmentation is not None
    assert run.grid is not None
    images = []
    for item in context.headers:
        image = anonymous_reference(item)
        for keyword in ("Rows", "Columns", *GEOMETRY):
            if keyword in item:
                copy_element(item, keyword, into=image)
        image.SpacingBetweenSlices = f"{run.grid.spacing[0]:.6g}"
        images.append(image)
    kind = run.model.segmentation_type
    stacked = None if segmentation.fractions is None else np.moveaxis(segmentation.fractions, 0, -1)
    made = hd.seg.Segmentation(
        source_images=images,
        pixel_array=segmentation.label_map if stacked is None else stacked,
        segmentation_type=SegmentationTypeValues(kind),
        max_fractional_value=255,
        segment_descriptions=[seg.SegmentationEncoder()._description(context, one) for one in context.segments],
        series_instance_uid=context.series_uid("SEG"),
        series_number=context.series_number("SEG"),
        sop_instance_uid=context.sop_instance_uid("SEG"),
        instance_number=1,
        manufacturer=MAKER.manufacturer,
        manufacturer_model_name=MAKER.model_name,
        software_versions=MAKER.software_version,
        device_serial_number=run.model.algorithm.weights_sha256,
        content_label="AI_SEGMENTATION",
        content_description="AI result, not verified",
    )
    made.ContentCreatorName = None
    for item in [*made.DimensionOrganizationSequence, *made.DimensionIndexSequence]:
        item.DimensionOrganizationUID = context.dimension_organization_uid
    return dataset_of(multiframe.finish(made, context))


def small(folder: Path, rows: int, columns: int, slices: int = 5, **attributes: object) -> Run:
    headers = [header(number, Rows=rows, Columns=columns, **attributes) for number in range(slices)]
    return run_on(save(headers, folder))


def some_slices_empty(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Segment 1 alone on the first slice, nothing on the second, 2 alone on the last, both elsewhere."""
    label_map = np.zeros(shape, np.uint8)
    label_map[:, 1, 2:4], label_map[:, 3, 1:6] = 1, 2
    label_map[0, 3], label_map[1], label_map[-1, 1] = 0, 0, 0
    label_map[2, -1, -1] = 2
    return label_map


@pytest.mark.parametrize("segments", [1, 2])
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (7, 9)])  # frames of whole bytes, and such that begin within one
@pytest.mark.parametrize("kind", SegmentationType)
def test_it_is_what_highdicom_writes(
    kind: SegmentationType, size: tuple[int, int], segments: int, tmp_path: Path
) -> None:
    """Element by element, at every depth, and voxel by voxel."""
    run = small(tmp_path, *size)
    label_map = some_slices_empty((5, *size))
    run = typed(run, kind, np.minimum(label_map, segments), segments)
    ours, theirs = dataset_of(encoded(run)), plainly(run)
    length = -(-theirs.NumberOfFrames * theirs.BitsAllocated * size[0] * size[1] // 8)
    assert ours.PixelData[length:] == bytes(length % 2)
    theirs.PixelData = theirs.PixelData[:length] + bytes(length % 2)  # highdicom pads with the letter 0
    assert [element.tag for element in ours] == [element.tag for element in theirs]
    for element in theirs:
        assert ours[element.tag] == element
    assert ours.file_meta == theirs.file_meta


@pytest.mark.parametrize("kind", SegmentationType)
@pytest.mark.parametrize("plane", PLANES)
def test_on_grids_of_every_orientation(
    kind: SegmentationType, plane: str, tmp_path: Path, writer: DicomResultWriter
) -> None:
    row, column = PLANES[plane]
    normal = np.cross(row, column)
    orientation = [f"{value:.10f}" for value in (*row, *column)]
    places = [[f"{value:.8f}" for value in np.array([7.5, -3, 40]) - normal * 2.5 * number] for number in range(4)]
    images = [header(n, ImageOrientationPatient=orientation, ImagePositionPatient=at) for n, at in enumerate(places)]
    run = typed(run_on(save(images, tmp_path)), kind)
    assert run.grid is not None
    assert run.result.segmentation is not None
    written = dataset_of(writer.write(run)[0])
    if kind is not FRACTIONAL:
        assert np.array_equal(label_map_of(written, run.grid), run.result.segmentation.label_map)
        return
    frames = np.frombuffer(written.PixelData, np.uint8)[: written.NumberOfFrames * 48].reshape(-1, 6, 8)
    assert run.result.segmentation.fractions is not None
    for frame, item in zip(frames, written.PerFrameFunctionalGroupsSequence, strict=True):
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        given = run.result.segmentation.fractions[number - 1, slice_of(written, item, run.grid)]
        assert np.abs(frame / 255 - given).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("kind", SegmentationType)
def test_an_enhanced_image_and_a_single_slice_and_a_projection(
    kind: SegmentationType, tmp_path: Path, writer: DicomResultWriter
) -> None:
    for name, run in _unusual(tmp_path):
        report = writer.write(typed(run, kind))[-1]
        referred = {
            str(one.ReferencedSOPClassUID)
            for study in dataset_of(report).CurrentRequestedProcedureEvidenceSequence
            for series in study.ReferencedSeriesSequence
            for one in series.ReferencedSOPSequence
        }
        assert (LABEL_MAP_SEGMENTATION in referred) is (kind is LABELMAP), name


def _unusual(folder: Path) -> list[tuple[str, Run]]:
    for name in ("enhanced", "single", "projection"):
        (folder / name).mkdir()
    many = run_on(save([enhanced(1, 6, shared=True)], folder / "enhanced"))
    assert many.grid is not None
    some = Grid((4, *many.grid.shape[1:]), many.grid.affine, many.grid.frame_of_reference_uid, many.grid.sources[:4])
    single = run_on(save([header(0)], folder / "single"))
    absent = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID"))
    image = header(0, Modality="DX", SOPClassUID=DigitalXRayImageStorageForPresentation, **absent)
    flat = Grid((1, 6, 8), np.diag([1, 1.5, 0.75, 1.0]), "", (SopRef(image.SOPClassUID, image.SOPInstanceUID),))
    paths = save([image], folder / "projection")
    projection = replace(run_on(paths, InferenceResult(Outcome.NOT_EVALUABLE)), grid=flat, result=single.result)
    return [("all frames", many), ("some frames", replace(many, grid=some)), ("single", single), ("flat", projection)]


@pytest.mark.parametrize("kind", SegmentationType)
def test_the_same_run_is_the_same_bytes(kind: SegmentationType, series: list[Path]) -> None:
    assert encoded(typed(run_on(series), kind)).part10 == encoded(typed(run_on(series), kind)).part10


def test_255_segments(tmp_path: Path, writer: DicomResultWriter) -> None:
    run = small(tmp_path, 16, 16, slices=2)
    many = tuple(replace(SEGMENTS[0], number=number, label=f"Segment {number}") for number in range(1, 256))
    label_map = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 2)
    model = replace(MODEL, segments=many)
    run = replace(run, model=model, result=replace(run.result, segmentation=Segmentation(many, label_map)))
    written = dataset_of(writer.write(run)[0])
    assert written.NumberOfFrames == 510
    assert run.grid is not None
    assert np.array_equal(label_map_of(written, run.grid), label_map)


# ---------------------------------------------------------------- what must not leave


def _flip(dataset: Dataset) -> None:
    dataset.PixelData = bytes([dataset.PixelData[0] ^ 0x3F]) + dataset.PixelData[1:]


def _lose_a_frame(dataset: Dataset) -> None:
    count = dataset.NumberOfFrames
    del dataset.PerFrameFunctionalGroupsSequence[count - 1]
    dataset.NumberOfFrames = count - 1


def _twice(dataset: Dataset) -> None:
    first, second, *_ = dataset.PerFrameFunctionalGroupsSequence
    for keyword in ("PlanePositionSequence", "DerivationImageSequence"):
        second[keyword].value = first[keyword].value


def _mean_something_else(dataset: Dataset) -> None:
    dataset.SegmentationFractionalType = "OCCUPANCY"


def _say_another_type(dataset: Dataset) -> None:
    dataset.SegmentationType = "BINARY" if dataset.SegmentationType != "BINARY" else "FRACTIONAL"


def _refer_to_a_stranger(dataset: Dataset) -> None:
    source = dataset.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPInstanceUID = "1.2.3.4"


SPOILT: Sequence[tuple[str, Callable[[Dataset], None], Sequence[SegmentationType]]] = [
    ("voxels", _flip, tuple(SegmentationType)),
    ("voxels", _lose_a_frame, tuple(SegmentationType)),
    ("no frame comes twice", _twice, tuple(SegmentationType)),
    ("Segmentation Type", _say_another_type, tuple(SegmentationType)),
    ("source images of the SEG", _refer_to_a_stranger, tuple(SegmentationType)),
    ("what a fraction means", _mean_something_else, (FRACTIONAL,)),
]


@pytest.mark.parametrize(
    ("check", "change", "kind"), [(check, change, kind) for check, change, kinds in SPOILT for kind in kinds]
)
def test_a_spoilt_seg_does_not_leave(
    check: str, change: Callable[[Dataset], None], kind: SegmentationType, series: list[Path]
) -> None:
    run = typed(run_on(series), kind)
    written, context = encoded(run), context_of(run)
    verify_segmentation(context, read_back(written))
    dataset, buffer = dataset_of(written), io.BytesIO()
    change(dataset)
    dataset.save_as(buffer)
    with pytest.raises(ResultVerificationFailed) as caught:
        verify_segmentation(context, read_back(replace(written, part10=buffer.getvalue())))
    assert caught.value.details["check"] == check


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_cut_seg_does_not_leave(cut: float, series: list[Path]) -> None:
    run = typed(run_on(series), BINARY)
    written = encoded(run)
    short = replace(written, part10=written.part10[: int(cut * len(written.part10))])
    with pytest.raises(ResultVerificationFailed) as caught:
        verify_segmentation(context_of(run), read_back(short))
    assert caught.value.details["check"] in ("readable", "Pixel Data is complete")


def test_fractions_that_are_all_zero(series: list[Path], writer: DicomResultWriter) -> None:
    run = typed(run_on(series), FRACTIONAL)
    assert run.result.segmentation is not None
    assert run.result.segmentation.fractions is not None
    nothing = replace(run.result.segmentation, fractions=np.zeros_like(run.result.segmentation.fractions))
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(replace(run, result=replace(run.result, segmentation=nothing)))
    assert caught.value.details["field"] == "segmentation.fractions"
