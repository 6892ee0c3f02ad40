"""An archive behind an HL7 door in this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from archive import config
from archive.bootstrap import building
from archive.hl7 import server
from archive.network.acceptor import Listener
from archive.security import tls
from hl7_door import Door
from suites.sqlite import prepare


@contextmanager
def running(folder: Path, **overrides: Any) -> Iterator[Door]:
    """Settings by path, dots as double underscores."""
    values = {path.replace("__", "."): value for path, value in overrides.items()}
    defaults = {"data": str(folder), "worklist.stations": ["CT=CT1", "MR=MR1"], "drain_seconds": 5}
    settings = config.load(environment={}, overrides={**defaults, **values})
    prepare(settings)
    archive = building.build(settings)
    stop = threading.Event()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_server(("127.0.0.1", 0)) as secured,
    ):
        listeners = [Listener(listener)]
        if settings.hl7.tls_listen:
            listeners.append(Listener(secured, tls.server(settings.tls)))
        worker = threading.Thread(target=server.run, args=(archive, listeners, lambda: None, stop))
        worker.start()
        try:
            yield Door(archive, listener.getsockname()[1], stop, worker, secured.getsockname()[1])
        finally:
            stop.set()
            worker.join()
            archive.close()


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    with ExitStack() as stack:
        yield lambda **overrides: stack.enter_context(running(tmp_path / "data", **overrides))


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    return open_door()
