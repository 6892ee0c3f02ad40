"""A TCP proxy before PostgreSQL: passes everything on, until it is told to cut, to hold, or to wait for a COMMIT.

PASS            as if it were not there
REFUSE          connections are closed at once
HOLD            what comes is taken, and nobody answers: a server that hangs, a network that swallows
LOSE_ANSWER     a COMMIT is passed on and done; its answer is not passed back, the connection is cut
LOSE_COMMIT     a COMMIT is not passed on, the connection is cut
"""

from __future__ import annotations

import contextlib
import enum
import select
import socket
import threading
from collections.abc import Iterator


class Mode(enum.Enum):
    """What the proxy does with what comes now."""

    PASS = enum.auto()
    REFUSE = enum.auto()
    HOLD = enum.auto()
    LOSE_ANSWER = enum.auto()
    LOSE_COMMIT = enum.auto()


class Proxy:
    """Listens on a port of its own. `commits` counts the COMMITs that it saw while it was to lose one."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.mode = Mode.PASS
        self.commits = 0
        self.connections = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """Cut every connection that there is now."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, with all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        for pair in self._pairs:
            for end in pair:
                end.close()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.mode is Mode.REFUSE:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._server))
            self._pairs.append((near, far))
            self._threads.append(threading.Thread(target=self._pass_on, args=(near, far)))
            self._threads[-1].start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        cut_at_answer = False
        with contextlib.suppress(OSError):
            while True:
                readable, _, _ = select.select([near, far], [], [])
                for end in readable:
                    data = end.recv(65536)
                    if not data or (end is far and cut_at_answer):
                        raise ConnectionResetError
                    if end is near and b"COMMIT" in data:
                        cut_at_answer = self._meets_commit()
                    if self.mode is not Mode.HOLD:
                        (far if end is near else near).sendall(data)
        for end in (near, far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _meets_commit(self) -> bool:
        """Whether its answer is to be lost. Raises OSError when the commit itself is."""
        if self.mode not in (Mode.LOSE_ANSWER, Mode.LOSE_COMMIT):
            return False
        self.commits += 1
        if self.mode is Mode.LOSE_COMMIT:
            self.mode = Mode.PASS
            raise ConnectionResetError
        self.mode = Mode.PASS
        return True


@contextlib.contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A proxy before this port of this machine."""
    made = Proxy(port)
    try:
        yield made
    finally:
        made.close()
