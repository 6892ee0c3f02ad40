"""Storing: how fast a modality gets rid of its images, by C-STORE and by STOW-RS.

After each measurement, outside its time, the server is asked whether it has them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loads import dcmtk, stow, together
from benchmarks.rows.row import Floor, Ground, Metric, Mismatch, Row, Samples, Unit
from benchmarks.servers import floors
from benchmarks.servers.server import Server
from benchmarks.stage import Stage
from benchmarks.synthetic.objects import CT, MR, Kind, Series

RATE = "rate"
WARM_OBJECTS = 20


def prepared(
    stage: Stage, kind: Kind, associations: int, number: int, count: int
) -> list[tuple[Series, Path]]:
    """A study for each association of a round; a short one to warm up with (rounds below 0)."""
    count = count if number >= 0 else min(count, WARM_OBJECTS)
    return [stage.prepared(kind, f"round {number}/association {each}", count) for each in range(associations)]


@dataclass(frozen=True, slots=True)
class CStore:
    """C-STORE by storescu over some associations at one time, each with a study of its own."""

    kind: Kind
    associations: int
    stock: bool = False

    def __call__(self, stage: Stage, server: Server, number: int) -> Samples:
        """Objects per second."""
        sent = self.studies(stage, number)
        folders = [folder for _, folder in sent]
        seconds = dcmtk.store(folders, server.dimse_port, server.ae_title, self.stock)
        must_have(server, [series for series, _ in sent])
        return {RATE: [sum(series.count for series, _ in sent) / seconds]}

    def studies(self, stage: Stage, number: int) -> list[tuple[Series, Path]]:
        """What is sent."""
        scale = stage.scale
        count = scale.stock if self.stock else scale.ct if self.kind is CT else scale.mr
        return prepared(stage, self.kind, self.associations, number, count)

    def to_storescp(self, stage: Stage, number: int) -> Samples:
        """The same to DCMTK's storescp, which writes files and does not wait for the disk."""
        sent = self.studies(stage, number)
        folder = stage.scratch / f"storescp-{time.monotonic_ns()}"
        with floors.storescp(folder, nodelay=not self.stock) as port:
            seconds = dcmtk.store([folder for _, folder in sent], port, floors.STORESCP_AE_TITLE, self.stock)
        return {RATE: [sum(series.count for series, _ in sent) / seconds]}

    def copied(self, stage: Stage, number: int) -> Samples:
        """The same files copied by as many processes, file and folder fsynced for each."""
        sent = self.studies(stage, number)
        folder = stage.scratch / f"copy-{time.monotonic_ns()}"
        tasks = [_copier(source, folder / str(each)) for each, (_, source) in enumerate(sent)]
        seconds = together.run(tasks).seconds
        return {RATE: [sum(series.count for series, _ in sent) / seconds]}


def _copier(source: Path, target: Path) -> together.Task:
    def task(ready: Callable[[], None]) -> None:
        files = sorted(source.iterdir())
        ready()
        floors.copy_with_fsync(files, target)

    return task


@dataclass(frozen=True, slots=True)
class Stow:
    """STOW-RS over one connection, some objects in each request."""

    kind: Kind
    requests: Callable[[Stage], int]
    objects: Callable[[Stage], int]
    stock: bool = False

    def __call__(self, stage: Stage, server: Server, number: int) -> Samples:
        """Objects per second."""
        each, count = self.objects(stage), self.requests(stage)
        ((series, _),) = prepared(stage, self.kind, 1, number, each * count)
        files = list(series.files())
        payloads = [stow.body(files[first : first + each]) for first in range(0, len(files), each)]
        seconds = stow.send(server, payloads, self.stock)
        must_have(server, [series])
        return {RATE: [series.count / seconds]}


def must_have(server: Server, sent: list[Series]) -> None:
    """Raises Mismatch when the server does not have all of it."""
    for series in sent:
        held = stow.stored_instances(server, series.StudyInstanceUID)
        if held != series.count:
            raise Mismatch(f"{server.name} has {held} of {series.count} objects that were sent")


def _c_store(identifier: str, title: str, must: float, aim: float, load: CStore) -> Row:
    return Row(
        id=f"c-store-{identifier}",
        ground=Ground.EMPTY,
        metrics=(Metric(RATE, f"C-STORE {title}", Unit.PER_SECOND, must, aim),),
        measure=load,
        floors=(
            Floor("storescp, no fsync", load.to_storescp),
            Floor("files copied, each fsynced", load.copied),
        ),
    )


def _stow(identifier: str, title: str, must: float | None, aim: float | None, load: Stow) -> Row:
    metric = Metric(RATE, f"STOW-RS, {title}", Unit.PER_SECOND, must, aim)
    return Row(id=f"stow-{identifier}", ground=Ground.EMPTY, metrics=(metric,), measure=load)


ROWS = (
    _c_store("mr-1", "MR, 1 association", 1.3, 2.2, CStore(MR, 1)),
    _c_store("mr-4", "MR, 4 associations", 1.6, 4, CStore(MR, 4)),
    _c_store("ct-1", "CT, 1 association", 1.8, 2.5, CStore(CT, 1)),
    _c_store("ct-4", "CT, 4 associations", 1.5, 3, CStore(CT, 4)),
    _c_store("mr-stock", "MR, 1 association, stock storescu", 12, 25, CStore(MR, 1, stock=True)),
    _stow(
        "ct",
        "CT, 20 objects a request",
        2,
        4,
        Stow(CT, lambda stage: stage.scale.stow_ct, lambda stage: stage.scale.stow_objects),
    ),
    _stow(
        "mr",
        "MR, 20 objects a request",
        2,
        3,
        Stow(MR, lambda stage: stage.scale.stow_mr, lambda stage: stage.scale.stow_objects),
    ),
    _stow(
        "single",
        "1 MR object a request, one connection",
        15,
        30,
        Stow(MR, lambda stage: stage.scale.stow_single, lambda _: 1),
    ),
    _stow(
        "stock",
        "the same, client with Nagle's algorithm on",
        None,
        None,
        Stow(MR, lambda stage: stage.scale.stow_single, lambda _: 1, stock=True),
    ),
)
