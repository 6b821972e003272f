"""Words that every page has, in English and in Chinese."""

from __future__ import annotations

from node.show.language import Words

COMMON: Words = {
    "banner": (
        "AI result, not verified. Not for primary diagnosis.",
        "AI 结果，未经审核，不得作为初步诊断依据。",
    ),
    "nav": ("Pages", "页面"),
    "nav.worklist": ("Worklist", "工作列表"),
    "nav.queue": ("Queue", "队列"),
    "nav.system": ("System", "系统"),
    "skip": ("Skip to content", "跳到正文"),
    "language": ("中文", "English"),
    "language.label": ("Chinese: 中文", "英语：English"),
    "theme": ("Light or dark", "浅色或深色"),
    "login": ("Log in", "登录"),
    "logout": ("Log out", "退出"),
    "keys": ("Keys", "快捷键"),
    "close": ("Close", "关闭"),
    "copy": ("Copy", "复制"),
    "copied": ("Copied", "已复制"),
    "lost": ("Connection lost. It is being restored by itself.", "连接已断开，正在自动恢复。"),
    "none": ("none", "无"),
    "unknown": ("unknown", "未知"),
    "outcome.POSITIVE": ("POSITIVE", "阳性"),
    "outcome.NEGATIVE": ("NEGATIVE", "阴性"),
    "outcome.NOT EVALUABLE": ("NOT EVALUABLE", "无法评估"),
    "outcome.FAILED": ("FAILED", "失败"),
    "outcome.PENDING": ("PENDING", "等待中"),
    "outcome.NOT WANTED": ("NOT WANTED", "不适用"),
    "outcome.WITHDRAWN": ("WITHDRAWN", "已撤回"),
    "error.title": ("This did not work", "操作未成功"),
    "error.code": ("Code", "代码"),
    "error.back": ("Back to the worklist", "返回工作列表"),
    "error.404": ("There is no such page, or nothing of this study is here.", "页面不存在，或没有该检查的数据。"),
    "error.500": (
        "The node could not do this. It goes on by itself; try again in a moment.",
        "节点未能完成此操作，它会自行恢复，请稍后再试。",
    ),
    "error.503": (
        "The database does not answer. The node tries again by itself; reception goes on.",
        "数据库无响应。节点会自动重试，影像接收不受影响。",
    ),
    "yes": ("Yes", "是"),
    "no": ("No", "否"),
    "cancel": ("Cancel", "取消"),
}
