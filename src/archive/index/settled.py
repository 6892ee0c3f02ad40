"""What came of a call that was made for somebody else: its result, or what it raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settled(Generic[T]):
    """One result, or an error and none."""

    results: tuple[T, ...]
    error: BaseException | None = None

    @staticmethod
    def of(call: Callable[[], T]) -> Settled[T]:
        """Make the call now. What ends the process is not kept for later."""
        try:
            return Settled((call(),))
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            return Settled((), error)

    def result(self) -> T:
        """Raises what the call raised."""
        if self.error is not None:
            raise self.error
        return self.results[0]
