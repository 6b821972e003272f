"""``ainode run``: which processes a node consists of, and their supervision."""

from __future__ import annotations

import errno
import functools
import os
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from node.app import devices, serve
from node.app.records import Records, open_records
from node.app.stores import has_journal
from node.app.supervisor import RoleProcess, Supervisor, stop_on_signals
from node.app.workitems import reviews
from node.config import Config
from node.errors import StoreError
from node.jobs.subscriptions import SqlSubscriptions

log = structlog.get_logger()

# Roles that are asked for; what is received into a journal is recorded by a process that goes with them, and where
# workitems are served, a process that does goes with the web.
ROLES = ("receive", "work", "deliver", "timers", "web")
RECORDER = "record-0"
LISTEN_BACKLOG = 128
PORT_WAIT_S = 15.0
PORT_POLL_S = 0.2


def run(config: Config, path: Path | None, roles: Sequence[str]) -> bool:
    """Serve ``roles`` until SIGTERM or SIGINT. True when everything drained in time.

    Raises:
        OSError: the port cannot be bound.
    """
    stop = threading.Event()
    stop_on_signals(stop)
    records = open_records(config)
    if "web" in roles and not config.ups.enabled:
        # What happens would be written down for subscribers whom nobody tells.
        SqlSubscriptions(records.engine, records.clock).forget_all()
        reviews(records).follow(False)
    listening = listen(config.receive.host, config.receive.port, stop) if "receive" in roles else None
    recording = "receive" in roles and has_journal(config)
    if recording:
        _rows_may_be_late(records)
    supervisor = Supervisor(
        processes=processes(config, roles, listening, recording),
        command=functools.partial(serve.command, path),
        on_exit=functools.partial(_on_exit, records),
        on_ready=functools.partial(_announce, roles, listening),
    )
    try:
        return supervisor.run(stop)
    finally:
        if listening is not None:
            listening.close()
        records.close()


def listen(host: str, port: int, stop: threading.Event, wait_s: float = PORT_WAIT_S) -> socket.socket:
    """The port, bound here and inherited: a receiver that dies leaves it open and waiting peers in its queue.

    Receivers whose supervisor was killed hold it until they notice, so it is asked for again for a while.

    Raises:
        OSError: the port cannot be bound.
    """
    give_up_at = time.monotonic() + wait_s
    told = False
    while True:
        try:
            listening = socket.create_server((host, port), backlog=LISTEN_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or stop.is_set() or time.monotonic() >= give_up_at:
                raise
            if not told:
                log.warning("run.port_in_use", port=port, wait_s=wait_s)
                told = True
            stop.wait(PORT_POLL_S)
        else:
            os.set_inheritable(listening.fileno(), True)
            return listening


def processes(
    config: Config, roles: Sequence[str], listening: socket.socket | None, recording: bool
) -> list[RoleProcess]:
    """What serves ``roles``; ``recording``: and writes the rows of what stands in the journal."""
    found = []
    if listening is not None:
        descriptor = listening.fileno()
        found += [
            RoleProcess(f"receive-{index}", "receive", ("--listen-fd", str(descriptor)), (descriptor,))
            for index in range(config.receive.processes)
        ]
    if recording:
        found.append(RoleProcess(RECORDER, "record"))
    if "work" in roles:
        found += [
            RoleProcess(f"work-{device.replace(':', '')}", "work", ("--device", device))
            for device in devices.resolve(config.work.device)
        ]
    found += [RoleProcess(role, role) for role in ("deliver", "timers", "web") if role in roles]
    if config.ups.enabled and "web" in roles:
        found.append(RoleProcess("ups", "ups"))
    return found


def _on_exit(records: Records, instance: str) -> None:
    """What a dead receiver left open is over when its successor starts, which says so."""
    if instance == RECORDER:
        _rows_may_be_late(records)


def _rows_may_be_late(records: Records) -> None:
    """Nobody concludes from rows that a sender is quiet before the recorder has caught up."""
    try:
        records.arrivals.hold(records.journal.id)
    except StoreError as error:
        log.error("record.not_held", error=error.code)


def receiver_name(host: str, instance: str) -> str:
    """The name under which a receiver's associations are recorded."""
    return f"{host}/{instance}"


def _announce(roles: Sequence[str], listening: socket.socket | None) -> None:
    address = listening.getsockname() if listening is not None else None
    log.info("ready", roles=list(roles), listening=f"{address[0]}:{address[1]}" if address else None)
