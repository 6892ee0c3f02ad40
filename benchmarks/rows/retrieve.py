"""Retrieving: metadata, frames and pictures for viewers, a whole study by each protocol."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from benchmarks.loads import dcmtk, together
from benchmarks.loads.http import Answer, Connection, timed
from benchmarks.rows.row import Floor, Ground, Metric, Mismatch, Row, Samples, Unit
from benchmarks.servers import floors
from benchmarks.servers.server import HOST, Server
from benchmarks.stage import Stage

RATE, SECONDS = "rate", "seconds"
CONNECTIONS = 4
OCTETS = 'multipart/related; type="application/octet-stream"'
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
JSON = "application/dicom+json"
FRAME_BYTES = 512 * 512 * 2


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of the series over one connection; `encodings` is what the client accepts."""

    encodings: str = ""

    def __call__(self, stage: Stage, server: Server, number: int) -> Samples:
        """Answers per second."""
        with Connection(HOST, server.http_port) as connection:
            begin = time.perf_counter()
            for _ in range(stage.scale.metadata):
                if self._ask(stage, server, connection).status != 200:
                    raise Mismatch(f"{server.name} has no metadata of the series")
            return {RATE: [stage.scale.metadata / (time.perf_counter() - begin)]}

    def check(self, stage: Stage, servers: Sequence[Server]) -> None:
        """All instances are in it, whole. Raises Mismatch."""
        for server in servers:
            with Connection(HOST, server.http_port) as connection:
                answer = self._ask(stage, server, connection, keep=True)
            found = json.loads(_decoded(answer))
            if len(found) != stage.series.count or any(len(each) < 100 for each in found):
                raise Mismatch(f"{server.name}: metadata of {len(found)} instances")

    def _ask(self, stage: Stage, server: Server, connection: Connection, keep: bool = False) -> Answer:
        headers = {"Accept_Encoding": self.encodings} if self.encodings else {}
        return connection.get(f"{_series(stage, server)}/metadata", JSON, keep, **headers)


def _decoded(answer: Answer) -> bytes:
    encoding = answer.headers.get("content-encoding", "")
    if encoding == "gzip":
        return gzip.decompress(answer.body)
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(answer.body)
    return answer.body


def _series(stage: Stage, server: Server) -> str:
    series = stage.series
    return f"{server.prefix}/studies/{series.StudyInstanceUID}/series/{series.SeriesInstanceUID}"


@dataclass(frozen=True, slots=True)
class Viewers:
    """Several connections that ask for something of the series' instances at random, as viewers that scroll do."""

    below: str
    accept: str
    least_bytes: int
    requests: Callable[[Stage], int]

    def __call__(self, stage: Stage, server: Server, number: int) -> Samples:
        """Answers per second, all connections together."""
        paths = [f"{server.prefix}{stage.series.path(n)}{self.below}" for n in range(stage.series.count)]
        return self.asked(server.http_port, paths, number, self.requests(stage))

    def asked(self, port: int, paths: Sequence[str], number: int, count: int) -> Samples:
        """The same of any HTTP server."""
        tasks = [self._viewer(port, paths, f"{number}/{each}", count) for each in range(CONNECTIONS)]
        return {RATE: [CONNECTIONS * count / together.run(tasks).seconds]}

    def _viewer(self, port: int, paths: Sequence[str], seed: str, count: int) -> together.Task:
        def task(ready: Callable[[], None]) -> None:
            chosen = random.Random(seed).choices(paths, k=count)
            with Connection(HOST, port) as connection:
                connection.get(chosen[0], self.accept)
                ready()
                for path in chosen:
                    answer = connection.get(path, self.accept)
                    if answer.status != 200 or answer.length < self.least_bytes:
                        raise Mismatch(f"status {answer.status}, {answer.length} bytes for {path}")

        return task


FRAMES = Viewers("/frames/1", OCTETS, FRAME_BYTES, lambda stage: stage.scale.frames)
RENDERED = Viewers("/rendered", "image/jpeg", 2000, lambda stage: stage.scale.rendered)


def _from_nginx(stage: Stage, number: int) -> Samples:
    """As many bytes from files by nginx with sendfile."""
    root = stage.scratch / "frames"
    root.mkdir(exist_ok=True)
    names = [f"{each}.bin" for each in range(stage.series.count)]
    for name in names:
        if not (root / name).exists():
            (root / name).write_bytes(bytes(FRAME_BYTES))
    with floors.nginx(root, stage.scratch / "nginx") as port:
        return FRAMES.asked(port, [f"/{name}" for name in names], number, stage.scale.frames)


def _by_wado(stage: Stage, server: Server, number: int) -> Samples:
    path = f"{server.prefix}/studies/{stage.series.StudyInstanceUID}"
    with Connection(HOST, server.http_port) as connection:
        return {SECONDS: [timed(connection, path, AS_STORED) for _ in range(stage.scale.retrievals)]}


def _check_wado(stage: Stage, servers: Sequence[Server]) -> None:
    """Every instance comes, byte for byte as it was sent, but for the File Meta Information."""
    wanted = [file[file.index(b"DICM") + 400 :] for file in stage.series.files()]
    for server in servers:
        path = f"{server.prefix}/studies/{stage.series.StudyInstanceUID}"
        with Connection(HOST, server.http_port) as connection:
            came = connection.get(path, AS_STORED, keep=True).body
        missing = sum(each not in came for each in wanted)
        if missing:
            raise Mismatch(
                f"{server.name}: {missing} of {len(wanted)} instances do not come as they are stored"
            )


def _by_move(stage: Stage, server: Server, number: int) -> Samples:
    uid = stage.series.StudyInstanceUID
    return {SECONDS: [dcmtk.move(server, uid) for _ in range(stage.scale.retrievals)]}


def _by_get(stage: Stage, server: Server, number: int) -> Samples:
    uid = stage.series.StudyInstanceUID
    return {SECONDS: [dcmtk.get(server, uid) for _ in range(stage.scale.retrievals)]}


def _file_by_file(stage: Stage, number: int) -> Samples:
    """Reading the files of the study from the page cache."""
    _, folder = stage.prepared(stage.series.kind, stage.series.name, stage.series.count)
    return {SECONDS: [_read(folder) for _ in range(stage.scale.retrievals)]}


def _read(folder: Path) -> float:
    begin = time.perf_counter()
    for path in folder.iterdir():
        path.read_bytes()
    return time.perf_counter() - begin


def _metadata(identifier: str, title: str, must: float, aim: float, load: Metadata) -> Row:
    metric = Metric(RATE, f"metadata of a series of 100 CT{title}", Unit.PER_SECOND, must, aim)
    return Row(f"metadata-{identifier}", Ground.SERIES, (metric,), load, check=load.check)


def _study(how: str, title: str, must: float, aim: float, load: Callable[..., Samples]) -> Row:
    metric = Metric(SECONDS, f"study of 100 CT, as stored, {title}", Unit.MILLISECONDS, must, aim)
    read = Floor("files read from the page cache", _file_by_file)
    check = _check_wado if how == "wado" else None
    return Row(f"study-{how}", Ground.SERIES, (metric,), load, (read,), check)


ROWS = (
    _metadata("plain", ", plain", 1.2, 1.5, Metadata()),
    _metadata("gzip", ", client accepts gzip", 5, 20, Metadata("gzip")),
    _metadata("zstd", ", client accepts gzip and zstd", 5, 20, Metadata("gzip, zstd")),
    Row(
        "frames",
        Ground.SERIES,
        (Metric(RATE, "frames of 512 KB at random, 4 connections", Unit.PER_SECOND, 1.2, 2.5),),
        FRAMES,
        (Floor("nginx with sendfile", _from_nginx),),
    ),
    _study("wado", "over WADO-RS", 1.3, 1.6, _by_wado),
    _study("move", "by C-MOVE", 1.2, 2, _by_move),
    _study("get", "by C-GET", 1.2, 2, _by_get),
    Row(
        "rendered",
        Ground.SERIES,
        (Metric(RATE, "rendered 512x512 JPEG, 4 connections", Unit.PER_SECOND, 1.2, 2),),
        RENDERED,
    ),
)
