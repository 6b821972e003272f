"""Two tasks over pictures in files, with networks whose every answer is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from models.kit.cases import Case, Listing, Problem
from models.kit.data.pictures import read_grey
from models.kit.task import Array, Settings, Task

SIDE = 32


class Bright(nn.Module):
    """Logits (0, gain * (mean - 0.5)); the embedding is (mean, 0.5)."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))
        self.last_convolution = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.last_convolution.weight)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.last_convolution(x).mean(dim=(1, 2, 3))
        return torch.stack([mean, torch.full_like(mean, 0.5)], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        belief = self.gain * (self.features(x)[:, 0] - 0.5)
        return torch.stack([torch.zeros_like(belief), belief], dim=1)


class BrightPixels(nn.Module):
    """Logits (0, gain * (pixel - 0.7))."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        belief = self.gain * (x - 0.7)
        return torch.cat([torch.zeros_like(belief), belief], dim=1)


def image(case: Case) -> Array:
    return (read_grey(case.image) / 255)[None].astype(np.float32)


def mask(case: Case) -> npt.NDArray[np.uint8]:
    if case.mask is None:
        return np.zeros((SIDE, SIDE), dtype=np.uint8)
    return (read_grey(case.mask) > 127).astype(np.uint8)


def listing(data: Path) -> Listing:
    """``set/<patient>_<label>_<number>.png``, a mask beside it; a broken name is a problem."""
    if not (data / "set").is_dir():
        raise FileNotFoundError("the folder of the set is not there")
    cases, problems = [], []
    for path in sorted((data / "set").glob("*.png")):
        parts = path.stem.split("_")
        if len(parts) != 3 or not parts[1].isdigit():
            problems.append(Problem(path.name, "not a picture of the set"))
            continue
        patient, label, number = parts
        drawn = data / "masks" / path.name
        facts: dict[str, float | str] = {
            "sex": "F" if int(patient[1:]) % 4 < 2 else "M",
            "sequence": patient,
            "position": float(number),
        }
        cases.append(Case(path.stem, path, int(label), patient, drawn if drawn.is_file() else None, facts))
    return Listing(tuple(cases), tuple(problems))


def _task(kind: str, network: Callable[[], nn.Module]) -> Task:
    return Task(
        id=f"known_{kind}",
        dataset=("set",),
        kind="classification",
        classes=("well", "ill"),
        positive=(1,),
        listing=listing,
        image=image,
        network=network,
        augment=lambda image, mask, generator: (image, mask),
        settings=Settings(batch=16),
        parts=(0.5, 0.25, 0.25),
    )


CLASSIFICATION = _task("classification", Bright)
SEGMENTATION = replace(_task("segmentation", BrightPixels), kind="segmentation", mask=mask)


def write_classification(data: Path, patients: int = 60) -> None:
    """Two noisy pictures of each patient; those of every second patient are a little brighter."""
    generator = np.random.default_rng(0)
    (data / "set").mkdir(parents=True)
    for patient in range(patients):
        for number in range(2):
            label = patient % 2
            level = 0.44 + 0.12 * label + generator.normal(0, 0.06)
            values = level + 0.25 * _blotches(generator)
            _save(values, data / "set" / f"p{patient:02}_{label}_{number}.png")


def write_segmentation(data: Path, patients: int = 40) -> None:
    """One picture of each patient, with a bright disc in every second one."""
    generator = np.random.default_rng(1)
    (data / "set").mkdir(parents=True)
    (data / "masks").mkdir()
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for patient in range(patients):
        label, name = patient % 2, f"p{patient:02}_{patient % 2}_0.png"
        row, column = generator.integers(9, SIDE - 9, 2)
        disc = (rows - row) ** 2 + (columns - column) ** 2 <= 36
        values = 0.35 + 0.2 * _blotches(generator) + (0.4 * disc if label else 0.0)
        _save(values, data / "set" / name)
        if label:
            _save(disc.astype(float), data / "masks" / name)


def weights_of(task: Task, file: Path) -> Path:
    save_file(task.network().state_dict(), str(file))
    return file


def _blotches(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Mean 0: coarse, so that no two pictures look alike when they are small."""
    coarse = generator.uniform(-1, 1, (8, 8))
    return np.kron(coarse - coarse.mean(), np.ones((SIDE // 8, SIDE // 8)))


def _save(values: npt.NDArray[np.float64], file: Path) -> None:
    Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8)).save(file)
