"""A throw-away PostgreSQL server on loopback, and a database of its own for each test."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from tests.peers import free_port, require_program
from tests.waiting import wait_for

SUPERUSER = "ainode"
# PostgreSQL refuses to run as root; where we are root, it runs as one of these.
UNPRIVILEGED = ("postgres", "nobody")
SETTINGS = (
    "fsync=off",
    "unix_socket_directories=",
    "max_connections=60",
    "shared_buffers=16MB",
    "log_min_messages=fatal",
)


@dataclass
class PostgresServer:
    port: int
    password: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str) -> str:
        """Without the password, as in a configuration file."""
        return f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    @contextlib.contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The name of a fresh copy of ``template``, dropped at the end."""
        name = f"test_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        try:
            yield name
        finally:
            with self.connect() as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def running_postgres(settings: Sequence[str] = SETTINGS) -> Iterator[PostgresServer]:
    """initdb and postgres in a temporary folder on a free port; ended by its pid. Skips where it is not installed."""
    initdb, postgres = require_program("initdb"), require_program("postgres")
    user = next(_known_users()) if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="ainode-postgres-"))
    try:
        server = PostgresServer(free_port(), secrets.token_hex(8))
        password_file = folder / "password"
        password_file.write_text(server.password, encoding="ascii")
        if user is not None:
            for path in (folder, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        _initdb(initdb, folder, password_file, user)
        with _process(postgres, folder, server, user, settings):
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _known_users() -> Iterator[pwd.struct_passwd]:
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            yield pwd.getpwnam(name)


def _initdb(program: str, folder: Path, password_file: Path, user: pwd.struct_passwd | None) -> None:
    arguments = ("--auth=scram-sha-256", f"--username={SUPERUSER}", f"--pwfile={password_file}", "--encoding=UTF8")
    done = subprocess.run(
        [program, "-D", str(folder / "data"), *arguments, "--locale=C", "--no-sync"],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        **_as(user),
    )
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def _process(
    program: str, folder: Path, server: PostgresServer, user: pwd.struct_passwd | None, settings: Sequence[str]
) -> Iterator[None]:
    arguments = ["-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(server.port)]
    arguments += [part for setting in settings for part in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log, cwd=folder, **_as(user))
        try:
            wait_for(lambda: _answers(server, process), "PostgreSQL accepts connections")
            yield
        finally:
            process.send_signal(signal.SIGINT)  # "fast" shutdown
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(server: PostgresServer, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "PostgreSQL did not start"
    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True


def _as(user: pwd.struct_passwd | None) -> dict[str, object]:
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
