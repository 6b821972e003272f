"""``/api/v1/events`` of a real server: a change is told to all who listen, and streams end with the server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from node.database.engine import make_engine
from node.database.migrations import upgrade
from tests.contract.pages import Pages
from tests.peers import free_port
from tests.waiting import wait_for


class Stream:
    """One open worklist; ``told`` are the events that came, with their data."""

    def __init__(self, base: str, query: str) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.ended = False
        self._thread = threading.Thread(target=self._read, args=(f"{base}/api/v1/events?{query}",), daemon=True)
        self._thread.start()

    def _read(self, address: str) -> None:
        with httpx.Client(timeout=60, trust_env=False) as client, client.stream("GET", address) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            event = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    self.told.append((event, json.loads(value)))
        self.ended = True

    def studies(self) -> list[dict[str, Any]]:
        return [data for event, data in self.told if event == "study"]


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    empty = tmp_path / "empty.db"
    engine = make_engine(f"sqlite:///{empty}")
    upgrade(engine)
    engine.dispose()
    made = Pages(tmp_path, empty)
    yield made
    made.close()


def test_what_changes_is_told_to_all_who_look(pages: Pages) -> None:
    port = free_port()
    settings = uvicorn.Config(pages.web.application, port=port, log_config=None, timeout_graceful_shutdown=30)
    server = uvicorn.Server(settings)
    serving = threading.Thread(target=server.run, daemon=True)
    pages.web.follower.start()
    serving.start()
    try:
        wait_for(lambda: server.started, "the server serves", timeout_s=60)
        base = f"http://127.0.0.1:{port}"
        everything, english = Stream(base, ""), Stream(base, "rows=en")
        positive = Stream(base, "outcome=POSITIVE&rows=zh")
        for stream in (everything, english, positive):
            wait_for(lambda stream=stream: stream.told, "it listens", timeout_s=60)
        pages.receive("1.2.3", PatientName="<b>DOE^Jane")
        wait_for(everything.studies, "the new study is told", timeout_s=60)
        first = everything.studies()[0]
        assert (first["new"], first["study"]["study_instance_uid"]) == (True, "1.2.3")
        pages.run("9.1")
        wait_for(lambda: any(one["fits"] for one in positive.studies()), "the finding is told", timeout_s=60)
        fits = next(one for one in positive.studies() if one["fits"])
        assert "阳性" in fits["html"]
        assert all(set(one) == {"study_instance_uid", "fits"} for one in positive.studies() if not one["fits"])
        wait_for(lambda: "POSITIVE" in str(english.studies()), "in English too", timeout_s=60)
        assert "&lt;b&gt;DOE" in english.studies()[-1]["html"]
        assert pages.web.follower.listeners == 3
        pages.web.follower.stop()
        wait_for(lambda: everything.ended and english.ended and positive.ended, "streams end", timeout_s=60)
    finally:
        pages.web.follower.stop()
        server.should_exit = True
        serving.join(60)
    assert not serving.is_alive()
