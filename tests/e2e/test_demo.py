"""``ainode demo`` as a user runs it: nothing else on the machine, one JSON document on stdout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydicom

from tests.peers import REPOSITORY, data_dir

SEG = "1.2.840.10008.5.1.4.1.1.66.4"


def demo(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AINODE_")}
    done = subprocess.run(
        [sys.executable, "-m", "node", "demo", "--json", *arguments],
        cwd=folder,
        # A configuration for another node must not leak into the demonstration.
        env=environment | {"PYTHONPATH": str(REPOSITORY), "AINODE_RECEIVE__PORT": "104"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_built_in_studies_show_every_kind_of_outcome(tmp_path: Path) -> None:
    code, document, log = demo(tmp_path, "--keep", str(tmp_path / "kept"))
    assert (code, document.get("ok")) == (0, True), (
        document,
        log,
        (tmp_path / "kept" / "site" / "node.log").read_text(),
    )
    wanted = {"study_instance_uid", "model", "outcome", "findings", "objects", "last_image_to_result_s"}
    assert all(wanted <= set(row) for row in document["studies"])
    rows = {row["outcome"]: row for row in document["studies"] if row["model"] == "hippocampus_mr"}
    assert set(rows) == {"POSITIVE", "NOT EVALUABLE", "NOT WANTED"}, (document, log)
    positive = rows["POSITIVE"]
    assert [one["modality"] for one in positive["objects"]] == ["SEG", "SR"]
    assert all(one["committed"] for one in positive["objects"])
    assert all(
        {"sop_class_uid", "sop_instance_uid", "modality", "committed"} <= set(one) for one in positive["objects"]
    )
    assert all(finding["measurements"][0]["value"] > 0 for finding in positive["findings"])
    assert [one["modality"] for one in rows["NOT EVALUABLE"]["objects"]] == ["SR"]
    assert rows["NOT EVALUABLE"]["reason"]
    assert rows["NOT WANTED"]["objects"] == []
    for one in positive["objects"]:
        kept = pydicom.dcmread(one["path"])
        assert kept.SOPInstanceUID == one["sop_instance_uid"]
        assert kept.StudyInstanceUID == positive["study_instance_uid"]


def test_a_folder_with_what_is_no_dicom(tmp_path: Path) -> None:
    """One bad file is named, and the study goes on."""
    folder = tmp_path / "study"
    shutil.copytree(data_dir("hippocampus-dicom-study3"), folder)
    (folder / "letter.pdf").write_bytes(b"%PDF-1.4 no image")
    (folder / "empty.dcm").touch()
    whole = (folder / "7.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    code, document, log = demo(tmp_path, str(folder))
    assert code == 0, log
    named = {Path(problem["path"]).name for problem in document["problems"]}
    assert {"letter.pdf", "empty.dcm", "cut.dcm"} <= named
    assert all(problem["reason"] for problem in document["problems"])
    (row,) = [one for one in document["studies"] if one["model"] == "hippocampus_mr"]
    assert all(one["outcome"] == "NOT WANTED" for one in document["studies"] if one is not row)
    assert (row["model"], row["outcome"]) == ("hippocampus_mr", "POSITIVE")
    assert {one["sop_class_uid"] for one in row["objects"]} >= {SEG}


def test_nothing_to_send_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("nothing here")
    code, document, log = demo(tmp_path, str(tmp_path / "note.txt"))
    assert (code, document) == (1, {})
    assert "OperationError" in log
    assert "note.txt" in log
