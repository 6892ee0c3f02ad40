"""Histories played one after the other: a few for `make test`, as many as the time allows for `make fuzz`."""

from __future__ import annotations

import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from fuzz.model.machine import Whole
from fuzz.model.server import Server
from fuzz.searching import Searched

POLICIES = ("reject", "replace", "keep", "conflict")
_ROUND = 10
"""Histories on one folder."""


def plays(histories: int, steps: int, *, shorten: bool = False, random: bool = False) -> settings:
    """So many histories of at most so many steps, the same each time unless `random`. `shorten` what fails to the
    shortest history that does, which takes long: the server is started again for it many times."""
    return settings(
        phases=(Phase.generate, Phase.shrink) if shorten else (Phase.generate,),
        max_examples=histories,
        stateful_step_count=steps,
        derandomize=not random,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def playing(folder: Path, policy: str) -> Iterator[type[Whole]]:
    """A state machine over a server on this folder, which ends with the block."""
    server = Server(folder, policy)
    machine = type(
        "Whole", (Whole,), {"server": server, "done": Counter[str](), "unanswered": Counter[str]()}
    )
    try:
        yield machine
    finally:
        server.kill()


def play(machine: type[RuleBasedStateMachine], how: settings, number: int | None = None) -> None:
    """Raises what was found, with the shortest history that leads there."""
    run_state_machine_as_test(seed(number)(machine) if number is not None else machine, settings=how)


def search(seconds: int, progress: Callable[[int, int], None]) -> Searched:
    """Histories with another seed each round, until the time is over or something is found."""
    until, histories, steps = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        number = random.SystemRandom().randrange(1 << 32)
        policy = POLICIES[number % len(POLICIES)]
        with tempfile.TemporaryDirectory(prefix="model-") as folder, playing(Path(folder), policy) as machine:
            try:
                play(machine, plays(_ROUND, 40, shorten=True, random=True), number)
            except Exception:  # noqa: BLE001 - whatever it was, it is a find
                said = f"seed {number}, policy {policy}\n{traceback.format_exc()}"
                return Searched(histories, steps, said=said[-8000:])
            histories += _ROUND
            steps += machine.done.total()
            progress(histories, steps)
    return Searched(histories, steps)
