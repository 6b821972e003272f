"""The KOS: a Key Object Selection Document (PS3.16 TID 2010) of the images that a reader should see first."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import CodedConcept as DicomConcept
from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from node.domain.study import SopRef
from node.ports import EncodedObject
from node.results.context import ResultContext
from node.results.header import anonymous_reference, finish

DESCRIPTION = "images to look at first; AI result, not verified"


class KeyObjectEncoder:
    """A KOS "Of Interest"; none where the model names no key images."""

    def encode(self, run: ResultContext) -> tuple[EncodedObject, ...]:
        if not run.has_key_objects:
            return ()
        images = tuple(dict.fromkeys(run.run.result.key_images))
        headers = {str(header.SOPInstanceUID): header for header in run.headers}
        references = {image.sop_instance_uid: anonymous_reference(headers[image.sop_instance_uid]) for image in images}
        for reference in references.values():
            reference.Rows = reference.Columns = 1  # an image, not any object: that is how highdicom tells
        dataset = KeyObjectSelectionDocument(
            evidence=list(references.values()),
            content=_content(run, [references[image.sop_instance_uid] for image in images]),
            series_instance_uid=run.series_uid("KO"),
            series_number=run.series_number("KO"),
            sop_instance_uid=run.key_objects_uid,
            instance_number=1,
            manufacturer=run.maker.manufacturer,
        )
        _refer_to_images(dataset, images)
        return (finish(dataset, run),)


def _content(run: ResultContext, references: Sequence[Dataset]) -> KeyObjectSelection:
    """The algorithm chose them (TID 1002); ``references`` in the order of the images."""
    algorithm = run.run.model.algorithm
    observer = ObserverContext(
        observer_type=DicomConcept.from_code(codes.DCM.Device),
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=run.algorithm_device_uid, name=algorithm.name, manufacturer_name=algorithm.manufacturer
        ),
    )
    return KeyObjectSelection(
        document_title=codes.DCM.OfInterest,
        referenced_objects=references,
        observer_device_context=observer,
        description=f"{algorithm.name} {algorithm.version}, {run.run.result.outcome}: {DESCRIPTION}",
    )


def _refer_to_images(dataset: Dataset, images: Sequence[SopRef]) -> None:
    """Frames, which highdicom does not know here, and no concept names: TID 2010 has none for its references."""
    items = [item for item in dataset.ContentSequence if item.ValueType == "IMAGE"]
    for item, image in zip(items, images, strict=True):
        del item.ConceptNameCodeSequence
        if image.frame is not None:
            item.ReferencedSOPSequence[0].ReferencedFrameNumber = image.frame
