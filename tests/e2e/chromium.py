"""Debian's chromium without a screen, driven by Playwright; nothing is ever downloaded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.peers import absent, require_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

# Software rendering beside other work: nothing is late before this many seconds.
PATIENCE_S = 90.0
# Accessibility rules of axe-core that are a barrier to somebody.
GRAVE = ("serious", "critical")
DESK, PHONE = (1280, 800), (390, 844)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Its event loop lives in this thread until the end."""
    program = require_program("chromium")
    if find_spec("playwright") is None:
        absent("playwright is not installed")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  absent in an installation without tests

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=PATIENCE_S * 1000)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A page of a visitor of his own at ``url``: no cookie of another. What its console says of errors is a failure.

    ``options`` are those of ``Browser.new_context``: ``color_scheme``, ``locale``, ``java_script_enabled``; besides
    ``size`` of the window, and of the console's errors which ones ``may_say`` this.
    """
    size, harmless = options.pop("size", DESK), options.pop("may_say", "\0")
    context = browser.new_context(base_url=url, viewport={"width": size[0], "height": size[1]}, **options)
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    try:
        yield page
        assert not [one for one in said if harmless not in one], said
    finally:
        context.close()


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def pixels(locator: Locator) -> npt.NDArray[np.int16]:
    """What is seen of an element, RGB (rows, columns, 3)."""
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(np.int16)


def axe() -> str:
    """axe-core as its package brings it.

    https://github.com/dequelabs/axe-core
    """
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        absent("axe-playwright-python is not installed")
    assert found is not None
    assert found.origin is not None
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page, source: str) -> list[str]:
    """What hinders somebody on this page, by axe-core's rules of WCAG 2 A and AA and of best practice."""
    # Its content security policy, rightly, lets no other script in: axe-core comes by the browser's own protocol.
    page.evaluate(source)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['impact']} {one['id']}: {', '.join(' '.join(map(str, node['target'])) for node in one['nodes'][:5])}"
        for one in found["violations"]
        if one["impact"] in GRAVE
    ]
