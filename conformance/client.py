"""The suite's way to a server: one request at a time, every one with a deadline, every one remembered.

httpx would add `Accept` and `Accept-Encoding` of its own; both are taken away, since what is asked must be what the
check says. A server that hangs, drips, closes early or sends without end makes a `Failed`, never a stuck run.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, SupportsIndex, TypeVar, overload
from urllib.parse import urljoin, urlsplit

import httpx
import pydicom
from pydicom.dataset import FileDataset

from conformance.media import MediaType, Part, read_multipart
from conformance.verdicts import Failed, Unreachable, expect

T = TypeVar("T")

MOST_BYTES = 256 * 1024 * 1024
JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'
DICOM = 'multipart/related; type="application/dicom"'
OCTETS = 'multipart/related; type="application/octet-stream"'

Headers = Mapping[str, str]


class Found(list[T]):
    """What an answer holds. Asking for an item that is not there is a `Failed`, for the server should have sent it."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> T | list[T]:
        if isinstance(index, SupportsIndex) and not -len(self) <= int(index) < len(self):
            raise Failed(f"{len(self) or 'nothing'} came where more is expected")
        return super().__getitem__(index)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    request: str
    url: str
    status: int
    headers: httpx.Headers = field(repr=False)
    raw: bytes = field(repr=False)

    @property
    def media_type(self) -> MediaType:
        """What Content-Type says."""
        return MediaType.parse(self.headers.get("content-type", ""))

    @property
    def body(self) -> bytes:
        """The payload without its Content-Encoding. Raises `Failed` when it cannot be undone."""
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("", "identity"):
            return self.raw
        window = {"gzip": 31, "x-gzip": 31, "deflate": 15}.get(encoding)
        if window is None:
            raise Failed(f"Content-Encoding {encoding} was not asked for")
        return _inflated(self.raw, window)

    @property
    def warnings(self) -> str:
        """All Warning header fields."""
        return ", ".join(self.headers.get_list("warning"))

    def must(self, *statuses: int) -> Answer:
        """This answer, when its status is one of these. Raises `Failed` otherwise."""
        wanted = " or ".join(str(status) for status in statuses)
        expect(self.status in statuses, f"status {wanted} expected, {self.status} came")
        return self

    def must_be(self, *names: str) -> Answer:
        """This answer, when its Content-Type is one of these. Raises `Failed` otherwise."""
        name = self.media_type.name
        expect(name in names, f"Content-Type {' or '.join(names)} expected, {name or 'none'} came")
        return self

    def json(self) -> Any:
        """The payload as JSON. Raises `Failed` when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as problem:
            raise Failed(f"the body is not JSON: {problem}") from None

    def items(self) -> Found[dict[str, Any]]:
        """The payload as a DICOM JSON array of objects; nothing for 204. Raises `Failed` otherwise."""
        if self.status == 204:
            return Found()
        found = self.json()
        shape = isinstance(found, list) and all(isinstance(one, dict) for one in found)
        expect(shape, "the body is not a JSON array of objects (F.2.1)")
        return Found(found)

    def parts(self) -> Found[Part]:
        """The parts of a multipart payload. Raises `Failed` when it is none."""
        return Found(read_multipart(self.body, self.media_type))

    def one_or_more_parts(self) -> Found[Part]:
        """The parts, or the whole payload as the only one."""
        if self.media_type.name.startswith("multipart/"):
            return self.parts()
        return Found([Part({key.lower(): value for key, value in self.headers.items()}, self.body)])

    def datasets(self) -> Found[FileDataset]:
        """The PS3.10 objects in the payload. Raises `Failed` where one is none."""
        return Found(read_object(part.body) for part in self.one_or_more_parts())

    def resolve(self, url: str) -> str:
        """A URL of the payload, made absolute."""
        return urljoin(self.url, url)


def _inflated(raw: bytes, window: int) -> bytes:
    for bits in (window, -15):
        try:
            return zlib.decompressobj(bits).decompress(raw, MOST_BYTES)
        except zlib.error:
            continue
    raise Failed("the payload does not have the encoding that Content-Encoding names")


def read_object(body: bytes) -> FileDataset:
    """A PS3.10 file. Raises `Failed` when it is none."""
    expect(body[128:132] == b"DICM", "a part of type application/dicom is no PS3.10 file (no DICM prefix)")
    try:
        found = pydicom.dcmread(BytesIO(body))
        found.file_meta.TransferSyntaxUID  # noqa: B018 (a file without it is none)
    except Exception as problem:  # noqa: BLE001 (whatever garbage does to the reader, the server sent it)
        raise Failed(f"a PS3.10 file cannot be read: {type(problem).__name__}: {problem}") from None
    return found


class Client:
    """Requests to one server, each with a deadline; keeps what the running check asked."""

    def __init__(self, base: str, token: str = "", seconds: float = 30.0, verify: bool = True) -> None:
        self.base = base.rstrip("/")
        self.seconds = seconds
        self.log: list[str] = []
        self._token = token
        self._http = httpx.Client(timeout=httpx.Timeout(seconds, connect=10), verify=verify, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def url(self, path: str) -> str:
        """The absolute URL of a path below the base; an absolute URL stays as it is."""
        return path if path.startswith(("http://", "https://")) else f"{self.base}{path}"

    def send(
        self,
        method: str,
        path: str,
        accept: str | None = None,
        headers: Headers | None = None,
        content: bytes | Iterable[bytes] | None = None,
    ) -> Answer:
        """One request. Raises `Failed` when no whole answer comes, `Unreachable` when nobody listens."""
        request = self._request(method, path, accept, headers or {}, content)
        line = self._line(request)
        self.log.append(line)
        try:
            answer = self._answered(request, line)
        except httpx.ConnectError as problem:
            raise Unreachable(f"{request.url.host}:{request.url.port}: {problem}") from None
        except httpx.TimeoutException:
            self.log[-1] += " -> no answer"
            raise Failed(f"no whole answer within {self.seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            self.log[-1] += " -> broken"
            raise Failed(f"the exchange broke off: {type(problem).__name__}: {problem}") from None
        self.log[-1] += f" -> {_summary(answer)}"
        return answer

    def _request(
        self,
        method: str,
        path: str,
        accept: str | None,
        headers: Headers,
        content: bytes | Iterable[bytes] | None,
    ) -> httpx.Request:
        try:
            request = self._http.build_request(method, self.url(path), content=content)
        except httpx.InvalidURL as problem:
            raise Failed(f"the server gave the URL {path!r}: {problem}") from None
        for name in ("accept", "accept-encoding", "user-agent"):
            request.headers.pop(name, None)
        ours = {"accept": accept} if accept is not None else {}
        ours |= {"authorization": f"Bearer {self._token}"} if self._is_ours(path) else {}
        request.headers.update({**ours, **headers})
        return request

    def _is_ours(self, path: str) -> bool:
        here, there = urlsplit(self.base), urlsplit(self.url(path))
        return bool(self._token) and (here.scheme, here.netloc) == (there.scheme, there.netloc)

    @staticmethod
    def _line(request: httpx.Request) -> str:
        shown = ("accept", "accept-charset", "accept-encoding", "content-type", "range", "if-none-match")
        fields = [f"{name}: {request.headers[name]}" for name in shown if name in request.headers]
        return f"{request.method} {request.url}" + (f" [{'; '.join(fields)}]" if fields else "")

    def _answered(self, request: httpx.Request, line: str) -> Answer:
        """Once more for a GET whose connection was closed: a server may close an idle one while we write to it."""
        try:
            return self._answer(request, line)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if request.method != "GET":
                raise
            return self._answer(request, line)

    def _answer(self, request: httpx.Request, line: str) -> Answer:
        end = time.monotonic() + self.seconds
        response = self._http.send(request, stream=True)
        pieces, size = [], 0
        try:
            for piece in response.iter_raw():
                pieces.append(piece)
                size += len(piece)
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("deadline")
                expect(size <= MOST_BYTES, f"the answer has more than {MOST_BYTES} bytes")
        finally:
            response.close()
        return Answer(line, str(request.url), response.status_code, response.headers, b"".join(pieces))


def _summary(answer: Answer) -> str:
    kind = answer.headers.get("content-type", "no Content-Type")
    text = f"{answer.status} {kind}, {len(answer.raw)} bytes"
    if answer.status >= 400 and answer.raw:
        said = answer.raw[:160].decode("utf-8", "replace")
        text += f": {' '.join(said.split())}"
    return text
