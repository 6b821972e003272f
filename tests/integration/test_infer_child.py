"""A spawned child that dies, hangs or is killed: one attempt lost, a fresh child for the next, no process left over."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
import structlog.testing
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from node.domain.result import Outcome
from node.domain.study import ByteRange
from node.errors import AinodeError, InferenceTimeout, InvalidModelPackage, JobCanceled, ModelError, WorkerLost
from node.infer.executor import SpawnedExecutor
from node.infer.registry import scan
from node.ports import InferenceReply, InferenceRequest
from tests.fakes.series import series, write
from tests.peers import REPOSITORY
from tests.waiting import wait_for

MODELS = scan([REPOSITORY / "tests" / "fakes" / "models"]).demonstrations


@pytest.fixture(scope="module")
def executor() -> Iterator[SpawnedExecutor]:
    made = SpawnedExecutor(threads=1)
    yield made
    made.close()


@pytest.fixture
def images(tmp_path: Path) -> tuple[ByteRange, ...]:
    return write(tmp_path / "series", series())


def go_on() -> AinodeError | None:
    return None


def run(
    executor: SpawnedExecutor,
    model: str,
    images: tuple[ByteRange, ...],
    timeout_s: float = 120.0,
    stop: Callable[[], AinodeError | None] = go_on,
) -> InferenceReply:
    return executor.run(InferenceRequest(MODELS[model], images, "cpu", timeout_s), stop)


def pid_of(executor: SpawnedExecutor) -> int:
    assert executor._child is not None
    return executor._child.pid


def gone(pid: int) -> bool:
    """Not running; an orphan's corpse may wait for init."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_the_child_stays_warm_between_runs(executor: SpawnedExecutor, images: tuple[ByteRange, ...]) -> None:
    run(executor, "threshold", images)
    first = pid_of(executor)
    run(executor, "windowed", images)
    assert pid_of(executor) == first
    executor.close()
    assert gone(first)


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ("killed", WorkerLost, "ended by SIGKILL"),
        ("segfaults", WorkerLost, "ended by SIGSEGV"),
        ("exits", WorkerLost, "exit code 3"),
        ("fails", ModelError, "postprocess failed: KeyError"),
        ("broken_import", InvalidModelPackage, "No module named 'a_library_that_nobody_has'"),
        ("forbidden_import", InvalidModelPackage, "may not import sqlalchemy"),
    ],
)
def test_a_crash_costs_one_run(
    executor: SpawnedExecutor, images: tuple[ByteRange, ...], model: str, error: type[AinodeError], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(executor, model, images)
    assert run(executor, "threshold", images).result.outcome is Outcome.POSITIVE


@pytest.mark.parametrize(("model", "stage"), [("hangs", "preprocess"), ("hangs_on_import", "import")])
def test_a_hang_ends_at_the_timeout_and_says_where(
    executor: SpawnedExecutor, images: tuple[ByteRange, ...], model: str, stage: str
) -> None:
    with pytest.raises(InferenceTimeout) as caught:
        run(executor, model, images, timeout_s=3.0)
    assert caught.value.details["stage"] == stage
    assert run(executor, "threshold", images).result.outcome is Outcome.POSITIVE


def test_kill_9_in_the_middle_of_inference(executor: SpawnedExecutor, images: tuple[ByteRange, ...]) -> None:
    run(executor, "threshold", images)
    victim = pid_of(executor)
    asked = threading.Event()

    def kill_it() -> AinodeError | None:
        if not asked.is_set():
            asked.set()
            os.kill(victim, signal.SIGKILL)
        return None

    with pytest.raises(WorkerLost, match="SIGKILL") as caught:
        run(executor, "hangs", images, stop=kill_it)
    assert caught.value.details["signal"] == "SIGKILL"
    assert gone(victim)


def test_a_child_that_died_while_idle_costs_nothing(executor: SpawnedExecutor, images: tuple[ByteRange, ...]) -> None:
    run(executor, "threshold", images)
    victim = pid_of(executor)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not executor._child or not executor._child.alive(), "the child died")
    assert run(executor, "threshold", images).result.outcome is Outcome.POSITIVE


def test_cancel_kills_a_child_that_holds_the_interpreter(
    executor: SpawnedExecutor, images: tuple[ByteRange, ...]
) -> None:
    run(executor, "threshold", images)
    victim = pid_of(executor)
    cancel = threading.Event()

    def running() -> None:
        with pytest.raises(JobCanceled):
            run(executor, "hangs", images, stop=lambda: JobCanceled("canceled") if cancel.is_set() else None)

    thread = threading.Thread(target=running)
    with structlog.testing.capture_logs() as logged:
        thread.start()
        wait_for(lambda: any(entry.get("line") == "now it hangs" for entry in logged), "the model hangs")
    cancel.set()
    thread.join(120)  # two seconds are promised; without a kill the model would hang for ever
    assert not thread.is_alive()
    assert gone(victim)


PARENT = """
import sys
from pathlib import Path
from node.infer.executor import SpawnedExecutor
from node.infer.registry import scan
from node.ports import InferenceRequest
from tests.fakes.series import whole
folder, models = map(Path, sys.argv[1:3])
images = tuple(whole(path) for path in sorted(folder.iterdir()))
request = InferenceRequest(scan([models]).demonstrations["hangs"], images, "cpu", 300.0)
SpawnedExecutor(threads=1).run(request, lambda: None)
"""


def test_a_hanging_child_ends_when_its_parent_is_killed(tmp_path: Path, images: tuple[ByteRange, ...]) -> None:
    command = [sys.executable, "-uc", PARENT, str(tmp_path / "series"), str(REPOSITORY / "tests" / "fakes" / "models")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=REPOSITORY, text=True
    ) as parent:
        try:
            assert parent.stdout is not None
            log_line = next(line for line in parent.stdout if "now it hangs" in line)
        finally:
            parent.kill()
    pid = re.search(r"pid=(\d+)", re.sub(r"\x1b\[[0-9;]*m", "", log_line))
    assert pid is not None
    wait_for(lambda: gone(int(pid[1])), "the child ended with its parent")


def test_what_libraries_say_of_a_header_is_not_logged(tmp_path: Path) -> None:
    """pydicom's warnings repeat the value that they complain about, and it may be a name."""

    def name_in_a_wrong_place(image: Dataset, _: int) -> None:
        with disable_value_validation():
            image.FrameOfReferenceUID = "Mueller^Anna"

    with disable_value_validation():
        images = write(tmp_path / "series", series(change=name_in_a_wrong_place))
    made = SpawnedExecutor(threads=1)
    with structlog.testing.capture_logs() as logs:
        run(made, "threshold", images)
        made.close()
    assert any(entry["event"] == "inference.started" for entry in logs)
    assert "Mueller" not in str(logs)
