"""Explanations on disk: maps that keep their promises, pictures that can be read, refusals with names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

from models.kit.ensemble import Ensemble
from models.kit.explain.input_map import even_grey
from models.kit.explain.methods import ClassScore, integrated_gradients, occlusion
from models.kit.explain.overlay import blended, shown, write_overlays
from models.kit.explain.run import METHODS, explain, file_stem
from models.kit.task import Task
from node.errors import InvalidModelPackage, UnsupportedImage
from tests.unit.models.kit import blobs
from tests.unit.models.kit.blobs import TASK, SmallMask, points_at_blob, trained, weights_of


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return weights_of(trained(), tmp_path / "weights.safetensors")


def mask_task() -> Task:
    return dataclasses.replace(TASK, kind="segmentation", network=SmallMask)


def test_writes_picture_maps_and_numbers(weights: Path, tmp_path: Path) -> None:
    case = blobs.case(1, 3)
    done = explain(TASK, weights, case, tmp_path / "out")
    centre = blobs.picture(1, 3)[1]
    assert list(done.maps) == list(METHODS)
    assert all(points_at_blob(values, centre) for values in done.maps.values())
    assert done.class_name == "blob"
    assert done.probability > 0.9
    with np.load(done.picture.with_suffix(".npz")) as stored:
        assert {name: stored[name].shape for name in stored} == dict.fromkeys(METHODS, (blobs.SIDE, blobs.SIDE))
    facts = json.loads(done.picture.with_suffix(".json").read_text(encoding="utf-8"))
    assert (facts["case"], facts["truth"], facts["class"]) == ("1/3", "blob", "blob")
    assert sum(facts["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    with Image.open(done.picture) as image:
        assert image.width > 4 * 300


def test_of_a_path_the_truth_is_not_known(weights: Path, tmp_path: Path) -> None:
    done = explain(TASK, weights, Path("blobs/0/8"), tmp_path, methods=["Grad-CAM"])
    facts = json.loads(done.picture.with_suffix(".json").read_text(encoding="utf-8"))
    assert (facts["case"], facts["truth"], facts["class"]) == ("8", None, "none")


def test_explains_the_class_it_is_asked_for(weights: Path, tmp_path: Path) -> None:
    asked = explain(TASK, weights, blobs.case(1, 3), tmp_path, class_index=0, methods=["integrated gradients"])
    usual = explain(TASK, weights, blobs.case(1, 3), tmp_path, methods=["integrated gradients"])
    assert asked.class_name == "none"
    one, other = asked.maps["integrated gradients"], usual.maps["integrated gradients"]
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < -0.5


def test_ensemble(tmp_path: Path) -> None:
    networks = [trained(0), trained(1)]
    weights = weights_of(Ensemble(networks), tmp_path / "weights.safetensors")
    task = dataclasses.replace(TASK, network=lambda: Ensemble([blobs.Small(), blobs.Small()]))
    done = explain(task, weights, blobs.case(1, 3), tmp_path)
    assert all(points_at_blob(values, blobs.picture(1, 3)[1]) for values in done.maps.values())


def test_segmentation(tmp_path: Path) -> None:
    torch.manual_seed(1)
    weights = weights_of(SmallMask(), tmp_path / "weights.safetensors")
    done = explain(mask_task(), weights, blobs.case(1, 3), tmp_path)
    assert done.class_name == "blob"
    assert all(values.shape == (blobs.SIDE, blobs.SIDE) and values.any() for values in done.maps.values())


def test_refusals(weights: Path, tmp_path: Path) -> None:
    case = blobs.case(1, 3)
    with pytest.raises(ValueError, match="none of Grad-CAM"):
        explain(TASK, weights, case, tmp_path, methods=["tea leaves"])
    with pytest.raises(ValueError, match="class 2 of 2"):
        explain(TASK, weights, case, tmp_path, class_index=2)
    with pytest.raises(ValueError, match="no layer nowhere"):
        explain(TASK, weights, case, tmp_path, layer="nowhere")
    with pytest.raises(ValueError, match="not a picture"):
        explain(TASK, weights, Path("notes"), tmp_path)
    with pytest.raises(InvalidModelPackage, match="does not fit Small"):
        explain(TASK, weights_of(SmallMask(), tmp_path / "other.safetensors"), case, tmp_path)
    with pytest.raises(InvalidModelPackage, match=r"absent\.safetensors"):
        explain(TASK, tmp_path / "absent.safetensors", case, tmp_path)
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(InvalidModelPackage, match="broken"):
        explain(TASK, tmp_path / "broken.safetensors", case, tmp_path)
    volume = dataclasses.replace(TASK, image=lambda one: np.zeros((1, 4, 32, 32), dtype=np.float32))
    with pytest.raises(UnsupportedImage, match="no picture to explain"):
        explain(volume, weights, case, tmp_path)
    empty = dataclasses.replace(TASK, image=lambda one: np.full((1, 32, 32), np.nan, dtype=np.float32))
    with pytest.raises(ValueError, match="not finite"):
        explain(empty, weights, case, tmp_path)


@pytest.mark.parametrize("network", [trained, SmallMask])
def test_integrated_gradients_sum_to_the_difference_of_the_scores(network: type) -> None:
    torch.manual_seed(1)
    judge = network().eval()
    inputs = torch.from_numpy(blobs.picture(1, 5)[0])[None]
    score = ClassScore(judge, inputs, 1)
    with torch.no_grad():
        difference = float(score(inputs) - score(even_grey(inputs)))
    assert float(integrated_gradients(judge, inputs, 1).sum()) == pytest.approx(difference, rel=0.05)


def test_occlusion_is_the_fall_of_the_score() -> None:
    network = trained()
    inputs = torch.from_numpy(blobs.picture(1, 5)[0])[None]
    found = occlusion(network, inputs, 1, patches=1)
    # One square covers everything.
    with torch.no_grad():
        fall = float((network(inputs) - network(even_grey(inputs)))[0, 1])
    np.testing.assert_allclose(found, fall, rtol=1e-4)


def test_no_map_hides_the_picture_where_it_says_nothing() -> None:
    background = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    values = np.zeros((8, 8), dtype=np.float32)
    values[2, 3] = 1.0
    values[5, 5] = -0.5
    seen = blended(background, values, colormaps["PuOr_r"])
    untouched = values == 0
    np.testing.assert_allclose(seen[untouched], np.repeat(background[untouched][:, None], 3, axis=1), atol=1e-6)
    assert seen[2, 3, 0] > seen[2, 3, 2]  # orange: for
    assert seen[5, 5, 2] > seen[5, 5, 1]  # purple: against


def test_one_extreme_pixel_does_not_hide_the_rest() -> None:
    values = np.full((40, 40), 0.1, dtype=np.float32)
    values[0, 0] = 1000.0
    assert shown(values)[20, 20] == pytest.approx(1.0)
    assert shown(values).max() == 1.0
    assert not shown(np.zeros((4, 4), dtype=np.float32)).any()


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 60, 120), (3, 120, 60)])
def test_letters_are_not_cut_off(shape: tuple[int, int, int], tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    picture = generator.random(shape).astype(np.float32)
    maps = {"Grad-CAM": picture[0], "integrated gradients": picture[0] - 0.5}
    title = "a/very/long/" + "case-name/" * 12 + "0001: pneumonia of an unusually long name 99.9 % (in truth: normal)"
    file = tmp_path / "overlay.png"
    write_overlays(picture, maps, title, "pneumonia of an unusually long name", file)
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("L"))
    # A margin that nothing is printed on, on all four sides.
    for border in (pixels[:2], pixels[-2:], pixels[:, :2].T, pixels[:, -2:].T):
        assert (border == 255).all()


def test_file_names_are_safe_and_apart() -> None:
    assert file_stem("IM-0001") == "IM-0001"
    names = {file_stem(text) for text in ("a/b", "a b", "a-b", "../a", "a\\b")}
    assert len(names) == 5
    assert not any(set(name) & set("/\\ ") for name in names)
