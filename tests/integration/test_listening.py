"""The port of the receivers, when somebody holds it still."""

from __future__ import annotations

import socket
import threading

import pytest
from structlog.testing import capture_logs

from node.app.running import listen


def test_a_port_that_becomes_free_is_taken() -> None:
    held = socket.create_server(("127.0.0.1", 0))
    port = held.getsockname()[1]
    freeing = threading.Timer(0.5, held.close)
    freeing.start()
    with capture_logs() as records, listen("127.0.0.1", port, threading.Event(), wait_s=30) as listening:
        assert listening.getsockname()[1] == port
        assert listening.get_inheritable()
    assert [record["event"] for record in records] == ["run.port_in_use"]
    freeing.join()


def test_a_port_that_stays_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held, pytest.raises(OSError, match="Address already in use"):
        listen("127.0.0.1", held.getsockname()[1], threading.Event(), wait_s=0.3)


def test_nobody_waits_after_the_word_to_stop() -> None:
    stop = threading.Event()
    stop.set()
    with socket.create_server(("127.0.0.1", 0)) as held, pytest.raises(OSError, match="Address already in use"):
        listen("127.0.0.1", held.getsockname()[1], stop, wait_s=3600)
