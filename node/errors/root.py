"""The root of the tree, and the one error of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class AinodeError(Exception):
    """Root of the tree. ``code`` is stable and machine-readable, ``details`` explain it without patient data."""

    code: ClassVar[str] = "AinodeError"
    retryable: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.code = cls.__name__

    def __init__(self, message: str = "", **details: object) -> None:
        super().__init__(message or self.code)
        self.message = message or self.code
        self.details: Mapping[str, object] = details

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross the pipe from the inference child: keep the details.
        return (_rebuild, (type(self), self.message, dict(self.details)))


def _rebuild(kind: type[AinodeError], message: str, details: dict[str, object]) -> AinodeError:
    error = kind.__new__(kind)
    AinodeError.__init__(error, message, **details)
    return error


class ConfigurationError(AinodeError):
    """All problems of one configuration, each as (key path, problem)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {problem}" for path, problem in problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[object, ...]:
        return (ConfigurationError, (self.problems,))
