"""STOW-RS: requests made ahead, sent over one connection or several, and the filling of a server with studies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.loads import together
from benchmarks.loads.http import Answer, Body, Connection
from benchmarks.servers.server import HOST, Server
from benchmarks.synthetic.population import Population

_BOUNDARY = "BenchmarkBoundary"
_PART = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
_END = f"--{_BOUNDARY}--\r\n".encode()
_HEADERS = {
    "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
    "Accept": "application/dicom+json",
}

FILLING_CONNECTIONS = 4
FILLING_OBJECTS = 50
"""In one request."""


class Refused(Exception):
    """Not all that was sent was stored."""


def body(files: Iterable[bytes]) -> Body:
    """The payload that stores these objects (PS3.18 10.5.1)."""
    return Body(b"".join([*(_PART + file + b"\r\n" for file in files), _END]))


def post(connection: Connection, server: Server, payload: Body) -> Answer:
    """Send one request. Raises Refused unless all was stored."""
    answer = connection.request("POST", f"{server.prefix}/studies", _HEADERS, payload, keep=True)
    if answer.status != 200:
        raise Refused(f"{server.name}: status {answer.status}: {answer.body[:500]!r}")
    return answer


def store(server: Server, files: Sequence[bytes], at_once: int = 20) -> None:
    """Store objects over one connection."""
    with Connection(HOST, server.http_port) as connection:
        for first in range(0, len(files), at_once):
            post(connection, server, body(files[first : first + at_once]))


def store_file(server: Server, path: Path) -> float:
    """Store one file of any size, which is never in our memory: seconds."""
    payload = Body(_PART, path, b"\r\n" + _END)
    with Connection(HOST, server.http_port) as connection:
        begin = time.perf_counter()
        post(connection, server, payload)
        return time.perf_counter() - begin


def send(server: Server, payloads: Sequence[Body], stock: bool = False) -> float:
    """Send requests one after another over one connection that is there already: seconds."""
    with Connection(HOST, server.http_port, stock) as connection:
        connection.get(f"{server.prefix}/studies?limit=1", "application/dicom+json")
        begin = time.perf_counter()
        for payload in payloads:
            post(connection, server, payload)
        return time.perf_counter() - begin


def fill(server: Server, population: Population, say: Callable[[str], None]) -> float:
    """Store a whole population over several connections: seconds."""
    begin = time.monotonic()
    step = max(FILLING_OBJECTS * FILLING_CONNECTIONS, population.count // 10)
    for first in range(0, population.count, step):
        last = min(first + step, population.count)
        together.run([_filler(server, population, first, last, n) for n in range(FILLING_CONNECTIONS)])
        seconds = time.monotonic() - begin
        say(f"{server.name}: {last:,} of {population.count:,} studies, {last / seconds:.0f} per s")
    return time.monotonic() - begin


def _filler(server: Server, population: Population, first: int, last: int, which: int) -> together.Task:
    def task(ready: Callable[[], None]) -> None:
        with Connection(HOST, server.http_port) as connection:
            ready()
            for begin in range(first + which * FILLING_OBJECTS, last, FILLING_CONNECTIONS * FILLING_OBJECTS):
                files = population.files(begin, min(begin + FILLING_OBJECTS, last))
                post(connection, server, body(files))

    return task


def stored_instances(server: Server, StudyInstanceUID: str) -> int:
    """How many instances the server says a study has (Number of Study Related Instances, PS3.4 C.3.4)."""
    query = f"{server.prefix}/studies?StudyInstanceUID={StudyInstanceUID}&includefield=00201208"
    with Connection(HOST, server.http_port) as connection:
        answer = connection.get(query, "application/dicom+json", keep=True)
    found = json.loads(answer.body) if answer.body else []
    return int(found[0]["00201208"]["Value"][0]) if found else 0
