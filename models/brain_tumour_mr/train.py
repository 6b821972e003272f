"""Train the network, then the head on what it sees: `python -m models.brain_tumour_mr.train --data DATA --out DIR`.

An interrupted run goes on where it was. `DIR/slices` receives what `models.kit.training.loop` writes, `DIR` the
`weights.safetensors` of both together.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from models.brain_tumour_mr.head import fit_head
from models.brain_tumour_mr.network import network
from models.brain_tumour_mr.task import SLICES, TASK
from models.kit.training.log import logged
from models.kit.training.loop import device_of, limited, parser, prepared_in, train
from models.kit.training.samples import read_samples
from models.kit.training.weights import load_weights, save_weights

WEIGHTS = "weights.safetensors"


def add_head(data: Path, out: Path, slices: Path, device: torch.device, limit: int = 0) -> None:
    """Fit the head on the training slices as the network with the weights ``slices`` sees them, and write both.

    Raises:
        DivergedError: a weight is not finite.
        FileNotFoundError: the data is not there.
        RuntimeError: the weights are of another network.
        ValueError: the training slices are all of one kind.
    """
    whole = network()
    load_weights(whole.slices, slices)
    samples, _ = read_samples(TASK, limited(prepared_in(TASK, data, out).part("train"), limit))
    fit_head(whole.to(device), samples, device)
    save_weights(whole, out / WEIGHTS, TASK.settings.storage)


def main() -> None:
    """The command line of the kit, and ``--slices FILE``: weights that are trained already, which only want a head."""
    arguments = parser()
    arguments.add_argument("--slices", type=Path, help="weights of the network alone; it is not trained then")
    chosen = arguments.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    given = {name: getattr(chosen, name) for name in ("epochs", "seed") if getattr(chosen, name) is not None}
    settings, device = replace(SLICES.settings, **given), device_of(chosen.device)
    with logged(chosen.out / "train.log"):
        slices = chosen.slices
        if slices is None:
            slices = chosen.out / "slices" / WEIGHTS
            train(SLICES, chosen.data, slices.parent, settings, device, chosen.limit, chosen.stop_after)
        add_head(chosen.data, chosen.out, slices, device, chosen.limit)


if __name__ == "__main__":
    main()
