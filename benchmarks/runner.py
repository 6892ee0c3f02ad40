"""By turns: ours, the other, ours, the other … so that whatever happens to the machine happens to both."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from typing import Any

from benchmarks.loads.dcmtk import ToolFault
from benchmarks.loads.http import BrokenOff
from benchmarks.loads.stow import Refused
from benchmarks.loads.together import ClientFault
from benchmarks.reporting.machine import busy, machine
from benchmarks.reporting.results import Measured
from benchmarks.rows.row import Ground, Mismatch, Row
from benchmarks.servers.server import Server, ServerFault
from benchmarks.stage import Stage, say, servers

FAULTS = (BrokenOff, ClientFault, Mismatch, OSError, Refused, ServerFault, ToolFault)
"""What a row may end with; the others go on."""
SETTLE_SECONDS = 0.5
_NEW_SERVERS_FOR_EACH_ROW = (Ground.EMPTY,)

Done = Callable[[Measured], None]


def run(stage: Stage, rows: Iterable[Row], quick: bool, done: Done) -> None:
    """Measure the rows, those on the same ground with the same servers; `done` is told of each."""
    about = {"quick": quick, "machine": asdict(machine(stage.scratch))}
    for ground, on_it in groupby(rows, lambda row: row.ground):
        if ground is Ground.EMPTY_EACH_ROUND:
            for row in on_it:
                done(_on_new_servers(stage, row, about))
        elif ground in _NEW_SERVERS_FOR_EACH_ROW:
            for row in on_it:
                _together(stage, [row], about, done)
        else:
            _together(stage, list(on_it), about, done)


def _together(stage: Stage, rows: Sequence[Row], about: dict[str, Any], done: Done) -> None:
    left = list(rows)
    try:
        with servers(stage, rows[0].ground) as started:
            while left:
                one = _begun(left[0], about)
                with _faults(one):
                    _measure(stage, left[0], started, one)
                done(one)
                left.pop(0)
                for server in started:
                    server.must_run()
    except FAULTS as fault:
        for row in left:
            one = _begun(row, about)
            one.fault = _why(fault)
            done(one)


def _on_new_servers(stage: Stage, row: Row, about: dict[str, Any]) -> Measured:
    one = _begun(row, about)
    with _faults(one):
        for number in range(_rounds(stage, row)):
            with servers(stage, row.ground) as started:
                _round(stage, row, started, one, number)
    return one


def _begun(row: Row, about: dict[str, Any]) -> Measured:
    share = busy()
    say(f"{row.id}{f' (others use {share:.0%} of the machine)' if share > 0.1 else ''}")
    return Measured(row.id, time.strftime("%Y-%m-%dT%H:%M:%S%z"), share, {**about, "sides": {}})


@contextmanager
def _faults(one: Measured) -> Iterator[None]:
    try:
        yield
    except FAULTS as fault:
        one.fault = _why(fault)
        say(f"{one.id}: {one.fault}")


def _why(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {str(fault)[-600:]}"


def _measure(stage: Stage, row: Row, started: Sequence[Server], one: Measured) -> None:
    if row.check is not None:
        row.check(stage, started)
    if row.warm:
        for server in _asked(row, started):
            row.measure(stage, server, -1)
    for number in range(_rounds(stage, row)):
        _round(stage, row, started, one, number)


def _rounds(stage: Stage, row: Row) -> int:
    return 1 if row.once else stage.scale.large_rounds if row.slow else stage.scale.rounds


def _asked(row: Row, started: Sequence[Server]) -> Sequence[Server]:
    return started[:1] if row.alone else started


def _round(stage: Stage, row: Row, started: Sequence[Server], one: Measured, number: int) -> None:
    names = _names(row, started)
    for name, server in zip(names, _asked(row, started), strict=True):
        one.run["sides"][name] = {"version": server.version, "durability": server.durability}
        settle()
        one.sides.setdefault(name, []).append(row.measure(stage, server, number))
    for floor in row.floors:
        settle()
        one.floors.setdefault(floor.title, []).append(floor.measure(stage, number))


def _names(row: Row, started: Sequence[Server]) -> list[str]:
    if row.ground is Ground.MILLION:
        return [f"{server.name}, {what}" for server, what in zip(started, ("full", "empty"), strict=True)][
            : len(_asked(row, started))
        ]
    return [server.name for server in _asked(row, started)]


def settle() -> None:
    """Nobody pays for what the one before has left to the disk."""
    os.sync()
    time.sleep(SETTLE_SECONDS)
