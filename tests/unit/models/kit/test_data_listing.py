"""Folders and tables become cases; every file that does not is listed with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.kit.cases import Listing
from models.kit.data.listing import Columns, class_folders, table_folder
from tests.unit.models.kit.pictures import save, textured


def _reasons(listing: Listing) -> dict[str, str]:
    return {problem.path: problem.reason for problem in listing.problems}


def _picture(path: Path) -> Path:
    return save(textured(0, 16, 16), path)


def test_class_folders_give_label_group_and_id(tmp_path: Path) -> None:
    root = tmp_path / "set" / "train"
    for name in ("NORMAL/b_2.png", "NORMAL/a_1.jpg", "ILL/deep/a_3.png"):
        _picture(root / name)
    listing = class_folders(root, {"NORMAL": 0, "ILL": 1}, lambda path: path.stem.split("_")[0], tmp_path)
    assert [(case.id, case.label, case.group) for case in listing.cases] == [
        ("set/train/ILL/deep/a_3", 1, "a"),
        ("set/train/NORMAL/a_1", 0, "a"),
        ("set/train/NORMAL/b_2", 0, "b"),
    ]
    assert all(case.image.is_file() for case in listing.cases)
    assert not listing.problems


def test_ids_are_relative_to_the_folder_where_no_other_is_named(tmp_path: Path) -> None:
    _picture(tmp_path / "a" / "1.png")
    assert [case.id for case in class_folders(tmp_path, {"a": 0}, str).cases] == ["a/1"]


def test_the_folder_itself_may_be_a_class(tmp_path: Path) -> None:
    _picture(tmp_path / "1.png")
    assert [case.label for case in class_folders(tmp_path, {".": 3}, str).cases] == [3]


def test_the_unlabelled_and_what_is_no_picture_are_listed(tmp_path: Path) -> None:
    _picture(tmp_path / "a" / "1.png")
    _picture(tmp_path / "b" / "2.png")
    _picture(tmp_path / "3.png")
    (tmp_path / "a" / "SOURCE.txt").write_text("where it comes from")
    listing = class_folders(tmp_path, {"a": 0}, str)
    assert [case.id for case in listing.cases] == ["a/1"]
    assert _reasons(listing) == {
        "3.png": "unlabelled: it lies in no class folder",
        "a/SOURCE.txt": "no picture by its name or content",
        "b/2.png": "unlabelled: it lies in no class folder",
    }


def test_two_files_that_differ_in_suffix_keep_it_in_their_ids(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/1.jpg", "a/2.3.png"):
        _picture(tmp_path / name)
    assert [case.id for case in class_folders(tmp_path, {"a": 0}, str).cases] == ["a/1.jpg", "a/1.png", "a/2.3"]


def test_dicom_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "IM0001").write_bytes(bytes(128) + b"DICM")
    assert [case.id for case in class_folders(tmp_path, {"a": 0}, str).cases] == ["a/IM0001"]


def test_a_class_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder malignant"):
        class_folders(tmp_path, {"malignant": 1}, str)


COLUMNS = Columns("file", "diagnosis", "patient", mask="mask", facts=("age", "site"))
LABELS = {"benign": 0, "malignant": 1}


def _table(folder: Path, *rows: str) -> Path:
    table = folder / "table.csv"
    table.write_text("file,diagnosis,patient,mask,age,site,unused\n" + "".join(row + ",x\n" for row in rows))
    return table


def test_a_table_gives_label_group_mask_and_facts(tmp_path: Path) -> None:
    _picture(tmp_path / "img" / "1.png")
    _picture(tmp_path / "mask" / "1.png")
    listing = table_folder(
        tmp_path, _table(tmp_path, "img/1.png,malignant,p7,mask/1.png,61,left"), COLUMNS, LABELS, tmp_path
    )
    (case,) = listing.cases
    assert (case.id, case.label, case.group) == ("img/1", 1, "p7")
    assert case.mask == tmp_path / "mask" / "1.png"
    assert case.facts == {"age": 61.0, "site": "left"}
    assert not listing.problems


def test_rows_and_files_without_partner_are_listed(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "3.png", "4.png", "5.png", "6.png"):
        _picture(tmp_path / name)
    _picture(tmp_path.parent / "outside.png")
    (tmp_path / "notes.txt").write_text("-")
    table = _table(
        tmp_path,
        "1.png,benign,p1,,,",
        "2.png,,p2,,,",
        "3.png,benign,,,,",
        "4.png,benign,p4,none.png,,",
        "gone.png,benign,p5,,,",
        "../outside.png,benign,p5,,,",
        "5.png,benign,p6,,,",
        "5.png,malignant,p6,,,",
        "1.png,benign,p1,,,",
    )
    listing = table_folder(tmp_path, table, COLUMNS, LABELS)
    assert [case.id for case in listing.cases] == ["1"]
    assert _reasons(listing) == {
        "2.png": "unlabelled: the table says ''",
        "3.png": "the table names no patient or group",
        "4.png": "missing: the folder does not hold its mask",
        "gone.png": "missing: the table names it, the folder does not hold it",
        "../outside.png": "missing: the table names it, the folder does not hold it",
        "5.png": "conflicting: the table names it twice, with other entries",
        "6.png": "unlabelled: no row names it",
        "notes.txt": "no picture by its name or content",
    }


def test_a_table_without_a_column_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,patient\n")
    with pytest.raises(ValueError, match="lacks the columns diagnosis"):
        table_folder(tmp_path, tmp_path / "t.csv", Columns("file", "diagnosis", "patient"), LABELS)


def test_a_listing_is_in_the_order_of_ids_whatever_the_table_says(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        save(np.full((4, 4), 9), tmp_path / name)
    table = _table(tmp_path, "2.png,benign,p2,,,", "1.png,benign,p1,,,")
    assert [case.id for case in table_folder(tmp_path, table, COLUMNS, LABELS).cases] == ["1", "2"]
