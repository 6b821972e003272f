"""Where bytes lie: folders, the kind of their file system, room, and the segments of the journal."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from node.app.doctor.finding import Finding, fail, ok, warn
from node.app.room import room, written_folders
from node.app.stores import has_journal, journal_folder
from node.config import Config
from node.store.journal.disk import Disk
from node.store.journal.folder import Folder
from node.store.journal.reader import segment_at

MOUNTS = Path("/proc/self/mounts")
NETWORK = re.compile(r"nfs\d?|cifs|smb\w*|9p|ceph|lustre|afs|ncpfs|glusterfs|fuse\.(sshfs|glusterfs|s3fs|rclone|ceph)")
MEMORY = frozenset({"tmpfs", "ramfs"})
LAYERS = frozenset({"overlay", "aufs"})
_SQLITE = "sqlite:///"
# Of unreadable segments so many are named.
NAMED = 5


def folders(config: Config) -> Iterator[Finding]:
    """Whether this user can write, durably, where the node writes."""
    for folder in dict.fromkeys(written_folders(config)):
        if not folder.exists():
            yield _not_made(folder)
            continue
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"\0")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            advice = f"Give the user that runs the node the right to write there: {os.geteuid()} asked."
            yield fail("folder", f"{folder}: {error.strerror}", advice)
        else:
            yield ok("folder", f"{folder} can be written to")


def _not_made(folder: Path) -> Finding:
    above = next(parent for parent in folder.parents if parent.exists())
    if above.is_dir() and os.access(above, os.W_OK):
        return ok("folder", f"{folder} is made when the node starts")
    return fail("folder", f"{folder} cannot be made in {above}", "Make the folder, and give it to the node's user.")


def space(config: Config) -> Iterator[Finding]:
    """Room above the watermark, and soon."""
    if not all(folder.exists() for folder in written_folders(config)):
        yield ok("space", "no folder yet")
        return
    found = room(config)
    told = f"{_gib(found.free_bytes)} free, watermark {_gib(found.watermark_bytes)}"
    if not found.has_room_for():
        yield fail("space", told, "Make room, or shorten retention.images_s: C-STORE is answered A700 until then.")
    elif found.free_bytes < 2 * found.watermark_bytes:
        yield warn("space", told, "Make room before the watermark is reached: below it nothing is received.")
    else:
        yield ok("space", told)


def file_systems(config: Config, mounts: Path = MOUNTS) -> Iterator[Finding]:
    """Whether the file systems keep what they are given, and lock as SQLite needs it."""
    try:
        table = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        yield ok("file-system", "this system does not tell the kinds of its file systems")
        return
    places = [("file-system.data", config.node.data_dir, False)]
    if config.database.url.startswith(_SQLITE):
        places.append(("file-system.database", Path(config.database.url.removeprefix(_SQLITE)).parent, True))
    for check, folder, locks in places:
        yield _judged(check, folder, kind_of(folder.resolve(), table), locks)


def kind_of(folder: Path, mounts: Sequence[Sequence[str]]) -> str:
    """The kind of the file system that an absolute path is on; ``mounts`` are fields as in fstab(5), the last wins."""
    found, depth = "unknown", -1
    for _, point, kind, *_ in mounts:
        place = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point))
        if folder.is_relative_to(place) and len(place.parts) >= depth:
            found, depth = kind, len(place.parts)
    return found


def _judged(check: str, folder: Path, kind: str, locks: bool) -> Finding:
    told = f"{folder} is on {kind}"
    if NETWORK.fullmatch(kind):
        if locks:
            advice = "Keep SQLite on a local disk, or use PostgreSQL: its log needs memory that processes share."
            return fail(check, told, advice)
        return warn(check, told, "Mount it 'hard': what is acknowledged is as durable as its server.")
    if kind in MEMORY:
        return warn(check, told, "Choose a folder on a disk: what lies in memory is lost when the machine restarts.")
    if kind in LAYERS:
        return warn(check, told, "Put it on a volume: a container's own layer goes when the container is made anew.")
    return ok(check, told)


def journal(config: Config) -> Iterator[Finding]:
    """The header of each segment; ``ainode store verify`` reads all the rest."""
    if not has_journal(config):
        yield ok("journal", "there is none: instances are files")
        return
    folder = Folder(journal_folder(config), Disk())
    numbers = folder.numbers()
    unreadable = [number for number in numbers if not _is_readable(folder.segment(number), number)]
    if unreadable:
        names = ", ".join(f"{number:08x}.seg" for number in unreadable[:NAMED])
        advice = "Look at the disk and run 'ainode store verify', which names every instance that is touched."
        yield fail("journal", f"{len(unreadable)} of {len(numbers)} segments cannot be read: {names}", advice)
    else:
        yield ok("journal", f"{len(numbers)} segments")


def _is_readable(path: Path, number: int) -> bool:
    """One that was recycled meanwhile counts as readable."""
    try:
        with segment_at(path, number) as segment:
            return segment is not None or not path.exists()
    except OSError:
        return False


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
