"""A GRU or LSTM over vectors of slices, hand-made or the network's own: what the order of the slices adds to them."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from models.kit.baselines.classical import Scored, Scores
from models.kit.baselines.sequences import Sequenced, reduced, require_both_classes
from models.kit.networks.sequence import Cell, SequenceClassifier, padded

HIDDEN = 16
STEPS = 120
BATCH = 64
EVALUATED_EVERY = 20
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2


def recurrent(
    train: Sequenced, validation: Sequenced, test: Sequenced, seed: int, name: str = "GRU", cell: Cell = "gru"
) -> Scored:
    """Trained on the training sequences; how long, says the least cross-entropy on the validation sequences.

    The features are standardised and reduced as those of the hidden Markov model, so that the two compare.

    Raises:
        ValueError: only one class among the training or the validation sequences.
    """
    require_both_classes(train, validation)
    parts = reduced(train, validation, test)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SequenceClassifier(parts[0].sequences[0].shape[1], 2, HIDDEN, cell=cell)
        optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        inputs, lengths = _tensors(parts[0])
        labels = torch.from_numpy(train.truth.astype(np.int64))
        best: tuple[float, Scored] | None = None
        for step in range(1, STEPS + 1):
            network.train()
            chosen = torch.randperm(len(labels))[:BATCH]
            loss = functional.cross_entropy(network(inputs[chosen], lengths[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if step % EVALUATED_EVERY == 0:
                scored = Scored(name, f"{step} steps", _scores(network, parts[1]), _scores(network, parts[2]))
                held = _cross_entropy(scored.validation, validation)
                best = (held, scored) if best is None or held < best[0] else best
    assert best is not None
    return best[1]


def _scores(network: SequenceClassifier, part: Sequenced) -> Scores:
    """Probability (N,) of the positive class."""
    if not part.sequences:
        return np.empty(0)
    network.eval()
    with torch.inference_mode():
        found: Scores = torch.softmax(network(*_tensors(part)).double(), dim=1)[:, 1].numpy()
    return found


def _tensors(part: Sequenced) -> tuple[torch.Tensor, torch.Tensor]:
    return padded([torch.from_numpy(one.astype(np.float32)) for one in part.sequences])


def _cross_entropy(scores: Scores, part: Sequenced) -> float:
    of_truth = np.where(part.truth, scores, 1 - scores)
    return float(-np.log(np.clip(of_truth, 1e-12, 1)).mean())
