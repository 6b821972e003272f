"""Which files are studies, and why the others are not."""

from __future__ import annotations

from pathlib import Path

from pydicom.uid import MediaStorageDirectoryStorage

from node.demo.send import find, send
from tests.objects import SC, data_set, part10
from tests.peers import free_port


def test_files_are_grouped_by_study_and_the_others_are_named(tmp_path: Path) -> None:
    for name, made in (("b", data_set(study="one")), ("a", data_set(SC, study="one")), ("c", data_set(study="two"))):
        (tmp_path / name).write_bytes(part10(made))
    (tmp_path / "notes.txt").write_text("no DICOM", encoding="utf-8")
    (tmp_path / "empty").touch()
    directory = data_set()
    directory.SOPClassUID = MediaStorageDirectoryStorage
    (tmp_path / "DICOMDIR").write_bytes(part10(directory))
    without_study = data_set()
    del without_study.StudyInstanceUID
    (tmp_path / "lost").write_bytes(part10(without_study))
    (tmp_path / "cut").write_bytes(part10(data_set(study="three"))[:180])

    found = find([tmp_path, tmp_path / "absent"])

    assert {study: [path.name for path, _ in files] for study, files in found.studies.items()} == {
        data_set(study="one").StudyInstanceUID: ["a", "b"],
        data_set(study="two").StudyInstanceUID: ["c"],
    }
    reasons = {path.name: reason for path, reason in found.problems}
    assert set(reasons) == {"notes.txt", "empty", "DICOMDIR", "lost", "cut", "absent"}
    assert reasons["notes.txt"] == "not a DICOM file"
    assert reasons["DICOMDIR"] == "a DICOMDIR, no instance"
    assert reasons["lost"] == "StudyInstanceUID is absent"
    assert reasons["absent"] == "No such file or directory"


def test_a_node_that_is_not_there_is_a_problem_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(part10(data_set()))
    told: list[tuple[int, int]] = []
    sent = send([tmp_path], ("127.0.0.1", free_port()), "AINODE", lambda done, of: told.append((done, of)))
    assert (dict(sent.studies), sent.instances, told) == ({}, 0, [])
    assert [path.name for path, _ in sent.problems] == ["a"]


def test_nothing_to_send(tmp_path: Path) -> None:
    sent = send([tmp_path], ("127.0.0.1", 1), "AINODE", lambda done, of: None)
    assert (dict(sent.studies), sent.instances, sent.problems) == ({}, 0, ())
