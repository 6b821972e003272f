"""The SEG: all segments as one Segmentation on the source images (PS3.3 A.51), or a Label Map Segmentation (A.51.6)."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom.dataset import Dataset

from node.domain.result import Segment, SegmentationType
from node.errors import InvalidModelOutput
from node.ports import EncodedObject
from node.results.concepts import dicom
from node.results.context import ResultContext
from node.results.images import SourceImages, images_of
from node.results.multiframe import MultiFrame, finish_multiframe, laid_on
from node.results.seg_frames import MAXIMUM_FRACTIONAL_VALUE, frames_of


class SegmentationEncoder:
    """A SEG of the type that the context says; none where there is nothing but background.

    highdicom makes all of it but the frames, from a twin of one voxel a slice: its own frames cost seconds, and arrays
    of all segments.
    """

    def encode(self, run: ResultContext) -> tuple[EncodedObject, ...]:
        """
        Raises:
            InvalidModelOutput: fractions that do not show what the label map shows.
            ResultVerificationFailed: the grid and the source images do not belong together.
        """
        if not run.has_segmentation:
            return ()
        segmentation, grid = run.run.result.segmentation, run.run.grid
        assert segmentation is not None
        assert grid is not None
        images = images_of(run, grid)
        content = frames_of(segmentation, run.segmentation_type)
        numbers = [content.numbers(k) for k in range(grid.shape[0])]
        if not any(numbers):
            raise InvalidModelOutput("segmentation.fractions: all are zero", field="segmentation.fractions")
        shown = np.array([k is not None and bool(numbers[k]) for k in images.slices], np.uint8)
        with laid_on("SEG"):
            twin = self._twin(run, images, shown)
        twin.ContentCreatorName = None  # type 2
        multiframe = MultiFrame(twin, grid)
        places = [
            (k, number)
            for number in sorted({one for found in numbers for one in found}, key=lambda one: one or 0)
            for k in multiframe.slices
            if number in numbers[k]
        ]
        voxels, length = content.voxels(places), content.length(len(places))
        return (finish_multiframe(run, multiframe, places, voxels, length, run.dimension_organization_uid),)

    def _twin(self, run: ResultContext, images: SourceImages, shown: npt.NDArray[np.uint8]) -> Dataset:
        """A SEG of the first segment alone, one voxel on each plane where ``shown`` is not 0."""
        algorithm = run.run.model.algorithm
        return Segmentation(
            source_images=images.references,
            pixel_array=_pixels(run, shown),
            segmentation_type=SegmentationTypeValues(run.segmentation_type),
            max_fractional_value=MAXIMUM_FRACTIONAL_VALUE,
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
            tracking_id=run.segment_tracking_id(segment.number),
            anatomic_regions=[dicom(segment.anatomic_region)] if segment.anatomic_region else None,
            display_color=hd.color.CIELabColor.from_rgb(*segment.colour_rgb) if segment.colour_rgb else None,
        )


def _pixels(run: ResultContext, shown: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    """(planes, 1, 1); of a FRACTIONAL SEG (planes, 1, 1, segments) in floating point, as highdicom wants them."""
    planes = shown.reshape(-1, 1, 1)
    if run.segmentation_type is not SegmentationType.FRACTIONAL:
        return planes
    stacked = np.zeros((*planes.shape, len(run.segments)), np.float32)
    stacked[..., 0] = planes
    return stacked
