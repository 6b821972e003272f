"""A node as its users run it: a folder with a configuration, processes, and the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from tests.peers import REPOSITORY, free_port
from tests.waiting import wait_for

DRAIN_S = 40.0


class Site:
    """A site in ``folder``; ``destinations`` are TOML text. End it with ``stop`` (drains) or ``kill``."""

    def __init__(
        self,
        folder: Path,
        destinations: str = "",
        extra: str = "",
        database: str | None = None,
        port: int | None = None,
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.web_port = free_port()
        self.config = folder / "ainode.toml"
        self.process: subprocess.Popen[bytes] | None = None
        self.extra_environment: dict[str, str] = {}
        self._lines: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        url = database or "sqlite:///var/ainode.db"
        self.config.write_text(
            f"""
[node]
ae_title = "AINODE"
free_space_watermark_bytes = 1000000
[database]
url = "{url}"
[receive]
host = "127.0.0.1"
port = {self.port}
quiet_period_s = 1.0
[web]
port = {self.web_port}
{destinations}
{extra}
""",
            encoding="utf-8",
        )

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AINODE_")}
        ours = {"PYTHONPATH": str(REPOSITORY), "AINODE_CONFIG": str(self.config)}
        return kept | ours | self.extra_environment

    def start(self, roles: Sequence[str] = ("receive", "work", "deliver", "timers")) -> None:
        """Start the node and wait for its ``ready`` line."""
        self.process = self._launched(roles, subprocess.PIPE)
        threading.Thread(target=self._read_log, args=(self.process,), daemon=True).start()
        wait_for(self._is_ready, "the node says that it is ready", timeout_s=240)

    def _launched(self, roles: Sequence[str], stderr: int | IO[bytes]) -> subprocess.Popen[bytes]:
        arguments = [part for role in roles for part in ("--role", role)]
        return subprocess.Popen(
            [sys.executable, "-m", "node", "-c", str(self.config), "run", *arguments],
            cwd=self.folder,
            env=self.environment,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
        )

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self._lines.append(line.decode("utf-8", "replace"))

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the node ended:\n" + self.log
        return any(record.get("event") == "ready" for record in self.records())

    @property
    def log(self) -> str:
        return "".join(self._lines)

    def records(self) -> list[dict[str, Any]]:
        """The log's lines; one that is no JSON object fails the test."""
        return [json.loads(line) for line in list(self._lines) if line.strip()]

    def when_well(self) -> dict[str, Any]:
        """``ainode status``, as soon as nothing is wrong: on a busy machine a heartbeat may be late.

        Raises:
            AssertionError: something stays wrong.
        """
        document: dict[str, Any] = {}

        def is_well() -> bool:
            document.clear()
            document.update(self.json("status"))
            return document["state"] == "ok"

        try:
            wait_for(is_well, "the status is ok", timeout_s=60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {document['reasons']}") from None
        return document

    def forget_log(self) -> None:
        """Before another start, so that an old ``ready`` is not taken for the new one."""
        self._lines.clear()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DRAIN_S)
        self.process = None
        return code

    def kill(self) -> None:
        """End the node, however the test went."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DRAIN_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def run(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """``ainode ARGUMENTS`` in this site."""
        return subprocess.run(
            [sys.executable, "-m", "node", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """The JSON document of a reading command."""
        done = self.run(*arguments, "--json")
        assert done.stdout, f"ainode {' '.join(arguments)} printed nothing: {done.stderr}"
        return json.loads(done.stdout)
