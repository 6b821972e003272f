"""The npm package of the viewer: where it comes from, and whether it is what it should be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.errors import UnusableViewer

NAME: Final = "@ohif/app"
# Versions that were seen to work: the first one, and later corrections of it.
FIRST = (3, 12, 10)
RANGE: Final = f"{NAME}@~{'.'.join(map(str, FIRST))}"
# Of versions that were looked at, as npm has it: a file that calls itself so and is another one is not taken.
KNOWN: Final[Mapping[str, str]] = {
    "3.12.10": "sha512-0kuF66Mq9c9dMD++bUsTjMrJpXJwaZhz9B4uS244DawAjSkTwIYFU93pxPuRUQixaRi7QAHlF3Fe1qudBlZrmA==",
}
# 50 MB over a slow line.
TIMEOUT_S = 1800
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})\Z")


@dataclass(frozen=True, slots=True)
class Tarball:
    """``integrity`` is ``sha512-`` and the digest of the file in Base64, as npm writes it."""

    path: Path
    integrity: str


def from_npm(folder: Path) -> Tarball:
    """Have npm bring the package into ``folder``, from whichever registry it is set up for; no script of it is run.

    Raises:
        UnusableViewer: npm is not there or fails, or the file is not the one that the registry described.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise UnusableViewer(f"npm is not installed; 'npm pack {RANGE}' on another machine, then --from FILE")
    command = [npm, "pack", RANGE, "--json", "--ignore-scripts", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603  our own words, and a folder of ours
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnusableViewer(f"npm did not end well ({type(error).__name__})") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-3:]
        raise UnusableViewer(f"npm failed: {' '.join(said)[:500]}", status=done.returncode)
    try:
        (described,) = json.loads(done.stdout)
        path, expected = folder / Path(str(described["filename"])).name, str(described["integrity"])
    except (ValueError, TypeError, KeyError) as error:
        raise UnusableViewer("npm did not say what it brought") from error
    found = from_file(path)
    if found.integrity != expected:
        raise UnusableViewer("the file that npm brought is not the one that the registry describes")
    return found


def from_file(path: Path) -> Tarball:
    """
    Raises:
        UnusableViewer: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").digest()
    except OSError as error:
        raise UnusableViewer(f"{path} cannot be read ({error.strerror})") from error
    return Tarball(path, "sha512-" + base64.b64encode(digest).decode("ascii"))


def require_version(description: object, integrity: str, force: bool) -> str:
    """The version that ``package.json`` tells, if it is one of the viewer's that was seen to work; ``force``: any one.

    Raises:
        UnusableViewer
    """
    told = description if isinstance(description, dict) else {}
    version = str(told.get("version", ""))
    match = _VERSION.match(version)
    if told.get("name") != NAME or match is None:
        raise UnusableViewer(f"this is no package {NAME}")
    if KNOWN.get(version, integrity) != integrity:
        raise UnusableViewer(f"this is not the {NAME} {version} that npm has: its digest is another one")
    major, minor, correction = map(int, match.groups())
    if not force and ((major, minor) != FIRST[:2] or correction < FIRST[2]):
        raise UnusableViewer(f"version {version} was not tried with this node, {RANGE} was; --force takes it")
    return version
