"""A data folder with everything wrong in it is prepared: cases, reasons and a split that does not leak, as files."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.kit.cases import Case, Listing
from models.kit.data.prepare import Prepared, prepare, read_prepared
from models.kit.data.splits import PARTS, SplitLeak, check_split
from tests.unit.models.kit.pictures import save, textured
from tests.unit.models.kit.tiny_task import tiny_task, write_set


def _spoil(data: Path) -> None:
    """One of each kind of bad or odd input beside the good pictures."""
    well, ill = data / "set" / "well", data / "set" / "ill"
    save(textured(500), well / "broken_0.png")
    (well / "broken_0.png").write_bytes((well / "broken_0.png").read_bytes()[:300])
    (well / "zero_0.jpg").touch()
    save(np.full((40, 40), 128), well / "flat_0.png")
    save(textured(600), data / "set" / "nobody_0.png")
    (well / "SOURCE.txt").write_text("?")
    save(textured(0, 48, 40), well / "twin_0.bmp")
    save(textured(700), well / "torn_0.png")
    save(textured(700), ill / "torn_0.png")
    exif = Image.Exif()
    exif[274] = 6
    save(textured(800, 40, 60), ill / "turned_0.png", exif=exif)
    save((textured(801) * 257).astype(np.uint16), ill / "deep_0.png")
    save(np.stack([textured(seed) for seed in (802, 803, 804)], axis=2), ill / "colour_0.png")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _unread(prepared: Prepared) -> Prepared:
    return replace(prepared, listing=replace(prepared.listing, near=None))


def test_every_file_is_a_case_or_has_a_reason(tmp_path: Path) -> None:
    write_set(tmp_path)
    _spoil(tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    prepared = prepare(tiny_task(), tmp_path, tmp_path / "out")
    reasons = {row["path"]: row["reason"].split(":")[0] for row in _rows(tmp_path / "out" / "problems.csv")}
    assert reasons == {
        "set/nobody_0.png": "unlabelled",
        "set/well/SOURCE.txt": "no picture by its name or content",
        "set/well/broken_0": "broken",
        "set/well/zero_0": "broken",
        "set/well/flat_0": "empty",
        "set/well/twin_0": "twin",
        "set/well/torn_0": "conflicting",
        "set/ill/torn_0": "conflicting",
    }
    cases = _rows(tmp_path / "out" / "cases.csv")
    assert {row["id"] for row in cases} >= {"set/ill/turned_0", "set/ill/deep_0", "set/ill/colour_0"}
    assert len(cases) + len(reasons) == len(files)
    assert [row["id"] for row in cases] == [case.id for case in prepared.listing.cases]


def test_the_split_is_whole_and_stratified(tmp_path: Path) -> None:
    write_set(tmp_path, 40)
    prepared = prepare(tiny_task(), tmp_path, tmp_path / "out")
    check_split(prepared.listing.cases, prepared.split)
    assert [len(prepared.part(name)) for name in PARTS] == [56, 12, 12]
    for name in PARTS:
        labels = [case.label for case in prepared.part(name)]
        assert labels.count(0) == labels.count(1)
    parts = {row["id"]: row["part"] for row in _rows(tmp_path / "out" / "cases.csv")}
    assert parts == {case.id: name for name in PARTS for case in prepared.part(name)}


def test_the_same_folder_elsewhere_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("here", "there"):
        write_set(tmp_path / name)
        _spoil(tmp_path / name)
        prepare(tiny_task(), tmp_path / name, tmp_path / name / "out")
    for file in ("cases.csv", "problems.csv", "split.json"):
        assert (tmp_path / "here/out" / file).read_bytes() == (tmp_path / "there/out" / file).read_bytes()


def test_the_seed_of_a_training_does_not_move_the_test_cases(tmp_path: Path) -> None:
    write_set(tmp_path)
    task = tiny_task()
    other = replace(task, settings=replace(task.settings, seed=7))
    assert prepare(task, tmp_path, tmp_path / "1").split == prepare(other, tmp_path, tmp_path / "2").split


def test_what_was_prepared_is_read_back(tmp_path: Path) -> None:
    write_set(tmp_path)
    _spoil(tmp_path)
    task = tiny_task()

    def listing(data: Path) -> Listing:
        plain = task.listing(data)
        cases = (replace(case, facts={"age": 4.5, "sex": "F, unsure"}, mask=case.image) for case in plain.cases)
        return Listing(tuple(cases), plain.problems)

    prepared = prepare(replace(task, listing=listing), tmp_path, tmp_path / "out")
    assert read_prepared(tmp_path, tmp_path / "out") == _unread(prepared)


def test_a_name_that_is_no_utf8_survives(tmp_path: Path) -> None:
    write_set(tmp_path, 4)
    odd = tmp_path / "set" / "ill" / "p\udcff_0.png"
    save(textured(900), tmp_path / "x.png").rename(odd)
    prepared = prepare(tiny_task(), tmp_path, tmp_path / "out")
    assert any(case.image == odd for case in prepared.listing.cases)
    assert read_prepared(tmp_path, tmp_path / "out") == _unread(prepared)


def test_a_part_without_a_class_is_a_problem(tmp_path: Path) -> None:
    write_set(tmp_path, 4)
    save(textured(999), tmp_path / "set" / "ill" / "q_0.png")
    problems = prepare(tiny_task(), tmp_path, tmp_path / "out").listing.problems
    assert [(problem.path, problem.reason) for problem in problems] == [
        ("(test)", "this part has no case of the class well")
    ]
    (tmp_path / "set" / "ill" / "q_0.png").unlink()
    problems = prepare(tiny_task(), tmp_path, tmp_path / "out").listing.problems
    assert [(problem.path, problem.reason) for problem in problems] == [("(test)", "this part has no case")]


def test_nothing_left_is_an_error_with_a_count(tmp_path: Path) -> None:
    for name in ("well", "ill"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "a_0.png").touch()
    with pytest.raises(ValueError, match="no case of tiny is left; 2 files were passed over"):
        prepare(tiny_task(), tmp_path, tmp_path / "out")


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path)
    prepare(tiny_task(), tmp_path, tmp_path / "out")
    (tmp_path / "out" / "split.json").write_text('{"train": ["p00"], "validation": [], "test": []}')
    with pytest.raises(SplitLeak, match="in no part"):
        read_prepared(tmp_path, tmp_path / "out")
    (tmp_path / "out" / "cases.csv").write_text("id,image\na,b\n")
    with pytest.raises(ValueError, match="damaged"):
        read_prepared(tmp_path, tmp_path / "out")


def test_groups_of_patients_stay_whole_where_pictures_are_alike(tmp_path: Path) -> None:
    write_set(tmp_path)
    for patient in range(0, 18, 2):
        save(0.8 * textured(10 * patient, 48, 40), tmp_path / "set" / "well" / f"again{patient}_0.png")
    prepared = prepare(tiny_task(), tmp_path, tmp_path / "out")
    part_of = {case.id: name for name in PARTS for case in prepared.part(name)}
    for patient in range(0, 18, 2):
        assert part_of[f"set/well/again{patient}_0"] == part_of[f"set/well/p{patient:02}_0"]


def test_cases_are_never_shared_by_two_parts(tmp_path: Path) -> None:
    write_set(tmp_path)
    prepared = prepare(tiny_task(), tmp_path, tmp_path / "out")
    seen: list[Case] = [case for name in PARTS for case in prepared.part(name)]
    assert len(seen) == len({case.id for case in seen}) == len(prepared.listing.cases)
