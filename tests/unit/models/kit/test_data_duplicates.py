"""Twins, near twins and contradictions are found; brightness and recompression do not hide them; lookalikes differ."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.kit.cases import Case, Listing
from models.kit.data.duplicates import deduplicated
from models.kit.data.fingerprints import Fingerprint, digest, fingerprint, near_pairs
from models.kit.data.splits import check_split, make_split
from tests.peers import data_dir
from tests.unit.models.kit.pictures import Float, save, textured


def _recompressed(picture: Float, quality: int) -> Float:
    stream = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream), dtype=np.float32)


def _scaled(picture: Float) -> Float:
    return np.asarray(Image.fromarray(picture).resize((120, 140), Image.Resampling.BICUBIC), dtype=np.float32)


VARIANTS = {
    "recompressed": lambda picture: _recompressed(picture, 40),
    "darker": lambda picture: 0.6 * picture,
    "brighter": lambda picture: np.minimum(picture + 20, 255),
    "gamma": lambda picture: 255 * (picture / 255) ** 0.8,
    "scaled": _scaled,
    "darker and recompressed": lambda picture: _recompressed(0.7 * picture, 60),
    "noise": lambda picture: picture + np.random.default_rng(0).normal(0, 3, picture.shape).astype(np.float32),
}


def _pairs(prints: list[Fingerprint]) -> list[tuple[int, int]]:
    return [(pair.first, pair.second) for pair in near_pairs(prints)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_changed_copy_is_near(variant: str) -> None:
    pictures = [textured(seed) for seed in range(8)]
    copies = [VARIANTS[variant](picture) for picture in pictures]
    found = _pairs([fingerprint(np.asarray(picture, dtype=np.float32)) for picture in (*pictures, *copies)])
    assert found == [(index, index + 8) for index in range(8)]


def test_pictures_that_share_an_outline_are_not_near() -> None:
    row, column = np.ogrid[-48:48, -48:48]
    disc = row**2 + column**2 < 44**2
    inside = (100 + 0.4 * textured(seed, 96, 96) for seed in range(60))
    assert not _pairs([fingerprint(np.where(disc, picture, 0).astype(np.float32)) for picture in inside])


def test_the_digest_is_of_pixels_and_not_of_files(tmp_path: Path) -> None:
    picture = np.rint(textured(1))
    assert digest(picture) == digest(picture.copy(order="F"))
    assert digest(picture) != digest(picture.T)
    assert digest(picture) != digest(picture + 1)
    cases = [
        Case(name, save(picture, tmp_path / f"{name}.{suffix}"), 0, name)
        for name, suffix in (("a", "png"), ("b", "bmp"), ("c", "tif"))
    ]
    listing = deduplicated(Listing(tuple(cases)))
    assert [case.id for case in listing.cases] == ["a"]
    assert [(problem.path, problem.reason) for problem in listing.problems] == [
        ("b", "twin: the same pixels as a"),
        ("c", "twin: the same pixels as a"),
    ]


def test_near_pairs_are_found_across_blocks() -> None:
    empty = np.zeros(4096, dtype=np.float32)
    generator = np.random.default_rng(0)
    prints = [Fingerprint(str(number), int(generator.integers(2**63)), empty) for number in range(2100)]
    prints[3] = prints[1500] = prints[2099] = fingerprint(textured(0))
    assert _pairs(prints) == [(3, 1500), (3, 2099), (1500, 2099)]
    assert near_pairs([]) == []


def _case(folder: Path, name: str, picture: Float, label: int = 0, group: str = "", mask: Float | None = None) -> Case:
    outline = None if mask is None else save(mask, folder / f"{name}_mask.png")
    return Case(name, save(picture, folder / f"{name}.png"), label, group or name, outline)


def _reasons(listing: Listing) -> dict[str, str]:
    return {problem.path: problem.reason for problem in listing.problems}


def test_groups_that_share_a_near_twin_become_one_and_never_cross_a_split(tmp_path: Path) -> None:
    cases = []
    for seed in range(14):
        picture = textured(seed)
        cases += [
            _case(tmp_path, f"{seed:02}a", picture, group=f"p{seed:02}"),
            _case(tmp_path, f"{seed:02}b", textured(1000 + seed), group=f"p{seed:02}"),
            _case(tmp_path, f"{seed:02}c", 0.8 * picture, group=f"q{seed:02}"),
        ]
    listing = deduplicated(Listing(tuple(cases)))
    assert listing.near == tuple((f"{seed:02}a", f"{seed:02}c") for seed in range(14))
    assert {case.group for case in listing.cases} == {f"p{seed:02}" for seed in range(14)}
    assert not listing.problems
    check_split(listing.cases, make_split(listing.cases, (0.7, 0.15, 0.15), 0), listing.near)


def test_groups_are_joined_over_several_twins_and_by_a_twin_that_is_dropped(tmp_path: Path) -> None:
    one, two = textured(0), textured(1)
    cases = (
        _case(tmp_path, "1", one, group="c"),
        _case(tmp_path, "2", 0.8 * one, group="b"),
        _case(tmp_path, "3", two, group="b"),
        _case(tmp_path, "4", two, group="a"),
        _case(tmp_path, "5", textured(2), group="a"),
        _case(tmp_path, "6", textured(3), group="d"),
    )
    listing = deduplicated(Listing(cases))
    assert [(case.id, case.group) for case in listing.cases] == [
        ("1", "a"),
        ("2", "a"),
        ("3", "a"),
        ("5", "a"),
        ("6", "d"),
    ]
    assert _reasons(listing) == {"4": "twin: the same pixels as 3"}


def test_twins_with_different_labels_are_all_dropped(tmp_path: Path) -> None:
    picture = textured(0)
    cases = (
        _case(tmp_path, "1", picture, 0),
        _case(tmp_path, "2", picture, 0),
        _case(tmp_path, "3", picture, 1),
        _case(tmp_path, "4", textured(1), 1),
    )
    listing = deduplicated(Listing(cases))
    assert [case.id for case in listing.cases] == ["4"]
    assert set(_reasons(listing)) == {"1", "2", "3"}
    assert all(reason.startswith("conflicting: ") for reason in _reasons(listing).values())


def test_a_recompressed_copy_with_another_label_is_dropped_with_its_original(tmp_path: Path) -> None:
    picture = np.rint(textured(0))
    cases = (_case(tmp_path, "1", picture, 0), _case(tmp_path, "2", _recompressed(picture, 80), 2))
    listing = deduplicated(Listing(cases))
    assert not listing.cases
    assert not listing.near
    assert _reasons(listing)["1"] == "conflicting: 2 is the same picture, labelled differently"


def test_pictures_that_are_only_nearly_the_same_keep_their_labels_and_share_a_group(tmp_path: Path) -> None:
    picture = textured(0)
    noise = np.random.default_rng(0).normal(0, 17, picture.shape).astype(np.float32)
    listing = deduplicated(Listing((_case(tmp_path, "1", picture, 0), _case(tmp_path, "2", picture + noise, 1))))
    assert [(case.label, case.group) for case in listing.cases] == [(0, "1"), (1, "1")]
    assert listing.near == (("1", "2"),)


def test_twins_with_different_masks_are_dropped_and_with_equal_ones_are_twins(tmp_path: Path) -> None:
    one, other = np.zeros((96, 80), dtype=np.float32), np.zeros((96, 80), dtype=np.float32)
    one[10:20], other[30:40] = 255, 255
    cases = (
        _case(tmp_path, "1", textured(0), mask=one),
        _case(tmp_path, "2", textured(0), mask=other),
        _case(tmp_path, "3", textured(1), mask=one),
        _case(tmp_path, "4", textured(1), mask=one),
    )
    listing = deduplicated(Listing(cases))
    assert [case.id for case in listing.cases] == ["3"]
    assert _reasons(listing) == {
        "1": "conflicting: 2 is the same picture, outlined differently",
        "2": "conflicting: 1 is the same picture, outlined differently",
        "4": "twin: the same pixels as 3",
    }


def test_broken_and_empty_pictures_are_listed_with_their_reasons(tmp_path: Path) -> None:
    good = _case(tmp_path, "good", textured(0))
    truncated = _case(tmp_path, "truncated", textured(1))
    truncated.image.write_bytes(truncated.image.read_bytes()[:-400])
    bare = Case("bare", tmp_path / "bare.png", 0, "bare")
    bare.image.touch()
    flat = _case(tmp_path, "flat", np.full((32, 32), 7, dtype=np.float32))
    small_mask = _case(tmp_path, "small_mask", textured(2), mask=np.zeros((5, 5), dtype=np.float32))
    lost_mask = Case("lost_mask", save(textured(3), tmp_path / "lost.png"), 0, "l", tmp_path / "none.png")
    strange = Case("strange", tmp_path / "notes.xyz", 0, "s")
    strange.image.write_text("?")
    gone = Case("gone", tmp_path / "gone.png", 0, "g")
    listing = deduplicated(Listing((good, truncated, bare, flat, small_mask, lost_mask, strange, gone)))
    assert [case.id for case in listing.cases] == ["good"]
    reasons = _reasons(listing)
    assert reasons.pop("flat") == "empty: every pixel has the same value"
    assert reasons.pop("small_mask") == "broken: a mask of (5, 5) on a picture of (96, 80) pixels"
    assert reasons.pop("bare") == "broken: the picture cannot be decoded: it is empty"
    assert set(reasons) == {"truncated", "lost_mask", "strange", "gone"}
    assert all(reason.startswith("broken: ") for reason in reasons.values())


def test_colour_sixteen_bit_and_turned_pictures_are_cases(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    colour = np.stack([textured(seed) for seed in (1, 2, 3)], axis=2)
    cases = (
        Case("colour", save(colour, tmp_path / "colour.png"), 0, "c"),
        Case("deep", save((textured(4) * 257).astype(np.uint16), tmp_path / "deep.png"), 0, "d"),
        Case("turned", save(textured(5, 30, 50), tmp_path / "turned.png", exif=exif), 0, "t"),
    )
    listing = deduplicated(Listing(cases))
    assert [case.id for case in listing.cases] == ["colour", "deep", "turned"]
    assert not listing.problems


def test_a_second_look_changes_nothing(tmp_path: Path) -> None:
    cases = tuple(_case(tmp_path, str(seed), textured(seed % 7), group=f"g{seed}") for seed in range(10))
    once = deduplicated(Listing(cases))
    assert deduplicated(once) is once
    assert deduplicated(replace(once, near=None)) == once


def test_known_near_twins_of_real_ultrasound_pictures_share_a_group() -> None:
    folder = data_dir("breast-us-busi") / "benign"
    names = ("benign (233)", "benign (299)", "benign (241)", "benign (279)", "benign (1)", "benign (2)", "benign (100)")
    listing = deduplicated(Listing(tuple(Case(name, folder / f"{name}.jpg", 1, name) for name in names)))
    groups = {case.id: case.group for case in listing.cases}
    assert groups["benign (233)"] == groups["benign (299)"]
    assert groups["benign (241)"] == groups["benign (279)"]
    assert len(set(groups.values())) == 5
