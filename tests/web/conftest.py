"""One archive with its HTTP door open for each test that asks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from web_door import Door, running, settings_for

# The oracles of the dicom tests are those of the doors too.
sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    """A factory of doors with settings of the test's choice."""
    with ExitStack() as stack:
        yield lambda **overrides: stack.enter_context(running(settings_for(tmp_path / "data", **overrides)))


@pytest.fixture
def empty_door(open_door: Callable[..., Door]) -> Door:
    """A door with default settings and nothing behind it."""
    return open_door()


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door that tests share, each with objects of its own."""
    with running(settings_for(tmp_path_factory.mktemp("archive"))) as shared:
        yield shared
