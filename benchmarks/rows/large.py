"""One object of 2.1 GB: in by C-STORE and STOW-RS, its first frame, all of it; and the memory that it takes.

Memory is told of all processes of the server together, and of the largest one. Files are taken out of the page cache
before a "cold" measurement; the servers run on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.loads import dcmtk, stow
from benchmarks.loads.http import Connection
from benchmarks.rows.retrieve import AS_STORED, OCTETS
from benchmarks.rows.row import Floor, Ground, Metric, Mismatch, Of, Row, Samples, Unit
from benchmarks.servers import floors, processes
from benchmarks.servers.server import HOST, Server
from benchmarks.stage import HELD, Stage
from benchmarks.synthetic.large import FRAME_BYTES

SECONDS, TOGETHER, LARGEST = "seconds", "memory", "memory of the largest process"
MOST_MEGABYTES = 256


def _with_memory(server: Server, work: Callable[[], float]) -> Samples:
    with processes.peak(server.process.pid) as peak:
        seconds = work()
    return {SECONDS: [seconds], TOGETHER: [peak.together], LARGEST: [peak.largest]}


def _by_c_store(stage: Stage, server: Server, number: int) -> Samples:
    _, path = stage.large(f"C-STORE {number}")
    _read(path)
    return _with_memory(server, lambda: dcmtk.store_file(path, server))


def _by_stow(stage: Stage, server: Server, number: int) -> Samples:
    _, path = stage.large(f"STOW {number}")
    _read(path)
    return _with_memory(server, lambda: stow.store_file(server, path))


def _first_frame(stage: Stage, server: Server, number: int) -> Samples:
    return _cold(stage, server, "/frames/1", OCTETS, FRAME_BYTES)


def _whole(stage: Stage, server: Server, number: int) -> Samples:
    return _cold(stage, server, "", AS_STORED, stage.scale.large_frames * FRAME_BYTES)


def _cold(stage: Stage, server: Server, below: str, accept: str, least: int) -> Samples:
    path = f"{server.prefix}{stage.large(HELD)[0].series.path(0)}{below}"
    processes.evict(server.folder)

    def work() -> float:
        with Connection(HOST, server.http_port) as connection:
            begin = time.perf_counter()
            answer = connection.get(path, accept)
            seconds = time.perf_counter() - begin
        if answer.status != 200 or answer.length < least:
            raise Mismatch(f"{server.name}: status {answer.status}, {answer.length} bytes")
        return seconds

    return _with_memory(server, work)


def _copied(stage: Stage, number: int) -> Samples:
    _, path = stage.large(f"copy {number}")
    _read(path)
    target = stage.scratch / "copied"
    begin = time.perf_counter()
    floors.copy_with_fsync([path], target)
    seconds = time.perf_counter() - begin
    (target / "0.dcm").unlink()
    return {SECONDS: [seconds]}


def _cold_file(length: int | None) -> Callable[[Stage, int], Samples]:
    def measure(stage: Stage, number: int) -> Samples:
        _, path = stage.large(HELD)
        processes.evict(path.parent)
        begin = time.perf_counter()
        _read(path, length)
        return {SECONDS: [time.perf_counter() - begin]}

    return measure


def _read(path: Path, length: int | None = None) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    left = path.stat().st_size if length is None else length
    try:
        while left > 0 and (piece := os.read(descriptor, min(left, 1 << 20))):
            left -= len(piece)
    finally:
        os.close(descriptor)


def _memory(title: str) -> tuple[Metric, Metric]:
    return (
        Metric(
            TOGETHER,
            f"{title}: peak memory, all processes",
            Unit.MEGABYTES,
            of=Of.MOST,
            at_most=MOST_MEGABYTES,
        ),
        Metric(
            LARGEST,
            f"{title}: peak memory, largest process",
            Unit.MEGABYTES,
            of=Of.MOST,
        ),
    )


def _row(
    identifier: str,
    ground: Ground,
    metric: Metric,
    measure: Callable[[Stage, Server, int], Samples],
    floor: Floor,
    warm: bool = False,
) -> Row:
    metrics = (metric, *_memory(metric.title))
    return Row(f"large-{identifier}", ground, metrics, measure, (floor,), warm=warm, slow=True)


_COPY = Floor("the file copied, fsynced", _copied)

ROWS = (
    _row(
        "c-store",
        Ground.EMPTY_EACH_ROUND,
        Metric(SECONDS, "2.1 GB object by C-STORE", Unit.SECONDS, 5),
        _by_c_store,
        _COPY,
    ),
    _row(
        "stow",
        Ground.EMPTY_EACH_ROUND,
        Metric(SECONDS, "2.1 GB object by STOW-RS", Unit.SECONDS, 1 / 1.5, 1),
        _by_stow,
        _COPY,
    ),
    _row(
        "first-frame",
        Ground.LARGE,
        Metric(SECONDS, "its first frame, cold", Unit.MILLISECONDS, at_most=50, aim_at_most=10),
        _first_frame,
        Floor("512 KB read from a cold file", _cold_file(FRAME_BYTES)),
    ),
    _row(
        "whole",
        Ground.LARGE,
        Metric(SECONDS, "the whole of it over WADO-RS, cold", Unit.SECONDS, 5),
        _whole,
        Floor("the cold file read", _cold_file(None)),
    ),
)
