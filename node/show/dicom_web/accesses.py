"""Who looked at which study, for the log of uses: once for a sitting, not for every frame."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from node.ports import Clock
from node.ports.dicom_web import Record

# Who comes back after this looks at it again.
A_SITTING = timedelta(minutes=15)
REMEMBERED = 4096


class Accesses:
    def __init__(self, record: Record, clock: Clock) -> None:
        self._record = record
        self._clock = clock
        self._noted: OrderedDict[tuple[str | None, str], datetime] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, user: str | None, study_instance_uid: str) -> None:
        """Written before anything is given out.

        Raises:
            StoreUnavailable: it cannot be written; then nothing is given out either.
        """
        now, key = self._clock.now(), (user, study_instance_uid)
        # A viewer asks for many things at once: the first of them is written, the others wait for that.
        with self._lock:
            noted = self._noted.get(key)
            if noted is not None and now - noted < A_SITTING:
                return
            self._record(user, study_instance_uid)
            self._noted[key] = now
            self._noted.move_to_end(key)
            while len(self._noted) > REMEMBERED:
                self._noted.popitem(last=False)
