"""The gate at which pynetdicom's own thread of an association stands while another thread uses the association."""

from __future__ import annotations

import threading

# How often a closed gate looks whether the thread it waits for has ended.
_LOOK_S = 0.05


class Checkpoint:
    """Takes the place of the event ``Association._reactor_checkpoint`` of pynetdicom 3.0.

    With an event, a thread that was let through and has not run since still looks as if it stood at the gate. It then
    takes the next answer, if that comes at once, and the one who asked waits until his time is out. Here ``clear``
    returns when ``reactor`` really stands, or has ended.
    """

    def __init__(self, reactor: threading.Thread) -> None:
        self._reactor = reactor
        self._changed = threading.Condition()
        self._open = True
        self._stands = False

    def set(self) -> None:
        """Let it through."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Close the gate, and wait until it stands there."""
        with self._changed:
            self._open = False
            while not self._stands and self._reactor.is_alive() and self._reactor is not threading.current_thread():
                self._changed.wait(_LOOK_S)

    def wait(self) -> None:
        """Called by the reactor."""
        with self._changed:
            self._stands = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open)
            self._stands = False
