"""How long PostgreSQL is waited for: a server that is away, or hangs, must not keep a caller for good.

To connect takes at most CONNECT_SECONDS. Who has waited in vain tells the others: for as long again they hear at once
that the server is away, and then one of them tries. The objects of one request would wait one after the other
otherwise.

A server that has accepted a statement and is silent for ANSWER_SECONDS is given up, and its connection is closed: the
system says of a connection only that the other side's kernel lives. What waits for another transaction's lock is told
so by the server before.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy import event

T = TypeVar("T")

CONNECT_SECONDS = 10
WORTH_TELLING_SECONDS = 0.5
"""Who is refused at once has not waited."""
ANSWER_SECONDS = 60.0
LOCK_SECONDS = 10
"""As long as SQLite waits for another writer."""

_unbounded = threading.local()


class PatientConnection(psycopg.Connection[Any]):
    """Waits for the server's answer, but not for ever."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Raises OperationalError when it does not come; the connection is closed then."""
        limit = timeout or (None if getattr(_unbounded, "here", False) else ANSWER_SECONDS)
        try:
            return super().wait(gen, interval, limit)
        except errors._WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server did not answer in time") from None


class Reach:
    """Whether the server was there when somebody looked last. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._away = False
        self._look_at = 0.0
        """When the next one may try, if it was away."""

    def connect(self, connect: Callable[[], T]) -> T:
        """What `connect` gives or raises; OperationalError at once while nobody needs to look."""
        begun = self._clock()
        with self._lock:
            if self._away and begun < self._look_at:
                raise psycopg.OperationalError("the server could not be reached a moment ago")
            self._look_at = begun + CONNECT_SECONDS
        try:
            connected = connect()
        except psycopg.OperationalError:
            with self._lock:
                ended = self._clock()
                self._away = ended - begun >= WORTH_TELLING_SECONDS
                self._look_at = ended + (ended - begun)
            raise
        with self._lock:
            self._away = False
        return connected


def bound(engine: sa.Engine) -> None:
    """Let an engine's connections be bounded so. Before its first one."""
    reach = Reach()

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        return reach.connect(lambda: PatientConnection.connect(*arguments, **options))

    @event.listens_for(engine, "connect")
    def _limit_locks(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        connection.autocommit = False


@contextlib.contextmanager
def unbounded() -> Iterator[None]:
    """In this thread, statements may take as long as they need: a migration makes indexes over all there is."""
    _unbounded.here = True
    try:
        yield
    finally:
        _unbounded.here = False
