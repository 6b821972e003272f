"""All checks of a configuration, in the order in which data flows."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Iterable, Iterator

from sqlalchemy import Engine

from node.app.clock import SystemClock
from node.app.doctor import access, disk, machine, traffic
from node.app.doctor.database import Database, Memory
from node.app.doctor.finding import Check, Finding, look_at, ok, warn
from node.app.doctor.work import Work
from node.config import Config
from node.database.roles import STALE_AFTER
from node.database.soundness import SqlSoundness
from node.errors import AinodeError

DATABASE_LIMIT_S = 45.0
# Of what only reads rows: as long as a busy SQLite may let it wait.
ROWS_LIMIT_S = 45.0


def examine(config: Config) -> list[Finding]:
    """The database first, for much else stands on it; then everything else side by side."""
    database = Database(config)
    found = [ok("configuration", "valid"), *look_at([Check("database", database.look, DATABASE_LIMIT_S)])]
    try:
        return [*found, *look_at([*_place(config, database.memory), *_rows(config, database.memory)])]
    finally:
        if database.memory.engine is not None:
            database.memory.engine.dispose()


def _place(config: Config, memory: Memory) -> Iterator[Check]:
    """What can be looked at without the tables."""
    clock = SystemClock()
    served = _served(memory)
    yield Check("folder", functools.partial(disk.folders, config))
    yield Check("file-system", functools.partial(disk.file_systems, config))
    yield Check("space", functools.partial(disk.space, config))
    yield Check("journal", functools.partial(disk.journal, config))
    yield Check("receive", functools.partial(traffic.receive_port, config, served))
    yield Check("web", functools.partial(traffic.web_port, config, served))
    yield Check("ups", functools.partial(traffic.ups_port, config, served))
    yield from traffic.peers(config)
    yield Check("models", functools.partial(machine.models, config), limit_s=60.0)
    yield Check("device", functools.partial(machine.devices, config), limit_s=machine.DEVICE_LIMIT_S + 5)
    yield Check("libraries", machine.libraries)
    yield Check("pages", functools.partial(access.pages, config))
    yield Check("services", functools.partial(access.services, config))
    yield Check("certificate", functools.partial(access.certificates, config, clock.now()))
    yield Check("time-zone", machine.time_zone)


def _served(memory: Memory) -> traffic.Served:
    """Roles that are alive on this host; none where that cannot be told. Who was killed has beaten shortly before."""
    if memory.engine is None:
        return {}
    try:
        beats = SqlSoundness(memory.engine).beats_on(socket.gethostname(), SystemClock().now() - STALE_AFTER)
    except AinodeError:
        return {}
    return {role: detail for role, pid, detail in beats if _lives(pid)}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _rows(config: Config, memory: Memory) -> Iterator[Check]:
    """What the tables tell."""
    clock = SystemClock()
    looks: dict[str, Callable[[Engine], Iterable[Finding]]] = {
        "roles": lambda engine: Work(config, engine, clock).roles(),
        "queue": lambda engine: Work(config, engine, clock).queue(),
        "deliveries": lambda engine: Work(config, engine, clock).deliveries(),
        "alerts": lambda engine: Work(config, engine, clock).alerts(),
        "accounts": lambda engine: access.accounts(engine, clock),
    }
    for check, look in looks.items():
        yield Check(check, functools.partial(_read, check, look, memory), ROWS_LIMIT_S)


def _read(check: str, look: Callable[[Engine], Iterable[Finding]], memory: Memory) -> Iterable[Finding]:
    if memory.engine is not None:
        return look(memory.engine)
    if memory.made:
        return [warn(check, f"not looked at: {memory.reason}", "Mend the database first, and ask again.")]
    return [ok(check, f"nothing yet: {memory.reason}")]
