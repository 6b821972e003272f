"""Which roles are taken for alive on this host."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from node.app.clock import SystemClock
from node.app.doctor.database import Memory
from node.app.doctor.examination import _served
from node.database.engine import make_engine
from node.database.migrations import upgrade
from node.database.roles import SqlRoleBoard


def test_a_process_that_was_killed_serves_nothing_although_it_has_beaten(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/ainode.db")
    upgrade(engine)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    board = SqlRoleBoard(engine, SystemClock())
    board.beat("receive", "receive-0", ended.pid, socket.gethostname(), {"port": 1})
    board.beat("web", "web", os.getpid(), socket.gethostname(), {"port": 2})
    board.beat("ups", "ups", os.getpid(), "elsewhere", {"port": 3})
    assert _served(Memory(engine, True, "")) == {"web": {"port": 2}}
    assert _served(Memory(None, True, "away")) == {}
    engine.dispose()
