"""The benchmarks run, against their real peers, and measure something: small numbers, no judgement of time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.peers import REPOSITORY, require_program


def bench(folder: Path, name: str, *arguments: str) -> dict[str, object]:
    """The JSON document that a benchmark wrote."""
    report = folder / f"{name}.json"
    command = [sys.executable, "-m", f"tests.bench.{name}", *arguments, "--json", str(report)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, object] = json.loads(report.read_text())
    return found


def test_reception_is_measured_against_every_peer(tmp_path: Path) -> None:
    for program in ("storescp", "storescu", "Orthanc", "cc"):
        require_program(program)
    report = bench(
        tmp_path, "reception", "--rounds", "1", "--scale", "0.05", "--case", "small:1", "--case", "ct:4",
        "--no-as-shipped",
    )  # fmt: skip
    cases = report["cases"]
    assert isinstance(cases, dict)
    assert set(cases["small x1"]) == {
        "ainode", "ainode, files", "ainode, stock path", "Orthanc", "storescp", "storescp +B NODELAY",
        "storescp --fork +B NODELAY", "C limit",
    }  # fmt: skip
    assert {"ainode", "Orthanc", "C limit", "storescp --fork +B NODELAY"} <= set(cases["ct x4"])
    for case in cases.values():
        for figures in case.values():
            assert figures["failures"] == 0
            assert figures["per_second"] > 0
    assert report["machine"]


def test_turnaround_is_measured_and_every_result_arrives(tmp_path: Path) -> None:
    require_program("Orthanc")
    report = bench(tmp_path, "turnaround", "--series", "2", "--slices", "8", "--size", "32")
    # A segmentation and a report for each series; the first one is not measured, and one whose sender loses an answer
    # is sent anew.
    objects = report["objects_in_orthanc"]
    assert isinstance(objects, int)
    assert objects >= 6
    seconds = report["seconds"]
    assert isinstance(seconds, dict)
    assert seconds["whole"]["p50"] > 0


def test_a_dead_destination_is_measured_beside_the_others(tmp_path: Path) -> None:
    report = bench(tmp_path, "delivery", "--results", "2")
    destinations = report["destinations"]
    assert isinstance(destinations, dict)
    assert set(destinations) == {"dimse", "stow", "folder", "hl7", "fhir"}
    assert all(figures["ratio"] > 0 for figures in destinations.values())
