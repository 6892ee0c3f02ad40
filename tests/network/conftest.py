"""A running acceptor for the tests of the network layer."""

from __future__ import annotations

import queue
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archive.network.acceptor import Listener, serve
from archive.network.floor import AcceptorSettings
from archive.settings.doors import TLSSettings
from association_peers import QUICK, Handler, Policy, Server, Stored, recording, store_all
from certificates import Authority


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    """Starts acceptors: `serving(handle=…, policy=…, secure=…, **AcceptorSettings)`. Usually they store all."""
    running: list[tuple[Server, socket.socket]] = []

    def start(
        handle: Handler | None = None,
        policy: Policy | None = None,
        secure: Callable[[], ssl.SSLContext] | None = None,
        **changes: Any,
    ) -> Server:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        acceptor = AcceptorSettings(**{"deadlines": QUICK, "drain_seconds": 5.0, **changes})
        stored: queue.Queue[Stored] = queue.Queue()
        endings: queue.Queue[str] = queue.Queue()
        stop = threading.Event()
        policy = policy or Policy()
        attend = recording(handle or (lambda association: store_all(association, stored)), endings)
        thread = threading.Thread(
            target=serve, args=([Listener(listener, secure)], policy, attend, stop, acceptor), daemon=True
        )
        thread.start()
        server = Server(listener.getsockname()[1], policy, stored, endings, stop, thread)
        running.append((server, listener))
        return server

    yield start
    for server, listener in running:
        server.halt()
        listener.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def settings(authority: Authority) -> TLSSettings:
    """An archive that wants certificates of the authority and has one itself."""
    ours = authority.proof("archive")
    return TLSSettings(certificate=str(ours.chain), key=str(ours.key), client_ca=str(authority.file))


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for both ends of many connections, which the usual limit of 1024 has not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 2048:
        pytest.skip("this machine does not allow 2048 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
