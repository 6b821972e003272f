"""What an operator may do to jobs and deliveries; the command line and the pages call the same functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.domain.job import Priority
from node.errors import OperationError
from node.ports import JobQueue, Outbox


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one operation on one row; ``error`` is None where it was done."""

    id: int
    error: OperationError | None = None


@dataclass(frozen=True, slots=True)
class Operations:
    queue: JobQueue
    outbox: Outbox

    def retry_jobs(self, ids: Sequence[int]) -> tuple[Done, ...]:
        return _each(ids, self.queue.retry)

    def cancel_jobs(self, ids: Sequence[int]) -> tuple[Done, ...]:
        return _each(ids, self.queue.cancel)

    def prioritise_jobs(self, ids: Sequence[int], priority: Priority) -> tuple[Done, ...]:
        return _each(ids, lambda job: self.queue.prioritise(job, priority))

    def retry_deliveries(self, ids: Sequence[int]) -> tuple[Done, ...]:
        return _each(ids, self.outbox.retry)

    def release_deliveries(self, ids: Sequence[int], release: Callable[[int], object]) -> tuple[Done, ...]:
        """Held ones, because the PACS says that the patient is another one: they are sent all the same."""
        return _each(ids, release)

    def complete_series(self, ids: Sequence[int], complete: Callable[[int], object]) -> tuple[Done, ...]:
        """Nothing more will come of these series: ``complete`` closes one of them with what has come."""
        return _each(ids, complete)

    def pause(self) -> None:
        """No job is claimed any more; those under way finish."""
        self.queue.pause()

    def resume(self) -> None:
        self.queue.resume()


def _each(ids: Sequence[int], operation: Callable[[int], object]) -> tuple[Done, ...]:
    """One refused row is no reason to leave the others undone."""
    done = []
    for row in ids:
        try:
            operation(row)
            done.append(Done(row))
        except OperationError as error:
            done.append(Done(row, error))
    return tuple(done)
