"""Laterality of images that we make (PS3.3 C.7.3.1, type 2C): there but for body parts that nobody has twice."""

from __future__ import annotations

from pydicom.dataset import Dataset

# PS3.16 Table L-1: the body parts that are not paired.
UNPAIRED = frozenset({
    "ABDOMEN", "ABDOMENPELVIS", "AORTA", "BACK", "BLADDER", "BRAIN", "CEREBELLUM", "CERVIX", "CHEST",
    "CHESTABDOMEN", "CHESTABDPELVIS", "CIRCLEOFWILLIS", "COCCYX", "COLON", "CORONARYARTERY", "CSPINE", "CTSPINE",
    "DUODENUM", "ESOPHAGUS", "FACE", "GALLBLADDER", "HEAD", "HEADNECK", "HEART", "ILEUM", "ILIUM", "JAW", "JEJUNUM",
    "LARYNX", "LIVER", "LSPINE", "LSSPINE", "MAXILLA", "MEDIASTINUM", "MOUTH", "NECK", "NECKCHEST",
    "NECKCHESTABDOMEN", "NECKCHESTABDPELV", "PANCREAS", "PELVIS", "PENIS", "PHARYNX", "PROSTATE", "RECTUM", "SCALP",
    "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH", "THYMUS", "THYROID", "TLSPINE", "TONGUE", "TRACHEA",
    "TSPINE", "URETER", "URETHRA", "UTERUS", "VAGINA", "VULVA", "WHOLEBODY",
})  # fmt: skip


def leave_room_for_laterality(dataset: Dataset, source: Dataset) -> None:
    """An empty Laterality, where the body part may have one; ``finish`` copies what the source says."""
    if str(source.get("BodyPartExamined") or "").strip().upper() not in UNPAIRED:
        dataset.Laterality = None
