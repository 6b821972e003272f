"""``python -m tests.bench.event_to_screen``: how long a change takes from the commit of its rows to the screen.

A node's web role serves the worklist; chromium has it open. A job is completed in the database, as
a worker does it; the page's own observer notes when the row says so and has been painted (``requestAnimationFrame``,
twice). Both clocks are this machine's. Other open worklists listen meanwhile, as many as ``--listeners``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from node import config as configuration
from node.app.records import Records, open_records
from node.domain.admission import Admission, Verdict
from node.domain.study import CloseReason, Closure
from tests.bench.facts import machine_facts, write_json
from tests.contract.rows import completion, new_job, stored
from tests.e2e.chromium import chromium, opened
from tests.e2e.site import Site
from tests.waiting import wait_for

MODEL = "hippocampus"
# Of the rows that are on the first page all the time.
WATCH = """uid => {
  window.seen = null;
  const row = document.getElementById(`s-${uid}`);
  const watch = new MutationObserver(() => {
    if (!row.querySelector('.chip.positive')) return;
    watch.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => { window.seen = Date.now(); }));
  });
  watch.observe(row, {childList: true, subtree: true});
}"""


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        found = _measured(Path(folder), arguments.changes, arguments.listeners)
    for key in ("p50_ms", "p95_ms", "max_ms"):
        sys.stdout.write(f"{key} {found[key]:.0f}\n")
    if arguments.json is not None:
        write_json(arguments.json, found | {"machine": machine_facts()})
    return 0


def _measured(folder: Path, changes: int, listeners: int) -> dict[str, Any]:
    site = Site(folder / "site")
    try:
        site.start(roles=["web"])
        records = open_records(configuration.load(site.config, site.environment))
        try:
            for number in range(changes):
                _receive(records, f"1.2.3.{number}")
            base = f"http://127.0.0.1:{site.web_port}"
            for _ in range(listeners):
                threading.Thread(target=_listen, args=(base,), daemon=True).start()
            taken = _watched(records, base, changes)
        finally:
            records.close()
    finally:
        site.kill()
    ordered = sorted(taken)
    return {
        "changes": changes,
        "listeners": listeners,
        "p50_ms": statistics.median(taken),
        "p95_ms": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "max_ms": ordered[-1],
        "each_ms": taken,
    }


def _receive(records: Records, study: str) -> None:
    """A study with one image and a job that waits."""
    now, series = records.clock.now(), f"{study}.1"
    records.catalogue.record(stored(f"{series}.1", now, study=study, series=series))
    (found,) = [one for one in records.catalogue.open_series() if one.study_instance_uid == study]
    job = new_job(f"{MODEL}/{study}", study_instance_uid=study, series_instance_uids=(series,), model=MODEL)
    closure, verdict = Closure(CloseReason.QUIET, {}), Admission(MODEL, "1.0", Verdict.ADMITTED, ())
    assert records.catalogue.close_series(found.series_id, found.revision, closure, [verdict], [job])


def _watched(records: Records, base: str, changes: int) -> list[float]:
    """Milliseconds from each commit to the screen."""
    taken = []
    with chromium() as browser, opened(browser, base) as page:
        page.goto("/?sort=age")
        page.locator(f"tr[data-uid] >> nth={min(changes, 100) - 1}").wait_for()
        for _ in range(min(changes, 100)):
            job = records.queue.claim("bench", 600.0)
            assert job is not None
            page.locator(f'tr[data-uid="{job.study_instance_uid}"]').wait_for()
            page.evaluate(WATCH, job.study_instance_uid)
            assert records.queue.complete(job, completion(f"2.25.{job.id}"))
            committed = 1000 * time.time()
            seen = wait_for(lambda: page.evaluate("window.seen"), "the row says so", 60, 0.02)
            taken.append(float(seen) - committed)
    return taken


def _listen(base: str) -> None:
    """One more open worklist, until the node ends."""
    try:
        address = f"{base}/api/v1/events?rows=en"
        with httpx.Client(timeout=None, trust_env=False) as client, client.stream("GET", address) as answer:
            for _ in answer.iter_bytes():
                pass
    except httpx.HTTPError:
        return


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="From the commit of a change to the screen, in chromium.")
    parser.add_argument("--changes", type=int, default=60)
    parser.add_argument("--listeners", type=int, default=49, help="further open worklists")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
