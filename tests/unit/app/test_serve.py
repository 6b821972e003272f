"""A role's process and the end of its supervisor."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from node.app import serve

# Hangs whatever it is told; prints when it is told to stop.
HANGING = """
import sys, threading
from node.app import serve
stop = threading.Event()
threading.Thread(target=serve.end_with_supervisor, args=(int(sys.argv[1]), stop, 0.2), daemon=True).start()
stop.wait()
print("told", flush=True)
threading.Event().wait()
"""


def test_an_orphan_that_hangs_ends_all_the_same() -> None:
    life_read, life_write = os.pipe()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", HANGING, str(life_read)], stdout=subprocess.PIPE, pass_fds=[life_read]
        ) as process:
            os.close(life_write)
            printed, _ = process.communicate(timeout=30)
            assert process.returncode == 1
            assert b"told" in printed
    finally:
        os.close(life_read)


def test_nothing_ends_while_the_supervisor_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    life_read, life_write = os.pipe()
    ended, stop = threading.Event(), threading.Event()
    monkeypatch.setattr(serve.os, "_exit", lambda _: ended.set())
    thread = threading.Thread(target=serve.end_with_supervisor, args=(life_read, stop, 0.0))
    thread.start()
    assert not stop.wait(0.2)
    os.close(life_write)
    thread.join(10)
    assert stop.is_set()
    assert ended.is_set()
    os.close(life_read)
