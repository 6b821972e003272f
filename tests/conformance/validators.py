"""Public validators and readers, each as a function that returns what it complains of.

A complaint is a line that begins with ``Error``. What is named ``..._says`` returns every line, warnings as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.peers import absent, require_program

PIXELMED = Path("/usr/share/java/pixelmed.jar")
JAVA_SOURCE = Path(__file__).with_name("ValidateReports.java")
# The validator's style sheets exceed the limits that Java sets on XPath expressions.
# It runs for seconds: the optimising compiler would cost more than it saves.
JAVA_OPTIONS = (
    "-Djdk.xml.xpathExprOpLimit=0", "-Djdk.xml.xpathTotalOpLimit=0", "-Djdk.xml.xpathExprGrpLimit=0",
    "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
)  # fmt: skip


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, errors="replace", timeout=800, check=False
    )


def _installed(name: str) -> str:
    """A program that came with a Python package: beside the interpreter, whether its folder is in PATH or not."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else require_program(name)


def _errors(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.startswith("Error")]


def dciodvfy(path: Path) -> list[str]:
    """dicom3tools: one object against its IOD."""
    return _errors(dciodvfy_says(path))


def dciodvfy_says(path: Path) -> list[str]:
    done = _run(require_program("dciodvfy"), path)
    output = done.stdout + done.stderr
    assert output.strip(), "dciodvfy said nothing: it did not run"
    return output.splitlines()


def dcentvfy(paths: Sequence[Path]) -> list[str]:
    """dicom3tools: the patients, studies and series of several objects against one another."""
    return _errors(dcentvfy_says(paths))


def dcentvfy_says(paths: Sequence[Path]) -> list[str]:
    done = _run(require_program("dcentvfy"), *paths)
    assert done.returncode == 0 or done.stderr, "dcentvfy did not run"
    return (done.stdout + done.stderr).splitlines()


def dcmpschk(path: Path) -> list[str]:
    """DCMTK: a presentation state is parsed and judged."""
    done = _run(require_program("dcmpschk"), path)
    output = done.stdout + done.stderr
    return [] if "Test passed" in output else [f"Error: dcmpschk: {output}"]


def dsrdump(path: Path) -> list[str]:
    """DCMTK: the document is parsed and printed."""
    return [line for line in dsrdump_says(path) if line.startswith(("E:", "F:", "Error"))]


def dsrdump_says(path: Path) -> list[str]:
    done = _run(require_program("dsrdump"), path)
    if done.returncode != 0 or "Document" not in done.stdout:
        return [f"Error: dsrdump ends with {done.returncode}: {done.stderr}"]
    return done.stderr.splitlines()


def pixelmed(paths: Sequence[Path]) -> dict[Path, list[str]]:
    """PixelMed's SR validator, all documents in one virtual machine."""
    return {path: _errors(lines) for path, lines in pixelmed_says(paths).items()}


def pixelmed_says(paths: Sequence[Path]) -> dict[Path, list[str]]:
    java = require_program("java")
    if not PIXELMED.is_file():
        absent(f"{PIXELMED} is not installed")
    done = _run(java, *JAVA_OPTIONS, "-cp", PIXELMED, JAVA_SOURCE, *paths)
    said: dict[Path, list[str]] = {}
    for part in done.stdout.split("FILE ")[1:]:
        name, _, output = part.partition("\n")
        missing = [] if "IOD validation complete" in output else ["Error: the validation did not come to its end"]
        known = [] if "Found Root Template TID_1500" in output else ["Error: the root template was not recognised"]
        said[Path(name)] = [*output.splitlines(), *missing, *known]
    assert set(said) == set(paths), f"PixelMed read {len(said)} of {len(paths)} documents: {done.stderr}"
    return said


@dataclass(frozen=True)
class ReadSegment:
    """A segment as dcmqi reads it: a NIfTI file and its description."""

    nifti: Path
    attributes: dict[str, Any]


def segimage2itkimage(path: Path, folder: Path) -> list[ReadSegment]:
    """dcmqi: the segments of a SEG as images."""
    folder.mkdir(parents=True, exist_ok=True)
    done = _run(
        _installed("segimage2itkimage"), "--inputDICOM", path, "--outputDirectory", folder,
        "--prefix", "segment", "--outputType", "nii",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    meta = json.loads((folder / "segment-meta.json").read_text())
    return [
        ReadSegment(folder / f"segment-{number}.nii.gz", attributes)
        for number, held in enumerate(meta["segmentAttributes"], 1)
        for attributes in held  # those of a LABELMAP SEG are in one file
    ]


def paramap2itkimage(path: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    """dcmqi: a parametric map as an image (NIfTI) with its description."""
    folder.mkdir(parents=True, exist_ok=True)
    done = _run(
        _installed("paramap2itkimage"), "--inputDICOM", path, "--outputDirectory", folder, "--outputType", "nii"
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads((folder / "meta.json").read_text())
    return folder / "pmap.nii.gz", said


def tid1500reader(path: Path, folder: Path) -> list[dict[str, Any]]:
    """dcmqi: the measurement groups of a TID 1500 report."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "report.json"
    done = _run(_installed("tid1500reader"), "--inputDICOM", path, "--outputMetadata", target)
    assert done.returncode == 0, done.stdout + done.stderr
    groups: list[dict[str, Any]] = json.loads(target.read_text())["Measurements"]
    return groups


def predecessors(path: Path) -> set[str]:
    """DCMTK: the SOP Instance UIDs of the documents that a report says it replaces."""
    done = _run(require_program("dsr2xml"), path)
    assert done.returncode == 0, done.stderr
    report = ElementTree.fromstring(done.stdout)
    return {item.attrib["uid"] for item in report.iterfind(".//predecessor//instance")}
