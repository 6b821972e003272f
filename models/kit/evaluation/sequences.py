"""Whole sequences of slices, where cases say that they are slices of one: is one of them positive?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from models.kit.baselines.classical import Scored, Scores, Table, fitted, logistic
from models.kit.baselines.features import Features
from models.kit.baselines.recurrent import recurrent
from models.kit.baselines.sequences import Sequenced, have_sequences, hidden_markov, sequences_of
from models.kit.evaluation.comparison import hand_made
from models.kit.evaluation.parts import Part
from models.kit.evaluation.rows import Judged
from models.kit.evaluation.run import Parts, Run

UNIT = "sequences"
NETWORK = "network: the highest score of the slices"


def of_network(run: Run, validation: Scores, part: Scores) -> Iterator[Judged]:
    """The network's scores of the slices, (N,) of the validation cases and of the part, as scores of sequences."""
    if all(have_sequences(one.cases) for one in (run.validation, run.part)):
        held, measured = (
            _sequenced(run, one, scores[:, None].astype(np.float32))
            for one, scores in ((run.validation, validation), (run.part, part))
        )
        highest = [np.array([values.max() for values in one.sequences]) for one in (held, measured)]
        yield _judged(Scored(NETWORK, "", *highest), held, measured)


def of_baselines(run: Run, parts: Parts) -> Iterator[Judged]:
    """A hidden Markov model and a GRU on hand-made features, recurrent networks on the network's own embeddings.

    The number of the slices alone stands beside them: a set may hold longer sequences of one class.

    Raises:
        ValueError: only one class among the training or the validation sequences.
    """
    if not all(have_sequences(part.cases) for part in parts.all):
        return
    seed = run.task.settings.seed
    by_hand = _all(run, parts, hand_made(parts, run.folder))
    for make in (hidden_markov, recurrent):
        yield _judged(make(*by_hand, seed), *by_hand[1:])
    if run.has_embedding:
        embedded = _all(run, parts, [run.vectors(part) for part in parts.all])
        for cell in ("gru", "lstm"):
            make_one = partial(recurrent, name=f"{cell.upper()} on the network's embeddings", cell=cell)
            yield _judged(make_one(*embedded, seed), *embedded[1:])
    lengths = [np.array([[len(one)] for one in part.sequences], dtype=np.float32) for part in by_hand]
    table = Table(lengths[0], lengths[1], lengths[2], by_hand[0].truth, by_hand[1].truth)
    yield _judged(fitted("trivial: number of slices alone", logistic(), table), *by_hand[1:])


def _all(run: Run, parts: Parts, values: Sequence[Features]) -> tuple[Sequenced, Sequenced, Sequenced]:
    train, validation, test = (_sequenced(run, part, one) for part, one in zip(parts.all, values, strict=True))
    return train, validation, test


def _sequenced(run: Run, part: Part, values: Features) -> Sequenced:
    return sequences_of(part.cases, part.truth(run.task.positive), values)


def _judged(scored: Scored, validation: Sequenced, test: Sequenced) -> Judged:
    return Judged(scored, validation.truth, test.truth, test.groups, UNIT)
