"""Contributing Equipment Sequence (PS3.3 C.12.1, PS3.16 CID 7005): the scanner, the algorithm and this node."""

from __future__ import annotations

from highdicom.sr import CodedConcept as DicomConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from node.results.context import ResultContext
from node.results.source import EQUIPMENT, copy_element


def contributing_equipment(context: ResultContext) -> list[Dataset]:
    """Items in the order of their contribution. The scanner is named only where the source names it."""
    scanner = _scanner(context.first)
    return [*([scanner] if scanner else []), _algorithm(context), _node(context)]


def _algorithm(context: ResultContext) -> Dataset:
    """The model; its Device UID changes whenever the weights change."""
    model = context.run.model
    item = _item(codes.DCM.ProcessingEquipment, model.algorithm.manufacturer, "Algorithm that made the result")
    item.ManufacturerModelName = model.algorithm.name
    item.SoftwareVersions = model.algorithm.version
    item.DeviceSerialNumber = model.algorithm.weights_sha256
    item.DeviceUID = context.algorithm_device_uid
    return item


def _node(context: ResultContext) -> Dataset:
    """The software that ran the model and wrote the objects."""
    maker = context.maker
    item = _item(codes.DCM.ProcessingEquipment, maker.manufacturer, "Software that ran the algorithm")
    item.ManufacturerModelName = maker.model_name
    item.SoftwareVersions = maker.software_version
    item.DeviceUID = maker.device_uid
    return item


def _scanner(header: Dataset) -> Dataset | None:
    manufacturer = str(header.get("Manufacturer") or "")
    if not manufacturer:
        return None
    item = _item(codes.DCM.AcquisitionEquipment, manufacturer, "Acquisition equipment of the source images")
    for keyword in EQUIPMENT:
        if keyword in header:
            copy_element(header, keyword, into=item)
    return item


def _item(purpose: Code, manufacturer: str, description: str) -> Dataset:
    item = Dataset()
    item.Manufacturer = manufacturer
    item.ContributionDescription = description
    item.PurposeOfReferenceCodeSequence = [DicomConcept.from_code(purpose)]
    return item
