"""What happens after an error: the one place that decides it."""

from __future__ import annotations

from dataclasses import dataclass

from node.errors import AinodeError, StoreUnavailable

# A full disk is looked at so often at least: when it has room again, nobody waits for an operator, or for minutes.
STORE_CAP_S = 30.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter on its upper half: delay n is in [0.5, 1] * min(cap, base * 2^(n-1))."""

    max_attempts: int = 3
    base_s: float = 2.0
    cap_s: float = 300.0

    def delay_s(self, attempt: int, chance: float) -> float:
        """Seconds until the attempt after ``attempt`` (counted from 1); ``chance`` is uniform in 0..1."""
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 60))
        return ceiling * (0.5 + 0.5 * chance)


@dataclass(frozen=True, slots=True)
class Retry:
    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    pass


def decide(error: BaseException, attempt: int, policy: RetryPolicy, chance: float) -> Retry | GiveUp:
    """Try again, or not. An error that is not ours is taken as passing until the attempts are used up.

    A full disk, or a database that is away, says nothing of what was attempted: that is tried until they are back.
    """
    if isinstance(error, StoreUnavailable):
        return Retry(min(STORE_CAP_S, policy.delay_s(attempt, chance)))
    retryable = error.retryable if isinstance(error, AinodeError) else True
    if not retryable or attempt >= policy.max_attempts:
        return GiveUp()
    return Retry(policy.delay_s(attempt, chance))
