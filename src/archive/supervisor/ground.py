"""What must be had before anything runs: the data folder with its lock, and the listening sockets.

Everything that can be wrong here is the administrator's to change, so each failure is a ConfigurationError
that names the option to change. The lock is a `flock`: the kernel gives it back however a supervisor ends,
so there is no stale lock file to remove by hand.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from archive.dicom.errors import ConfigurationError
from archive.settings.values import Address
from archive.settings.whole import Settings

BACKLOG = 1024
OPEN_FILES = 65536

_WHY_NOT = {
    errno.EADDRINUSE: "the port is in use by another program",
    errno.EACCES: "this user may not listen on that port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


def make_data_folder(data: Path) -> None:
    """The data folder, for this user alone (0700) when it is made now. Raises ConfigurationError."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(data, os.W_OK | os.X_OK) and not _is_read_only(data):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ConfigurationError(
            f"data folder {data} cannot be used: {error.strerror}; choose another with --data"
        ) from None


@contextlib.contextmanager
def sole_supervisor(settings: Settings) -> Iterator[Callable[[], None]]:
    """Hold the data folder for one supervisor. `archive import` needs no such lock and may run beside it.

    A process forked meanwhile calls what it gives, or it would hold the folder as well."""
    make_data_folder(settings.data)
    try:
        settings.run_folder.mkdir(mode=0o700, exist_ok=True)
        lock = _opened(settings.run_folder / "lock")
    except OSError as error:
        raise ConfigurationError(
            f"data folder {settings.data} cannot be written: {error.strerror}; choose another with --data"
        ) from None
    try:
        _lock(lock, settings.data)
        yield partial(os.close, lock)
    finally:
        os.close(lock)


def _is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _opened(path: Path) -> int:
    """The file of a lock, which also one who may only read can hold."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _lock(lock: int, data: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigurationError(
            f"data folder {data} is served by another archive already; stop it, or choose another with --data"
        ) from None


def allow_many_files() -> None:
    """Raise the soft limit of open files, which workers inherit: 1024, the custom, is few for sockets and blobs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(address: Address, option: str) -> socket.socket:
    """A listening TCP socket, to be inherited by the workers. Raises ConfigurationError naming `option`."""
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(
            (address.host, address.port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=address.host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        why = _WHY_NOT.get(error.errno or 0, error.strerror or str(error))
        raise ConfigurationError(
            f"cannot listen on {address}: {why}; choose another with {option} HOST:PORT"
        ) from None


def bound_address(listener: socket.socket, asked: Address) -> Address:
    """Where a socket listens really: with port 0 the system chose."""
    return Address(asked.host, int(listener.getsockname()[1]))
