"""``python -m node.infer.child``: the process in which models run. No database, no network, no results on its stdout.

It reads images, drives the engine, and answers over an inherited pipe (``wire``). It ends when its parent does.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import torch

from node.errors import AinodeError, DeviceOutOfMemory, InferenceError, InvalidModelPackage, ModelError
from node.infer.engine import Engine, library_versions
from node.infer.parameters import parameters
from node.infer.series import run_series
from node.infer.wire import Failure, Ready, Stage, failure
from node.ports import InferenceReply, InferenceRequest

# A model package sees domain, ports and errors; what moves studies or holds their data is out of its reach.
OUT_OF_REACH = (
    "node.admin", "node.app", "node.config", "node.database", "node.deliver", "node.jobs", "node.receive",
    "node.results", "node.route", "node.show", "node.store", "pynetdicom", "sqlalchemy",
)  # fmt: skip


def main() -> None:
    arguments = _parser().parse_args()
    _end_with_parent(arguments.life_fd)
    # What a model prints is commentary: it goes where logs go.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    torch.set_num_threads(arguments.threads)
    sys.meta_path.insert(0, _OutOfReach())
    serve(Connection(arguments.pipe_fd))


def serve(connection: Connection) -> None:
    """Answer requests until the parent closes the pipe."""
    runner = _Runner(connection)
    connection.send(Ready(os.getpid()))
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        connection.send(runner.answer(request))


class _Runner:
    """One request at a time; remembers the stage, so that an exception of a package's code gets its right name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stage = ""
        self._engine = Engine(self._enter)
        # As they were when the package was loaded, by its folder.
        self._parameters: dict[str, dict[str, Any]] = {}

    def answer(self, request: InferenceRequest) -> InferenceReply | Failure:
        try:
            return self._run(request)
        except AinodeError as error:
            return failure(error)
        except Exception as error:  # noqa: BLE001  the worker's edge, on the child's side: a package is a stranger's code
            return failure(named(error, self._stage, request.model.id))

    def _run(self, request: InferenceRequest) -> InferenceReply:
        folder = request.model.folder
        if folder not in self._parameters:
            self._parameters[folder] = parameters(request.model)
        run = run_series(self._engine, request.model, request.images, request.device, self._enter, request.priors)
        provenance = {
            "libraries": library_versions(),
            "device": _device_words(run.device),
            "precision": run.precision,
            "parameters": self._parameters[folder],
            "durations_s": run.durations,
            **run.provenance(),
        }
        return InferenceReply(run.result, run.grid, provenance)

    def _enter(self, stage: str) -> None:
        self._stage = stage
        self._connection.send(Stage(stage))


def named(error: Exception, stage: str, model_id: str) -> AinodeError:
    """The error of the tree for an exception that is not ours, by what was being done."""
    words = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, MemoryError):
        return DeviceOutOfMemory("the series needs more memory than there is", stage=stage)
    if stage == "import":
        return InvalidModelPackage(f"{model_id}: the package cannot be loaded: {words}", package=model_id)
    if stage == "read":
        return InferenceError(f"reading the images failed: {words}", error=type(error).__name__)
    return ModelError(f"{model_id}: {stage} failed: {words}", package=model_id, stage=stage)


def _device_words(device: str) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device


def _end_with_parent(life_fd: int) -> None:
    """Nobody writes to the life pipe. When its last writer is gone the kernel sends SIGIO, which ends this process.

    A signal, not a thread that reads: it works even while a package's native code holds the interpreter.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fcntl.fcntl(life_fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life_fd, fcntl.F_SETFL, fcntl.fcntl(life_fd, fcntl.F_GETFL) | os.O_ASYNC)


class _OutOfReach(MetaPathFinder):
    """Refuses the imports that a model package may not make."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if any(fullname == name or fullname.startswith(f"{name}.") for name in OUT_OF_REACH):
            raise ImportError(f"a model package may not import {fullname}", name=fullname)
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="node.infer.child")
    parser.add_argument("--pipe-fd", type=int, required=True)
    parser.add_argument("--life-fd", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser


if __name__ == "__main__":
    main()
