"""What parent and inference child say to each other over their pipe. Pickled; neither side imports torch for it.

Parent to child: ``InferenceRequest``. Child to parent: ``Ready`` once, then for each request any number of ``Stage``,
then one ``InferenceReply`` or one ``Failure``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from node import errors
from node.errors import AinodeError


@dataclass(frozen=True, slots=True)
class Ready:
    """The child has loaded its libraries and waits for requests."""

    pid: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What the child begins to do."""

    name: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the tree as words: a class of a model package's own could not be rebuilt in the parent."""

    code: str
    message: str
    details: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


def failure(error: AinodeError) -> Failure:
    """``error`` for the pipe; a subclass that the tree does not know travels as its nearest known ancestor."""
    code = next(kind.__name__ for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    return Failure(code, error.message, {name: _plain(value) for name, value in error.details.items()})


def rebuilt(told: Failure) -> AinodeError:
    """The error that the child met."""
    kind: type[AinodeError] = getattr(errors, told.code)
    return kind(told.message, **told.details)


def _plain(value: object) -> str | int | float | bool | None:
    return value if value is None or type(value) in (str, int, float, bool) else str(value)  # type: ignore[return-value]
