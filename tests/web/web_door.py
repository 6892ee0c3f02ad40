"""A real archive in a folder of its own behind a real server, and what tests say to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.config import load
from archive.settings.whole import Settings
from archive.web.http import server
from suites.sqlite import prepare

STUDIES = "/dicom-web/studies"


@dataclass
class Door:
    """A running HTTP door and a client of it."""

    archive: Archive
    url: str
    client: httpx.Client = field(repr=False)
    stop: threading.Event = field(repr=False)

    @property
    def base(self) -> str:
        """The DICOMweb root."""
        return f"{self.url}/dicom-web"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def store(self, *files: bytes, path: str = STUDIES, **headers: str) -> httpx.Response:
        """STOW-RS of these files as one multipart body."""
        return self.client.post(
            path,
            content=multipart(*files),
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=BOUNDARY'}
            | headers,
        )

    def leftovers(self) -> list[Path]:
        """Files in the spool: there must be none between requests."""
        return [path for path in (self.archive.settings.data / "spool").rglob("*") if path.is_file()]


def multipart(*files: bytes, content_type: str = "application/dicom") -> bytes:
    """The body of a store request with boundary BOUNDARY."""
    head = f"--BOUNDARY\r\nContent-Type: {content_type}\r\n\r\n".encode()
    return b"".join(head + file + b"\r\n" for file in files) + b"--BOUNDARY--\r\n"


def connected(door: Door) -> socket.socket:
    """A connection that gives up after half a minute."""
    return socket.create_connection(("127.0.0.1", door.port), timeout=30)


def parts(response: httpx.Response) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart answer, taken apart without our own parser."""
    boundary = response.headers["content-type"].rpartition("boundary=")[2].encode()
    first, *middle, last = (b"\r\n" + response.content).split(b"\r\n--" + boundary)
    assert (first, last) == (b"", b"--\r\n")
    found = []
    for part in middle:
        head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        assert int(headers["Content-Length"]) == len(body)
        found.append((headers, body))
    return found


def settings_for(data: Path, **overrides: object) -> Settings:
    """Settings of an archive on a port that the system chooses; dots in names are double underscores."""
    named = {name.replace("__", "."): value for name, value in overrides.items()}
    basics = {"data": str(data), "http.listen": "127.0.0.1:0", "storage.minimum_free_bytes": 0}
    return load(environment={}, overrides=basics | named)


@contextmanager
def running(settings: Settings) -> Iterator[Door]:
    """An archive with its HTTP door open."""
    prepare(settings)
    archive = building.build(settings)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=server.run, args=(archive, listener, ready.set, stop))
    thread.start()
    try:
        assert ready.wait(30)
        with httpx.Client(base_url=url, timeout=60) as client:
            yield Door(archive, url, client, stop)
    finally:
        stop.set()
        thread.join(60)
        archive.close()
