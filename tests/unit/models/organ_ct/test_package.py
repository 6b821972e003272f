"""Body, lungs and bones of a body made of boxes, without data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.kit.preprocess.thorax import AIR, BONE, DENSE_BONE, SOFT, tissue_classes
from models.organ_ct.model import network, postprocess, preprocess
from node.domain.result import Outcome
from node.domain.study import Grid, SopRef, Volume
from node.errors import InvalidModelOutput, UnsupportedImage
from node.infer.registry import BUILT_IN, check_package

SPACING = 3.0
LUNG, GAS, BONE_HU, TABLE_HU = -820.0, -1000.0, 600.0, 100.0


def volume(head_first: bool = False) -> Volume:
    """A trunk of 20 slices with two lungs, a spine, a bubble of gas in the abdomen, and a table below it."""
    array = np.full((20, 100, 120), -1000.0, np.float32)
    array[:, 20:80, 15:105] = 40.0
    noise = np.random.default_rng(0).normal(0, 80, array.shape).astype(np.float32)
    for columns in (slice(25, 50), slice(70, 95)):
        array[6:, 30:65, columns] = LUNG + noise[6:, 30:65, columns]
    array[:, 66:76, 54:66] = BONE_HU
    array[:5, 30:45, 40:70] = GAS
    array[:, 90:94, 5:115] = TABLE_HU
    step = -SPACING if head_first else SPACING
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, :3] = np.array([[0, 0, SPACING], [0, SPACING, 0], [step, 0, 0]])
    ordered = array[::-1] if head_first else array
    refs = tuple(SopRef("1.2.840.10008.5.1.4.1.1.2", f"2.25.{number}") for number in range(20))
    return Volume(np.ascontiguousarray(ordered), Grid(array.shape, affine, "2.25.9", refs), "CT")


def run(given: Volume) -> np.ndarray:
    result = postprocess(network()(preprocess(given)), given)
    assert result.outcome is Outcome.POSITIVE
    assert result.segmentation is not None
    return result.segmentation.label_map


def test_the_package_is_whole() -> None:
    model = check_package(BUILT_IN / "organ_ct")
    assert [segment.label for segment in model.segments] == ["Body outside lungs and bones", "Lungs", "Bones"]


def test_thresholds_are_those_of_the_rules() -> None:
    values = torch.tensor([-1000.0, -400.0, 0.0, 180.0, 349.0, 350.0])
    assert network()(values).tolist() == [AIR, SOFT, SOFT, BONE, BONE, DENSE_BONE]
    assert tissue_classes(values.numpy()).tolist() == [AIR, SOFT, SOFT, BONE, BONE, DENSE_BONE]


@pytest.mark.parametrize("head_first", [False, True])
def test_organs_are_found_and_nothing_else(head_first: bool) -> None:
    labels = run(volume(head_first))
    labels = labels[::-1] if head_first else labels
    inside_lung = labels[8:, 33:62, 28:47]
    assert (inside_lung == 2).mean() > 0.99
    assert (labels[:5, 30:45, 40:70] == 2).mean() < 0.01, "gas in the abdomen is no lung"
    assert (labels[:, 67:75, 55:65] == 3).mean() > 0.99
    assert not labels[:, 88:].any(), "the table is no body"
    assert (labels[:, 24:28, 20:100] == 1).all()


def test_volumes_are_in_millilitres() -> None:
    given = volume()
    result = postprocess(network()(preprocess(given)), given)
    assert result.segmentation is not None
    counted = np.bincount(result.segmentation.label_map.ravel(), minlength=4)[1:] * SPACING**3 / 1000
    assert [finding.measurements[0].value for finding in result.findings] == pytest.approx(counted, abs=0.06)
    assert result.findings[0].measurements[1].value == pytest.approx(counted.sum(), abs=0.2)


def test_what_is_no_ct_is_refused() -> None:
    given = volume()
    with pytest.raises(UnsupportedImage, match="Hounsfield"):
        preprocess(Volume(np.full(given.shape, 3000.0, np.float32), given.grid, "CT"))
    with pytest.raises(InvalidModelOutput, match="shape"):
        postprocess(torch.zeros(1, 1, 3, 4, 5), given)
    with pytest.raises(InvalidModelOutput, match="tissue"):
        postprocess(torch.full((1, 1, *given.shape), 7.0), given)
