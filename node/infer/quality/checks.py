"""The checks of one input in their order: each is kept, passed or not; what fails ends the run with its name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from node.domain.quality import Check
from node.errors import InputError
from node.infer.wire import failure


@dataclass(frozen=True, slots=True)
class Judged:
    """A check, and where it is not passed the error whose message is the sentence for the physician."""

    check: Check
    error: InputError | None = None


@dataclass(slots=True)
class Checks:
    """What was looked at so far."""

    made: list[Check] = field(default_factory=list)

    def add(self, check: Check) -> None:
        self.made.append(check)

    def require(self, judged: Iterable[Judged]) -> None:
        """Keep all of them.

        Raises:
            InputError: one failed: the first one's class, every one's sentence.
        """
        failed = []
        for one in judged:
            self.made.append(one.check)
            if one.error is not None:
                failed.append(one.error)
        if failed:
            words = ". ".join(error.message for error in failed)
            raise type(failed[0])(words, **failed[0].details)


def judged(
    name: str,
    kind: type[InputError],
    passed: bool,
    found: str,
    wanted: str,
    sentence: str,
    value: float | None = None,
    limit: float | None = None,
) -> Judged:
    """A check that fails as an error of ``kind`` with ``sentence``."""
    check = Check(name, found, wanted, passed, kind.code, _rounded(value), limit)
    if passed:
        return Judged(check)
    return Judged(check, kind(sentence, check=name, value=_rounded(value), limit=limit))


def measured(name: str, kind: type[InputError], found: str, wanted: str, value: float | None = None) -> Judged:
    """A check without a limit: it is told and refuses nothing."""
    return Judged(Check(name, found, wanted, None, kind.code, _rounded(value)))


def refused(name: str, wanted: str, error: InputError) -> Check:
    """The check that an error is the answer to."""
    return Check(name, error.message, wanted, False, failure(error).code)


def accepted(name: str, wanted: str) -> Check:
    """The check that would have been ``refused``."""
    return Check(name, wanted, wanted, True)


def percent(share: float) -> str:
    """``12.3 %``; a share that is not 0 is not told as 0."""
    return f"{100 * share:.1f} %" if share == 0 or share >= 0.001 else f"{100 * share:.2g} %"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
