"""``ainode viewer``: an application that is a small copy of OHIF's build, from an npm that is none."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from node.admin.cli.root import cli
from node.admin.viewer import archive, package
from node.admin.viewer.installing import ViewerFolder
from node.domain.dicom_web import VIEWER_FOLDER
from node.errors import AlreadyThere, UnusableViewer
from tests.fakes.outbox import StandingClock
from tests.fakes.viewer import FILES, packed

NPM = """#!/bin/sh
echo "$@" >> "$NPM_CALLS"
cp "$NPM_PACKAGE" ohif-app.tgz
echo "npm notice something" >&2
printf '[{"filename": "ohif-app.tgz", "integrity": "%s"}]' "$NPM_INTEGRITY"
"""


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    return packed(tmp_path / "ohif-app-3.12.99.tgz", FILES)


@pytest.fixture
def folder(tmp_path: Path) -> ViewerFolder:
    return ViewerFolder(tmp_path / "var", StandingClock())


@pytest.fixture
def npm(tmp_path: Path, tarball: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which its calls are written down."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "npm").write_text(NPM, encoding="utf-8")
    (programs / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NPM_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("NPM_PACKAGE", str(tarball))
    digest = hashlib.sha512(tarball.read_bytes()).digest()
    monkeypatch.setenv("NPM_INTEGRITY", "sha512-" + base64.b64encode(digest).decode())
    return tmp_path / "calls"


def ainode(folder: Path, *words: str) -> Result:
    path = folder / "ainode.toml"
    path.touch()
    return CliRunner().invoke(cli, ["viewer", *words, "--config", str(path)])


# ---------------------------------------------------------------- installing


def test_npm_brings_it(tmp_path: Path, npm: Path) -> None:
    done = ainode(tmp_path, "install", "--json")
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.output)
    assert (told["installed"], told["version"], told["source"]) == (True, "3.12.99", "npm")
    assert told["integrity"] == os.environ["NPM_INTEGRITY"]
    called = npm.read_text()
    assert called.startswith("pack @ohif/app@~3.12.10 --json --ignore-scripts ")
    assert "registry" not in called
    assert json.loads(ainode(tmp_path, "show", "--json").output) == told
    assert "3.12.99" in ainode(tmp_path, "show").output
    assert sorted(path.name for path in (tmp_path / "var").iterdir()) == [VIEWER_FOLDER]
    assert json.loads(ainode(tmp_path, "remove", "--json").output) == {"removed": True}
    assert json.loads(ainode(tmp_path, "show", "--json").output)["installed"] is False
    assert json.loads(ainode(tmp_path, "remove", "--json").output) == {"removed": False}
    assert list((tmp_path / "var").iterdir()) == []


def test_the_application_stands_below_an_address_of_ours(folder: ViewerFolder, tarball: Path) -> None:
    folder.install(tarball, force=False)
    application = folder.path / "application"
    page = (application / "index.html").read_text()
    assert 'src="/viewer/app.bundle.0a1b.js"' in page
    assert 'href="/viewer/assets/favicon.ico"' in page
    assert 'src="/viewer/app-config.js"' in page
    assert 'content="/viewer/assets/browserconfig.xml"' in page
    assert "<script>" not in page
    assert "service-worker" not in page
    assert (application / "page-1.js").read_text() == "window.PUBLIC_URL = '/viewer/';\n"
    assert '.p = "/viewer/";' in (application / "app.bundle.0a1b.js").read_text()
    styles = (application / "app.bundle.css").read_text()
    assert styles == "a{src:url(/viewer/font.woff2)} b{src:url('/viewer/x.png')} c{src:url(//cdn/y)}"
    assert '"wadoRoot": "/api/dicom-web"' in (application / "app-config.js").read_text()
    assert not (application / "sw.js").exists()


def test_what_is_there_stays_until_it_is_to_be_replaced(folder: ViewerFolder, tarball: Path, tmp_path: Path) -> None:
    first = folder.install(tarball, force=False)
    with pytest.raises(AlreadyThere):
        folder.install(tarball, force=False)
    with pytest.raises(UnusableViewer):
        folder.install(packed(tmp_path / "bad.tgz", {"package/package.json": "{}"}), force=True)
    assert folder.installed() == first
    assert folder.install(tarball, force=True) == first
    assert [path.name for path in folder.path.parent.iterdir()] == [VIEWER_FOLDER]


@pytest.mark.parametrize(
    ("files", "more", "words"),
    [
        ({"package/../../outside.html": "x"}, (), "outside"),
        ({"/package/dist/index.html": "x"}, (), "outside"),
        ({"package/dist/..\\..\\x": "x"}, (), "outside"),
        ({"package/dist/a\nb": "x"}, (), "outside"),
        ({}, (link("package/dist/link", "/etc/passwd", tarfile.SYMTYPE),), "link"),
        ({}, (link("package/dist/link", "package/LICENSE", tarfile.LNKTYPE),), "link"),
        ({}, (link("package/dist/pipe", "", tarfile.FIFOTYPE),), "link"),
        ({"package/dist/app.bundle.0a1b.js": "built otherwise"}, (), "built"),
        ({"package/package.json": "no JSON"}, (), "description"),
        ({"package/package.json": "[]"}, (), "no package"),
        ({"package/package.json": '{"name": "left-pad", "version": "3.12.99"}'}, (), "no package"),
        ({"package/package.json": '{"name": "@ohif/app", "version": "3.12.10"}'}, (), "digest"),
        ({"package/package.json": '{"name": "@ohif/app", "version": "3.12.9"}'}, (), "not tried"),
        ({"package/package.json": '{"name": "@ohif/app", "version": "4.0.0"}'}, (), "not tried"),
        ({"package/dist/index.html/x": "x"}, (), "cannot be unpacked"),
    ],
)
def test_packages_that_are_none(
    folder: ViewerFolder, tmp_path: Path, files: Mapping[str, str], more: tuple[tarfile.TarInfo, ...], words: str
) -> None:
    with pytest.raises(UnusableViewer, match=words):
        folder.install(packed(tmp_path / "bad.tgz", {**FILES, **files}, *more), force=False)
    assert folder.installed() is None
    assert list(folder.path.parent.iterdir()) == []
    assert not (tmp_path / "outside.html").exists()


def test_what_is_no_archive_or_too_large(
    folder: ViewerFolder, tarball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(tarball.read_bytes()[:-200])
    for path in (cut, tmp_path / "absent.tgz", tmp_path):
        with pytest.raises(UnusableViewer):
            folder.install(path, force=False)
    for limit, most in (("MOST_BYTES", 100), ("MOST_FILES", 3)):
        with monkeypatch.context() as patched:
            patched.setattr(archive, limit, most)
            with pytest.raises(UnusableViewer, match="larger"):
                folder.install(tarball, force=False)
    older = packed(tmp_path / "4.tgz", FILES | {"package/package.json": '{"name": "@ohif/app", "version": "4.0.0"}'})
    assert folder.install(older, force=True).version == "4.0.0"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\necho 'npm error code E404' >&2\nexit 1\n", "E404"),
        ("#!/bin/sh\necho nonsense\n", "did not say"),
        (NPM.replace("$NPM_INTEGRITY", "sha512-other"), "not the one"),
    ],
)
def test_an_npm_that_fails(tmp_path: Path, folder: ViewerFolder, npm: Path, script: str, words: str) -> None:
    (tmp_path / "programs" / "npm").write_text(script, encoding="utf-8")
    with pytest.raises(UnusableViewer, match=words):
        folder.install(None, force=False)
    assert folder.installed() is None


def test_without_npm_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnusableViewer, match=f"npm pack {package.RANGE}"):
        package.from_npm(tmp_path)
    done = ainode(tmp_path, "install")
    assert (done.exit_code, type(done.exception)) == (1, UnusableViewer)
