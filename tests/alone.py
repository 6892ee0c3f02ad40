"""`@pytest.mark.alone`: a test that measures time runs while no other process of the same run has a test under way.

Every test holds a shared lock, such a test an exclusive one. The gate keeps it from waiting for ever: whoever
waits for the exclusive lock holds the gate, which everybody has to pass. Runs without xdist need none of this.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HAS_NEIGHBOURS = "PYTEST_XDIST_WORKER" in os.environ


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "alone: measures time; no other test runs beside it")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run the test when its neighbours allow it."""
    if not HAS_NEIGHBOURS:
        return (yield)
    # the temporary folders of all processes of a run lie beside each other
    folder = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]
    with _lock(folder, exclusive=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _lock(folder: Path, exclusive: bool) -> Iterator[None]:
    with (folder / "tests.lock").open("a") as lock:
        with (folder / "tests.gate").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
