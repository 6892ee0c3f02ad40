"""When a failed job is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.jobs.retry import RetryPolicy, delay

POLICY = RetryPolicy(first_seconds=2, longest_seconds=60, attempts=10)


def test_delays_double_up_to_the_longest() -> None:
    assert [delay(POLICY, attempt, 0.999999) for attempt in range(1, 8)] == [
        pytest.approx(seconds, rel=1e-5) for seconds in (2, 4, 8, 16, 32, 60, 60)
    ]


def test_the_last_attempt_gives_up() -> None:
    assert delay(POLICY, 9, 0.5) is not None
    assert delay(POLICY, 10, 0.5) is None


@given(st.integers(min_value=1, max_value=9), st.floats(min_value=0, max_value=1, exclude_max=True))
def test_chance_spreads_over_the_second_half(attempt: int, chance: float) -> None:
    full = min(2 * 2 ** (attempt - 1), 60)
    waited = delay(POLICY, attempt, chance)
    assert waited is not None
    assert full / 2 <= waited <= full


@given(st.integers(min_value=1))
def test_no_attempt_is_too_many_to_count(attempt: int) -> None:
    policy = RetryPolicy(attempts=attempt + 1)
    assert 0 < (delay(policy, attempt, 0.5) or 0) <= policy.longest_seconds
