"""A package that is a small copy of OHIF's build."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

PAGE = """<!doctype html><html><head><meta name="msapplication-config" content="/assets/browserconfig.xml"/>
<script>window.PUBLIC_URL = '/';</script><link rel="icon" href="/assets/favicon.ico"/>
<script rel="preload" as="script" src="/app-config.js"></script>
<script rel="preload" as="script" type="module" src="/init-service-worker.js"></script>
<script defer="defer" src="/app.bundle.0a1b.js"></script></head><body></body></html>"""
FILES: Mapping[str, str] = {
    "package/package.json": json.dumps({"name": "@ohif/app", "version": "3.12.99"}),
    "package/LICENSE": "MIT",
    "package/dist/index.html": PAGE,
    "package/dist/app.bundle.0a1b.js": '/******/ __webpack_require__.p = "/";\nrun();',
    "package/dist/app.bundle.css": "a{src:url(/font.woff2)} b{src:url('/x.png')} c{src:url(//cdn/y)}",
    "package/dist/assets/favicon.ico": "icon",
    "package/dist/codec.0f.wasm": "wasm",
    "package/dist/sw.js": "self.addEventListener('fetch', all);",
    "package/dist/init-service-worker.js": "navigator.serviceWorker.register('/sw.js')",
    "package/dist/app-config.js": "window.config = {dataSources: ['somewhere else']}",
}


def packed(path: Path, files: Mapping[str, str], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, text in files.items():
            one = tarfile.TarInfo(name)
            one.size = len(text.encode())
            made.addfile(one, io.BytesIO(text.encode()))
        for one in more:
            made.addfile(one)
    return path
