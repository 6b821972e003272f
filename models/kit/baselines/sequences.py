"""Sequences of slices: a hidden Markov model for each class, beside a recurrent network on the same features.

Rabiner, "A tutorial on hidden Markov models", Proceedings of the IEEE 1989; hmmlearn fits them. A sequence is an array
(slices, features) in the order of the slices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from hmmlearn.hmm import GaussianHMM
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from models.kit.baselines.classical import Scored, Scores, Truth
from models.kit.baselines.features import Features
from models.kit.cases import Case

STATES = (1, 2, 3)
COMPONENTS = 8
# A state that a few slices fall into must not become a needle.
LEAST_VARIANCE = 1e-2
# Dirichlet: nor may a state that only ends sequences have nowhere to go.
PRIOR = 1.1
SEQUENCE_FACT, POSITION_FACT = "sequence", "position"


@dataclass(frozen=True, slots=True)
class Sequenced:
    """The sequences of one part, their groups, and which are positive."""

    sequences: tuple[Features, ...]
    groups: tuple[str, ...]
    truth: Truth


def have_sequences(cases: Sequence[Case]) -> bool:
    """Whether every case says which sequence it belongs to, and where (facts ``sequence`` and ``position``)."""
    return bool(cases) and all(SEQUENCE_FACT in case.facts and POSITION_FACT in case.facts for case in cases)


def sequences_of(cases: Sequence[Case], truth: Truth, values: Features) -> Sequenced:
    """Rows of ``values`` (N, F) by the fact ``sequence`` of their cases, in the order of the fact ``position``.

    A sequence is positive if one of its slices is.
    """
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, case in enumerate(cases):
        members[str(case.facts[SEQUENCE_FACT])].append(index)
    ordered = [
        sorted(members[name], key=lambda index: float(cases[index].facts[POSITION_FACT])) for name in sorted(members)
    ]
    return Sequenced(
        tuple(values[rows] for rows in ordered),
        tuple(cases[rows[0]].group for rows in ordered),
        np.array([truth[rows].any() for rows in ordered], dtype=bool),
    )


def hidden_markov(train: Sequenced, validation: Sequenced, test: Sequenced, seed: int) -> Scored:
    """One Gaussian hidden Markov model for each class; the score is the difference of their log-likelihoods a slice.

    Features are standardised and reduced to at most eight principal components of the training slices; the number of
    states is the one with the largest ROC AUC on the validation sequences.

    Raises:
        ValueError: only one class among the training or the validation sequences.
    """
    require_both_classes(train, validation)
    train, validation, test = reduced(train, validation, test)
    best: tuple[float, Scored] | None = None
    for states in STATES:
        without, present = (_fitted(train, wanted, states, seed) for wanted in (False, True))
        parts = (_scores(without, present, part) for part in (validation, test))
        scored = Scored("hidden Markov model", f"states={states}", *parts)
        area = float(roc_auc_score(validation.truth, scored.validation))
        if best is None or area > best[0]:
            best = area, scored
    assert best is not None
    return best[1]


def require_both_classes(train: Sequenced, validation: Sequenced) -> None:
    """Nothing is learned from one class, and nothing chosen by it.

    Raises:
        ValueError: only one class among the training or the validation sequences.
    """
    for part, truth in (("training", train.truth), ("validation", validation.truth)):
        if truth.all() or not truth.any():
            raise ValueError(f"a baseline needs {part} sequences of both classes")


def reduced(*parts: Sequenced) -> list[Sequenced]:
    """At most eight principal components of the first part's standardised slices."""
    slices = np.concatenate(parts[0].sequences)
    made: Pipeline = make_pipeline(StandardScaler(), PCA(min(COMPONENTS, *slices.shape), svd_solver="full"))
    made.fit(slices)
    return [replace(part, sequences=tuple(made.transform(one) for one in part.sequences)) for part in parts]


def _fitted(train: Sequenced, wanted: bool, states: int, seed: int) -> GaussianHMM:
    """Of the sequences of one class; fewer states than asked for where there are fewer slices."""
    chosen = [one for one, positive in zip(train.sequences, train.truth, strict=True) if positive == wanted]
    slices = np.concatenate(chosen)
    model = GaussianHMM(
        min(states, len(slices)),
        covariance_type="diag",
        n_iter=50,
        min_covar=LEAST_VARIANCE,
        startprob_prior=PRIOR,
        transmat_prior=PRIOR,
        random_state=seed,
    )
    return model.fit(slices, [len(one) for one in chosen])


def _scores(without: GaussianHMM, present: GaussianHMM, part: Sequenced) -> Scores:
    return np.array([(present.score(one) - without.score(one)) / len(one) for one in part.sequences])
