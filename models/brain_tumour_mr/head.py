"""The second stage of training: the head, a logistic regression on what the trained network sees of slices.

Needs the extra ``train``; the node only applies the finished weights.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from models.brain_tumour_mr.network import VIEWS, TumourNetwork
from models.kit.evaluation.parts import shown
from models.kit.training.samples import Sample

logger = logging.getLogger(__name__)

BATCH = 8
# scikit-learn's C: small, as the network knows its training slices by heart and the head must not rely on it.
REGULARISATION = 1e-3
ITERATIONS = 3000


def fit_head(network: TumourNetwork, samples: Sequence[Sample], device: torch.device) -> None:
    """Set the head of ``network`` so that it tells slices with a tumour from those without; the rest stays.

    A slice has a tumour if its mask has; both kinds weigh the same.

    Raises:
        ValueError: the samples are all of one kind.
    """
    truth = np.array([sample.mask is not None and bool(sample.mask.any()) for sample in samples])
    seen = pooled(network, samples, device)
    scaler = StandardScaler().fit(seen)
    regression = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=ITERATIONS)
    regression.fit(scaler.transform(seen), truth)
    weights = torch.from_numpy(regression.coef_[0] / scaler.scale_).to(torch.bfloat16).double()
    # By the weights as they are stored, so that rounding does not move the middle of the data.
    bias = float(regression.intercept_[0] - weights.numpy() @ scaler.mean_)
    with torch.no_grad():
        network.head.weight.copy_(weights[None])
        network.head.bias.fill_(bias)
    right = np.mean((seen @ weights.numpy() + bias > 0) == truth)
    logger.info("the head tells %.3f of %d training slices right", right, len(truth))


def pooled(network: TumourNetwork, samples: Sequence[Sample], device: torch.device) -> npt.NDArray[np.float64]:
    """What the head reads of each slice, (N, features)."""
    network.eval()
    rows: list[npt.NDArray[np.float64]] = []
    with torch.inference_mode():
        for start in shown(range(0, len(samples), BATCH), "what the network sees"):
            pictures = torch.stack([sample.image.float() for sample in samples[start : start + BATCH]]).to(device)
            rows.append(network.slices.seen(VIEWS[0].of(pictures))[1].double().cpu().numpy())
    return np.concatenate(rows)
