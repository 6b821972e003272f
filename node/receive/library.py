"""Settings of pynetdicom, pydicom and tempfile that hold for a whole process, while a Storage SCP serves in it."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass

import pydicom.config
from pynetdicom import _config


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    """One state of these settings. Several servers of one process must stop in the reverse order of their start."""

    log_handlers: str
    chunked: bool
    unrestricted: bool
    temporary_folder: str | None
    reading_validation: int
    log_level: int

    @classmethod
    def replace(cls, incoming: str) -> LibrarySettings:
        """Make the settings ours and return those that were."""
        before = cls(
            log_handlers=_config.LOG_HANDLER_LEVEL,
            chunked=_config.STORE_RECV_CHUNKED_DATASET,
            unrestricted=_config.UNRESTRICTED_STORAGE_SERVICE,
            temporary_folder=tempfile.tempdir,
            reading_validation=pydicom.config.settings.reading_validation_mode,
            log_level=logging.getLogger("pynetdicom").level,
        )
        cls(
            log_handlers="none",
            chunked=True,
            unrestricted=True,
            # Chunked reception makes its files where ``tempfile`` does: it must be the file system of the store.
            temporary_folder=incoming,
            # Its warnings and messages repeat what outsiders sent.
            reading_validation=pydicom.config.IGNORE,
            log_level=logging.CRITICAL + 1,
        ).restore()
        return before

    def restore(self) -> None:
        """Make this state the one in force."""
        _config.LOG_HANDLER_LEVEL = self.log_handlers
        _config.STORE_RECV_CHUNKED_DATASET = self.chunked
        _config.UNRESTRICTED_STORAGE_SERVICE = self.unrestricted
        tempfile.tempdir = self.temporary_folder
        pydicom.config.settings.reading_validation_mode = self.reading_validation
        logging.getLogger("pynetdicom").setLevel(self.log_level)
