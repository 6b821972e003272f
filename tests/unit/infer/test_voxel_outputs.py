"""Fractions and parametric maps: declared, checked, carried to the parent, and kept out of the database."""

from __future__ import annotations

import math
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from node.domain.model import ModelDescription
from node.domain.result import CodedConcept, InferenceResult, Outcome, ParametricMap, Segmentation, SegmentationType
from node.domain.study import Grid, Picture, SopRef
from node.errors import InvalidModelOutput
from node.infer.outputs import checked, checked_picture
from node.infer.record import completion
from node.infer.registry import check_package
from node.ports import InferenceReply, Run
from tests.unit.infer.test_outputs import FINDING, LABELS, MODEL
from tests.unit.infer.test_outputs import GRID as PLACE
from tests.unit.infer.test_registry import FULL, package, problems

GRID = Grid(PLACE.shape, PLACE.affine, "", (SopRef("1.2", "1.2.3"), SopRef("1.2", "1.2.4")))
FRACTIONAL = replace(MODEL, segmentation_type=SegmentationType.FRACTIONAL)
FRACTIONS = np.full((1, *GRID.shape), 0.25, np.float32)
MAP = ParametricMap(
    "Diffusion",
    CodedConcept("113041", "DCM", "Apparent Diffusion Coefficient"),
    CodedConcept("um2/s", "UCUM", "square micrometer per second"),
    np.ones(GRID.shape, np.float32),
)


def declared(root: Path, outputs: str) -> ModelDescription:
    return check_package(package(root, FULL + f"\n[outputs]\n{outputs}\n"))


def said(fractions: Any, **changes: Any) -> InferenceResult:
    return InferenceResult(Outcome.POSITIVE, (FINDING,), Segmentation(MODEL.segments, LABELS, fractions), **changes)


@pytest.mark.parametrize("kind", SegmentationType)
def test_a_package_declares_the_type_of_its_segmentation(kind: SegmentationType, tmp_path: Path) -> None:
    assert declared(tmp_path, f'segmentation = "{kind.lower()}"').segmentation_type is kind


def test_it_is_binary_where_nothing_is_declared(tmp_path: Path) -> None:
    assert check_package(package(tmp_path / "without")).segmentation_type is SegmentationType.BINARY
    assert declared(tmp_path, "").segmentation_type is SegmentationType.BINARY


def test_another_type_is_a_problem(tmp_path: Path) -> None:
    text = FULL + '\n[outputs]\nsegmentation = "surface"\nprobability = true\n'
    assert problems(package(tmp_path, text)).keys() == {"outputs.segmentation", "outputs.probability"}


def test_a_package_for_pictures_has_no_segmentation(tmp_path: Path) -> None:
    head = FULL[: FULL.index("[limits]")].replace("[input]", '[input]\nkind = "image"')
    text = head + FULL[FULL.index("[weights]") : FULL.index("[[segments]]")] + '[outputs]\nsegmentation = "binary"\n'
    assert 'outputs.segmentation: only where input.kind is "volume"' in str(problems(package(tmp_path, text)))


def test_what_is_said_of_every_voxel_reaches_the_parent() -> None:
    result = checked(said(FRACTIONS, parametric_maps=(MAP,)), FRACTIONAL, GRID)
    ours, theirs = Pipe()
    sender = Thread(target=theirs.send, args=(InferenceReply(result, GRID, {}),))
    sender.start()
    back = ours.recv().result
    sender.join(60)
    assert np.array_equal(back.segmentation.fractions, FRACTIONS)
    assert np.array_equal(back.parametric_maps[0].array, MAP.array)
    assert (back.parametric_maps[0].quantity, back.parametric_maps[0].unit) == (MAP.quantity, MAP.unit)


@pytest.mark.parametrize(
    ("fractions", "field"),
    [
        (None, "segmentation.fractions"),
        (FRACTIONS.tolist(), "segmentation.fractions"),
        (FRACTIONS[0], "segmentation.fractions"),
        (np.concatenate([FRACTIONS, FRACTIONS]), "segmentation.fractions"),
        (FRACTIONS.astype(np.float64), "segmentation.fractions"),
        (FRACTIONS * np.float32(4.1), "segmentation.fractions[0]"),
        (-FRACTIONS, "segmentation.fractions[0]"),
        (np.where(LABELS == 0, math.nan, FRACTIONS).astype(np.float32), "segmentation.fractions[0]"),
    ],
)
def test_what_are_no_fractions(fractions: Any, field: str) -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        checked(said(fractions), FRACTIONAL, GRID)
    assert caught.value.details["field"] == field


def test_fractions_of_a_model_that_declares_none() -> None:
    with pytest.raises(InvalidModelOutput, match=r"segmentation\.fractions"):
        checked(said(FRACTIONS), MODEL, GRID)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"array": MAP.array[:1]}, "array"),
        ({"array": MAP.array * np.float32(math.inf)}, "array"),
        ({"array": MAP.array.astype(np.int16)}, "array"),
        ({"unit": MAP.quantity}, "unit"),
        ({"label": ""}, "label"),
    ],
)
def test_what_is_no_parametric_map(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        checked(said(None, parametric_maps=(replace(MAP, **change),)), MODEL, GRID)
    assert caught.value.details["field"] == f"parametric_maps[0].{field}"


def test_a_parametric_map_of_a_picture() -> None:
    picture = Picture(np.zeros((3, 4), np.float32), SopRef("1.2", "1.2.3"))
    with pytest.raises(InvalidModelOutput, match="parametric_maps"):
        checked_picture(InferenceResult(Outcome.NEGATIVE, parametric_maps=(MAP,)), MODEL, picture)


def test_voxels_stay_out_of_the_database() -> None:
    result = said(FRACTIONS, parametric_maps=(MAP,))
    run = Run(job=None, model=MODEL, result=result, grid=GRID, sources=(), locations=())  # type: ignore[arg-type]
    kept = completion(run, {}, (), {}).result
    assert (kept.segmentation, kept.parametric_maps) == (None, ())
    assert kept.findings == result.findings
