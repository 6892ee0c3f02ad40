"""A door for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.dimse import telling
from archive.services import reports
from door import Door, open_door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A fresh archive behind a DIMSE door."""
    with open_door(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked for storage commitment is told as soon as it is quiet for a moment."""
    monkeypatch.setattr(telling, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(reports, "AT_ONCE_SECONDS", 0.0)


@pytest.fixture
def patient(tmp_path: Path, hurry: None) -> Iterator[Door]:
    """A door that waits for instances that are not here yet."""
    with open_door(tmp_path / "data", dimse__commitment_wait=60) as opened:
        yield opened


@pytest.fixture
def prompt(tmp_path: Path, hurry: None) -> Iterator[Door]:
    """A door that does not wait for them."""
    with open_door(tmp_path / "data", dimse__commitment_wait=0) as opened:
        yield opened
