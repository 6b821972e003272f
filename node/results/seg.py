"""The SEG: all segments as one BINARY Segmentation on the source images (PS3.3 A.51)."""

from __future__ import annotations

from collections.abc import Sequence

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom.dataset import Dataset

from node.domain.result import Segment
from node.domain.study import Grid
from node.errors import ResultVerificationFailed
from node.ports import EncodedObject
from node.results.concepts import dicom
from node.results.context import ResultContext
from node.results.header import anonymous_reference, finish
from node.results.source import copy_element

_GEOMETRY = (
    "Rows", "Columns", "NumberOfFrames", "PixelSpacing", "SliceThickness", "ImageOrientationPatient",
    "ImagePositionPatient", "PositionReferenceIndicator",
)  # fmt: skip


class SegmentationEncoder:
    """A BINARY SEG; None where there is nothing but background."""

    def encode(self, run: ResultContext) -> EncodedObject | None:
        """
        Raises:
            ResultVerificationFailed: the grid and the source images do not belong together.
        """
        if not run.has_segmentation:
            return None
        segmentation, grid = run.run.result.segmentation, run.run.grid
        assert segmentation is not None
        assert grid is not None
        sources, planes = images_and_planes(run, grid, segmentation.label_map)
        try:
            dataset = self._segmentation(run, sources, planes)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # The images, not the model: highdicom sees no patient data here, so its words may be kept.
            raise ResultVerificationFailed(f"no SEG on these images: {error}", kind=type(error).__name__) from error
        _fix_dimension_uid(dataset, run.dimension_organization_uid)
        dataset.ContentCreatorName = None  # type 2
        if run.frame_of_reference_uid is None:
            dataset.PatientOrientation = run.first.get("PatientOrientation")  # type 2C without a position
        return finish(dataset, run)

    def _segmentation(self, run: ResultContext, sources: Sequence[Dataset], planes: npt.NDArray[np.uint8]) -> Dataset:
        algorithm = run.run.model.algorithm
        return Segmentation(
            source_images=sources,
            pixel_array=planes,
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[self._description(run, segment) for segment in run.segments],
            series_instance_uid=run.series_uid("SEG"),
            series_number=run.series_number("SEG"),
            sop_instance_uid=run.sop_instance_uid("SEG"),
            instance_number=1,
            manufacturer=run.maker.manufacturer,
            manufacturer_model_name=run.maker.model_name,
            software_versions=run.maker.software_version,
            device_serial_number=algorithm.weights_sha256,
            content_label="AI_SEGMENTATION",
            content_description="AI result, not verified",
            omit_empty_frames=True,
        )

    def _description(self, run: ResultContext, segment: Segment) -> SegmentDescription:
        algorithm = run.run.model.algorithm
        return SegmentDescription(
            segment_number=segment.number,
            segment_label=segment.label,
            segmented_property_category=dicom(segment.category),
            segmented_property_type=dicom(segment.type),
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                name=algorithm.name,
                family=dicom(algorithm.family),
                version=algorithm.version,
                source=algorithm.manufacturer,
                parameters={"weights_sha256": algorithm.weights_sha256},
            ),
            tracking_uid=run.segment_tracking_uid(segment.number),
            tracking_id=segment.label,
            anatomic_regions=[dicom(segment.anatomic_region)] if segment.anatomic_region else None,
            display_color=hd.color.CIELabColor.from_rgb(*segment.colour_rgb) if segment.colour_rgb else None,
        )


def images_and_planes(
    run: ResultContext, grid: Grid, label_map: npt.NDArray[np.uint8]
) -> tuple[list[Dataset], npt.NDArray[np.uint8]]:
    """The images that the slices of ``label_map`` (k, r, c) lie on, and the planes in the order of their frames.

    Raises:
        ResultVerificationFailed: a slice comes from an image that is not among the sources.
    """
    headers = {str(header.SOPInstanceUID): header for header in run.headers}
    unknown = [ref.sop_instance_uid for ref in grid.sources if ref.sop_instance_uid not in headers]
    if unknown or len(grid.sources) != grid.shape[0]:
        raise ResultVerificationFailed("slices without a source image", field="grid.sources", slices=len(unknown))
    instances = list(dict.fromkeys(ref.sop_instance_uid for ref in grid.sources))
    sources = [_image(run, headers[uid], grid) for uid in instances]
    if len(instances) == len(grid.sources):
        return sources, label_map
    # One enhanced multi-frame image: highdicom wants a plane for every frame, and leaves out the empty ones.
    planes = np.zeros((int(headers[instances[0]].NumberOfFrames), *label_map.shape[1:]), np.uint8)
    for plane, ref in zip(label_map, grid.sources, strict=True):
        planes[(ref.frame or 1) - 1] = plane
    return sources, planes


def _image(run: ResultContext, header: Dataset, grid: Grid) -> Dataset:
    image = anonymous_reference(header)
    for keyword in _GEOMETRY:
        if keyword in header:
            copy_element(header, keyword, into=image)
    if run.frame_of_reference_uid is not None:
        image.FrameOfReferenceUID = run.frame_of_reference_uid
    if "PerFrameFunctionalGroupsSequence" in header:
        _share_groups(image, header, grid)
    elif run.frame_of_reference_uid is not None:
        _set_slice_spacing(image, grid)
    return image


def _share_groups(image: Dataset, header: Dataset, grid: Grid) -> None:
    """Positions for each frame, orientation and pixel measures shared by all: highdicom looks for them there.

    Scanners put them where they like; the frames of the grid have them in common, the others stay empty.
    """
    frames, shared = header.PerFrameFunctionalGroupsSequence, header.SharedFunctionalGroupsSequence
    first = frames[(grid.sources[0].frame or 1) - 1]
    common = Dataset()
    for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        copy_element(first if keyword in first else shared[0], keyword, into=common)
    measures = Dataset()
    measures.PixelSpacing = common.PixelMeasuresSequence[0].PixelSpacing
    measures.SliceThickness = common.PixelMeasuresSequence[0].get("SliceThickness")
    _set_slice_spacing(measures, grid)
    common.PixelMeasuresSequence = [measures]
    positions = []
    for frame in frames:
        item = Dataset()
        copy_element(frame if "PlanePositionSequence" in frame else shared[0], "PlanePositionSequence", into=item)
        positions.append(item)
    image.SharedFunctionalGroupsSequence = [common]
    image.PerFrameFunctionalGroupsSequence = positions


def _set_slice_spacing(measures: Dataset, grid: Grid) -> None:
    """The distance of the slices as they lie, whatever the header claims."""
    spacing = f"{grid.spacing[0]:.6g}"
    measures.SpacingBetweenSlices = spacing
    if not measures.get("SliceThickness"):
        measures.SliceThickness = spacing


def _fix_dimension_uid(dataset: Dataset, uid: str) -> None:
    """highdicom makes this one by chance."""
    for item in [*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence]:
        item.DimensionOrganizationUID = uid
