"""What tests need from the machine: real programs, real data, free ports. Absent: skip with the reason; in CI: fail."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# Debian keeps servers outside a user's PATH.
SERVER_FOLDERS = ("/usr/sbin", "/usr/local/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))))


def absent(reason: str) -> None:
    """Skip the test with its reason; in CI nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason)


def require_program(name: str) -> str:
    """The path of an installed program."""
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(SERVER_FOLDERS))
    if path is None:
        absent(f"{name} is not installed")
    assert path is not None
    return path


def data_dir(name: str) -> Path:
    """A folder of the real data (``AINODE_DATA``, else ``../shared/data``)."""
    root = Path(os.environ.get("AINODE_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (root / name).is_dir():
        absent(f"real data {name} is not there (AINODE_DATA)")
    return root / name


def free_port() -> int:
    """A loopback port that nobody listens on, for a server that starts a little later.

    It is none of those that the kernel gives to outgoing connections, one of which could have it by then; and no two
    calls give the same one.
    """
    for port in _ports():
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: the ports go round")


@cache
def _ports() -> Iterator[int]:
    """Outside the range of outgoing connections, in an order of this process's own, again and again."""
    try:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except OSError:
        low, high = 49152, 65535  # as IANA has it
    ports = [port for port in range(15000, 65000) if not low <= port <= high]
    random.SystemRandom().shuffle(ports)
    return itertools.cycle(ports)


def run_program(command: list[str], check: bool = True, timeout_s: float = 120) -> str:
    """Run a real peer's program to its end; what it printed on both outputs.

    Raises:
        AssertionError: it failed, and ``check`` is set.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    printed = done.stdout + done.stderr
    assert done.returncode == 0 or not check, printed
    return printed
