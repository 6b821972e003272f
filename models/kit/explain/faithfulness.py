"""Is a map to be believed? Take away what it calls important, and see whether the network's answer falls.

Deletion, after Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018; the
measure of what falls is the log-odds of the class, which does not saturate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.kit.cases import Case
from models.kit.evaluation.resampling import SAMPLES, Estimate, Indices, estimates
from models.kit.explain.heat_map import region_of
from models.kit.explain.input_map import blurred, even_grey
from models.kit.task import Array, Task
from models.kit.trained import network_input

Attribution = Callable[[nn.Module, Tensor, int], Array]

SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """By how much the log-odds of the class fall when the most important fifth of a picture is taken away.

    ``by_chance``: the same with a smooth random map. A map whose ``fall`` is no higher explains nothing.
    """

    fall: Estimate
    by_chance: Estimate


def faithfulness(
    task: Task,
    network: nn.Module,
    cases: Sequence[Case],
    class_index: int,
    attribution: Attribution,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Faithfulness:
    """The mean over ``cases`` of a task of pictures, with 95 % bootstrap intervals over groups.

    Args:
        cases: such as the network gives to ``class_index``; for others there is little to explain.
        attribution: ``heat_map``, ``input_map``, or one of ``methods``.

    Raises:
        AinodeError, ValueError, OSError: a case cannot be read.
    """
    generator = torch.Generator().manual_seed(seed)
    falls = []
    for case in cases:
        inputs = network_input(task, case).to(next(network.parameters()).device)
        noise = blurred(torch.randn((1, 1, *inputs.shape[2:]), generator=generator))[0, 0].numpy()
        maps = (attribution(network, inputs, class_index), noise)
        falls.append([fall(network, inputs, class_index, values) for values in maps])
    table = np.array(falls).reshape(-1, 2)

    def measure(picked: Indices) -> dict[str, float]:
        fallen, by_chance = table[picked].mean(axis=0)
        return {"fall": float(fallen), "by_chance": float(by_chance)}

    return Faithfulness(**estimates(measure, [case.group for case in cases], samples, seed))


def fall(network: nn.Module, inputs: Tensor, class_index: int, values: Array, share: float = SHARE) -> float:
    """Log-odds of the class before and after the ``share`` of pixels highest in ``values`` turn to even grey.

    Of a segmentation their mean over the region that the class has before.
    Among equal values the pixels are taken in a fixed random order, so that an even map is a map of chance.
    """
    taken = torch.from_numpy(highest(values, share)).to(inputs.device)
    less = torch.where(taken, even_grey(inputs), inputs)
    with torch.inference_mode():
        logits = cast(Tensor, network(torch.cat((inputs, less)))).float()
    others = torch.cat((logits[:, :class_index], logits[:, class_index + 1 :]), dim=1)
    odds = logits[:, class_index] - torch.logsumexp(others, dim=1)
    less_odds = odds[0] - odds[1]
    region = region_of(logits[:1], class_index)
    return float(less_odds if region is None else less_odds[region[0]].mean())


def highest(values: Array, share: float) -> npt.NDArray[np.bool_]:
    """(rows, columns): True for the ``share`` of pixels with the highest values."""
    order = np.random.default_rng(0).permutation(values.size)
    ranked = np.lexsort((order, -values.ravel()))
    chosen = np.zeros(values.size, dtype=np.bool_)
    chosen[ranked[: round(share * values.size)]] = True
    return chosen.reshape(values.shape)
