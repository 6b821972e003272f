"""The viewer as the node serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.admin.viewer.installing import ViewerFolder
from node.show.headers import POLICY
from node.show.viewer.router import PAGE_POLICY
from tests.contract.pages import Pages
from tests.fakes.viewer import FILES, packed


@pytest.fixture
def pages(tmp_path: Path, empty_database: Path) -> Iterator[Pages]:
    made = Pages(tmp_path, empty_database)
    made.receive("1.2.3")
    yield made
    made.close()


def test_it_is_served_beside_the_pages_once_it_is_there(tmp_path: Path, pages: Pages) -> None:
    client, tarball = pages.client(), packed(tmp_path / "ohif-app.tgz", FILES)
    with client:
        assert client.get("/viewer?StudyInstanceUIDs=1.2.3").status_code == 404
        assert "/viewer" not in client.get("/studies/1.2.3").text
        viewer = ViewerFolder(pages.records.config.node.data_dir, pages.records.clock)
        viewer.install(tarball, force=False)
        page = client.get("/viewer?StudyInstanceUIDs=1.2.3")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.headers["content-security-policy"] == PAGE_POLICY
        assert 'href="/viewer?StudyInstanceUIDs=1.2.3"' in client.get("/studies/1.2.3").text
        for path in ("/", "/studies/1.2.3", "/login", "/api/v1/studies"):
            assert client.get(path).headers["content-security-policy"] == POLICY, path
        script = client.get("/viewer/app.bundle.0a1b.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "max-age" in script.headers["cache-control"]
        assert "no-cache" in client.get("/viewer/app-config.js").headers["cache-control"]
        assert client.get("/viewer/codec.0f.wasm").headers["content-type"] == "application/wasm"
        for path in ("/viewer/nothing.js", "/viewer/../installed.json", "/viewer/..%2finstalled.json", "/viewer/%00",
                     "/viewer/assets", "/viewer//etc/passwd", "/viewer/" + "a" * 10_000):  # fmt: skip
            assert client.get(path).status_code == 404, path[:40]
        viewer.remove()
        assert client.get("/viewer/app.bundle.0a1b.js").status_code == 404


def test_it_is_for_those_who_may_read(tmp_path: Path, empty_database: Path) -> None:
    pages = Pages(tmp_path, empty_database, host="0.0.0.0")
    try:
        viewer = ViewerFolder(pages.records.config.node.data_dir, pages.records.clock)
        viewer.install(packed(tmp_path / "ohif-app.tgz", FILES), force=False)
        with pages.client(base_url="http://node.hospital.example:8080") as client:
            refused = client.get("/viewer?StudyInstanceUIDs=1.2")
            assert refused.headers["location"] == "/login?next=%2Fviewer%3FStudyInstanceUIDs%3D1.2"
            assert client.get("/viewer/app.bundle.0a1b.js").status_code == 303
            pages.log_in(client)
            assert client.get("/viewer?StudyInstanceUIDs=1.2").status_code == 200
    finally:
        pages.close()
