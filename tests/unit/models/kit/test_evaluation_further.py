"""What only one package measures stands in its evaluation, its report and its card; maps of a segmentation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from models.kit.evaluation.evaluate import evaluate
from models.kit.evaluation.outlining import Segmentation
from models.kit.evaluation.report import Section, Table
from models.kit.evaluation.run import Run
from tests.unit.models.kit import evaluated


def drawn_pixels(run: Run, found: Segmentation) -> tuple[dict[str, Any], tuple[Section, ...]]:
    count = sum(int(image.drawn.sum()) for image in found.images)
    return {"drawn": count}, (Section("Drawn", "Pixels of all images.", [Table(["drawn"], [[str(count)]])]),)


class SeesPixels(evaluated.BrightPixels):
    """The same, with a layer that a map can weigh."""

    def __init__(self) -> None:
        super().__init__()
        self.last_convolution = torch.nn.Conv2d(1, 1, 1, bias=False)
        torch.nn.init.ones_(self.last_convolution.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.last_convolution(x))


def test_it_is_in_the_metrics_the_report_and_the_card(tmp_path: Path) -> None:
    task = replace(evaluated.SEGMENTATION, further=drawn_pixels)
    evaluated.write_segmentation(tmp_path / "data", patients=16)
    weights = evaluated.weights_of(task, tmp_path / "weights.safetensors")
    found = evaluate(
        task, tmp_path / "data", weights, tmp_path / "out", torch.device("cpu"), baselines=False, samples=5
    )
    count = found["drawn"]
    assert "explanation" not in found
    assert count > 50
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["drawn"] == count
    card = (tmp_path / "out" / "card_table.md").read_text()
    assert f"| {count} |" in card
    assert "Pixels of all images." in card
    assert "Pixels of all images." in (tmp_path / "out" / "report.html").read_text()


def test_maps_of_a_segmentation_are_measured_on_what_is_drawn(tmp_path: Path) -> None:
    task = replace(evaluated.SEGMENTATION, network=SeesPixels, explained=lambda network: network)
    evaluated.write_segmentation(tmp_path / "data", patients=16)
    weights = evaluated.weights_of(task, tmp_path / "weights.safetensors")
    found = evaluate(
        task, tmp_path / "data", weights, tmp_path / "out", torch.device("cpu"), baselines=False, samples=50
    )
    (kinds,) = found["explanation"].values()
    assert set(kinds) == {"Grad-CAM", "integrated gradients"}
    for one in kinds.values():
        assert one["fall"]["low"] > one["by_chance"]["high"]
    assert "over cases in which it is drawn" in (tmp_path / "out" / "report.html").read_text()
