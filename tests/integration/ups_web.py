"""UPS-RS clients in a process of their own.

``python -m tests.integration.ups_web ask URL``: each line of input is a request, each line of output its answer.
``python -m tests.integration.ups_web listen URL AE_TITLE COOKIE``: the event channel; the first line is how it was
opened, then one for each event report, then how it was closed.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any
from urllib.parse import quote

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

PATIENCE_S = 240


def say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def ask(url: str) -> None:
    headers: dict[str, str] = {}
    with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        for line in sys.stdin:
            question = json.loads(line)
            given = headers | question.get("headers", {})
            answer = client.request(question["method"], question["path"], json=question.get("json"), headers=given)
            body = answer.json() if "json" in answer.headers.get("content-type", "") else None
            if question["path"] == "/api/v1/sessions":
                headers["X-CSRF-Token"] = body["csrf_token"]
            say({"status": answer.status_code, "headers": dict(answer.headers), "body": body,
                 "cookies": dict(client.cookies)})  # fmt: skip


def listen(url: str, receiver: str, cookie: str, origin: str = "") -> None:
    address = f"{url.replace('http', 'ws', 1)}/api/dicom-web/subscribers/{quote(receiver)}"
    more: dict[str, Any] = {"origin": origin} if origin else {}
    try:
        socket = connect(
            address, additional_headers={"Cookie": cookie}, open_timeout=PATIENCE_S, ping_timeout=None, **more
        )
    except InvalidStatus as error:
        say({"status": error.response.status_code})
        return
    say({"status": 101})
    # Whoever started this process closes its input: then the channel is closed in an orderly way.
    threading.Thread(target=lambda: (sys.stdin.read(), socket.close()), daemon=True).start()
    try:
        while True:
            say(json.loads(socket.recv()))
    except ConnectionClosed as closed:
        say({"closed": closed.rcvd.code if closed.rcvd else None})


if __name__ == "__main__":
    {"ask": ask, "listen": listen}[sys.argv[1]](*sys.argv[2:])
