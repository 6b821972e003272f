"""The built application made to stand below ``/viewer/`` of the pages, and to ask the node's own DICOMweb.

It is built for the root of a host. Three texts say so: the public path of webpack's run time, addresses in the style
sheets, and those in the page. Scripts within the page become files, so that the page needs no leave for such scripts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from node.domain.dicom_web import ROOT, VIEWER
from node.errors import UnusableViewer

BASE: Final = f"{VIEWER}/"
PUBLIC_PATH: Final = '__webpack_require__.p = "/";'
# Would take over every page of the node.
SERVICE_WORKERS: Final = ("sw.js", "init-service-worker.js")
_WITH_SERVICE_WORKER = re.compile(r"<script[^>]*init-service-worker\.js[^>]*></script>")
_WITHIN = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_ADDRESS = re.compile(r'((?:href|src|content)=")/(?!/)')
_PUBLIC_URL = re.compile(r"(window\.PUBLIC_URL\s*=\s*)'/'")
_IN_STYLE = re.compile(r"url\((['\"]?)/(?!/)")

SOURCE: Final[Mapping[str, Any]] = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "dicomweb",
    "configuration": {
        "friendlyName": "ainode",
        "name": "ainode",
        "qidoRoot": ROOT,
        "wadoRoot": ROOT,
        "wadoUriRoot": ROOT,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "qidoSupportsIncludeField": False,
        "supportsFuzzyMatching": False,
        "supportsWildcard": True,
        "enableStudyLazyLoad": True,
        "omitQuotationForMultipartRequest": True,
        "dicomUploadEnabled": False,
        "bulkDataURI": {"enabled": True},
    },
}
CONFIGURATION: Final[Mapping[str, Any]] = {
    # Its route is /viewer; the node's worklist is the list of studies.
    "routerBasename": "/",
    "showStudyList": False,
    "extensions": [],
    "modes": [],
    "customizationService": {},
    "showWarningMessageForCrossOrigin": False,
    "strictZSpacingForVolumeViewport": False,
    "maxNumberOfWebWorkers": 3,
    "defaultDataSourceName": "dicomweb",
    "dataSources": [SOURCE],
}


def adapt(application: Path) -> None:
    """Change the files in ``application``.

    Raises:
        UnusableViewer: it is not built as expected.
    """
    for name in SERVICE_WORKERS:
        (application / name).unlink(missing_ok=True)
    changed = sum(
        _replaced(path, PUBLIC_PATH, f'__webpack_require__.p = "{BASE}";') for path in _files(application, "js")
    )
    if not changed:
        raise UnusableViewer("the application does not say where it stands: it is built in another way")
    for path in _files(application, "css"):
        path.write_text(_IN_STYLE.sub(rf"url(\1{BASE}", path.read_text(encoding="utf-8")), encoding="utf-8")
    _adapt_page(application)
    configuration = json.dumps(CONFIGURATION, indent=2)
    (application / "app-config.js").write_text(f"window.config = {configuration};\n", encoding="utf-8")


def _adapt_page(application: Path) -> None:
    page = application / "index.html"
    html = _WITH_SERVICE_WORKER.sub("", page.read_text(encoding="utf-8"))
    html = _PUBLIC_URL.sub(rf"\1'{BASE}'", _ADDRESS.sub(rf"\1{BASE}", html))
    scripts: list[str] = []

    def as_file(match: re.Match[str]) -> str:
        scripts.append(match[1])
        return f'<script src="{BASE}{_name(len(scripts))}"></script>'

    page.write_text(_WITHIN.sub(as_file, html), encoding="utf-8")
    for number, script in enumerate(scripts, 1):
        (application / _name(number)).write_text(script + "\n", encoding="utf-8")


def _name(number: int) -> str:
    return f"page-{number}.js"


def _files(application: Path, kind: str) -> list[Path]:
    return sorted(application.glob(f"*.{kind}"))


def _replaced(path: Path, old: str, new: str) -> bool:
    text = path.read_bytes()
    if old.encode() not in text:
        return False
    path.write_bytes(text.replace(old.encode(), new.encode()))
    return True
