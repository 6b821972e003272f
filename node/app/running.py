"""``ainode run``: which processes a node consists of, and their supervision."""

from __future__ import annotations

import functools
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from node.app import devices, serve
from node.app.records import Records, open_records
from node.app.supervisor import RoleProcess, Supervisor, stop_on_signals
from node.config import Config

log = structlog.get_logger()

ROLES = ("receive", "work", "deliver", "timers", "web")
LISTEN_BACKLOG = 128


def run(config: Config, path: Path | None, roles: Sequence[str]) -> bool:
    """Serve ``roles`` until SIGTERM or SIGINT. True when everything drained in time.

    Raises:
        OSError: the port cannot be bound.
    """
    stop = threading.Event()
    stop_on_signals(stop)
    records = open_records(config)
    listening = _listen(config) if "receive" in roles else None
    # Nobody serves yet, so an association that is open in the record belongs to the dead.
    if "receive" in roles:
        for index in range(config.receive.processes):
            _end_associations(records, f"receive-{index}")
    supervisor = Supervisor(
        processes=_processes(config, roles, listening),
        command=functools.partial(serve.command, path),
        on_exit=functools.partial(_end_associations, records),
        on_ready=functools.partial(_announce, roles, listening),
    )
    try:
        return supervisor.run(stop)
    finally:
        if listening is not None:
            listening.close()
        records.close()


def _listen(config: Config) -> socket.socket:
    # Bound here and inherited: a receiver that dies leaves the port open and waiting peers in its queue.
    listening = socket.create_server((config.receive.host, config.receive.port), backlog=LISTEN_BACKLOG)
    os.set_inheritable(listening.fileno(), True)
    return listening


def _processes(config: Config, roles: Sequence[str], listening: socket.socket | None) -> list[RoleProcess]:
    processes = []
    if listening is not None:
        descriptor = listening.fileno()
        processes += [
            RoleProcess(f"receive-{index}", "receive", ("--listen-fd", str(descriptor)), (descriptor,))
            for index in range(config.receive.processes)
        ]
    if "work" in roles:
        processes += [
            RoleProcess(f"work-{device.replace(':', '')}", "work", ("--device", device))
            for device in devices.resolve(config.work.device)
        ]
    processes += [RoleProcess(role, role) for role in ("deliver", "timers", "web") if role in roles]
    return processes


def _end_associations(records: Records, instance: str) -> None:
    if instance.startswith("receive-"):
        records.catalogue.end_associations_of(receiver_name(records.host, instance))


def receiver_name(host: str, instance: str) -> str:
    """The name under which a receiver's associations are recorded."""
    return f"{host}/{instance}"


def _announce(roles: Sequence[str], listening: socket.socket | None) -> None:
    address = listening.getsockname() if listening is not None else None
    log.info("ready", roles=list(roles), listening=f"{address[0]}:{address[1]}" if address else None)
