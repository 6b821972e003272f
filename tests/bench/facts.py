"""What a figure was measured on."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from node import __version__

LIBRARIES = ("sqlalchemy", "psycopg", "pynetdicom", "pydicom")

Facts = dict[str, str | int]


def machine_facts(folder: Path | None = None) -> Facts:
    """The machine, what runs on it, and the file system under ``folder`` (the one for temporary files where none)."""
    source, file_system = _mount(folder or Path(tempfile.gettempdir()))
    return {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        # Of the last minute: what else ran.
        "load_average": f"{os.getloadavg()[0]:.2f}",
        "kernel": platform.release(),
        "file_system": file_system,
        "device": source,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "ainode": __version__,
        **{name: version(name) for name in LIBRARIES},
    }


def write_json(path: Path, document: object) -> None:
    """A benchmark's answer: facts, command and figures."""
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _mount(folder: Path) -> tuple[str, str]:
    """Device and kind of the file system that ``folder`` lies on: the longest mount point above it."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    mounts = [line.split()[:3] for line in lines]
    above = [one for one in mounts if folder.resolve().is_relative_to(one[1])]
    source, _, file_system = max(above, key=lambda one: len(one[1]))
    return source, file_system
