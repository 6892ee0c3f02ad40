"""The search box of the study list among a million studies: `python -m benchmarks.searchbox`.

The index is written at once (`synthetic.indexed`) and kept in `--data`; a server as anybody starts it is asked over
HTTP, as a browser does. Beside the time of the whole answer stands what the server's processors did for it, which says
more where others use the machine as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.__main__ import CACHE
from benchmarks.loads.http import Connection, timed
from benchmarks.rows.row import p95
from benchmarks.servers import archive, processes
from benchmarks.servers.server import HOST, Server, free_port
from benchmarks.stage import say
from benchmarks.synthetic.indexed import fill
from benchmarks.synthetic.population import Population

ROUNDS = 10
_TICK = 1000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of search: what is typed, of which each is asked in each round, and what is chosen beside it."""

    title: str
    typed: tuple[str, ...]
    chosen: Mapping[str, str]

    def paths(self) -> Iterator[str]:
        """Where to ask."""
        for text in self.typed:
            yield f"/?{urlencode({'q': text, **self.chosen})}"


_LAST = {"page": "40"}
_NAMES = ("anderson", "bergman", "carlsen", "dahlfeld", "eriksstein")
KINDS = (
    Kind("nothing typed", ("",), {}),
    Kind("nothing typed, page 40", ("",), _LAST),
    Kind("one letter", tuple("aeklnw"), {}),
    Kind("one letter, page 40", tuple("aekl"), _LAST),
    Kind("two letters", ("an", "be", "ca", "ol", "ma", "jo", "ka"), {}),
    Kind("two letters, page 40", ("an", "ma", "ka"), _LAST),
    Kind("name", _NAMES, {}),
    Kind("name, page 40", _NAMES, _LAST),
    Kind("part of a name", ("and", "ander", "berg", "stein", "sen"), {}),
    Kind("part of a name, page 40", ("ander", "sen", "son"), _LAST),
    Kind("two words", ("anderson ada", "ber jo", "son an"), {}),
    Kind("three words", ("an de a", "a n e"), {}),
    Kind("name that nobody has", ("zzyzx", "nobody here"), {}),
    Kind("name and modality", ("ct anderson", "mr eriksstein", "us dahlfeld"), {}),
    Kind("part and modality, page 40", ("ct ander", "mr a"), _LAST),
    Kind("name and a modality of none", ("ander", "a", "anderson"), {"modality": "MG"}),
    Kind("modality", ("ct", "us", "mg"), {}),
    Kind("modality, page 40", ("ct", "us"), _LAST),
    Kind("name and days", ("anderson", "an", "a"), {"from": "2016-01-01", "to": "2016-12-31"}),
    Kind("patient ID, accession number", ("PID00123456", "pid00000077", "ACC000777777", "PID0012"), {}),
    Kind("beginning of all IDs", ("PID00*", "ACC000*"), {}),
    Kind("day", ("2019-03-04", "20200229", "23.11.2016"), {}),
    Kind("day of birth", ("1981-07-15", "19450415"), {}),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds."""

    title: str
    median: float
    p95: float
    processors: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; 1 when one kind takes 100 ms or more, else 0."""
    options = _parser().parse_args(arguments)
    folder: Path = options.data.absolute() / f"searchbox-{archive.form()}-{options.studies}"
    index = folder / "data" / "index.sqlite"
    if not index.with_suffix(".whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        archive.start(folder, free_port()).stop()  # which makes all that belongs to an archive
        fill(index, Population(options.studies), say)
        index.with_suffix(".whole").touch()
    server = archive.start(folder, free_port())
    try:
        found = list(_measure(server, options.rounds))
    finally:
        server.stop()
    sys.stdout.write(_table(found))
    return int(any(one.p95 >= 100 for one in found))


def _parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser("benchmarks.searchbox", description="The search box among many studies.")
    out.add_argument("--studies", type=int, default=1_000_000)
    out.add_argument("--rounds", type=int, default=ROUNDS, help=f"({ROUNDS})")
    out.add_argument("--data", type=Path, default=CACHE, help=f"where the index is kept ({CACHE})")
    return out


def _measure(server: Server, rounds: int) -> Iterator[Measured]:
    """All kinds in each round, so that whoever else uses the machine disturbs all of them alike."""
    seconds: dict[str, list[float]] = {kind.title: [] for kind in KINDS}
    ticks: dict[str, int] = dict.fromkeys(seconds, 0)
    with Connection(HOST, server.http_port) as connection:
        for number in range(-1, rounds):  # the first warms up
            for kind in KINDS:
                before = _ticks(server)
                for path in kind.paths():
                    took = timed(connection, path, "text/html")
                    if number >= 0:
                        seconds[kind.title].append(took)
                ticks[kind.title] += _ticks(server) - before if number >= 0 else 0
            say(f"round {number + 1} of {rounds}")
    for title, samples in seconds.items():
        each = ticks[title] * _TICK / len(samples)
        yield Measured(title, statistics.median(samples) * 1000, p95(samples) * 1000, each)


def _ticks(server: Server) -> int:
    """Of processors, as the kernel counts them (proc(5)), for all processes of the server."""
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in processes.tree(server.process.pid)]
    return sum(sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in stats)


def _table(found: Sequence[Measured]) -> str:
    lines = ["| typed | median, ms | p95, ms | processors, ms |", "|---|---:|---:|---:|"]
    lines += [f"| {one.title} | {one.median:.0f} | {one.p95:.0f} | {one.processors:.0f} |" for one in found]
    load = os.getloadavg()[0]
    return "\n".join(
        [*lines, "", f"{time.strftime('%Y-%m-%d')}, load {load:.1f} on {os.cpu_count()} processors", ""]
    )


if __name__ == "__main__":
    sys.exit(main())
