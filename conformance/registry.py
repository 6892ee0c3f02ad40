"""The table of checks: a decorator puts each function in, the runner takes them out.

An id is a requirement and a number (`N4.2`). `needs` names objects of the suite (`objects`) that must have been stored;
without them the check is skipped and says so, so no failure is counted twice. `strict` marks what is asked only with
`--strict`: the letter of the standard where lenient answers are usual.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance import checks
from conformance.verdicts import Level

if TYPE_CHECKING:
    from conformance.world import World

Run = Callable[["World"], None]

CHECKS: dict[str, Check] = {}


@dataclass(frozen=True)
class Check:
    """One question to a server."""

    id: str
    title: str
    clause: str
    level: Level
    run: Run
    needs: tuple[str, ...] = ()
    strict: bool = False

    @property
    def note(self) -> str:
        """What the check's docstring says about how the clause was read."""
        return " ".join((self.run.__doc__ or "").split())


def check(
    id_: str,
    title: str,
    clause: str,
    level: Level = Level.MANDATORY,
    needs: Iterable[str] = (),
    strict: bool = False,
) -> Callable[[Run], Run]:
    """Register a function as a check. Raises ValueError when the id is taken."""

    def register(run: Run) -> Run:
        if id_ in CHECKS:
            raise ValueError(f"two checks are called {id_}")
        CHECKS[id_] = Check(id_, title, clause, level, run, tuple(needs), strict)
        return run

    return register


def all_checks() -> list[Check]:
    """Every check of every module, by chapter and number."""
    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{module.name}")
    return sorted(CHECKS.values(), key=_order)


def chosen(only: Iterable[str]) -> list[Check]:
    """The checks named by id, by requirement (`N4`) or by service (`COM`); all of them when none is named."""
    wanted = tuple(only)
    return [one for one in all_checks() if not wanted or _is_named(one.id, wanted)]


def _is_named(id_: str, wanted: tuple[str, ...]) -> bool:
    return any(id_ == name or id_.startswith(f"{name}.") or _letters(id_) == name for name in wanted)


def _letters(id_: str) -> str:
    found = re.match(r"[A-Z]+", id_)
    return found[0] if found else ""


CHAPTERS = ("N", "Q", "R", "S", "CAP", "COM", "DEL", "URI", "UPS", "DIM")


def _order(one: Check) -> tuple[int, int, int]:
    found = re.fullmatch(r"([A-Z]+)(\d*)\.(\d+)", one.id)
    if found is None or found[1] not in CHAPTERS:
        raise ValueError(f"{one.id} is not CHAPTER.NUMBER")
    return CHAPTERS.index(found[1]), int(found[2] or 0), int(found[3])
