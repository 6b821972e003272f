"""TID 4019: the algorithm, and with which parameters it ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from highdicom.sr import AlgorithmIdentification

from node.domain.model import ModelDescription


def algorithm_identification(model: ModelDescription) -> AlgorithmIdentification:
    """PS3.16 TID 4019. It stands in every measurement: what the observer and the equipment say already is left out."""
    algorithm = model.algorithm
    return AlgorithmIdentification(
        name=algorithm.name,
        version=algorithm.version,
        parameters=["; ".join(parameters(model))],
    )


def parameters(model: ModelDescription) -> Iterator[str]:
    """The weights, and what the package declares of its runtime and preprocessing.

    Declared, not used: a result does not depend on the device it was made on, or on versions of libraries.
    """
    yield f"weights_sha256={model.algorithm.weights_sha256}"
    runtime = model.runtime
    declared: dict[str, object] = {"precision": runtime.precision}
    if runtime.window is not None:
        declared |= {"window": runtime.window, "overlap": runtime.overlap, "blend": runtime.blend}
    yield f"runtime: {_words(declared)}"
    if model.declared is not None:
        steps = asdict(model.declared.preprocessing)
        steps["intensity"] = [
            f"{type(step).__name__}({_words(asdict(step))})" for step in model.declared.preprocessing.intensity
        ]
        yield f"preprocessing: {_words(steps)}"


def _words(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={_word(value)}" for name, value in values.items() if value not in (None, "", (), []))


def _word(value: object) -> str:
    if isinstance(value, tuple | list):
        return " ".join(map(_word, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
