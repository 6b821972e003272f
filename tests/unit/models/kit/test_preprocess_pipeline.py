"""One pipeline is the same in training and on the node, is repeatable, and survives being written down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.kit.cases import Case
from models.kit.preprocess.pipeline import STEPS, Pipeline, Step, Value, pipeline, read_pipeline
from node.domain.study import Picture, SopRef
from node.errors import UnsupportedImage
from tests.unit.models.kit.pictures import save, textured
from tests.unit.models.kit.tiny_task import INPUT, tiny_task

# For each step, parameters and the shape of an array that it takes.
EXAMPLES: dict[str, tuple[dict[str, Value], tuple[int, ...]]] = {
    "grey": ({}, (40, 30, 3)),
    "require_grey": ({"tolerance": 500}, (40, 30, 3)),
    "resize": ({"rows": 20, "columns": 24}, (40, 30)),
    "letterbox": ({"rows": 20, "columns": 24, "fill": 1.5}, (40, 30)),
    "centre_crop": ({"rows": 20, "columns": 44}, (40, 30)),
    "respace": ({"spacing": (1.0, 2.0), "target": (2.0, 2.0)}, (40, 30)),
    "channels_first": ({}, (40, 30, 3)),
    "window": ({"centre": 100, "width": 80.0}, (40, 30)),
    "percentile_window": ({"low": 1, "high": 99}, (40, 30)),
    "min_max": ({}, (40, 30)),
    "z_score": ({"nonzero": True}, (40, 30)),
    "clahe": ({"tiles": 4, "clip": 0.02}, (40, 30)),
    "median": ({"size": 3}, (40, 30)),
    "gaussian": ({"sigma": 1.5}, (40, 30)),
    "threshold": ({"level": 100.0}, (40, 30)),
    "otsu": ({}, (40, 30)),
    "region_growing": ({"seed": (5, 5), "tolerance": 20.0}, (40, 30)),
    "canny": ({"sigma": 2.0}, (40, 30)),
    "sobel": ({}, (40, 30)),
    "body_mask": ({"spacing": (5.0, 2.0, 2.0)}, (4, 40, 30)),
    "lung_mask": ({"spacing": (5.0, 2.0, 2.0), "head_first": True}, (4, 40, 30)),
    "fundus_field": ({}, (40, 30, 3)),
    "fundus_crop": ({}, (40, 30, 3)),
    "fundus_outside_black": ({}, (40, 30, 3)),
}


def _array(shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    planes = int(np.prod(shape)) // (40 * 30)
    stack = np.stack([textured(seed, 40, 30) for seed in range(planes)])
    return stack[0] if len(shape) == 2 else np.moveaxis(stack, 0, 2) if shape[-1] == 3 else stack


def test_the_node_and_the_training_see_the_same_array(tmp_path: Path) -> None:
    """A picture as a file through ``task.image`` and as a received image through the package's ``preprocess``."""
    values = np.rint(textured(0, 50, 70))
    case = Case("a", save(values, tmp_path / "a.png"), 0, "a")
    picture = Picture(values, SopRef("1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"), "DX")
    in_training = tiny_task().image(case)
    on_the_node = INPUT(picture.array)
    assert in_training.shape == (1, 32, 32)
    assert in_training.dtype == on_the_node.dtype == np.float32
    np.testing.assert_array_equal(in_training, on_the_node)
    assert float(in_training.std()) == pytest.approx(1, abs=1e-4)


def test_there_is_an_example_of_every_step() -> None:
    assert set(EXAMPLES) == set(STEPS)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_step_is_float32_finite_repeatable_and_leaves_its_input_alone(name: str) -> None:
    parameters, shape = EXAMPLES[name]
    array = _array(shape)
    before = array.copy()
    once, again = Step(name, parameters)(array), pipeline((name, parameters))(array)
    assert once.dtype == np.float32
    assert np.isfinite(once).all()
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(array, before)


def test_a_pipeline_is_written_and_read() -> None:
    every = Pipeline(tuple(Step(name, parameters) for name, (parameters, _) in EXAMPLES.items()))
    read = read_pipeline(every.to_json())
    assert read == every
    assert read.digest == every.digest
    np.testing.assert_array_equal(read_pipeline(INPUT.to_json())(textured(3)), INPUT(textured(3)))


def test_the_digest_tells_pipelines_apart() -> None:
    one = pipeline(("gaussian", {"sigma": 1.0}), "min_max")
    assert one.digest == pipeline(("gaussian", {"sigma": 1.0}), "min_max").digest
    assert one.digest != pipeline(("gaussian", {"sigma": 1.5}), "min_max").digest
    assert one.digest != pipeline("min_max", ("gaussian", {"sigma": 1.0})).digest


def test_steps_run_in_their_order() -> None:
    array = textured(0)
    made = pipeline(("gaussian", {"sigma": 2.0}), ("threshold", {"level": 120.0}))(array)
    np.testing.assert_array_equal(made, Step("threshold", {"level": 120.0})(Step("gaussian", {"sigma": 2.0})(array)))


def test_an_unknown_step_or_parameter_is_found_when_the_pipeline_is_built() -> None:
    with pytest.raises(ValueError, match="no step 'blur'"):
        pipeline("blur")
    with pytest.raises(ValueError, match="the step gaussian"):
        pipeline("gaussian")
    with pytest.raises(ValueError, match="the step window"):
        pipeline(("window", {"centre": 1.0, "breadth": 2.0}))


@pytest.mark.parametrize("text", ["{}x", '["min_max"]', '[["window", {"centre": "a", "width": 1}]]', '[["blur", {}]]'])
def test_text_that_is_no_pipeline_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Extra data|no pipeline|no step"):
        read_pipeline(text)


@pytest.mark.parametrize("array", [np.zeros((0, 4)), np.array([[1.0, np.nan]]), np.array([[np.inf]])])
def test_nothing_and_what_is_not_finite_is_refused(array: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    with pytest.raises(UnsupportedImage):
        pipeline("min_max")(array)


def test_integers_become_float32() -> None:
    made = pipeline("min_max")(np.array([[0, 5, 10]], dtype=np.uint16))
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, [[0, 0.5, 1]])
