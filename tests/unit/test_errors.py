"""The tree of errors: every class of every file has its public name, and is drawn."""

from __future__ import annotations

import importlib
import pickle
import pkgutil

from node import errors
from node.errors import AinodeError, ConfigurationError


def _classes() -> set[type[AinodeError]]:
    found: set[type[AinodeError]] = set()
    for file in pkgutil.iter_modules(errors.__path__, "node.errors."):
        module = importlib.import_module(file.name)
        found |= {kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, AinodeError)}
    return found


def test_every_error_of_every_file_has_its_public_name() -> None:
    # An error that crosses the pipe from the inference child is found again by this name.
    assert {kind.__name__ for kind in _classes()} == set(errors.__all__)
    assert all(getattr(errors, kind.__name__) is kind for kind in _classes())


def test_every_error_is_drawn() -> None:
    assert errors.__doc__ is not None
    drawn = set(errors.__doc__.replace(",", " ").split())
    assert [kind.__name__ for kind in _classes() if kind.__name__ not in drawn] == []


def test_every_error_survives_a_pipe() -> None:
    for kind in _classes() - {ConfigurationError}:
        again = pickle.loads(pickle.dumps(kind("what", size=3)))
        assert (type(again), again.message, again.details, again.code) == (kind, "what", {"size": 3}, kind.__name__)
    again = pickle.loads(pickle.dumps(ConfigurationError([("a.b", "wrong")])))
    assert again.problems == (("a.b", "wrong"),)
