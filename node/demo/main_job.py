"""``ainode demo``: the main job on one machine, over real associations: studies in, results confirmed in a PACS."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.app.records import Records, open_records
from node.app.supervisor import python_module
from node.config import ENVIRONMENT_PREFIX, load
from node.demo.holdings import PacsInstance
from node.demo.pacs import LOOPBACK, EmbeddedPacs
from node.demo.send import Sent, send
from node.demo.studies import write_studies
from node.domain.result import Outcome
from node.errors import OperationError

NODE_AE_TITLE = "AINODE"
PACS_AE_TITLE = "DEMOPACS"
START_TIMEOUT_S = 60.0
STUDY_TIMEOUT_S = 600.0
QUIET_PERIOD_S = 1.0
POLL_S = 0.2
DRAIN_S = 45.0
# The answer to a report of commitment is on its way for no longer.
SETTLE_S = 10.0
# The demonstration has no pages: they are a role that nobody would look at.
ROLES = ("receive", "work", "deliver", "timers")
# Outcomes that come as documents to the PACS; the others leave nothing to confirm there, or have failed.
DOCUMENTED = frozenset({Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.NOT_EVALUABLE})

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """``document`` is CONTRACT's JSON of ``demo``; ``folder`` holds site and objects when they were kept."""

    document: dict[str, Any]
    folder: Path | None


def demonstrate(paths: Sequence[Path], model: str | None, keep: Path | None, progress: Progress) -> Demonstration:
    """Run the main job on the studies under ``paths``, or on built-in synthetic ones.

    ``progress`` is told (step, done, of).

    Raises:
        OperationError: the node did not start, or it took none of the images.
    """
    with _folder(keep) as folder, EmbeddedPacs(folder / "pacs", PACS_AE_TITLE, NODE_AE_TITLE) as pacs:
        port = _free_port()
        pacs.report_to(LOOPBACK, port)
        config_path = _write_site(folder / "site", port, pacs.port, model)
        sources = list(paths) or [write_studies(folder / "studies")]
        progress("start the node", 0, 1)
        with _node(config_path, folder / "site" / "node.log"):
            progress("start the node", 1, 1)
            sent = send(sources, (LOOPBACK, port), NODE_AE_TITLE, lambda done, of: progress("send images", done, of))
            if not sent.studies:
                raise OperationError("the node took no image from the given paths" + _first_problems(sent))
            records = open_records(load(config_path, {}))
            try:
                timed_out = _wait(records, sent, progress)
                document = _settled(lambda: _document(records, pacs, sent, timed_out))
            finally:
                records.close()
    return Demonstration(document, keep)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="ainode-demo-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise OperationError(f"{keep} is not empty; --keep wants a new folder")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_site(folder: Path, port: int, pacs_port: int, model: str | None) -> Path:
    folder.mkdir(parents=True)
    path = folder / "ainode.toml"
    enabled = json.dumps([model or "*"])
    path.write_text(
        f"""[node]
ae_title = "{NODE_AE_TITLE}"

[store]
journal_segment_bytes = 16777216
journal_spare_segments = 1

[receive]
host = "127.0.0.1"
port = {port}
processes = 1
quiet_period_s = {QUIET_PERIOD_S}

[[destinations]]
name = "pacs"
ae_title = "{PACS_AE_TITLE}"
host = "127.0.0.1"
port = {pacs_port}
commitment = true

[[routes]]
models = ["*"]
destinations = ["pacs"]

[models]
enabled = {enabled}
""",
        encoding="utf-8",
    )
    return path


@contextlib.contextmanager
def _node(config: Path, log: Path) -> Iterator[None]:
    """The node as its own processes, its log in a file; drained at the end."""
    roles = [part for role in ROLES for part in ("--role", role)]
    with log.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            python_module("node", "-c", str(config), "run", *roles),
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            env=_environment(),
        )
        try:
            _wait_until_ready(process, log)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(DRAIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while b'"ready"' not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise OperationError(f"the node did not start; its log ends with:\n{tail}")
        time.sleep(POLL_S)


def _environment() -> dict[str, str]:
    """The caller's environment without configuration for another node."""
    return {key: value for key, value in os.environ.items() if not key.startswith(ENVIRONMENT_PREFIX)}


def _wait(records: Records, sent: Sent, progress: Progress) -> frozenset[str]:
    """Wait until everything about every study is final; the studies for which it is not."""
    waiting = set(sent.studies)
    deadline = time.monotonic() + STUDY_TIMEOUT_S
    while waiting and time.monotonic() < deadline:
        progress("results", len(sent.studies) - len(waiting), len(sent.studies))
        waiting = {study for study in waiting if not records.worklist.finality(study).final}
        if waiting:
            time.sleep(POLL_S)
    progress("results", len(sent.studies) - len(waiting), len(sent.studies))
    return frozenset(waiting)


def _settled(look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The node knows of a commitment when the report comes, the PACS when the answer to it does: a moment later."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        document = look()
        objects = [one for row in document["studies"] for one in row["objects"]]
        if time.monotonic() > deadline or all(one["committed"] for one in objects if one["received"]):
            return document
        time.sleep(POLL_S)


def _document(records: Records, pacs: EmbeddedPacs, sent: Sent, timed_out: frozenset[str]) -> dict[str, Any]:
    held = {instance.sop_instance_uid: instance for instance in pacs.instances()}
    studies = [row for study in sent.studies for row in _rows(records, held, sent, study)]
    return {
        "studies": studies,
        "problems": [{"path": str(path), "reason": reason} for path, reason in sent.problems],
        "timed_out": sorted(timed_out),
        "ok": not timed_out and all(_is_confirmed(row) for row in studies),
    }


def _rows(
    records: Records, held: dict[str, PacsInstance], sent: Sent, study_instance_uid: str
) -> Iterator[dict[str, Any]]:
    """One row for each current job of the study, and one for each model that did not want it.

    On a busy machine a series may seem complete before its last image has come: what was made of it then is superseded.
    """
    study = records.worklist.study(study_instance_uid)
    jobs = [records.worklist.job(job["id"]) for job in study["jobs"] if job["superseded_at"] is None]
    for job in jobs:
        objects = [_object(written, held) for written in job["objects"]]
        arrivals = [held[written["sop_instance_uid"]].received_at for written in objects if written["received"]]
        seconds = (max(arrivals) - sent.studies[study_instance_uid]).total_seconds() if arrivals else None
        yield {
            "study_instance_uid": study_instance_uid,
            "model": job["model"],
            "outcome": job["outcome"] or (Outcome.FAILED if job["state"] == "FAILED" else Outcome.PENDING),
            "reason": job["reason"],
            "findings": job["findings"],
            "objects": objects,
            "last_image_to_result_s": None if seconds is None else round(seconds, 3),
        }
    for model in sorted(set(study["outcome"]) - {job["model"] for job in jobs}):
        yield {
            "study_instance_uid": study_instance_uid,
            "model": model,
            "outcome": study["outcome"][model],
            "reason": None,
            "findings": [],
            "objects": [],
            "last_image_to_result_s": None,
        }


def _object(written: dict[str, Any], held: dict[str, PacsInstance]) -> dict[str, Any]:
    instance = held.get(written["sop_instance_uid"])
    return {
        "sop_class_uid": written["sop_class_uid"],
        "sop_instance_uid": written["sop_instance_uid"],
        "modality": written["modality"],
        "received": instance is not None,
        "committed": instance is not None and instance.committed,
        "path": None if instance is None else str(instance.path),
    }


def _is_confirmed(row: dict[str, Any]) -> bool:
    if row["outcome"] == Outcome.NOT_WANTED:
        return True
    return row["outcome"] in DOCUMENTED and bool(row["objects"]) and all(one["committed"] for one in row["objects"])


def _first_problems(sent: Sent) -> str:
    return "".join(f"; {path}: {reason}" for path, reason in sent.problems[:5])
