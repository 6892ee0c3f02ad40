"""What the rows find: prepared files, held studies, running servers.

What takes long to make and is the same in every run lies in one folder that is kept (`--data`): files to send, the
file of gigabytes, the folders of servers that hold 50,000 or 1,000,000 studies. Both sides are filled the same way, by
STOW-RS over four connections. Whatever a run only needs once lies in a folder that goes with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.loads import stow
from benchmarks.rows.row import Ground
from benchmarks.scale import Scale
from benchmarks.servers import archive, orthanc
from benchmarks.servers.server import Server
from benchmarks.synthetic.large import Large
from benchmarks.synthetic.objects import CT, Kind, Series
from benchmarks.synthetic.population import Population

FORM = 1
"""Counts up when synthetic objects change: what was prepared before is made anew."""
HELD = "held"
"""The name of the object of gigabytes that servers hold before a row begins."""
_FILLED = "filled.json"


def say(text: str) -> None:
    """What a person who waits wants to read."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stderr.flush()


@dataclass(frozen=True)
class Stage:
    """`cache` is kept, `scratch` is not. `salt` makes objects that no earlier run has stored."""

    cache: Path
    scratch: Path
    scale: Scale
    salt: str
    sink_port: int
    peer_root: Path | None

    @property
    def series(self) -> Series:
        """The series that is retrieved."""
        return Series(CT, "retrieved", self.scale.slices)

    @property
    def population(self) -> Population:
        """The studies among which the peer searches as well."""
        return Population(self.scale.studies)

    @property
    def million(self) -> Population:
        """The studies among which only ours searches."""
        return Population(self.scale.million)

    def prepared(self, kind: Kind, name: str, count: int) -> tuple[Series, Path]:
        """A series and the folder with its files, in the page cache. They are made once."""
        series = Series(kind, name, count)
        folder = self.cache / "prepared" / f"{FORM}-{kind.name}-{name.replace('/', '-')}-{count}"
        if not folder.exists():
            made = folder.with_suffix(".new")
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
            for number, file in enumerate(series.files()):
                (made / f"{number:05}.dcm").write_bytes(file)
            os.sync()
            made.rename(folder)
        for path in folder.iterdir():
            path.read_bytes()
        return series, folder

    def large(self, name: str) -> tuple[Large, Path]:
        """The object of gigabytes under a new name, and its one file."""
        large = Large(f"large/{self.salt}/{name}", self.scale.large_frames)
        path = self.cache / "prepared" / f"{FORM}-large-{large.frames}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        large.write(path)
        return large, path


@contextmanager
def servers(stage: Stage, ground: Ground) -> Iterator[list[Server]]:
    """The servers on this ground: ours first. They are stopped afterwards."""
    with ExitStack() as stack:
        started = []
        for start in _starts(stage, ground):
            server = start()
            stack.callback(_put_away, stage, ground, server)
            started.append(server)
            if ground in (Ground.SERIES, Ground.LARGE):
                _give(stage, ground, server)
        yield started


def _put_away(stage: Stage, ground: Ground, server: Server) -> None:
    """Gigabytes go at once, files not before the end of the run: for five minutes after thousands have been deleted,
    ext4 looks at each of their inodes whenever a file is made, which halves the rates of both sides."""
    server.stop()
    if ground is Ground.LARGE and server.folder.is_relative_to(stage.scratch):
        shutil.rmtree(server.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Side:
    """One of those that are compared. `form` names how it keeps what it is given: of the same form, what an earlier
    run has stored is what this run would store."""

    name: str
    form: str
    start: Callable[[Path], Server]


def _sides(stage: Stage) -> list[Side]:
    ours = Side(archive.NAME, archive.form(), lambda folder: archive.start(folder, stage.sink_port))
    root = stage.peer_root
    if root is None:
        return [ours]
    form = hashlib.sha256(orthanc.installed_version(root).encode()).hexdigest()[:12]
    return [ours, Side(orthanc.NAME, form, lambda folder: orthanc.start(folder, stage.sink_port, root))]


def _starts(stage: Stage, ground: Ground) -> list[Callable[[], Server]]:
    sides = _sides(stage)
    if ground is Ground.MILLION:
        ours = sides[0]
        return [partial(_holding, stage, stage.million, ours), lambda: ours.start(_new(stage))]
    if ground is Ground.STUDIES:
        return [partial(_holding, stage, stage.population, side) for side in sides]
    return [partial(_on_new_folder, stage, side) for side in sides]


def _on_new_folder(stage: Stage, side: Side) -> Server:
    return side.start(_new(stage))


def _new(stage: Stage) -> Path:
    folder = stage.scratch / f"server-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    return folder


def _give(stage: Stage, ground: Ground, server: Server) -> None:
    if ground is Ground.SERIES:
        stow.store(server, list(stage.series.files()))
    else:
        stow.store_file(server, stage.large(HELD)[1])


def _holding(stage: Stage, population: Population, side: Side) -> Server:
    """A server that holds a population: as an earlier run left it, if that came to its end and has the same form."""
    folder = stage.cache / "holdings" / f"{FORM}-{side.name}-{population.count}-{side.form}"
    mark = folder / _FILLED
    if mark.exists():
        return side.start(folder)
    for old in folder.parent.glob(f"*-{side.name}-{population.count}-*"):
        say(f"removing {old.name}: half filled, or filled by another version")
        shutil.rmtree(old)
    server = side.start(folder)
    try:
        seconds = stow.fill(server, population, say)
        mark.write_text(json.dumps({"studies": population.count, "seconds": round(seconds, 1)}))
    except BaseException:
        server.stop()
        raise
    return server
