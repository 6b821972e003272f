"""Secondary Captures: images of a result for viewers that draw neither a SEG nor an SR. One frame in each object.

Single frames in a series of their own, because every viewer shows those; a multi-frame Secondary Capture is shown by
some as a film, and not at all by others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import structlog
from highdicom import CoordinateSystemNames, PhotometricInterpretationValues
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept as DicomConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from node.domain.result import Outcome
from node.domain.study import ByteRange, SopRef
from node.errors import InputError
from node.ports import EncodedObject, SourcePictures
from node.results.context import ResultContext
from node.results.display import display_header, grey_levels, pixel_aspect, value
from node.results.drawing import Picture, Words, card, draw
from node.results.header import finish
from node.results.laterality import leave_room_for_laterality
from node.results.legend import UNVERIFIED, algorithm_words, outcome_words, reason_words
from node.results.orientation import patient_orientation
from node.results.plates import Plate, plates_of
from node.results.source import UTF_8

log = structlog.get_logger()

NOTHING_TO_SHOW = frozenset({Outcome.NOT_EVALUABLE, Outcome.FAILED})


class SecondaryCaptureEncoder:
    """One image for each plate; a card with words alone where there is nothing to show, or no way to show it."""

    def __init__(self, pictures: SourcePictures) -> None:
        self._pictures = pictures

    def encode(self, run: ResultContext) -> tuple[EncodedObject, ...]:
        """
        Raises:
            ObjectMissing: a source image is gone.
        """
        if run.run.result.outcome in NOTHING_TO_SHOW:
            every = tuple(SopRef(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in run.headers)
            return (_capture(run, 1, card(words_of(run)), every, None),)
        plates = enumerate(plates_of(run), 1)
        return tuple(self._captured(run, number, plate) for number, plate in plates)

    def _captured(self, run: ResultContext, number: int, plate: Plate) -> EncodedObject:
        location = location_of(run, plate.image)
        header = display_header(location)
        try:
            picture = self._pictures(location, plate.image)
        except InputError as error:
            # The result stands, although this image of it cannot be shown.
            log.warning("results.picture_without_image", job=run.run.job.id, code=error.code)
            words = words_of(run, "The image cannot be displayed")
            return _capture(run, number, card(words), (plate.image,), header)
        drawn = draw(grey_levels(picture, header), pixel_aspect(header, plate.image.frame), plate, words_of(run))
        return _capture(run, number, drawn, (plate.image,), header)


def location_of(run: ResultContext, image: SopRef) -> ByteRange:
    places = zip(run.run.sources, run.run.locations, strict=True)
    return next(place for source, place in places if source.instance.sop_instance_uid == image.sop_instance_uid)


def words_of(run: ResultContext, *notes: str) -> Words:
    reason = reason_words(run)
    return Words(f"AI: {algorithm_words(run)}", outcome_words(run), (*([reason] if reason else []), *notes), UNVERIFIED)


def _capture(
    run: ResultContext, number: int, pixels: Picture, images: Sequence[SopRef], header: Dataset | None
) -> EncodedObject:
    """``header`` is that of the image that is shown; None on a card about all ``images``."""
    dataset = SCImage(
        pixel_array=np.ascontiguousarray(pixels),
        photometric_interpretation=PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "P"),
        study_instance_uid=str(run.first.StudyInstanceUID),
        series_instance_uid=run.series_uid("SC"),
        series_number=run.series_number("SC"),
        sop_instance_uid=run.picture_uid("SC", number),
        instance_number=number,
        manufacturer=run.maker.manufacturer,
        specific_character_set=UTF_8,
    )
    del dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    frame = images[0].frame
    dataset["PatientOrientation"].value = _orientation(header, frame) if header is not None else None
    leave_room_for_laterality(dataset, run.first)
    dataset.BurnedInAnnotation = "YES"
    dataset.ImageComments = UNVERIFIED
    dataset.LossyImageCompression = "00"
    dataset.DerivationDescription = f"AI result drawn over the source image: {algorithm_words(run)}"
    dataset.SourceImageSequence = [_source(image) for image in images]
    return finish(dataset, run)


def _orientation(header: Dataset, frame: int | None) -> list[str] | None:
    """Words for the directions of rows and columns; None (a value of type 2) where the source says nothing."""
    cosines = value(header, frame, "ImageOrientationPatient", "PlaneOrientationSequence")
    if cosines is not None and len(cosines) == 6:
        return patient_orientation([float(cosine) for cosine in cosines])
    return header.get("PatientOrientation") or None


def _source(image: SopRef) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = image.sop_class_uid
    item.ReferencedSOPInstanceUID = image.sop_instance_uid
    if image.frame is not None:
        item.ReferencedFrameNumber = image.frame
    item.PurposeOfReferenceCodeSequence = [DicomConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)]
    return item
