"""Group commit for SQLite: callers that come together share one transaction.

The first leads and runs what has queued up, so that none fails with another; the others wait for it. A caller may
bring several changes, which stay together and have each its own fate all the same. Processes take turns by a lock on a
file beside the database, because SQLite's own busy handler sleeps up to 0.8 s under contention and the lock hands over
at once.

Nobody can give up waiting for that lock within the call that waits, so where another process has it a thread of our
own waits and leads in the caller's place; the caller waits for that as all others do, and only for so long: a process
that was stopped in its turn, or hangs in a disk, must not leave every sender without an answer.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from archive.dicom.errors import OutOfResources
from archive.index import transactions
from archive.index.kept_connections import KeptConnections, file_at
from archive.index.settled import Settled

T = TypeVar("T")

LONG_SECONDS = 0.05
TURN_SECONDS = 30.0
"""So long a change waits for another process to end its turn."""


class _Change(Generic[T]):
    """A change, and what became of it."""

    def __init__(self, change: Callable[[sa.Connection], T]) -> None:
        self._change = change
        self._results: tuple[T, ...] = ()
        self.error: BaseException | None = None

    def run(self, connection: sa.Connection) -> None:
        self._results = (self._change(connection),)

    @property
    def settled(self) -> Settled[T]:
        return Settled(self._results, self.error)


class _Ticket(Generic[T]):
    """The changes of one caller in the queue."""

    def __init__(self, changes: Sequence[Callable[[sa.Connection], T]]) -> None:
        self.changes = [_Change(change) for change in changes]
        self.woken: SimpleQueue[None] = SimpleQueue()
        self.done = False
        self.appointed = False
        """To lead; under the writer's lock."""

    def finish(self, error: BaseException | None = None) -> None:
        for change in self.changes:
            change.error = change.error or error
        self.done = True
        self.woken.put(None)


class GroupWriter:
    """One leader at a time runs the queue in one transaction, on the one connection that writes."""

    def __init__(self, connections: KeptConnections, turnstile: Path) -> None:
        self._connections = connections
        self._turnstile = _Turnstile(turnstile)
        self._deputy = _Deputy(lambda: self._lead(wait=True))
        self._lock = threading.Lock()
        self._queue: list[_Ticket[Any]] = []
        self._led = False

    def write(self, change: Callable[[sa.Connection], T]) -> T:
        """Run the change, alone or with others; its result once that is durable."""
        (settled,) = self.write_each((change,), ("",))
        return settled.result()

    def write_each(
        self, changes: Sequence[Callable[[sa.Connection], T]], _subjects: Sequence[str]
    ) -> list[Settled[T]]:
        """Run the changes in their order, alone or with others; what came of each once that is durable. There is one
        writer at a time, so it does not matter what they are about."""
        ticket = _Ticket(changes)
        leads = self._enqueue(ticket)
        deadline = time.monotonic() + TURN_SECONDS
        while not ticket.done:
            if leads and not self._lead(wait=False):
                self._deputy.lead()
            leads = not ticket.done and self._wait(ticket, deadline)
        return [change.settled for change in ticket.changes]

    def close(self) -> None:
        """Give the connection back."""
        self._deputy.close()
        self._connections.close()
        self._turnstile.close()

    def _enqueue(self, ticket: _Ticket[Any]) -> bool:
        """True for the one who has to lead."""
        with self._lock:
            self._queue.append(ticket)
            first, self._led = not self._led, True
            return first

    def _wait(self, ticket: _Ticket[Any], deadline: float) -> bool:
        """Until it is done, or has to lead, which is then True. Raises OutOfResources when nobody got a turn for it in
        time. What is under way is waited for to its end."""
        try:
            ticket.woken.get(timeout=max(deadline - time.monotonic(), 0.0))
        except Empty:
            with self._lock:
                if ticket in self._queue and not ticket.appointed:
                    self._queue.remove(ticket)
                    raise OutOfResources(NO_TURN) from None
            ticket.woken.get()
        with self._lock:
            leads, ticket.appointed = ticket.appointed, False
        return leads

    def _lead(self, *, wait: bool) -> bool:
        """Run what has queued up, and appoint who leads next. False, and nothing is done, where it is another process's
        turn and that is not to be waited for."""
        group: list[_Ticket[Any]] | None = None
        error: BaseException | None = None
        committed = False
        try:
            with transactions.adapted(), self._turnstile.turn(wait=wait):
                group = self._take_queue()
                with self._connections.one() as connection:
                    _commit_group(connection, [change for ticket in group for change in ticket.changes])
                    committed = True
        except _NotOurTurn:
            return False
        except BaseException as caught:  # noqa: BLE001 - raised to every caller of the group
            error = transactions.unless(committed, caught)
        if group is None:  # none that came later: they were not run
            group = self._take_queue()
        self._appoint_next()
        for ticket in group:
            ticket.finish(error)
        return True

    def _take_queue(self) -> list[_Ticket[Any]]:
        with self._lock:
            group, self._queue = self._queue, []
            return group

    def _appoint_next(self) -> None:
        with self._lock:
            if self._queue:
                self._queue[0].appointed = True
                self._queue[0].woken.put(None)
            else:
                self._led = False


def _commit_group(connection: sa.Connection, group: list[_Change[Any]]) -> None:
    """All changes, one after the other. Where one fails, what came before it is undone with it and done again, each in
    a savepoint: these cost more than a tenth of what a small object takes, and hardly any change fails. What is long to
    do is not done twice: after it, each has a savepoint."""
    begun = time.monotonic()
    for number, change in enumerate(group):
        if time.monotonic() - begun > LONG_SECONDS:
            _run_apart(connection, group[number:])
            break
        try:
            with transactions.adapted_unless_operational():
                change.run(connection)
        except OperationalError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised in its caller's thread
            change.error = error
            connection.rollback()
            _run_apart(connection, [*group[:number], *group[number + 1 :]])
            break
    _check_that_all_is_there(connection)
    transactions.commit(connection)


def _check_that_all_is_there(connection: sa.Connection) -> None:
    """Where the disk is full SQLite may undo a whole transaction, and COMMIT would be that of nothing. Every change
    lets such an error through; should one not, nobody may hear that it was done."""
    driver: Any = connection.connection.driver_connection
    if connection.in_transaction() and not driver.in_transaction:
        raise OutOfResources("the index has undone the change")


def _run_apart(connection: sa.Connection, group: list[_Change[Any]]) -> None:
    """Each change in a savepoint. An OperationalError (disk full, I/O) may have undone the whole transaction: it ends
    the group."""
    for change in group:
        try:
            with transactions.adapted_unless_operational(), connection.begin_nested():
                change.run(connection)
        except OperationalError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised in its caller's thread
            change.error = error


NO_TURN = "another process does not end its turn in the index: look for an archive that was stopped (Ctrl-Z) or hangs"


class _NotOurTurn(Exception):
    """Another process writes now."""


class _Deputy:
    """A thread that leads when that has to be waited for; begun when it is needed first."""

    def __init__(self, lead: Callable[[], object]) -> None:
        self._lead = lead
        self._asked: SimpleQueue[bool] | None = None

    def lead(self) -> None:
        """Have it lead. There is one leader at a time, so nobody else asks meanwhile."""
        if self._asked is None:
            asked: SimpleQueue[bool] = SimpleQueue()
            thread = threading.Thread(target=self._run, args=(asked,), name="index turn", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system gives no thread: then this one waits, however long it takes
                self._lead()
                return
            self._asked = asked
        self._asked.put(True)

    def close(self) -> None:
        """Let it end when it has nothing to do any more."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.put(False)

    def _run(self, asked: SimpleQueue[bool]) -> None:
        while asked.get():
            self._lead()


class _Turnstile:
    """Within it, it is this process's turn to write; the kernel ends that even if the process is killed. One thread at
    a time goes through."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._within = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def turn(self, *, wait: bool = True) -> Iterator[None]:
        """Raises _NotOurTurn where it would have to be waited for, and is not to be."""
        self._within.acquire()
        try:
            while not self._is_locked(wait=wait):
                self._let_go()
        except BaseException:
            self._within.release()
            raise
        try:
            yield
        finally:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            except OSError:
                self._let_go()  # the lock goes with the file; kept within, nobody would write any more
            self._within.release()
            if self._closed:
                self.close()

    def close(self) -> None:
        """Let go of the file, at the end of a turn that goes on. Another one may be opened."""
        self._closed = True
        if self._within.acquire(blocking=False):
            self._let_go()
            self._within.release()

    def _is_locked(self, *, wait: bool) -> bool:
        """Take the lock. False where the file under the path is another by now: who comes next locks that one."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _NotOurTurn from None
        held = os.fstat(self._descriptor)
        return (held.st_dev, held.st_ino) == file_at(self._path)

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
