"""Train the networks of the ensemble, one for each seed, and put them into one file.

`python -m models.breast_us.train --data $AINODE_DATA --out DIR`. An interrupted run goes on where it was. `DIR/0`,
`DIR/1`, ... receive what `models.kit.training.loop` writes, `DIR` the ensemble's `weights.safetensors`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from models.breast_us.network import MEMBERS, member, network
from models.breast_us.task import MEMBER
from models.kit.ensemble import ensemble_of
from models.kit.training.loop import device_of, parser, train
from models.kit.training.weights import save_weights


def train_ensemble(
    data: Path, out: Path, epochs: int, device: torch.device, limit: int = 0, stop_after: int = 0
) -> None:
    """Train each member from its own seed and write the ensemble's weights.

    ``stop_after`` ends each member after this epoch of its schedule of ``epochs``; 0 goes to the end.

    Raises:
        DivergedError, ValueError: as ``models.kit.training.loop.train``.
    """
    for seed in range(MEMBERS):
        train(
            MEMBER, data, out / str(seed), replace(MEMBER.settings, epochs=epochs, seed=seed), device, limit, stop_after
        )
    joined = network()
    joined.load_state_dict(
        ensemble_of(member, [out / str(seed) / "weights.safetensors" for seed in range(MEMBERS)]).state_dict()
    )
    save_weights(joined, out / "weights.safetensors", MEMBER.settings.storage)


def main() -> None:
    """Command line: that of the kit; ``--seed`` has no meaning here."""
    chosen = parser().parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(chosen.out / "train.log")],
    )
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    epochs = chosen.epochs or MEMBER.settings.epochs
    train_ensemble(chosen.data, chosen.out, epochs, device_of(chosen.device), chosen.limit, chosen.stop_after)


if __name__ == "__main__":
    main()
