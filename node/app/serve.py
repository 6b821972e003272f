"""``python -m node.app.serve ROLE``: the main of one role's process, started by the supervisor."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

import structlog

from node import config as configuration
from node.app.place import Place
from node.app.records import open_records
from node.app.supervisor import RoleProcess, python_module, stop_on_signals
from node.log import configure

log = structlog.get_logger()

# As long as the supervisor would have waited.
ORPHAN_DRAIN_S = 30.0

# Each module has serve(records, place). Imported when the role starts: a receiver loads no model code.
ROLE_MODULES = {
    "receive": "node.app.receiving",
    "record": "node.app.recording",
    "work": "node.app.working",
    "deliver": "node.app.delivering",
    "timers": "node.app.ticking",
    "web": "node.app.web",
    "ups": "node.app.workitems",
}


def command(config: Path | None, spec: RoleProcess, ready_fd: int, life_fd: int) -> list[str]:
    """The command line of a role's process."""
    arguments = [spec.role, "--instance", spec.instance, "--ready-fd", str(ready_fd), "--life-fd", str(life_fd)]
    if config is not None:
        arguments += ["--config", str(config)]
    return python_module("node.app.serve", *arguments, *spec.arguments)


def main() -> None:
    arguments = _parser().parse_args()
    settings = configuration.load(arguments.config)
    configure(settings.log.level)
    stop = threading.Event()
    stop_on_signals(stop)
    # Ctrl-C on a terminal reaches the whole process group; the supervisor alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if arguments.life_fd is not None:
        threading.Thread(target=end_with_supervisor, args=(arguments.life_fd, stop), daemon=True).start()
    records = open_records(settings, arguments.instance)
    place = Place(
        role=arguments.role,
        instance=arguments.instance,
        host=socket.gethostname(),
        device=arguments.device,
        listen_fd=arguments.listen_fd,
        ready=lambda: _say_ready(arguments.ready_fd),
        stop=stop,
    )
    try:
        module = importlib.import_module(ROLE_MODULES[arguments.role])
        gc.freeze()  # what was made until here stays: nobody needs to look again and again whether it is garbage
        module.serve(records, place)
    finally:
        records.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="node.app.serve")
    parser.add_argument("role", choices=sorted(ROLE_MODULES))
    parser.add_argument("--instance", required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--listen-fd", type=int)
    parser.add_argument("--ready-fd", type=int)
    parser.add_argument("--life-fd", type=int)
    return parser


def _say_ready(ready_fd: int | None) -> None:
    if ready_fd is not None:
        # Nobody reads it when the supervisor is gone; the life descriptor tells us that.
        with contextlib.suppress(BrokenPipeError):
            os.write(ready_fd, b"1")
        os.close(ready_fd)


def end_with_supervisor(life_fd: int, stop: threading.Event, drain_s: float = ORPHAN_DRAIN_S) -> None:
    """Nobody writes to this descriptor: it reads as ended when the supervisor is gone. A process that is told to stop
    and then does not end is nobody's any more, and the next supervisor's may be waiting for what it holds.
    """
    os.read(life_fd, 1)
    stop.set()
    time.sleep(drain_s)
    log.error("process.not_drained_alone", waited_s=drain_s)
    os._exit(1)


if __name__ == "__main__":
    main()
