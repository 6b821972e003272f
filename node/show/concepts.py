"""Names of findings, measurements and sites in the reader's language. Pure.

A result tells its concepts by their English meaning; what no package of ours says is shown as it is told.
"""

from __future__ import annotations

from collections.abc import Mapping

CHINESE: Mapping[str, str] = {
    "Anterior hippocampus": "海马前部",
    "Posterior hippocampus": "海马后部",
    "Hippocampus": "海马",
    "Anatomical Structure": "解剖结构",
    "Tissue": "组织",
    "Lung": "肺",
    "Bone": "骨",
    "Brain": "脑",
    "Breast": "乳腺",
    "Retina": "视网膜",
    "Liver": "肝",
    "Nodule": "结节",
    "Neoplasm": "肿瘤",
    "Mass": "肿块",
    "Lesion": "病灶",
    "Morphologically Abnormal Structure": "形态异常结构",
    "Pneumonia": "肺炎",
    "Diabetic retinopathy": "糖尿病视网膜病变",
    "Malignant": "恶性",
    "Benign": "良性",
    "Breast normal": "乳腺正常",
    "Volume": "体积",
    "Volume of the whole body in the images": "图像中全身体积",
    "Area": "面积",
    "Diameter": "直径",
    "Long Axis": "长径",
    "Short Axis": "短径",
    "Probability": "概率",
    "Malignancy rating 1 to 5 as by LIDC readers": "恶性程度评分（1–5，LIDC 标准）",
    "Centre x in the patient, towards left": "中心 x 坐标（向左）",
    "Centre y in the patient, towards back": "中心 y 坐标（向后）",
    "Centre z in the patient, towards head": "中心 z 坐标（向头）",
    "Present": "有",
    "Absent": "无",
}


def named(meaning: str, language: str) -> str:
    """``meaning`` in ``language``; as it is where there is no word for it."""
    return CHINESE.get(meaning, meaning) if language == "zh" else meaning
