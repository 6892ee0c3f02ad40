"""Runs the checks against one server: stores the suite's objects, asks, and takes away what it stored.

A check that crashes is an `error` and the next one runs; so is a check the server cannot be reached for. Objects go in
one request each, so that one which a server refuses costs only the checks that need it. Implicit VR and big endian may
not travel over the web (PS3.18 8.7.3), so they go by DIMSE where `--dimse` is given, and are tried over the web else.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from conformance import client, dimse, uids
from conformance.collection import corpus
from conformance.objects import Object
from conformance.registry import Check
from conformance.verdicts import Failed, Outcome, Result, Skipped, Unreachable
from conformance.world import World

MOST_REQUESTS_SHOWN = 4
NOT_FOR_THE_WEB = (uids.IMPLICIT, uids.BIG_ENDIAN)

Progress = Callable[[Result], None]


@dataclass(frozen=True)
class Run:
    """Everything a run found."""

    name: str
    url: str
    strict: bool
    results: tuple[Result, ...]
    notes: tuple[str, ...]

    def count(self, outcome: Outcome) -> int:
        """How many checks came to this."""
        return sum(result.outcome is outcome for result in self.results)


def new_run_id() -> str:
    """A few letters that tell this run's patients from those of other runs."""
    return uuid.uuid4().hex[:5].upper()


def run(name: str, world: World, checks: Iterable[Check], progress: Progress) -> Run:
    """Store, check, clean up. Raises `Unreachable` when nobody answers at all."""
    chosen = list(checks)
    world.client.send("GET", "/studies?limit=1", client.JSON)
    notes = seed(world, {name for one in chosen for name in one.needs})
    results = []
    for one in chosen:
        results.append(judge(one, world))
        progress(results[-1])
    notes += clean(world)
    return Run(name, world.client.base, world.strict, tuple(results), tuple(notes))


def seed(world: World, wanted: set[str]) -> list[str]:
    """Store the objects that checks need; the notes say what did not go in."""
    world.objects = corpus(world.run)
    for name, one in world.objects.items():
        if name in wanted:
            try:
                _seed_one(world, one)
            except Failed as problem:
                world.refused[name] = str(problem)
    return [f"object {name} is not stored: {reason}" for name, reason in world.refused.items()]


def _seed_one(world: World, one: Object) -> None:
    if world.dimse is not None and one.transfer_syntax in NOT_FOR_THE_WEB:
        dimse.store(world.dimse, one)
        world.remember(one)
    else:
        answer = world.store(one)
        if answer.status not in (200, 202) or '"00081198"' in answer.raw.decode("utf-8", "replace"):
            said = " ".join(answer.raw[:200].decode("utf-8", "replace").split())
            raise Failed(f"status {answer.status}: {said}")
    world.stored.add(one.name)


def judge(one: Check, world: World) -> Result:
    """One check's result, whatever happens in it."""
    world.client.log.clear()
    start = time.monotonic()
    outcome, reason = _verdict(one, world)
    shown = tuple(world.client.log[-MOST_REQUESTS_SHOWN:]) if outcome in (Outcome.FAIL, Outcome.ERROR) else ()
    seconds = time.monotonic() - start
    return Result(one.id, one.title, one.clause, one.level, outcome, reason, shown, seconds)


def _verdict(one: Check, world: World) -> tuple[Outcome, str]:
    if one.strict and not world.strict:
        return Outcome.SKIP, "asked only with --strict"
    missing = [name for name in one.needs if name not in world.stored]
    if missing:
        return Outcome.SKIP, f"needs {', '.join(missing)}, which could not be stored"
    try:
        one.run(world)
    except Failed as problem:
        return Outcome.FAIL, str(problem)
    except Skipped as problem:
        return Outcome.SKIP, str(problem)
    except Unreachable as problem:
        return Outcome.ERROR, f"nobody answers at {problem}"
    except Exception as problem:  # noqa: BLE001 (a check that crashes must not end the run)
        return Outcome.ERROR, f"{type(problem).__name__}: {problem}"
    return Outcome.PASS, ""


def clean(world: World) -> list[str]:
    """Delete every study that the run stored; the notes say which stay."""
    left, reason = [], ""
    for study in sorted(world.studies):
        try:
            status = world.client.send("DELETE", study, "*/*").status
        except (Failed, Unreachable) as problem:
            status, reason = 0, str(problem)
        if status not in (200, 202, 204, 404, 410):
            left.append(study)
            reason = reason or f"DELETE answers {status}"
    if not left:
        return []
    return [f"{len(left)} studies of this run (PatientID CONF{world.run}-*) stay on the server: {reason}"]
