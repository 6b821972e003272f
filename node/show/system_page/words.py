"""The words of the system page."""

from __future__ import annotations

from node.show.language import Words

SYSTEM: Words = {
    "system.title": ("System", "系统"),
    "system.state.ok": ("All is well.", "一切正常。"),
    "system.state.degraded": ("Something needs attention:", "有需要关注的问题："),
    "system.state.down": ("Nothing serves:", "没有正在运行的服务："),
    "system.version": ("Version", "版本"),
    "system.disk": ("Free disk space", "可用磁盘空间"),
    "system.watermark": ("reception stops below {n} GB", "低于 {n} GB 时停止接收"),
    "system.roles": ("Roles", "服务角色"),
    "system.devices": ("Devices", "计算设备"),
    "system.models": ("Models", "模型"),
    "system.charts": ("The last 24 hours", "最近 24 小时"),
    "system.yesterday": ("thin line: the day before", "细线：前一天"),
    "system.chart.received": ("Studies received per minute", "每分钟接收检查数"),
    "system.chart.waiting": ("Jobs waiting", "等待中的任务"),
    "system.chart.seconds_to_result": ("Seconds from last image to result (median)", "末幅图像到结果的秒数（中位数）"),
    "system.chart.failures": ("Failed jobs per quarter of an hour", "每刻钟失败任务数"),
    "system.chart.now": ("now {n}, highest {most}", "当前 {n}，最高 {most}"),
    "system.nothing": ("nothing yet", "尚无数据"),
    "system.processes": ("processes", "进程"),
    "system.heartbeat": ("last heartbeat", "最近心跳"),
    "system.up": ("up", "运行"),
    "system.stale": ("no heartbeat", "无心跳"),
    "system.usable": ("usable", "可用"),
    "system.role": ("role", "角色"),
    "system.model": ("model", "模型"),
    "system.device": ("device", "设备"),
    "system.state": ("state", "状态"),
    "system.demonstration": ("demonstration only", "仅供演示"),
}
