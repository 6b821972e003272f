"""The web application asked without a socket: requests go straight into it, answers come back whole."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import httpx
from fastapi import FastAPI


class WebClient:
    """One browser or program; it keeps cookies. Used by one thread."""

    def __init__(self, application: FastAPI, base_url: str = "http://127.0.0.1:8080", **options: Any) -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=application)
        self._client = httpx.AsyncClient(transport=transport, base_url=base_url, **options)

    def __enter__(self) -> WebClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)
