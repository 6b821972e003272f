"""Write the thresholds to `weights.safetensors`: nothing is trained. `python -m models.organ_ct.train --out DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.kit.training.weights import save_weights
from models.organ_ct.network import network


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights.safetensors")
    # What every package's training is called with; rules need no data and no device.
    for ignored in ("--data", "--device", "--limit", "--epochs", "--seed"):
        parser.add_argument(ignored, help="accepted and ignored")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    save_weights(network(), out / "weights.safetensors")


if __name__ == "__main__":
    main()
