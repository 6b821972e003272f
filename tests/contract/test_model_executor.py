"""What every ``ModelExecutor`` does, whether a process protects the node or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from node.domain.result import Outcome
from node.domain.study import ByteRange
from node.errors import AinodeError, DeviceOutOfMemory, InvalidModelOutput, InvalidModelPackage, JobCanceled
from node.infer.executor import SpawnedExecutor
from node.infer.registry import scan
from node.ports import InferenceRequest, ModelExecutor
from tests.fakes.inline_executor import InlineExecutor
from tests.fakes.series import series, stored_values, write

FOUND = scan([Path(__file__).parents[1] / "fakes" / "models"])
MODELS = {**FOUND.models, **FOUND.demonstrations}
TIMEOUT_S = 120.0
EXECUTORS: list[Callable[[], ModelExecutor]] = [InlineExecutor, lambda: SpawnedExecutor(threads=1)]


def go_on() -> AinodeError | None:
    return None


@pytest.fixture(scope="module", params=EXECUTORS, ids=["inline", "spawned"])
def executor(request: pytest.FixtureRequest) -> Iterator[ModelExecutor]:
    made: ModelExecutor = request.param()
    yield made
    made.close()


@pytest.fixture
def images(tmp_path: Path) -> tuple[ByteRange, ...]:
    return write(tmp_path, series())


def ask(executor: ModelExecutor, model: str, images: tuple[ByteRange, ...]) -> InferenceRequest:
    return InferenceRequest(MODELS[model], images, "cpu", TIMEOUT_S)


def test_a_result_on_the_grid_of_the_input(executor: ModelExecutor, images: tuple[ByteRange, ...]) -> None:
    reply = executor.run(ask(executor, "threshold", images), go_on)
    assert reply.result.outcome is Outcome.POSITIVE
    assert reply.result.segmentation is not None
    # The weight is stored as bfloat16 100, which is exact.
    expected = np.stack([stored_values(k) > 100 for k in range(4)])
    np.testing.assert_array_equal(reply.result.segmentation.label_map, expected)
    assert reply.grid is not None
    assert reply.grid.shape == expected.shape
    assert [source.sop_instance_uid for source in reply.grid.sources] == [f"1.2.3.4.{k}" for k in range(4)]
    measured = reply.result.findings[0].measurements[0].value
    assert measured == pytest.approx(expected.sum() * 2.5 * 0.5 * 0.75 / 1000)
    assert (reply.provenance["device"], reply.provenance["precision"]) == ("cpu", "fp32")
    assert {"import", "preprocess", "network", "postprocess"} <= reply.provenance["durations_s"].keys()


def test_windows_give_the_same_result(executor: ModelExecutor, images: tuple[ByteRange, ...]) -> None:
    whole, windowed = (executor.run(ask(executor, name, images), go_on).result for name in ("threshold", "windowed"))
    assert whole.segmentation is not None
    assert windowed.segmentation is not None
    np.testing.assert_array_equal(windowed.segmentation.label_map, whole.segmentation.label_map)


def test_a_series_that_is_no_volume_is_not_evaluable(executor: ModelExecutor, tmp_path: Path) -> None:
    reply = executor.run(ask(executor, "threshold", write(tmp_path, series([0, 1, 2, 5, 6]))), go_on)
    assert reply.result.outcome is Outcome.NOT_EVALUABLE
    assert reply.result.reason is not None
    assert reply.result.reason.code == "MissingSlices"
    assert reply.result.reason.text == "2 slices are missing between 5.0 and 12.5 mm"
    assert reply.grid is None


def test_a_volume_that_the_model_refuses_is_not_evaluable(
    executor: ModelExecutor, images: tuple[ByteRange, ...]
) -> None:
    reply = executor.run(ask(executor, "refuses", images), go_on)
    assert reply.result.reason is not None
    assert reply.result.reason.text == "the model reads knees only"
    assert reply.grid is not None


@pytest.mark.parametrize(
    ("model", "error", "field"),
    [
        ("not_a_number", InvalidModelOutput, "outputs"),
        ("wrong_grid", InvalidModelOutput, "segmentation.label_map"),
        ("wrong_weights", InvalidModelPackage, None),
        ("out_of_memory", DeviceOutOfMemory, None),
    ],
)
def test_what_a_package_breaks(
    executor: ModelExecutor, images: tuple[ByteRange, ...], model: str, error: type[AinodeError], field: str | None
) -> None:
    with pytest.raises(error) as caught:
        executor.run(ask(executor, model, images), go_on)
    assert caught.value.details.get("field") == field
    assert executor.run(ask(executor, "threshold", images), go_on).result.outcome is Outcome.POSITIVE


def test_the_error_that_stop_returns_is_raised(executor: ModelExecutor, images: tuple[ByteRange, ...]) -> None:
    with pytest.raises(JobCanceled, match="by an operator"):
        executor.run(ask(executor, "threshold", images), lambda: JobCanceled("by an operator"))


def test_it_runs_again_after_it_was_closed(executor: ModelExecutor, images: tuple[ByteRange, ...]) -> None:
    executor.close()
    executor.close()
    assert executor.run(ask(executor, "threshold", images), go_on).result.outcome is Outcome.POSITIVE


def test_a_dark_series_is_negative(executor: ModelExecutor, tmp_path: Path) -> None:
    def darken(image: Dataset, k: int) -> None:
        image.PixelData = b"\1" + bytes(len(image.PixelData) - 1)

    reply = executor.run(ask(executor, "threshold", write(tmp_path, series(change=darken))), go_on)
    assert reply.result.outcome is Outcome.NEGATIVE
    assert reply.result.segmentation is None


def test_an_empty_series_is_not_evaluable(executor: ModelExecutor, tmp_path: Path) -> None:
    def empty(image: Dataset, k: int) -> None:
        image.PixelData = bytes(len(image.PixelData))

    reply = executor.run(ask(executor, "threshold", write(tmp_path, series(change=empty))), go_on)
    assert reply.result.outcome is Outcome.NOT_EVALUABLE
    assert reply.result.reason is not None
    assert reply.result.reason.code == "ConstantImage"
    failed = [check["name"] for check in reply.provenance["checks"] if check["passed"] is False]
    assert failed == ["contrast"]
