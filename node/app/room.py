"""How much room the node has: on the tightest of the file systems that it writes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from node.config import Config
from node.errors import StoreUnavailable
from node.store.space import Space, measure_all

_SQLITE = "sqlite:///"


def room(config: Config) -> Space:
    """
    Raises:
        StoreUnavailable: a file system does not answer.
    """
    return measuring(config)()


def measuring(config: Config) -> Callable[[], Space]:
    """``room``, to be asked for each instance that comes: which file systems there are is looked up once.

    Raises:
        StoreUnavailable: by what is returned too: a file system does not answer.
    """
    folders, watermark_bytes = (
        _one_for_each_file_system(written_folders(config)),
        config.node.free_space_watermark_bytes,
    )
    return lambda: measure_all(folders, watermark_bytes)


def written_folders(config: Config) -> list[Path]:
    """Where bytes and rows go on this host."""
    folders = [config.node.data_dir]
    if config.database.url.startswith(_SQLITE):
        folders.append(Path(config.database.url.removeprefix(_SQLITE)).parent)
    return folders


def _one_for_each_file_system(folders: Iterable[Path]) -> list[Path]:
    try:
        return list({folder.stat().st_dev: folder for folder in folders}.values())
    except OSError as error:
        raise StoreUnavailable("free space cannot be measured", errno=error.errno) from error
