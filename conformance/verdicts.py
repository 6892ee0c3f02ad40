"""What a check can come to, and the two exceptions by which a check says so.

A check that returns has passed. `Failed` and `Skipped` carry sentences for the reader of the report; everything else
that escapes a check is an `error` of the suite or of the way to the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How binding the standard makes what a check asks."""

    MANDATORY = "mandatory"
    OPTIONAL = "optional"
    EXTENSION = "extension"


class Outcome(StrEnum):
    """What became of one check."""

    PASS = "pass"  # noqa: S105 (a verdict, no password)
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


class Failed(Exception):
    """The server did something else than the standard says."""


class Skipped(Exception):
    """The check could not be asked, or asks for something that the server does not claim."""


class Unreachable(Exception):
    """Nobody answers at the address; the run makes no sense."""


@dataclass(frozen=True)
class Result:
    """One check's outcome."""

    check_id: str
    title: str
    clause: str
    level: Level
    outcome: Outcome
    reason: str = ""
    requests: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def chapter(self) -> str:
        """The requirement that the check belongs to: `N4` of `N4.2`."""
        return self.check_id.partition(".")[0]


def expect(condition: object, sentence: str) -> None:
    """Raise `Failed` with a sentence unless the condition holds."""
    if not condition:
        raise Failed(sentence)
