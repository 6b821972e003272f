"""Who looked at which study is written down once for a sitting, however much is asked for at once."""

from __future__ import annotations

import threading

import pytest

from node.errors import StoreUnavailable
from node.show.dicom_web import accesses
from node.show.dicom_web.accesses import A_SITTING, Accesses
from tests.fakes.outbox import StandingClock


def test_what_is_asked_for_at_once_is_one_look() -> None:
    told: list[tuple[str | None, str]] = []
    all_ask, again = threading.Barrier(8, timeout=60), threading.Event()

    def record(user: str | None, study: str) -> None:
        told.append((user, study))
        if len(told) > 1:
            again.set()
        # Long enough for the others to come too, if nothing holds them.
        again.wait(0.5)

    noted = Accesses(record, StandingClock())

    def look() -> None:
        all_ask.wait()
        noted.note("reader", "1.2")

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert told == [("reader", "1.2")]


def test_another_study_person_or_sitting_is_another_look(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str | None, str]] = []
    clock = StandingClock()
    noted = Accesses(lambda user, study: told.append((user, study)), clock)
    for user, study in (("reader", "1.2"), ("reader", "1.3"), (None, "1.2"), ("reader", "1.2")):
        noted.note(user, study)
    assert told == [("reader", "1.2"), ("reader", "1.3"), (None, "1.2")]
    clock.advance(A_SITTING.total_seconds())
    noted.note("reader", "1.2")
    assert len(told) == 4
    monkeypatch.setattr(accesses, "REMEMBERED", 1)
    noted.note("reader", "1.9")
    noted.note("reader", "1.2")
    assert len(told) == 6


def test_what_cannot_be_written_is_tried_again() -> None:
    tries: list[str] = []

    def fail(_: str | None, study: str) -> None:
        tries.append(study)
        raise StoreUnavailable("no room")

    noted = Accesses(fail, StandingClock())
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            noted.note(None, "1.2")
    assert tries == ["1.2", "1.2"]
