"""A door for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from door import Door, open_door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A fresh archive behind a DIMSE door."""
    with open_door(tmp_path / "data") as opened:
        yield opened
