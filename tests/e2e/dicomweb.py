"""What a plain HTTP client needs to talk DICOMweb: multipart bodies both ways, read as the standard says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx

BOUNDARY = "a-boundary-of-our-tests"
STOW_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
CLIENT = httpx.Client(timeout=120)
"""One for all tests: connections are kept, and TLS is not set up for each request."""
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True)
class Part:
    """One part of a multipart answer; header names are lower case."""

    headers: dict[str, str]
    body: bytes


def parts(response: httpx.Response) -> list[Part]:
    """The parts of a multipart/related answer."""
    content_type = response.headers["content-type"]
    match = re.search(r'boundary="?([^";,]+)"?', content_type)
    assert match, content_type
    delimiter = b"\r\n--" + match[1].encode()
    pieces = (b"\r\n" + response.content).split(delimiter)
    assert pieces[-1].strip() == b"--", "the body does not end with the closing delimiter"
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    lines = (line.partition(":") for line in head.decode().split("\r\n"))
    return Part({name.strip().lower(): value.strip() for name, _, value in lines}, body)


def stow_body(objects: Iterable[bytes]) -> bytes:
    """A multipart/related body with one PS3.10 file in each part."""
    return b"".join(b"".join(stow_pieces([each])) for each in objects) + closing()


def stow_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of one part, with its head; `closing` has to follow the last part."""
    yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    yield from pieces
    yield b"\r\n"


def part_head(content_type: str, location: str = "") -> bytes:
    """What begins a part of any type."""
    located = f"Content-Location: {location}\r\n" if location else ""
    return f"--{BOUNDARY}\r\nContent-Type: {content_type}\r\n{located}\r\n".encode()


def closing() -> bytes:
    """What ends the body."""
    return f"--{BOUNDARY}--\r\n".encode()


def store(dicomweb_url: str, *objects: bytes, study: str = "") -> httpx.Response:
    """STOW-RS of whole files."""
    url = f"{dicomweb_url}/studies" + (f"/{study}" if study else "")
    headers = {"Content-Type": STOW_TYPE, "Accept": "application/dicom+json"}
    return CLIENT.post(url, content=stow_body(objects), headers=headers)


def search(dicomweb_url: str, resource: str, **keys: str | int) -> list[dict[str, dict[str, object]]]:
    """QIDO-RS; an empty answer (204) is an empty list."""
    headers = {"Accept": "application/dicom+json"}
    response = CLIENT.get(f"{dicomweb_url}/{resource}", params=keys, headers=headers)
    response.raise_for_status()
    return [] if response.status_code == 204 else list(response.json())


def instance_url(dicomweb_url: str, match: dict[str, dict[str, object]]) -> str:
    """The resource of an instance that a search found."""
    study, series, instance = (value(match, tag) for tag in ("0020000D", "0020000E", "00080018"))
    return f"{dicomweb_url}/studies/{study}/series/{series}/instances/{instance}"


def value(match: dict[str, dict[str, object]], tag: str) -> object:
    """The first value of an attribute in a match."""
    values = match[tag]["Value"]
    assert isinstance(values, list)
    return values[0]


def retrieve(url: str) -> list[bytes]:
    """WADO-RS of a study, series or instance as stored: whole PS3.10 files."""
    response = CLIENT.get(url, headers={"Accept": AS_STORED})
    response.raise_for_status()
    return [part.body for part in parts(response)]
