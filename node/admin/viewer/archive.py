"""Taking the application out of its package without trusting what the package says of places."""

from __future__ import annotations

import json
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from node.errors import UnusableViewer

APPLICATION: Final = ("package", "dist")
DESCRIPTION: Final = ("package", "package.json")
# Four times what there is today.
MOST_FILES, MOST_BYTES = 5000, 1 << 30
LONGEST_DESCRIPTION = 1 << 20


def unpack(tarball: Path, folder: Path) -> Any:
    """Write the application into ``folder``; what ``package.json`` says.

    Raises:
        UnusableViewer: no such archive, a place outside of it, a link, too much, or no application in it.
    """
    description, size = None, 0
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            for number, member in enumerate(_members(archive)):
                size += member.size
                if number >= MOST_FILES or size > MOST_BYTES:
                    raise UnusableViewer("the package is larger than any viewer")
                parts = _parts(member)
                if parts == DESCRIPTION:
                    description = _description(archive, member)
                elif parts[:2] == APPLICATION and len(parts) > 2:
                    _write(archive, member, folder.joinpath(*parts[2:]))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UnusableViewer(f"the package cannot be unpacked ({type(error).__name__})") from error
    if description is None or not (folder / "index.html").is_file():
        raise UnusableViewer("there is no application in the package")
    return description


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The files; a package of npm holds nothing else but folders."""
    for member in archive:
        if member.isfile():
            yield member
        elif not member.isdir():
            raise UnusableViewer("the package holds a link or a device")


def _parts(member: tarfile.TarInfo) -> tuple[str, ...]:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or not member.name.isprintable():
        raise UnusableViewer("the package names a place outside of it")
    return path.parts


def _description(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    file = archive.extractfile(member)
    assert file is not None
    try:
        return json.loads(file.read(LONGEST_DESCRIPTION))
    except ValueError as error:
        raise UnusableViewer("the description of the package cannot be read") from error


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Neither modes nor owners are taken over."""
    file = archive.extractfile(member)
    assert file is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as written:
        shutil.copyfileobj(file, written)
