"""The least of DICOMweb: store, search, retrieve and delete, over the HTTP client of the benchmarks."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from benchmarks.loads.http import Answer, Body, Connection
from reliability.objects import Object
from reliability.target import Target

_STORED, _FAILED, _UID, _REASON = "00081199", "00081198", "00081155", "00081197"
_JSON = "application/dicom+json"
_OBJECTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_BOUNDARY = "ReliabilityBoundary"
_PART = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
_STOW_HEADERS = {
    "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
    "Accept": _JSON,
}


class Refused(OSError):
    """Another answer than the one that was asked for."""

    def __init__(self, path: str, answer: Answer) -> None:
        super().__init__(f"{path}: status {answer.status}")
        self.status = answer.status


class Web:
    """DICOMweb of a server, over one connection; use it in a `with`."""

    def __init__(self, target: Target) -> None:
        self._prefix = target.prefix
        self._connection = Connection(target.host, target.http_port)

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.__exit__(None, None, None)

    def store(self, objects: Sequence[Object]) -> dict[str, int | None]:
        """STOW-RS of these in one request: of each the status, None where the answer does not mention it. Raises
        BrokenOff, OSError: what is sent a second time unseen leaves files of which the ledger knows nothing."""
        parts = [_PART + one.file + b"\r\n" for one in objects]
        body = Body(b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()]))
        path = f"{self._prefix}/studies"
        answer = self._connection.request("POST", path, _STOW_HEADERS, body, keep=True, once=True)
        statuses: dict[str, int | None] = {one.SOPInstanceUID: None for one in objects}
        if "json" in answer.headers.get("content-type", ""):
            said = orjson.loads(answer.body)
            said = said[0] if isinstance(said, list) else said
            statuses |= {uid: 0x0000 for uid, _ in _referenced(said, _STORED)}
            statuses |= dict(_referenced(said, _FAILED))
        elif answer.status >= 400:
            statuses = dict.fromkeys(statuses, 0x0110)
        return statuses

    def search(self, path: str, limit: int = 0) -> list[dict[str, Any]]:
        """QIDO-RS: all answers, asked for page by page where the server gives only so many at once."""
        found: list[dict[str, Any]] = []
        while True:
            mark = "&" if "?" in path else "?"
            page = self._page(f"{path}{mark}limit={limit or 1000}&offset={len(found)}")
            found += page
            if not page or limit:
                return found

    def _page(self, path: str) -> list[dict[str, Any]]:
        answer = self._connection.get(self._prefix + path, _JSON, keep=True)
        if answer.status == 204:
            return []
        if answer.status != 200:
            raise Refused(path, answer)
        page: list[dict[str, Any]] = orjson.loads(answer.body)
        return page

    def retrieve(self, path: str) -> list[bytes]:
        """WADO-RS of a study, a series or an instance: the files. Raises Refused."""
        answer = self._connection.get(self._prefix + path, _OBJECTS, keep=True)
        if answer.status != 200:
            raise Refused(path, answer)
        return list(_parts(answer))

    def delete(self, path: str) -> int:
        """DELETE; the status."""
        return self._connection.request("DELETE", self._prefix + path).status


def _referenced(said: dict[str, Any], sequence: str) -> Iterator[tuple[str, int]]:
    for item in said.get(sequence, {}).get("Value", []):
        reason = item.get(_REASON, {}).get("Value", [0x0110])
        yield item[_UID]["Value"][0], int(reason[0])


def values(item: dict[str, Any], tag: str) -> str:
    """The first value of an attribute as text, empty without one."""
    found = item.get(tag, {}).get("Value") or [""]
    return str(found[0])


def _parts(answer: Answer) -> Iterator[bytes]:
    """The payloads of a multipart answer. A file may hold anything, so the boundary counts only where a line begins
    with it and a header follows; ours are random, and the objects are no attackers."""
    boundary = b"--" + _boundary(answer.headers.get("content-type", ""))
    for part in (b"\r\n" + answer.body).split(b"\r\n" + boundary)[1:]:
        if part.startswith(b"--"):
            return
        _, found, payload = part.partition(b"\r\n\r\n")
        if not found:
            break
        yield payload
    raise EOFError("a multipart answer without its end")


def _boundary(content_type: str) -> bytes:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "boundary":
            return value.strip('"').encode()
    raise EOFError(f"no boundary in {content_type!r}")


def data_set_of(file: bytes) -> bytes:
    """The encoded data set of a PS3.10 file: what follows its File Meta Information."""
    if file[128:132] != b"DICM" or file[132:138] != b"\x02\0\0\0UL":
        raise EOFError("no PS3.10 file")
    (length,) = struct.unpack_from("<L", file, 140)
    return file[144 + length :]


def uid_of(file: bytes) -> str:
    """Media Storage SOP Instance UID (0002,0003) of a PS3.10 file."""
    at = file.index(b"\x02\0\x03\0UI", 132) + 6
    (length,) = struct.unpack_from("<H", file, at)
    return file[at + 2 : at + 2 + length].rstrip(b"\0 ").decode("latin-1")
