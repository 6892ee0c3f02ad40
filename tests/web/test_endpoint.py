"""Work for clients that have gone, and how much is done at a time; the handlers here wait for the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from archive.services.throughput import Throughput
from archive.web.http.bodies import ClientGone
from archive.web.http.crossing import DECODINGS, RENDERINGS, THREADS, Crossing
from archive.web.http.endpoint import Endpoint
from archive.web.http.exchange import Answer
from archive.web.http.protocol import LEAVING
from archive.web.routes import ROUTES, Route

ARCHIVE: Any = SimpleNamespace(
    throughput=Throughput(),
    settings=SimpleNamespace(
        http=SimpleNamespace(public_url="http://here", strict=False, behind_proxy=False),
        sign_in=SimpleNamespace(required="never"),
    ),
    shown_to=lambda _principal: ARCHIVE,
)
SCOPE: Any = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "scheme": "http",
    "query_string": b"",
    "headers": [],
}


class Work:
    """A handler that counts its calls and waits to be let go."""

    def __init__(self, body: Callable[[], Iterator[bytes]] | None = None) -> None:
        self.begun = 0
        self.go = threading.Event()
        self._body = body
        self._counting = threading.Lock()

    def __call__(self, _archive: Any, _asked: Any) -> Answer:
        with self._counting:
            self.begun += 1
        if self._body is not None:
            return Answer(200, "text/plain", self._body())
        self.go.wait(30)
        return Answer(200, "text/plain", b"done")


def endpoint(work: Work, *, renders: bool) -> Endpoint:
    """All of the door that a handler needs."""
    route = Route("GET", "/", "Work", "", work, renders=renders, right=None)
    return Endpoint(ARCHIVE, Crossing(), {"GET": route})


class Client:
    """One request, and its going away."""

    def __init__(self) -> None:
        self.gone = False
        self._leaving: set[Callable[[], None]] = set()
        self.sent: list[Any] = []

    async def ask(self, door: Endpoint, query_string: bytes = b"") -> None:
        """Until it is answered or noticed that we have left."""
        try:
            extensions = {LEAVING: self._leaving}
            scope = {**SCOPE, "query_string": query_string, "extensions": extensions}
            await door(scope, self._receive, self._send)
        except ClientGone:
            self.gone = True

    def leave(self) -> None:
        """The connection ends."""
        for leave in tuple(self._leaving):
            leave()

    async def _receive(self) -> Any:
        raise AssertionError("nothing is to be received")

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


async def until(condition: Callable[[], bool]) -> None:
    """Give way until it holds."""
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0)


@pytest.mark.parametrize(("renders", "at_a_time"), [(True, RENDERINGS), (False, THREADS)])
def test_who_leaves_while_waiting_is_never_worked_for(renders: bool, at_a_time: int) -> None:
    work = Work()

    async def main() -> None:
        door = endpoint(work, renders=renders)
        clients = [Client() for _ in range(at_a_time + 5)]
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(client.ask, door)
            await until(lambda: work.begun == at_a_time)
            for client in clients:
                client.leave()
            await until(lambda: sum(client.gone for client in clients) == 5)
            work.go.set()

    anyio.run(main)
    assert work.begun == at_a_time


def test_an_answer_is_not_made_to_its_end_for_who_has_left() -> None:
    client_left = threading.Event()
    made = 0
    closed = threading.Event()

    def body() -> Iterator[bytes]:
        nonlocal made
        try:
            while made < 1000:
                made += 1
                yield b"small"
                client_left.wait(30)
        finally:
            closed.set()

    async def main() -> Client:
        client = Client()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.ask, endpoint(Work(body), renders=False))
            await until(lambda: made == 1)
            client.leave()
            await anyio.wait_all_tasks_blocked()
            client_left.set()
        return client

    client = anyio.run(main)
    assert made == 2
    assert closed.is_set()
    assert client.gone


def test_pictures_are_not_made_beside_everything_else() -> None:
    for route in ROUTES:
        assert bool(route.renders) == any(
            word in route.name for word in ("Rendered", "Thumbnail", "RetrieveURI")
        )


@pytest.mark.parametrize("streamed", [False, True])
def test_decoding_holds_no_thread_that_others_need(streamed: bool) -> None:
    """However many answers wait for their pixel data to be decoded, stored bytes still go out."""
    begun, go = threading.Semaphore(0), threading.Event()

    def pixels() -> Iterator[bytes]:
        begun.release()
        go.wait(30)
        yield b"pixels"

    def handler(_archive: Any, asked: Any) -> Answer:
        if asked.query_string != "decode":
            return Answer(200, "text/plain", b"bytes")
        asked.decodes()
        return Answer(200, "text/plain", pixels() if streamed else b"".join(pixels()))

    async def main() -> list[Client]:
        door = Endpoint(ARCHIVE, Crossing(), {"GET": Route("GET", "/", "Work", "", handler, right=None)})
        clients = [Client() for _ in range(2 * THREADS)]
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(client.ask, door, b"decode")
            for _ in range(DECODINGS):
                await until(lambda: begun.acquire(blocking=False))
            other = Client()
            await other.ask(door)
            assert other.sent[-1]["body"] == b"bytes"
            assert not any(client.sent for client in clients)
            go.set()
        return clients

    for client in anyio.run(main):
        assert b"".join(message.get("body", b"") for message in client.sent) == b"pixels"
