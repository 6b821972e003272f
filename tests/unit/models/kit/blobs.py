"""A task whose truth is known: a bright blob decides. Noise, and a dim bar that means nothing, lie in every picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from models.kit.cases import Case, Listing
from models.kit.task import Array, Task

SIDE = 32
RADIUS = 3
TOLERANCE = 6.0


class Small(nn.Module):
    """A classifier of two classes with all that the kit asks of a network."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.last_convolution = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Linear(width, 2)

    def features(self, x: Tensor) -> Tensor:
        y = functional.max_pool2d(functional.relu(self.first(x)), 2)
        y = functional.max_pool2d(functional.relu(self.second(y)), 2)
        return functional.relu(self.last_convolution(y)).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class SmallMask(nn.Module):
    """A segmentation of two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.last_convolution = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(functional.relu(self.last_convolution(functional.relu(self.first(x)))))
        return functional.interpolate(y, size=x.shape[2:], mode="bilinear")


def picture(label: int, seed: int) -> tuple[Array, tuple[int, int]]:
    """(1, rows, columns), and the centre (row, column) of the blob; without a blob where ``label`` is 0."""
    generator = np.random.default_rng(seed)
    values = generator.normal(0.0, 0.15, (SIDE, SIDE))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    bar_row, bar_column = generator.integers(0, SIDE - 10, 2)
    values[bar_row : bar_row + 2, bar_column : bar_column + 10] += 0.6
    row, column = generator.integers(RADIUS + 2, SIDE - RADIUS - 2, 2)
    if label:
        values += 1.5 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * (RADIUS / 1.5) ** 2))
    return values[None].astype(np.float32), (int(row), int(column))


def case(label: int, seed: int, folder: Path = Path("blobs")) -> Case:
    """Its group is its seed modulo 7: several pictures of a patient."""
    return Case(f"{label}/{seed}", folder / f"{label}" / f"{seed}", label, str(seed % 7))


def cases(seeds: Sequence[int]) -> list[Case]:
    return [case(seed % 2, seed) for seed in seeds]


def image(one: Case) -> Array:
    """The picture that a path ``<label>/<seed>`` names.

    Raises:
        ValueError: it names none.
    """
    if not one.image.name.isdigit():
        raise ValueError("not a picture")
    return picture(int(one.image.parent.name), int(one.image.name))[0]


TASK = Task(
    id="blobs",
    dataset=(),
    kind="classification",
    classes=("none", "blob"),
    positive=(1,),
    listing=lambda folder: Listing(()),
    image=image,
    network=Small,
    augment=lambda values, mask, generator: (values, mask),
)


@cache
def trained(seed: int = 0) -> Small:
    """A network that has learned the task, in a few seconds; the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Small()
        optimiser = torch.optim.Adam(network.parameters(), 1e-2)
        inputs = torch.from_numpy(np.stack([picture(index % 2, 10_000 + index)[0] for index in range(256)]))
        labels = torch.arange(256) % 2
        for _ in range(12):
            for chosen in torch.randperm(256).split(32):
                loss = functional.cross_entropy(network(inputs[chosen]), labels[chosen])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return network.requires_grad_(False).eval()


def weights_of(network: nn.Module, file: Path) -> Path:
    """``network`` as a weights file."""
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, str(file))
    return file


def points_at_blob(values: Array, centre: tuple[int, int]) -> bool:
    """Whether the highest value of a map (rows, columns) lies on the blob."""
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    return float(np.hypot(row - centre[0], column - centre[1])) <= TOLERANCE
