"""Whether a node is well, decided from what is known of it; in sentences, which pages also tell in Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

# Sentence -> English, Chinese. The English ones are what ``status`` prints.
SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "stale": ("role {name}: no heartbeat since {at}", "服务角色 {name}：自 {at} 起无心跳"),
    "nothing": ("nothing serves: start the node with 'ainode run'", "没有正在运行的服务：请用 ainode run 启动节点"),
    "full": (
        "free disk space is below the watermark: instances are refused with A700",
        "可用磁盘空间低于下限：以 A700 拒绝接收图像",
    ),
    "model": ("model {name}: {problem}", "模型 {name}：{problem}"),
    "paused": (
        "the queue is paused: no job is started ('ainode queue resume')",
        "队列已暂停：不启动任何任务（ainode queue resume）",
    ),
    "quarantined": (
        "jobs that ended their process at every attempt, quarantined: {n} ('ainode queue list --state FAILED', then "
        "'queue retry' or 'queue cancel')",
        "{n} 个任务每次运行都使进程意外结束，已隔离（先用 ainode queue list --state FAILED 查看，再用 queue retry 或 "
        "queue cancel）",
    ),
    "undocumented": (
        "failures or withdrawals whose document could not be written: {n} ('ainode queue list', column document, then "
        "'queue retry', or 'results withdraw' again)",
        "{n} 项失败或撤回的文档无法写出（先看 ainode queue list 的 document 列，再用 queue retry 或再次 results "
        "withdraw）",
    ),
    "away": (
        "destination {name}: away since {at} ({code}), {n} deliveries wait",
        "目的地 {name}：自 {at} 起无应答（{code}），{n} 个结果等待发送",
    ),
}


def _english(sentence: str, **values: object) -> str:
    return SENTENCES[sentence][0].format(**values)


def in_chinese(reason: str) -> str:
    """A sentence of ``why_not_ok`` or ``away``; what is none of them stays as it is."""
    for english, chinese in SENTENCES.values():
        found = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*)", re.escape(english)), reason, re.DOTALL)
        if found is not None:
            return chinese.format(**found.groupdict())
    return reason


def why_not_ok(
    roles: Mapping[str, Any],
    disk: Mapping[str, int],
    broken_models: Sequence[Mapping[str, Any]],
    paused: bool,
    quarantined: int = 0,
    undocumented: int = 0,
) -> list[str]:
    """Everything an administrator should know of, in sentences; empty when all is well.

    ``quarantined`` is the number of jobs that end whatever runs them: a study waits there for a result that does not
    come, so the node is not well until somebody retries or cancels them. ``undocumented`` is the number of failures and
    withdrawals of which no destination was told, for the document could not be written.
    """
    found = [
        _english("stale", name=name, at=f"{role['heartbeat_at']:%Y-%m-%d %H:%M:%SZ}")
        for name, role in roles.items()
        if role["state"] != "up"
    ]
    if not roles:
        found.append(_english("nothing"))
    if disk["free_bytes"] < disk["watermark_bytes"]:
        found.append(_english("full"))
    found += [_english("model", name=model["id"], problem=model["problem"]) for model in broken_models]
    if paused:
        found.append(_english("paused"))
    if quarantined:
        found.append(_english("quarantined", n=quarantined))
    if undocumented:
        found.append(_english("undocumented", n=undocumented))
    return found


def away(destinations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Destinations that do not answer, in sentences."""
    return [
        _english(
            "away",
            name=one["name"],
            at=one["circuit"]["since"],
            code=one["circuit"]["error_code"],
            n=one["waiting"],
        )
        for one in destinations
        if one["circuit"]["open"]
    ]


def node_state(roles: Mapping[str, Any], found: Sequence[str]) -> str:
    """``down`` when nothing serves, ``degraded`` when something was found, else ``ok``."""
    if not any(role["state"] == "up" for role in roles.values()):
        return "down"
    return "degraded" if found else "ok"
