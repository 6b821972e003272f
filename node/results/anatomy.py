"""Frame Anatomy (PS3.3 C.7.6.16.2.8) of images that we make: the part of the body, as far as it is known."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

UNPAIRED_PART = "U"
SIDES = frozenset({"R", "L", "B", UNPAIRED_PART})
# As the present and the past standard call it.
SNOMED = frozenset({"SCT", "SRT"})
# Frame Anatomy wants a region even where the source names none that can be coded.
ANY_REGION = Code("38866009", "SCT", "Body part")
# PS3.16 Table L-1: Body Part Examined as a code, of parts that are not paired
_UNPAIRED = {
    "ABDOMEN": ("818981001", "Abdomen"),
    "ABDOMENPELVIS": ("818982008", "Abdomen and Pelvis"),
    "AORTA": ("15825003", "Aorta"),
    "BACK": ("77568009", "Back"),
    "BLADDER": ("89837001", "Bladder"),
    "BRAIN": ("12738006", "Brain"),
    "CEREBELLUM": ("113305005", "Cerebellum"),
    "CERVIX": ("71252005", "Cervix"),
    "CHEST": ("816094009", "Chest"),
    "CHESTABDOMEN": ("416550000", "Chest and Abdomen"),
    "CHESTABDPELVIS": ("416775004", "Chest, Abdomen and Pelvis"),
    "CIRCLEOFWILLIS": ("11279006", "Circle of Willis"),
    "COCCYX": ("64688005", "Coccyx"),
    "COLON": ("71854001", "Colon"),
    "CSPINE": ("122494005", "Cervical spine"),
    "CTSPINE": ("1217257000", "Cervico-thoracic spine"),
    "DUODENUM": ("38848004", "Duodenum"),
    "ESOPHAGUS": ("32849002", "Esophagus"),
    "FACE": ("89545001", "Face"),
    "GALLBLADDER": ("28231008", "Gallbladder"),
    "HEAD": ("69536005", "Head"),
    "HEADNECK": ("774007", "Head and Neck"),
    "HEART": ("80891009", "Heart"),
    "ILEUM": ("34516001", "Ileum"),
    "JAW": ("661005", "Jaw region"),
    "JEJUNUM": ("21306003", "Jejunum"),
    "LARYNX": ("4596009", "Larynx"),
    "LIVER": ("10200004", "Liver"),
    "LSPINE": ("122496007", "Lumbar spine"),
    "LSSPINE": ("1217253001", "Lumbo-sacral spine"),
    "MAXILLA": ("70925003", "Maxilla"),
    "MEDIASTINUM": ("72410000", "Mediastinum"),
    "MOUTH": ("123851003", "Mouth"),
    "NECK": ("45048000", "Neck"),
    "NECKCHEST": ("417437006", "Neck and Chest"),
    "NECKCHESTABDOMEN": ("416152001", "Neck, Chest and Abdomen"),
    "NECKCHESTABDPELV": ("416319003", "Neck, Chest, Abdomen and Pelvis"),
    "PANCREAS": ("15776009", "Pancreas"),
    "PELVIS": ("816092008", "Pelvis"),
    "PENIS": ("18911002", "Penis"),
    "PHARYNX": ("54066008", "Pharynx"),
    "PROSTATE": ("41216001", "Prostate"),
    "RECTUM": ("34402009", "Rectum"),
    "SCALP": ("41695006", "Scalp"),
    "SKULL": ("89546000", "Skull"),
    "SPINE": ("421060004", "Spine"),
    "SPLEEN": ("78961009", "Spleen"),
    "SSPINE": ("54735007", "Sacrum"),
    "STERNUM": ("56873002", "Sternum"),
    "STOMACH": ("69695003", "Stomach"),
    "THORAX": ("816094009", "Chest"),
    "THYROID": ("69748006", "Thyroid"),
    "TLSPINE": ("1217256009", "Thoraco-lumbar spine"),
    "TONGUE": ("21974007", "Tongue"),
    "TRACHEA": ("44567001", "Trachea"),
    "TSPINE": ("122495006", "Thoracic spine"),
    "URETHRA": ("13648007", "Urethra"),
    "UTERUS": ("35039007", "Uterus"),
    "VAGINA": ("76784001", "Vagina"),
    "VULVA": ("45292006", "Vulva"),
    "WHOLEBODY": ("38266002", "Entire body"),
}
# and of some that are: a region of these is named where its side is known.
_PAIRED = {
    "ANKLE": ("70258002", "Ankle joint"),
    "BREAST": ("76752008", "Breast"),
    "ELBOW": ("16953009", "Elbow joint"),
    "EYE": ("81745001", "Eye"),
    "FOOT": ("56459004", "Foot"),
    "HAND": ("85562004", "Hand"),
    "HIP": ("24136001", "Hip joint"),
    "KIDNEY": ("64033007", "Kidney"),
    "KNEE": ("72696002", "Knee"),
    "LUNG": ("39607008", "Lung"),
    "SHOULDER": ("16982005", "Shoulder"),
    "WRIST": ("74670003", "Wrist joint"),
}

_REGIONS = {part: Code(value, "SCT", meaning) for part, (value, meaning) in (_UNPAIRED | _PAIRED).items()}
_UNPAIRED_CODES = frozenset(value for value, _ in _UNPAIRED.values())


def frame_anatomy(source: Dataset) -> Dataset:
    """The item of Frame Anatomy Sequence for what is made of ``source``.

    The source's own words come first: its Frame Anatomy, its Anatomic Region, then its Body Part Examined. What is not
    known is not said: a part that comes in pairs, without its side, is any part of the body.
    """
    shared = (source.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    own = (shared.get("FrameAnatomySequence") or [Dataset()])[0]
    part = str(source.get("BodyPartExamined") or "").strip().upper()
    region = _coded(own) or _coded(source) or _REGIONS.get(part, ANY_REGION)
    side = _side(own.get("FrameLaterality"), source.get("ImageLaterality"), source.get("Laterality"))
    if region.value in _UNPAIRED_CODES:
        side = UNPAIRED_PART
    elif side is None or region == ANY_REGION:
        region, side = ANY_REGION, UNPAIRED_PART
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = region.value, region.scheme_designator
    item.CodeMeaning = region.meaning
    anatomy = Dataset()
    anatomy.FrameLaterality = side
    anatomy.AnatomicRegionSequence = [item]
    return anatomy


def _coded(owner: Dataset) -> Code | None:
    """The Anatomic Region of the source, in SNOMED's codes."""
    for item in owner.get("AnatomicRegionSequence") or []:
        value, scheme, meaning = (
            str(item.get(keyword) or "") for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        )
        if value and meaning and scheme in SNOMED:
            return Code(value, scheme, meaning)
    return None


def _side(*said: object) -> str | None:
    return next((str(one) for one in said if str(one or "") in SIDES), None)
