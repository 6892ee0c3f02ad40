"""Ten minutes of everything at once: memory must not grow with objects, studies or associations that come and go.

Three clients store a new study by each new association, search, read metadata, frames, pictures and whole studies, and
let them go; every second the resident memory of all processes is written down.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.loads import dcmtk, stow, together
from benchmarks.loads.http import Connection
from benchmarks.rows.retrieve import AS_STORED, JSON, OCTETS
from benchmarks.rows.row import Ground, Metric, Mismatch, Of, Row, Samples, Unit
from benchmarks.servers import processes
from benchmarks.servers.server import HOST, Server
from benchmarks.stage import Stage
from benchmarks.synthetic.objects import CT, MR, Series

TIMES, MEMORY, GROWTH, DONE = "times", "resident memory", "growth", "rounds of a client"
CLIENTS = 3
SETTLED = 0.2
"""The share of the time after which memory should have come to rest."""


def _mixed(stage: Stage, server: Server, number: int) -> Samples:
    until = time.monotonic() + stage.scale.mixed_seconds
    clients = [_client(stage, server, f"{stage.salt}/{number}/{each}", until) for each in range(CLIENTS)]
    outcome = together.run([_observer(server, until), *clients])
    seen: list[tuple[float, int]] = outcome.results[0]
    memory = [float(each) for _, each in seen]
    return {
        TIMES: [moment for moment, _ in seen],
        MEMORY: memory,
        GROWTH: [growth(memory)],
        DONE: [float(sum(outcome.results[1:]))],
    }


def growth(memory: list[float]) -> float:
    """By which share the last tenth of the time needs more than the tenth after which it should have settled."""
    tenth = max(1, len(memory) // 10)
    begin = int(len(memory) * SETTLED)
    settled = statistics.median(memory[begin : begin + tenth])
    return statistics.median(memory[-tenth:]) / settled - 1


def _observer(server: Server, until: float) -> together.Task:
    def task(ready: Callable[[], None]) -> list[tuple[float, int]]:
        ready()
        begin, seen = time.monotonic(), []
        while (now := time.monotonic()) < until:
            seen.append((round(now - begin, 1), processes.resident(server.process.pid).together))
            time.sleep(min(1.0, max(0.0, until - now)))
        return seen

    return task


def _client(stage: Stage, server: Server, name: str, until: float) -> together.Task:
    def task(ready: Callable[[], None]) -> int:
        folder = stage.scratch / name.replace("/", "-")
        folder.mkdir()
        ready()
        for turn in itertools.count():
            if time.monotonic() > until:
                return turn
            _turn(server, Series(CT if turn % 4 == 0 else MR, f"{name}/{turn}", 10), folder)
        return 0

    return task


def _turn(server: Server, series: Series, folder: Path) -> None:
    for number, file in enumerate(series.files()):
        (folder / f"{number}.dcm").write_bytes(file)
    dcmtk.store([folder], server.dimse_port, server.ae_title)
    study = f"{server.prefix}/studies/{series.StudyInstanceUID}"
    asked = [
        (f"{server.prefix}/studies?PatientID={series.values(0)['PatientID']}", JSON),
        (f"{server.prefix}/studies?limit=101", JSON),
        (f"{study}/metadata", JSON),
        (study, AS_STORED),
        *((f"{server.prefix}{series.path(n)}/frames/1", OCTETS) for n in range(series.count)),
        (f"{server.prefix}{series.path(0)}/rendered", "image/jpeg"),
    ]
    with Connection(HOST, server.http_port) as connection:
        for path, accept in asked:
            answer = connection.get(path, accept)
            if answer.status != 200:
                raise Mismatch(f"status {answer.status} for {path}")
    dcmtk.get(server, series.StudyInstanceUID)
    if stow.stored_instances(server, series.StudyInstanceUID) != series.count:
        raise Mismatch(f"{server.name} does not have the study")


ROWS = (
    Row(
        "mixed",
        Ground.EMPTY_EACH_ROUND,
        (
            Metric(GROWTH, "10 minutes of everything: growth of memory", Unit.PERCENT, at_most=5),
            Metric(
                MEMORY,
                "10 minutes of everything: resident memory, all processes",
                Unit.MEGABYTES,
                of=Of.MOST,
            ),
        ),
        _mixed,
        warm=False,
        alone=True,
        once=True,
    ),
)
