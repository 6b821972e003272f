"""OHIF from its npm package, served with a DICOMweb of the same origin, in headless chromium."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.peers import require_program

PACKAGE = "@ohif/app"
DICOM_WEB = "/dicom-web"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
CONFIGURATION = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "strictZSpacingForVolumeViewport": False,
    "investigationalUseDialog": {"option": "never"},
    "maxNumberOfWebWorkers": 1,
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": {
                "friendlyName": "test",
                "name": "test",
                "qidoRoot": DICOM_WEB,
                "wadoRoot": DICOM_WEB,
                "wadoUriRoot": DICOM_WEB,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "qidoSupportsIncludeField": False,
                "supportsFuzzyMatching": False,
                "enableStudyLazyLoad": True,
                "omitQuotationForMultipartRequest": True,
            },
        }
    ],
}


def fetched(cache: Path) -> Path:
    """The folder ``dist`` of the viewer under ``cache``; npm brings it there the first time."""
    dist = cache / "package" / "dist"
    if not (dist / "index.html").is_file():
        cache.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            [require_program("npm"), "pack", PACKAGE, "--json"], cwd=cache, capture_output=True, check=True, text=True
        )
        archive = cache / json.loads(packed.stdout)[0]["filename"]
        with tarfile.open(archive) as opened:
            opened.extractall(cache, filter="data")
        archive.unlink()
    return dist


def version_of(dist: Path) -> str:
    return str(json.loads((dist.parent / "package.json").read_text(encoding="utf-8"))["version"])


def configure(dist: Path, served: Path) -> None:
    """The application in ``served`` with our configuration in place of its own; the cached one stays as it came."""
    shutil.copytree(dist, served, symlinks=True, copy_function=_link, dirs_exist_ok=True)
    configuration = served / "app-config.js"
    configuration.unlink()
    configuration.write_text(f"window.config = {json.dumps(CONFIGURATION)};", encoding="utf-8")


def _link(source: str, target: str) -> str:
    """200 MB that need not be there twice."""
    Path(target).symlink_to(source)
    return target


@contextlib.contextmanager
def serve(application: Path, dicom_web_url: str) -> Iterator[str]:
    """The address of ``application`` on a free loopback port, ``/dicom-web`` of the PACS beside it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, dicom_web_url, directory=str(application)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(SimpleHTTPRequestHandler):
    """Files of the application, its page for every other path, and DICOMweb handed on to the PACS."""

    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, dicom_web_url: str, *arguments: object, directory: str) -> None:
        self._pacs = urlsplit(dicom_web_url).netloc
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path.startswith(DICOM_WEB):
            self._hand_on()
            return
        if not Path(self.translate_path(self.path)).is_file():
            self.path = "/index.html"
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the log of the PACS has the requests that matter."""

    def _hand_on(self) -> None:
        """With the viewer's own Host, of which the PACS makes the addresses in its answers."""
        pacs = http.client.HTTPConnection(self._pacs, timeout=120)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            pacs.request("GET", self.path, headers=headers | {"Accept-Encoding": "identity"})
            answer = pacs.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        finally:
            pacs.close()
