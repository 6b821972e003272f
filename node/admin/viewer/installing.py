"""The viewer in the data folder: put there, looked at, taken away. A node that runs has it from then on."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from node.admin.viewer.adapting import adapt
from node.admin.viewer.archive import unpack
from node.admin.viewer.package import NAME, from_file, from_npm, require_version
from node.domain.dicom_web import VIEWER_APPLICATION, VIEWER_FOLDER
from node.errors import AlreadyThere, UnusableViewer
from node.ports import Clock

NOTE = "installed.json"


@dataclass(frozen=True, slots=True)
class Installed:
    """``integrity`` is that of the package, as npm writes it; ``source`` is ``npm`` or the name of a file."""

    package: str
    version: str
    integrity: str
    source: str
    installed_at: str
    files: int
    bytes: int


class ViewerFolder:
    def __init__(self, data: Path, clock: Clock) -> None:
        self._data = data
        self._folder = data / VIEWER_FOLDER
        self._clock = clock

    @property
    def path(self) -> Path:
        return self._folder

    def installed(self) -> Installed | None:
        """None: there is none, or what is there is not whole."""
        try:
            found: dict[str, Any] = json.loads((self._folder / NOTE).read_text(encoding="utf-8"))
            return Installed(**found)
        except (OSError, ValueError, TypeError):
            return None

    def install(self, tarball: Path | None, force: bool) -> Installed:
        """Put the viewer of ``tarball`` there, or the one that npm brings, in place of what was there.

        Raises:
            AlreadyThere: there is one already, and it is not to be replaced.
            UnusableViewer: there is none to be had, it is none, or the disk is full.
        """
        there = self.installed()
        if there is not None and not force:
            raise AlreadyThere(f"{there.package} {there.version} is installed; --force replaces it")
        with self._beside() as work:
            try:
                made = self._made(work, tarball, force)
                self._take_away()
                (work / "new").rename(self._folder)
            except OSError as error:
                raise UnusableViewer(f"the viewer cannot be written ({error.strerror})") from error
        return made

    def remove(self) -> bool:
        """Whether there was anything."""
        was_there = self._folder.exists()
        self._take_away()
        return was_there

    def _made(self, work: Path, tarball: Path | None, force: bool) -> Installed:
        """In ``new``: whole before it is where the node looks."""
        found = from_npm(work) if tarball is None else from_file(tarball)
        new = work / "new"
        application = new / VIEWER_APPLICATION
        application.mkdir(parents=True)
        version = require_version(unpack(found.path, application), found.integrity, force)
        adapt(application)
        sizes = [path.stat().st_size for path in application.rglob("*") if path.is_file()]
        made = Installed(
            package=NAME,
            version=version,
            integrity=found.integrity,
            source="npm" if tarball is None else tarball.name,
            installed_at=self._clock.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
            files=len(sizes),
            bytes=sum(sizes),
        )
        (new / NOTE).write_text(json.dumps(asdict(made), indent=2) + "\n", encoding="utf-8")
        return made

    def _take_away(self) -> None:
        """At once out of the way of those who look, then bit by bit."""
        if self._folder.exists():
            with self._beside() as work:
                self._folder.rename(work / "old")

    @contextmanager
    def _beside(self) -> Iterator[Path]:
        self._data.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{VIEWER_FOLDER}-", dir=self._data))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
