"""Parametric maps (PS3.3 A.75): a quantity for each voxel, in floating point, with its unit."""

from __future__ import annotations

import numpy as np
from highdicom import VOILUTFunctionValues, VOILUTTransformation
from highdicom.pm import ParametricMap as DicomMap
from highdicom.pm import RealWorldValueMapping
from pydicom.dataset import Dataset

from node.domain.result import ParametricMap
from node.domain.texts import SHORT_STRING
from node.ports import EncodedObject
from node.results.anatomy import frame_anatomy
from node.results.concepts import dicom
from node.results.context import ResultContext
from node.results.images import SourceImages, images_of
from node.results.multiframe import MultiFrame, finish_multiframe, laid_on


class ParametricMapEncoder:
    """One object for each map, all in one series."""

    def encode(self, run: ResultContext) -> tuple[EncodedObject, ...]:
        """
        Raises:
            ResultVerificationFailed: the grid and the source images do not belong together.
        """
        maps, grid = run.run.result.parametric_maps, run.run.grid
        if not maps:
            return ()
        assert grid is not None
        images = images_of(run, grid)
        return tuple(_encoded(run, images, one, number) for number, one in enumerate(maps, 1))


def _encoded(run: ResultContext, images: SourceImages, given: ParametricMap, number: int) -> EncodedObject:
    assert run.run.grid is not None
    with laid_on("parametric map"):
        twin = _twin(run, images, given, number)
    twin.ContentCreatorName = None  # type 2
    # Mandatory (PS3.3 Table A.75-2), but not made by highdicom; readers look into it without asking.
    twin.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [frame_anatomy(run.first)]
    made = MultiFrame(twin, run.run.grid)
    made.sort_along_normal()
    voxels = (given.array[k].astype("<f4", copy=False).tobytes() for k in made.slices)
    places = [(k, None) for k in made.slices]
    length = 4 * given.array[0].size * len(places)
    return finish_multiframe(run, made, places, voxels, length, run.parametric_map_dimension_uid)


def _twin(run: ResultContext, images: SourceImages, given: ParametricMap, number: int) -> Dataset:
    """The map of one voxel on each plane."""
    low, high = float(given.array.min()), float(given.array.max())
    return DicomMap(
        source_images=images.references,
        pixel_array=np.zeros((len(images.slices), 1, 1), np.float32),
        series_instance_uid=run.series_uid("PM"),
        series_number=run.series_number("PM"),
        sop_instance_uid=run.parametric_map_uid(number),
        instance_number=number,
        manufacturer=run.maker.manufacturer,
        manufacturer_model_name=run.maker.model_name,
        software_versions=run.maker.software_version,
        device_serial_number=run.run.model.algorithm.weights_sha256,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(given, low, high)],
        voi_lut_transformations=[_window(low, high)],
        content_label="AI_MAP",
        content_description=given.label,
    )


def _mapping(given: ParametricMap, low: float, high: float) -> RealWorldValueMapping:
    """What is stored is the quantity itself."""
    return RealWorldValueMapping(
        lut_label=given.label[:SHORT_STRING].strip(),
        lut_explanation=given.label,
        unit=dicom(given.unit),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=dicom(given.quantity),
    )


def _window(low: float, high: float) -> VOILUTTransformation:
    """From the lowest value to the highest; a map of one value has a window all the same."""
    return VOILUTTransformation(
        window_center=(low + high) / 2,
        window_width=(high - low) or 1.0,
        voi_lut_function=VOILUTFunctionValues.LINEAR_EXACT,
    )
