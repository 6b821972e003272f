"""SIGKILL at random moments through the whole life of studies: nothing acknowledged is lost, nothing ends twice.

``AINODE_KILLS`` is how many (500 for a release note), ``AINODE_KILLS_SEED`` repeats a run's choices,
``AINODE_KILLS_EVERY_S`` is their mean distance, ``AINODE_KILLS_REPORT`` names a file for the figures.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from node import config as configuration
from node.app.records import Records, open_records
from tests.e2e.kills import VICTIMS, KilledSite
from tests.e2e.ledger import Ledger, Modality
from tests.e2e.reckoning import Reckoning, reckon, under_way, unfinished
from tests.orthanc import Orthanc
from tests.peers import REPOSITORY, free_port
from tests.waiting import wait_for

# ``reused``: the journal while retention removes images and segments are emptied and used again.
KILLS = {"journal": 20, "reused": 8, "files": 5}
EVERY_S = float(os.environ.get("AINODE_KILLS_EVERY_S", "3"))
MOST_KILLS = int(os.environ.get("AINODE_KILLS", str(max(KILLS.values()))))
MODALITIES = 3
MODALITY_PAUSE_S = 0.3
# With more than this under way no study is begun: the kills shall meet lives, not a queue.
MOST_UNDER_WAY = 12
FINAL_WITHIN_S = 300.0
TEND_EVERY_S = 0.2
# A starting node is not waited for any longer; and at each look at it with this probability not at all.
SERVES_AGAIN_S = 60.0
TOO_EARLY = 0.03
# What was chosen may just be starting; what does not come is not chosen (an inference process without work).
VICTIM_COMES_S = 4.0
PACS_AWAY_S = (0.2, 4.0)
PACS_KILLED, PACS_SILENT = "pacs killed", "pacs silent"
ALL_VICTIMS = {**VICTIMS, PACS_KILLED: 1.0, PACS_SILENT: 1.0}

CONFIGURATION = """
[store]
kind = "{store}"
journal_segment_bytes = 1048576
journal_spare_segments = 2
recycle_after_s = 1.0
[retention]
images_s = {keep_images_s}
every_s = 1.0
[models]
path = ["{models}"]
enabled = ["threshold"]
[work]
device = "cpu"
max_attempts = 10000
retry_base_s = 0.1
retry_cap_s = 1.0
lease_s = 2.0
[[destinations]]
name = "pacs"
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {pacs_port}
commitment_timeout_s = 5.0
timeout_s = 5.0
max_attempts = 10000
retry_base_s = 0.2
retry_cap_s = 2.0
[[routes]]
destinations = ["pacs"]
"""


def configured(kind: str, pacs_port: int) -> str:
    """The configuration of one of ``KILLS``, but for what a ``Site`` says itself."""
    models = REPOSITORY / "tests" / "fakes" / "models"
    store, keep_images_s = ("journal", 15.0) if kind == "reused" else (kind, 0.0)
    return CONFIGURATION.format(store=store, keep_images_s=keep_images_s, models=models, pacs_port=pacs_port)


@dataclass(slots=True)
class Pacs:
    """An Orthanc that is away for a while: killed, or silent."""

    orthanc: Orthanc
    _back: Callable[[], None] | None = None
    _back_at: float = 0.0

    def go_away(self, how: str, chance: random.Random) -> bool:
        """False when it is away already."""
        if self._back is not None:
            return False
        if how == PACS_KILLED:
            self.orthanc.kill()
            self._back = self.orthanc.start
        else:
            self.orthanc.fall_silent()
            self._back = self.orthanc.answer_again
        self._back_at = time.monotonic() + chance.uniform(*PACS_AWAY_S)
        return True

    def tend(self, now: bool = False) -> None:
        if self._back is not None and (now or time.monotonic() >= self._back_at):
            self._back()
            self._back = None


@dataclass(slots=True)
class Run:
    """One run: the node, its PACS, the modalities, and what was killed."""

    store: str
    seed: int
    site: KilledSite
    pacs: Pacs
    records: Records
    ledger: Ledger = field(default_factory=Ledger)
    modalities: list[Modality] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=random.Random)

    def begin(self) -> None:
        self.chance.seed(self.seed)
        for number in range(MODALITIES):
            chance = random.Random(f"{self.seed}/{number}")
            self.modalities.append(Modality(f"MR{number}", self.site.port, self.ledger, chance, MODALITY_PAUSE_S))
        self.site.begin()
        self.site.settle()
        for modality in self.modalities:
            modality.start()

    def kill_one(self) -> None:
        """Wait a random while, and kill at random what lives then: mostly of a node that serves, now and then of one
        that is just starting.
        """
        by = time.monotonic() + SERVES_AGAIN_S
        while not self.site.serves() and time.monotonic() < by and self.chance.random() > TOO_EARLY:
            self.tend_for(TEND_EVERY_S)
        self.tend_for(self.chance.uniform(0.1, 2 * EVERY_S - 0.1))
        while True:
            (victim,) = self.chance.choices(list(ALL_VICTIMS), list(ALL_VICTIMS.values()))
            by = time.monotonic() + VICTIM_COMES_S
            while not self._kill(victim) and time.monotonic() < by:
                self.tend_for(TEND_EVERY_S)
            if time.monotonic() < by:
                self.killed[victim] += 1
                return

    def tend_for(self, duration_s: float) -> None:
        """Start again what ended, as a service manager does, for a while."""
        until = time.monotonic() + duration_s
        while time.monotonic() < until:
            self.site.tend()
            self.pacs.tend()
            self.let_begin(sum(under_way(self.records.engine, self.ledger).values()) < MOST_UNDER_WAY)
            threading.Event().wait(TEND_EVERY_S)

    def _kill(self, victim: str) -> bool:
        if victim in (PACS_KILLED, PACS_SILENT):
            return self.pacs.go_away(victim, self.chance)
        return self.site.kill_part(victim, self.chance)

    def let_begin(self, may: bool) -> None:
        for modality in self.modalities:
            assert modality.error is None, modality.error
            (modality.may_begin.set if may else modality.may_begin.clear)()

    def finish(self) -> str:
        """No more kills: everything that was begun comes to its end, and one more study of each modality does.

        Empty, or what does not come to its end.
        """
        try:
            self._finish()
        except AssertionError as error:
            return str(error)
        return ""

    def _finish(self) -> None:
        for modality in self.modalities:
            modality.stopping.set()
        self.pacs.tend(now=True)
        self.site.settle()
        wait_for(lambda: not any(one.is_alive() for one in self.modalities), "the modalities end", timeout_s=120)
        for modality in self.modalities:
            assert modality.error is None, modality.error
        self.wait_until_final()
        for modality in self.modalities:
            modality.send_one()
        self.wait_until_final()

    def wait_until_final(self) -> None:
        left: dict[str, int] = {}

        def final() -> bool:
            left.clear()
            left.update(unfinished(self.records, self.ledger))
            return not left

        try:
            wait_for(final, "everything is final", timeout_s=FINAL_WITHIN_S, poll_s=0.5)
        except AssertionError:
            raise AssertionError(f"not final within {FINAL_WITHIN_S:g} s: {left}") from None

    def end(self) -> None:
        for modality in self.modalities:
            modality.stopping.set()
            modality.giving_up.set()
        with contextlib.suppress(AssertionError):
            self.pacs.tend(now=True)
        self.site.end_for_good()
        self.records.close()


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Run]:
    store: str = request.param
    node_port = free_port()
    with Orthanc(tmp_path / "orthanc", node=("AINODE", "127.0.0.1", node_port)) as orthanc:
        site = KilledSite(tmp_path / "site", extra=configured(store, orthanc.dicom_port), port=node_port)
        seed = int(os.environ.get("AINODE_KILLS_SEED") or random.SystemRandom().getrandbits(32))
        records = open_records(configuration.load(site.config, site.environment))
        made = Run(store, seed, site, Pacs(orthanc), records)
        try:
            yield made
        finally:
            made.end()


@pytest.mark.timeout(int(MOST_KILLS * (EVERY_S + 8) + 2 * FINAL_WITHIN_S + 300))
@pytest.mark.parametrize("run", list(KILLS), indirect=True)
def test_kills_at_random_moments(run: Run) -> None:
    began = time.monotonic()
    kills = int(os.environ.get("AINODE_KILLS") or KILLS[run.store])
    print(f"seed {run.seed}, {kills} kills, store {run.store}")  # noqa: T201  a failing run is repeated by it
    run.begin()
    for _ in range(kills):
        run.kill_one()
    killing_s = time.monotonic() - began
    unsettled = run.finish()
    found = reckon(run.records, run.site, run.pacs.orthanc, run.ledger)
    report = report_of(run, found, unsettled, killing_s, time.monotonic() - began)
    print(as_table(report))  # noqa: T201
    if os.environ.get("AINODE_KILLS_REPORT"):
        path = Path(os.environ["AINODE_KILLS_REPORT"])
        path.write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
    assert (unsettled, found.problems()) == ("", {}), run.site.folder
    assert sum(run.killed.values()) == kills
    assert found.acknowledged > 0
    assert found.jobs > 0
    run.site.when_well()
    verified = run.site.run("store", "verify", "--deep", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert run.site.stop() == 0


def report_of(run: Run, found: Reckoning, unsettled: str, killing_s: float, total_s: float) -> dict[str, Any]:
    counted = {name: len(value) if isinstance(value, list) else value for name, value in found.plain().items()}
    return {
        "store": run.store,
        "seed": run.seed,
        "kills": sum(run.killed.values()),
        "killed": dict(sorted(run.killed.items())),
        "killing_s": round(killing_s, 1),
        "total_s": round(total_s, 1),
        "node_starts": run.site.lives,
        "node_starts_refused": run.site.starts_refused,
        "associations_broken": run.ledger.broken_associations,
        "refusals": {f"{status:04X}": number for status, number in run.ledger.refusals.items()},
        **counted,
        "unsettled": unsettled,
        "problems": found.problems(),
    }


def as_table(report: dict[str, Any]) -> str:
    lines = [f"  killed {victim:<22}{number:>8}" for victim, number in report["killed"].items()]
    lines += [
        f"  {name:<29}{value:>8}"
        for name, value in report.items()
        if isinstance(value, int | float) and name not in ("seed", "kills")
    ]
    return "\n".join([f"store {report['store']}, seed {report['seed']}: {report['kills']} kills", *lines])
