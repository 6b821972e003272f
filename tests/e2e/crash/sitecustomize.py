"""Only in tests: ends this process with SIGKILL at a named point, once for each token.

Python imports a module of this name when it starts. A test puts this folder before all others in ``PYTHONPATH``, names
its points in ``CRASH_POINTS`` (lines of: name, module, function in it, when) and a folder in ``CRASH_TOKENS``. A point
whose token (a file of its name) lies there takes it and crashes: ``before`` the call, ``after`` it, or after one that
gave ``some``thing.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import pathlib
import signal
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

POINTS = [line.split() for line in os.environ.get("CRASH_POINTS", "").splitlines() if line.strip()]
TOKENS = pathlib.Path(os.environ.get("CRASH_TOKENS", "/nonexistent"))


def crash(name: str) -> None:
    try:
        (TOKENS / name).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def crashing(function: Callable[..., Any], name: str, when: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        if when == "before":
            crash(name)
        answer = function(*arguments, **keywords)
        if when == "after" or (when == "some" and answer):
            crash(name)
        return answer

    return wrapper


def patch(module: ModuleType, name: str, path: str, when: str) -> None:
    *owners, last = path.split(".")
    owner: Any = functools.reduce(getattr, owners, module)
    setattr(owner, last, crashing(getattr(owner, last), name, when))


class Loader(importlib.abc.Loader):
    """The real loader, and after it the points of the module."""

    def __init__(self, real: importlib.abc.Loader) -> None:
        self.real = real

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.real.exec_module(module)
        for name, place, path, when in POINTS:
            if place == module.__name__:
                patch(module, name, path, when)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not any(fullname == place for _, place, _, _ in POINTS):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = Loader(spec.loader)
        return spec


sys.meta_path.insert(0, Finder())
