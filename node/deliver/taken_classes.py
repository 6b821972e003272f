"""What we take on our own association when we fetch by C-GET, as data.

An association has 128 presentation contexts at most (PS3.8 section 9.3.2.2), and the archive sends nothing that was not
proposed: so these are the classes that studies are made of. Each is proposed twice, so that the archive need not decode
what it holds: uncompressed, and compressed.
"""

from __future__ import annotations

from typing import Final

from pydicom.uid import (
    AllTransferSyntaxes,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import build_context, sop_class
from pynetdicom.presentation import PresentationContext

UNCOMPRESSED: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
COMPRESSED: Final = tuple(
    uid
    for uid in AllTransferSyntaxes
    if uid not in (*UNCOMPRESSED, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian) and "JPIP" not in uid.name
)
_IMAGES: Final = (
    "CTImageStorage", "EnhancedCTImageStorage", "MRImageStorage", "EnhancedMRImageStorage",
    "PositronEmissionTomographyImageStorage", "EnhancedPETImageStorage", "NuclearMedicineImageStorage",
    "ComputedRadiographyImageStorage", "DigitalXRayImageStorageForPresentation",
    "DigitalXRayImageStorageForProcessing", "DigitalMammographyXRayImageStorageForPresentation",
    "DigitalMammographyXRayImageStorageForProcessing", "BreastTomosynthesisImageStorage",
    "DigitalIntraOralXRayImageStorageForPresentation", "XRayAngiographicImageStorage", "EnhancedXAImageStorage",
    "XRayRadiofluoroscopicImageStorage", "EnhancedXRFImageStorage", "UltrasoundImageStorage",
    "UltrasoundMultiFrameImageStorage", "EnhancedUSVolumeStorage", "SecondaryCaptureImageStorage",
    "MultiFrameSingleBitSecondaryCaptureImageStorage", "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
    "MultiFrameGrayscaleWordSecondaryCaptureImageStorage", "MultiFrameTrueColorSecondaryCaptureImageStorage",
    "VLEndoscopicImageStorage", "VLMicroscopicImageStorage", "VLPhotographicImageStorage",
    "VLWholeSlideMicroscopyImageStorage", "OphthalmicPhotography8BitImageStorage",
    "OphthalmicPhotography16BitImageStorage", "OphthalmicTomographyImageStorage", "XRay3DAngiographicImageStorage",
    "SegmentationStorage", "RTImageStorage",
)  # fmt: skip
_OTHERS: Final = (
    "BasicTextSRStorage", "EnhancedSRStorage", "ComprehensiveSRStorage", "Comprehensive3DSRStorage",
    "XRayRadiationDoseSRStorage", "MammographyCADSRStorage", "ChestCADSRStorage", "KeyObjectSelectionDocumentStorage",
    "GrayscaleSoftcopyPresentationStateStorage", "ColorSoftcopyPresentationStateStorage", "ParametricMapStorage",
    "SpatialRegistrationStorage", "RawDataStorage", "RTStructureSetStorage", "RTDoseStorage", "RTPlanStorage",
    "EncapsulatedPDFStorage",
)  # fmt: skip
LABEL_MAP_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.7"
IMAGES: Final = (*(str(getattr(sop_class, keyword)) for keyword in _IMAGES), LABEL_MAP_SEGMENTATION)
TAKEN: Final = (*IMAGES, *(str(getattr(sop_class, keyword)) for keyword in _OTHERS))


def taken_contexts() -> list[PresentationContext]:
    return [
        *(build_context(uid, list(UNCOMPRESSED)) for uid in TAKEN),
        *(build_context(uid, list(COMPRESSED)) for uid in IMAGES),
    ]
