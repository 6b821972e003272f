"""Train both networks, one file for both: `python -m models.lung_nodule_ct.train --data $AINODE_DATA --out DIR`.

An interrupted run goes on where it was. `DIR/0` and `DIR/1` receive what `models.kit.training.loop` writes, `DIR` the
`weights.safetensors` of both.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from models.kit.trained import with_weights
from models.kit.training.log import logged
from models.kit.training.loop import device_of, parser, train
from models.kit.training.weights import save_weights
from models.lung_nodule_ct.network import NoduleUNet, SecondLook
from models.lung_nodule_ct.task import ENLARGED, TRAINED

WEIGHTS = "weights.safetensors"


def train_members(
    data: Path, out: Path, epochs: int, device: torch.device, limit: int = 0, stop_after: int = 0
) -> None:
    """Train each member by its own settings and write the weights of both.

    ``stop_after`` ends each member after this epoch of its schedule of ``epochs``; 0 goes to the end.

    Raises:
        DivergedError, ValueError: as ``models.kit.training.loop.train``.
    """
    members = []
    for number, task in enumerate((TRAINED, ENLARGED)):
        folder = out / str(number)
        train(task, data, folder, replace(task.settings, epochs=epochs), device, limit, stop_after)
        network = NoduleUNet()
        with_weights(network, folder / WEIGHTS)
        members.append(network)
    save_weights(SecondLook(members), out / WEIGHTS, TRAINED.settings.storage)


def main() -> None:
    """Command line: that of the kit; ``--seed`` has no meaning here."""
    chosen = parser().parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    epochs = chosen.epochs or TRAINED.settings.epochs
    with logged(chosen.out / "train.log"):
        train_members(chosen.data, chosen.out, epochs, device_of(chosen.device), chosen.limit, chosen.stop_after)


if __name__ == "__main__":
    main()
