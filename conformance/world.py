"""What a check has in its hands: the server, the suite's objects that it holds, and how strict to be.

All checks ask through here, so that an object which could not be stored, or a picture type that is missing, skips what
depends on it instead of failing it a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from conformance import pictures
from conformance.client import JSON, Answer, Client, Found
from conformance.media import write_multipart
from conformance.objects import Object
from conformance.verdicts import Failed, Skipped

NOT_OFFERED = (404, 405, 406, 415, 501)


@dataclass(frozen=True)
class DimsePeer:
    """The server's DIMSE side, the AE title to come with, and the one that it knows as us."""

    host: str
    port: int
    called: str
    calling: str = "CONFORMANCE"
    destination: str = ""
    destination_port: int = 0


@dataclass
class World:
    """A server and what is known about it."""

    client: Client
    run: str
    strict: bool = False
    dimse: DimsePeer | None = None
    wado_uri: str = ""
    objects: dict[str, Object] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    studies: set[str] = field(default_factory=set)
    known: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Object:
        return self.objects[name]

    def once(self, name: str, ask: Callable[[], Any]) -> Any:
        """What `ask` gave when it was asked for the first time in this run."""
        if name not in self.known:
            self.known[name] = ask()
        return self.known[name]

    @property
    def host(self) -> str:
        """Scheme and authority of the server."""
        parts = urlsplit(self.client.base)
        return f"{parts.scheme}://{parts.netloc}"

    def get(self, path: str, accept: str | None, **headers: str) -> Answer:
        """GET; header names with `_` for `-`."""
        return self.client.send("GET", path, accept, _fields(headers))

    def metadata(self, path: str) -> Found[dict[str, Any]]:
        """The metadata below a target resource, as JSON objects."""
        return self.get(f"{path}/metadata", JSON).must(200).items()

    def search(self, path: str, **keys: str) -> Found[dict[str, Any]]:
        """The matches of a search by keys; names with `__` for `.`. Raises `Failed` unless 200 or 204."""
        return self.get(query(path, **keys), JSON).must(200, 204).items()

    def post(self, path: str, body: bytes, content_type: str, accept: str | None = JSON) -> Answer:
        """POST a payload."""
        return self.client.send("POST", path, accept, {"Content-Type": content_type}, body)

    def store(self, *objects: Object, path: str = "/studies", accept: str | None = JSON) -> Answer:
        """Store PS3.10 files in one request; what is stored is remembered for the end."""
        for one in objects:
            self.remember(one)
        content_type, body = write_multipart(
            [("application/dicom", one.file(), "") for one in objects], "application/dicom"
        )
        return self.post(path, body, content_type, accept)

    def remember(self, one: Object) -> None:
        """Delete this object's study when the run ends."""
        self.studies.add(one.study)

    def offered(self, answer: Answer, what: str, also: Sequence[int] = ()) -> Answer:
        """This answer. Raises `Skipped` when its status says that the server does not have `what`."""
        if answer.status in NOT_OFFERED or answer.status in also:
            raise Skipped(f"{what} not offered: status {answer.status}")
        return answer

    def png(self, path: str) -> NDArray[np.float64]:
        """A rendered resource as grey levels. Raises `Skipped` where PNG is not rendered (R4 fails for that)."""
        answer = self.get(path, "image/png")
        if answer.status == 406 or (answer.status == 200 and answer.media_type.name != "image/png"):
            raise Skipped("the server does not render image/png, which R4.2 says already")
        return pictures.png_pixels(answer.must(200).body)

    def jpeg(self, path: str) -> pictures.Size:
        """The size of a rendered resource. Raises `Failed` unless a JPEG comes."""
        return pictures.jpeg_size(self.get(path, "image/jpeg").must(200).must_be("image/jpeg").body)


def _fields(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def query(path: str, **keys: str) -> str:
    """A path with a query, its values percent-encoded as 8.3.1 says; `__` in names stands for a dot."""
    pairs = [f"{name.replace('__', '.')}={quote(value, safe='*?-')}" for name, value in keys.items()]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def uids_of(items: Sequence[dict[str, Any]], tag: str) -> list[str]:
    """The value of a UID attribute in each item. Raises `Failed` where it is missing."""
    found = []
    for item in items:
        values = item.get(tag, {}).get("Value") or [None]
        if not isinstance(values[0], str):
            raise Failed(f"a result lacks {tag}")
        found.append(values[0])
    return found
