"""Why there is no result, as a physician reads it, in his language. Pure.

English sentences are those of admission and of the quality gate. Chinese ones are made here: from the conditions where
a limit of the model is not met, from the code of the reason elsewhere; the English words stay beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
NOT_STATED = "not stated"

_SUBJECTS = {
    "orientation": "图像方向为{}",
    "slices": "序列共{}层",
    "slice gap": "层间距为{}",
    "pixel spacing": "像素间距为{}",
    "patient age": "患者年龄为{}",
}
_ABSENT = {
    "orientation": "未注明图像方向",
    "slices": "未注明层数",
    "slice gap": "未注明层间距",
    "pixel spacing": "未注明像素间距",
    "patient age": "未注明患者年龄",
}
_WORDS = (
    (r"\bat least ", "至少"),
    (r"\bat most ", "至多"),
    (r"\bmore than ", "大于"),
    (r"\bless than ", "小于"),
    (r", in other images not stated", "，其他图像未注明"),
    (r"\bnot stated\b", "未注明"),
    (r"(\d)( ?)years\b", r"\1岁"),
    (r"\byears\b", "岁"),
    (r"\baxial\b", "横断位"),
    (r"\bsagittal\b", "矢状位"),
    (r"\bcoronal\b", "冠状位"),
    (r"\boblique\b", "斜位"),
    # Last: beside a Chinese character no word of English begins or ends.
    (r" and ", "且"),
    (r" or ", "或"),
)
_BY_CODE = {
    "NoPixelData": "序列中没有图像数据。",
    "UndecodablePixelData": "图像数据损坏或不完整，无法读取。",
    "UnsupportedImage": "图像的格式不受支持。",
    "ConstantImage": "图像的所有像素值相同，没有可分析的内容。",
    "SaturatedImage": "图像过度饱和。",
    "EmptySlices": "序列中含有空白层面。",
    "ImplausibleIntensity": "图像灰度值不符合该检查类型或模型的要求。",
    "TruncatedFieldOfView": "扫描视野被截断，人体超出视野范围。",
    "IncompleteOrgan": "器官未被完整扫描。",
    "OrientationNotSupported": "图像方向不符合模型的要求。",
    "PictureSizeOutsideLimits": "图像大小不符合模型的要求。",
    "ColourNotSupported": "模型不适用于该图像的颜色类型。",
    "BurnedInAnnotation": "图像中含有烧录的文字。",
    "OutOfDistribution": "图像与模型的训练数据差异过大。",
    "GeometryError": "图像不能组成规则的层面序列。",
    "MissingSlices": "序列缺少层面。",
    "UnevenSpacing": "层间距不均匀。",
    "DuplicateSlices": "同一位置有多层图像。",
    "MixedOrientation": "序列中的图像方向不一致。",
    "GantryTilt": "扫描机架有倾斜。",
    "SeveralAcquisitions": "序列包含多次采集。",
    "MixedImages": "序列中的图像大小、间距或类型不一致。",
    "WorkerLost": "分析失败：每次运行时处理进程都意外结束；图像未被评估。",
    "InferenceTimeout": "分析失败：未能在规定时间内完成；图像未被评估。",
    "DeviceOutOfMemory": "分析失败：内存不足；图像未被评估。",
    "NotFound": "分析失败：模型未安装，或安装的是其他版本；图像未被评估。",
    "InvalidModelPackage": "分析失败：模型包无法使用；图像未被评估。",
    "WeightsDigestMismatch": "分析失败：模型权重与声明不符；图像未被评估。",
    "ModelError": "分析失败：模型运行出错；图像未被评估。",
    "InvalidModelOutput": "分析失败：模型输出无效；图像未被评估。",
    "ResultVerificationFailed": "分析失败：结果未通过写入后的核对；图像未被评估。",
    "ObjectMissing": "分析失败：存储中缺少图像；图像未被评估。",
    "StoreUnavailable": "分析失败：存储无响应；图像未被评估。",
    "StoreError": "分析失败：存储出错；图像未被评估。",
    "InputError": "图像不符合模型的要求。",
    "InferenceError": "分析失败：运行出错；图像未被评估。",
    "ResultError": "分析失败：结果无法写出；图像未被评估。",
    "JobCanceled": "分析已被取消；图像未被评估。",
    "Failed": "分析失败；图像未被评估。",
    "ImagesNotEvaluable": "部分图像未被评估。",
    "NoSeriesFits": "没有符合该模型要求的序列。",
    "PerformedElsewhere": "分析由其他系统完成，其结果请在归档系统中查看。",
    "SliceCountOutsideLimits": "层数不符合模型的要求。",
    "SliceGapOutsideLimits": "层间距不符合模型的要求。",
    "PixelSpacingOutsideLimits": "像素间距不符合模型的要求。",
    "PatientAgeOutsideLimits": "患者年龄不符合模型的要求。",
}
_UNKNOWN = "该序列未被评估。"


def sentence(text: str) -> str:
    """A reason's words as a sentence of its own."""
    words = text.strip()
    return words if words[-1:] in (".", "。", "") else f"{words}."


def in_chinese(code: str, unmet: Sequence[Row]) -> str:
    """``unmet``: the conditions of admission that were not met; of limits each is told with what was found."""
    limits = [one for one in unmet if one["kind"] == "limit" and one["name"] in _SUBJECTS]
    if limits:
        return "".join(f"{_limit(one)}。" for one in limits)
    return _BY_CODE.get(code, _UNKNOWN)


def _limit(condition: Row) -> str:
    name, found = condition["name"], str(condition["found"])
    subject = _ABSENT[name] if found == NOT_STATED else _SUBJECTS[name].format(_translated(found))
    return f"{subject}；本模型要求{_translated(str(condition['wanted']))}"


def _translated(words: str) -> str:
    for english, chinese in _WORDS:
        words = re.sub(english, chinese, words)
    return words


def unmet(conditions: Iterable[Row], kinds: Sequence[str]) -> list[Row]:
    return [one for one in conditions if not one["met"] and one["kind"] in kinds]
