"""The workers as the supervisor sees them: which runs, is silent, is dead, is due to be started again.

One thread, one `select`: heartbeats, deaths (end of the heartbeat pipe) and signals all arrive as readable
descriptors, and the only clock is the time until the next thing is due. Signal handlers only leave a note.
"""

from __future__ import annotations

import contextlib
import enum
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import ForkProcess

import structlog

from archive.network.spreading import Place, alone
from archive.supervisor.forking import forked, let_be

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take, in seconds."""

    starting: float = 120.0
    silence: float = 30.0
    first_delay: float = 1.0
    longest_delay: float = 30.0
    settled: float = 60.0
    """A worker that lived this long has its earlier deaths forgiven."""
    clean_up: float = 5.0
    """After the drain's deadline a worker aborts what is left, and needs this long to leave nothing behind."""
    killed: float = 5.0
    """So long a worker that was killed is waited for. One that waits for a disk that hangs ends when that goes on."""
    look: float = 2.0
    """Between looks whether what a fleet runs for is over."""
    attempts: int = 3
    """Deaths of one worker before all were ready, after which the start has failed."""


def delay(failures: int, patience: Patience) -> float:
    """Seconds before the next start: 1, 2, 4 … 30."""
    return float(min(patience.first_delay * 2 ** min(failures - 1, 16), patience.longest_delay))


@dataclass(frozen=True, slots=True)
class Post:
    """To be filled: one worker of a door, the sockets it inherits, and its place among those that share them."""

    door: str
    number: int
    listeners: tuple[socket.socket, ...] = ()
    place: Place = field(default_factory=alone)

    @property
    def name(self) -> str:
        """`http-1`."""
        return f"{self.door}-{self.number}"


Work = Callable[[Post, int, int], None]
"""What a worker does from its first line to its last: its post, the pipe for its heartbeats, and one that ends with
the supervisor."""


@dataclass(slots=True)
class _Worker:
    """A post and who fills it now."""

    post: Post
    process: ForkProcess | None = None
    undying: ForkProcess | None = None
    """Who filled it before, was killed, and has not ended: nobody else is started meanwhile, or they would be more and
    more."""
    pipe: int = -1
    ready: bool = False
    started: float = 0.0
    heard: float = 0.0
    failures: int = 0
    start_at: float = 0.0


class End(enum.Enum):
    """How it ended."""

    DRAINED = "every worker ended by itself"
    OVER = "what it ran for is over"
    KILLED = "a worker had to be killed"
    NEVER_READY = "a worker died again and again before the archive was ready"


class Fleet:
    """All workers of one archive. `run` returns when a signal has ended it and every worker is gone."""

    def __init__(
        self,
        posts: Sequence[Post],
        work: Work,
        *,
        drain_seconds: float,
        on_ready: Callable[[], None],
        on_death: Callable[[int], None] = lambda _pid: None,
        on_fork: Callable[[], None] = lambda: None,
        is_over: Callable[[], bool] | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self._workers = [_Worker(post) for post in posts]
        self._work = work
        self._drain_seconds = drain_seconds
        self._on_ready = on_ready
        self._on_death = on_death
        self._on_fork = on_fork
        self._patience = patience
        self._is_over = is_over
        self._look_at = 0.0 if is_over else float("inf")
        self._over = False
        self._greeted = False
        self._signals = 0
        self._selector = selectors.DefaultSelector()
        self._alive, self._ours = os.pipe()
        self._closed_by_workers: list[Callable[[], None]] = [partial(os.close, self._ours)]

    def run(self) -> End:
        """Keep every post filled until SIGTERM or SIGINT, or until it is over, then drain. Nobody is left running."""
        with self._noting_signals():
            try:
                while not self._signals and not self._hopeless() and not self._over:
                    self._start_due()
                    self._listen(self._next_due())
                    self._kill_silent()
                    self._greet()
                    self._look()
                hopeless = self._hopeless()
                drained = self._drain()
                if self._over and not self._signals:
                    return End.OVER
                return End.NEVER_READY if hopeless else End.DRAINED if drained else End.KILLED
            finally:
                self._end_all()
                os.close(self._alive)
                os.close(self._ours)

    @contextlib.contextmanager
    def _noting_signals(self) -> Iterator[None]:
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        self._selector.register(near, selectors.EVENT_READ)
        self._closed_by_workers += [self._selector.close, near.close, far.close]
        waker = signal.set_wakeup_fd(far.fileno())
        before = {each: signal.signal(each, self._note) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
            signal.set_wakeup_fd(waker)
            near.close()
            far.close()
            self._selector.close()

    def _note(self, *_: object) -> None:
        self._signals += 1

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is not None or worker.start_at > now:
                continue
            if worker.undying is not None and worker.undying.is_alive():
                worker.start_at = now + self._patience.first_delay
            else:
                worker.undying = None
                self._start(worker)

    def _start(self, worker: _Worker) -> None:
        worker.pipe, theirs = os.pipe()
        worker.process = forked(worker.post.name, partial(self._fill, worker.post, theirs))
        os.close(theirs)
        worker.started = worker.heard = time.monotonic()
        worker.ready = False
        self._selector.register(worker.pipe, selectors.EVENT_READ, worker)

    def _fill(self, post: Post, heartbeat: int) -> None:
        """In the worker: close what belongs to the supervisor and to other workers, then begin."""
        for close in self._closed_by_workers:
            close()
        for other in self._workers:
            if other.pipe >= 0:
                os.close(other.pipe)
            for listener in other.post.listeners:
                if listener not in post.listeners:
                    listener.close()
        self._on_fork()
        self._work(post, heartbeat, self._alive)

    def _next_due(self) -> float:
        """Seconds until something must be done although nobody said anything."""
        due = min(self._look_at, *(self._due(worker) for worker in self._workers))
        return max(0.0, due - time.monotonic())

    def _look(self) -> None:
        """Whether it is over, now and then."""
        if self._is_over is not None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + self._patience.look
            self._over = self._is_over()

    def _due(self, worker: _Worker) -> float:
        if worker.process is None:
            return worker.start_at
        return worker.heard + (self._patience.silence if worker.ready else self._patience.starting)

    def _listen(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                key.fileobj.recv(64)  # type: ignore[union-attr]
            elif os.read(key.fd, 64):
                key.data.heard = time.monotonic()
                key.data.ready = True
            else:
                self._bury(key.data)

    def _kill_silent(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is not None and self._due(worker) <= now:
                log.error("worker silent, killed", post=worker.post.name, pid=worker.process.pid)
                worker.process.kill()
                self._bury(worker)

    def _bury(self, worker: _Worker) -> None:
        """The worker is dead or as good as dead: take its leave and set when the next one starts."""
        assert worker.process is not None
        assert worker.process.pid is not None
        pid = worker.process.pid
        code = self._leave(worker)
        now = time.monotonic()
        worker.failures = 1 if now - worker.started >= self._patience.settled else worker.failures + 1
        worker.start_at = now + delay(worker.failures, self._patience)
        if self._signals:
            return
        log.error("worker ended", post=worker.post.name, pid=pid, exit_code=code, failures=worker.failures)
        if worker.undying is None:
            self._on_death(pid)

    def _leave(self, worker: _Worker, seconds: float | None = None) -> int | None:
        """Its exit code. It is given so long to end by itself, and once more so long when it is killed."""
        process, worker.process = worker.process, None
        assert process is not None
        self._selector.unregister(worker.pipe)
        os.close(worker.pipe)
        worker.pipe = -1
        patience = self._patience.killed if seconds is None else seconds
        process.join(patience)
        if process.is_alive():
            process.kill()
            process.join(patience)
        if process.is_alive():
            log.error("worker does not end: it waits for a disk", post=worker.post.name, pid=process.pid)
            worker.undying = process
            let_be(process)
        worker.post.place.leave()
        return process.exitcode

    def _hopeless(self) -> bool:
        """True when the archive was never ready and a worker has died once too often."""
        attempts = self._patience.attempts
        return not self._greeted and any(worker.failures >= attempts for worker in self._workers)

    def _greet(self) -> None:
        if not self._greeted and all(worker.ready for worker in self._workers):
            self._greeted = True
            self._on_ready()

    def _drain(self) -> bool:
        """Nobody accepts any more; what is running may end. A second signal or the deadline cuts it short."""
        asked = self._signals
        deadline = time.monotonic() + self._drain_seconds + self._patience.clean_up
        for worker in self._running():
            for listener in worker.post.listeners:
                listener.close()
            worker.process.terminate()  # type: ignore[union-attr]
        while self._running() and self._signals == asked:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._listen(left)
        return not self._running()

    def _running(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.process is not None]

    def _end_all(self) -> None:
        left = self._running()
        for worker in left:
            log.warning("worker killed", post=worker.post.name)
            worker.process.kill()  # type: ignore[union-attr]
        until = time.monotonic() + self._patience.killed
        for worker in left:
            self._leave(worker, max(until - time.monotonic(), 0.1))
