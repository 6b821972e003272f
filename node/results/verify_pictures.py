"""What holds of a written KOS, Secondary Capture or presentation state, beside what holds of every object."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import (
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
)

from node.domain.rendition import Rendition
from node.domain.result import Outcome
from node.results.context import ResultContext
from node.results.legend import UNVERIFIED, UNVERIFIED_SHORT
from node.results.reading import evidence, images, references, walk
from node.results.voxels import require

SIDE_AT_LEAST = 512


def verify_key_objects(context: ResultContext, dataset: Dataset) -> None:
    """A KOS refers to the key images, each once, and to nothing else.

    Raises:
        ResultVerificationFailed
    """
    where = str(dataset.SOPInstanceUID)
    items = [item for item in walk(dataset) if item.ValueType == "IMAGE"]
    named = [image for item in items for image in images(item)]
    require(named == list(dict.fromkeys(context.run.result.key_images)), "the key images", where)
    known = {(ref.sop_class_uid, ref.sop_instance_uid) for ref in evidence(dataset)}
    require(known == {(image.sop_class_uid, image.sop_instance_uid) for image in named}, "evidence of the KOS", where)
    require(known <= _sources(context), "references resolve", where)


def verify_picture(context: ResultContext, kind: Rendition | None, dataset: Dataset) -> None:
    """
    Raises:
        ResultVerificationFailed
    """
    where = str(dataset.SOPInstanceUID)
    named = {(ref.sop_class_uid, ref.sop_instance_uid) for ref in references(dataset)}
    require(bool(named) and named <= _sources(context), "references resolve", where)
    if kind is Rendition.SECONDARY_CAPTURE:
        require(dataset.SOPClassUID == SecondaryCaptureImageStorage, "SOP Class of a Secondary Capture", where)
        _capture(dataset, where)
    else:
        require(dataset.SOPClassUID == GrayscaleSoftcopyPresentationStateStorage, "SOP Class of a picture", where)
        _presentation_state(context, dataset, where)


def _capture(dataset: Dataset, where: str) -> None:
    require(dataset.BurnedInAnnotation == "YES", "Burned In Annotation", where)
    require(dataset.ImageComments == UNVERIFIED, "it says that it is unverified", where)
    require(min(dataset.Rows, dataset.Columns) >= SIDE_AT_LEAST, "large enough to be read", where)
    require(len(dataset.PixelData) >= 3 * dataset.Rows * dataset.Columns, "Pixel Data is complete", where)


def _presentation_state(context: ResultContext, dataset: Dataset, where: str) -> None:
    require(context.run.result.outcome in (Outcome.POSITIVE, Outcome.NEGATIVE), "something to draw", where)
    layers = {str(layer.GraphicLayer) for layer in dataset.GraphicLayerSequence}
    texts, shown = [], set()
    for annotation in dataset.GraphicAnnotationSequence:
        require(str(annotation.GraphicLayer) in layers, "graphic layers are described", where)
        shown |= {str(image.ReferencedSOPInstanceUID) for image in annotation.ReferencedImageSequence}
        texts += [str(text.UnformattedTextValue) for text in annotation.get("TextObjectSequence") or []]
    require(any(text.startswith(UNVERIFIED_SHORT) for text in texts), "it says that it is unverified", where)
    listed = {
        str(image.ReferencedSOPInstanceUID)
        for series in dataset.ReferencedSeriesSequence
        for image in series.ReferencedImageSequence
    }
    require(shown == listed, "every image is listed and annotated", where)


def _sources(context: ResultContext) -> set[tuple[str, str]]:
    return {(str(header.SOPClassUID), str(header.SOPInstanceUID)) for header in context.headers}
