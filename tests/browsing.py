"""Asks the web application without a socket, and keeps its cookies, as a browser does."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


class Browser:
    """``base_url`` is how the pages are reached; redirects are followed."""

    def __init__(self, application: FastAPI, base_url: str = "http://127.0.0.1") -> None:
        self._application = application
        self._base_url = base_url
        self._cookies = httpx.Cookies()

    def get(self, url: str, **values: Any) -> httpx.Response:
        return self.request("GET", url, **values)

    def post(self, url: str, **values: Any) -> httpx.Response:
        return self.request("POST", url, **values)

    def request(self, method: str, url: str, **values: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._application)
            async with httpx.AsyncClient(
                transport=transport, base_url=self._base_url, cookies=self._cookies, follow_redirects=True, timeout=120
            ) as client:
                response = await client.request(method, url, **values)
                self._cookies = client.cookies
                return response

        return asyncio.run(ask())
