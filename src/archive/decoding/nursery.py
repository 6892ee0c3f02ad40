"""The process that decoders are forked from. It has one thread, has imported what decoders need, and reads nothing of
any frame; so it can fork at any time, and what it forks is sound.

A worker of `archive serve` forks its nursery before it has threads, and shares the pages of all code with it. Any other
process (a command, a test) starts one anew when it first needs it, which takes half a second.

Asked for a decoder, it is sent one end of a pair of sockets. It forks, and says at the other end which process it is.
Asked to do something to one, it does so if that is still there: only who forked a process knows whose number that is.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import structlog

from archive.decoding import child
from archive.dicom.errors import OutOfResources
from archive.dicom.pixels import codecs

log = structlog.get_logger()

START_SECONDS = 30.0

HELD_BACK = 15
"""The niceness of a decoder that has taken long already (setpriority(2)): it gets what others leave."""

_ORDER = struct.Struct("<Bq")
"""What is to be done, and to which process."""
_PID = struct.Struct("<q")


class Order(IntEnum):
    """What is done to a decoder, whatever that is doing."""

    BEGIN = 0
    END = 1
    HOLD_BACK = 2
    """It gives way to everybody."""
    PAUSE = 3
    GO_ON = 4


_SIGNALS = {Order.END: signal.SIGKILL, Order.PAUSE: signal.SIGSTOP, Order.GO_ON: signal.SIGCONT}


class Child(NamedTuple):
    """A decoder: the socket to it, and what has an order carried out."""

    connection: socket.socket
    order: Callable[[Order], None]


class NoNursery(Exception):
    """It has died."""


class Nursery:
    """The way to a nursery. Safe to use from several threads."""

    def __init__(self, ask: socket.socket, pid: int) -> None:
        self._ask = ask
        self._pid = pid

    def child(self) -> Child:
        """A new decoder. Raises OutOfResources, and NoNursery where this one has died."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._send(theirs, ours)
        try:
            ours.settimeout(START_SECONDS)
            said = ours.recv(_PID.size, socket.MSG_WAITALL)
            ours.settimeout(None)
            if len(said) < _PID.size:
                raise OSError
        except OSError:
            ours.close()
            raise OutOfResources("no process can be started to decode a frame") from None
        pid = _PID.unpack(said)[0]
        return Child(ours, lambda order: self._say(order, pid))

    def _send(self, theirs: socket.socket, ours: socket.socket) -> None:
        try:
            socket.send_fds(self._ask, [_ORDER.pack(Order.BEGIN, 0)], [theirs.fileno()])
        except OSError:
            ours.close()
            raise NoNursery from None

    def close(self) -> None:
        """End it, and the decoders with it."""
        with suppress(OSError):
            self._ask.shutdown(socket.SHUT_RDWR)  # other processes may have been forked with this socket
        self._ask.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _say(self, order: Order, pid: int) -> None:
        with suppress(OSError):  # with the nursery all decoders are gone
            self._ask.send(_ORDER.pack(order, pid))

    def forget(self) -> None:
        """In a process that was forked from the one whose nursery it is."""
        self._ask.close()


class Kept:
    """The nursery of this process, whichever that is: forked beforehand, or started when it is needed first, or when
    the one before has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nursery: Nursery | None = None
        self._process = 0

    def fork(self) -> None:
        """Have one from now on; not where this process has threads. Without room for it, one is started later."""
        with suppress(OSError):
            self._keep(forked())

    def child(self) -> Child:
        """A new decoder. Raises OutOfResources."""
        with self._lock:
            if self._nursery is not None and self._process == os.getpid():
                with suppress(NoNursery):
                    return self._nursery.child()
                log.warning("the process that decoders are forked from has ended: another is started")
                self._nursery.close()
            elif self._nursery is not None:
                self._nursery.forget()
            self._nursery = None
            with suppress(NoNursery):
                return self._keep(started()).child()
            raise OutOfResources("no process can be started to decode a frame")

    def close(self) -> None:
        """End it."""
        with self._lock:
            if self._nursery is not None and self._process == os.getpid():
                self._nursery.close()
            self._nursery = None

    def _keep(self, nursery: Nursery) -> Nursery:
        if not self._process:
            atexit.register(self.close)
        self._nursery, self._process = nursery, os.getpid()
        return nursery


OF_THIS_PROCESS = Kept()


def forked() -> Nursery:
    """A nursery forked from this process, which must have one thread. Raises OSError."""
    ask, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if not pid:
        with _only_this():
            ask.close()
            run(asked)
    asked.close()
    return Nursery(ask, pid)


def started() -> Nursery:
    """A nursery that is a new program, for a process that may have threads. Raises OutOfResources."""
    ask, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with asked:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", __package__, str(asked.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(asked.fileno(),),
                process_group=0,  # and no session: niceness says nothing beyond one (sched(7), autogroups)
            )
        except OSError:
            ask.close()
            raise OutOfResources("no process can be started to decode a frame") from None
    process.returncode = 0  # it is waited for by its number: Popen would complain of its end or its going on
    return Nursery(ask, process.pid)


def run(asked: socket.socket) -> None:
    """Fork decoders until nobody is there who could ask for one."""
    child.close_all_but({0, 1, 2, asked.fileno()})
    codecs.load()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _call_it("archive-nursery")
    running: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(asked, _ORDER.size, 1)
        if not message:
            return
        _bury(running)
        order, pid = _ORDER.unpack(message)
        if descriptors:
            with socket.socket(fileno=descriptors[0]) as connection:
                _fork(asked, connection, running)
        elif pid in running:
            _obey(Order(order), pid)


def _obey(order: Order, pid: int) -> None:
    if order == Order.HOLD_BACK:
        niceness = os.getpriority(os.PRIO_PROCESS, pid)
        os.setpriority(os.PRIO_PROCESS, pid, max(niceness, HELD_BACK))
    else:
        os.kill(pid, _SIGNALS[order])


def _bury(running: set[int]) -> None:
    """Take those that have ended off the list; until then nobody else gets their numbers."""
    while running:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        running.discard(pid)


def _fork(asked: socket.socket, connection: socket.socket, running: set[int]) -> None:
    try:
        pid = os.fork()
    except OSError:
        return  # whoever asked sees the socket closed
    if pid:
        running.add(pid)
        with suppress(OSError):
            connection.sendall(_PID.pack(pid))
        return
    with _only_this():
        asked.close()
        _call_it("archive-decoder")
        child.serve(connection)


class _only_this:  # noqa: N801 - a context manager
    """In a new process: nothing of what the old one would do next."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, *_: object) -> None:
        os._exit(1 if kind else 0)


def _call_it(name: str) -> None:
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name, encoding="ascii")
