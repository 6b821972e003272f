"""What a child's end means, what it inherits, and how errors cross the pipe."""

from __future__ import annotations

import pickle
import signal

import pytest

from node.errors import (
    AinodeError,
    DeviceOutOfMemory,
    InvalidModelOutput,
    MissingSlices,
    UnsupportedImage,
    WorkerLost,
)
from node.infer.process import SOURCE_ROOT, child_environment, error_of_exit
from node.infer.wire import failure, rebuilt


@pytest.mark.parametrize(
    ("code", "out_of_memory", "error", "words"),
    [
        (-signal.SIGKILL, False, WorkerLost, "ended by SIGKILL"),
        (-signal.SIGKILL, True, DeviceOutOfMemory, "ran out of memory"),
        (-signal.SIGSEGV, True, WorkerLost, "ended by SIGSEGV"),
        (3, False, WorkerLost, "exit code 3"),
        (0, False, WorkerLost, "exit code 0"),
        (None, False, WorkerLost, "closed its pipe"),
    ],
)
def test_an_exit_code_becomes_an_error(
    code: int | None, out_of_memory: bool, error: type[AinodeError], words: str
) -> None:
    said = error_of_exit(code, out_of_memory)
    assert type(said) is error
    assert words in said.message


def test_the_child_inherits_no_configuration_and_finds_the_package() -> None:
    environment = child_environment(
        {"PATH": "/bin", "AINODE_DATABASE__PASSWORD": "secret", "PYTHONPATH": "/x", "OMP_WAIT_POLICY": "ACTIVE"}
    )
    assert environment == {"PATH": "/bin", "PYTHONPATH": f"{SOURCE_ROOT}:/x", "OMP_WAIT_POLICY": "ACTIVE"}
    assert child_environment({})["PYTHONPATH"] == str(SOURCE_ROOT)


def test_an_error_crosses_the_pipe_with_its_details() -> None:
    error = rebuilt(pickle.loads(pickle.dumps(failure(InvalidModelOutput("NaN", field="outputs", shape=(1, 2))))))
    assert type(error) is InvalidModelOutput
    assert (error.message, error.details) == ("NaN", {"field": "outputs", "shape": "(1, 2)"})


def test_an_error_class_of_a_package_crosses_as_its_nearest_ancestor() -> None:
    class KneesOnly(UnsupportedImage):
        pass

    assert type(rebuilt(failure(KneesOnly("knees only")))) is UnsupportedImage
    assert type(rebuilt(failure(MissingSlices("one")))) is MissingSlices
