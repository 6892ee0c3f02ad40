"""When a failed job is tried again: policy as data, chance as an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays double from the first to the longest; after so many attempts the job is given up, or when it is so old."""

    first_seconds: float = 2.0
    longest_seconds: float = 3600.0
    attempts: int = 20
    oldest_seconds: float = math.inf


def delay(policy: RetryPolicy, attempt: int, chance: float, age: float = 0.0) -> float | None:
    """Seconds to wait after the attempt of this number (1, 2 …) failed; None: give up. `age`: since the job was left.

    `chance` in [0, 1) spreads jobs that failed together over the second half of the delay."""
    if attempt >= policy.attempts or age >= policy.oldest_seconds:
        return None
    full = min(policy.first_seconds * 2.0 ** min(attempt - 1, 62), policy.longest_seconds)
    return full * (0.5 + chance / 2)
