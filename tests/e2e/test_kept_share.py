"""Shares of rates are told rightly: too little fails, and what somebody else has made of the machine does not count."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest

import kept_share
from archive_process import ArchiveServer
from kept_share import Others, assert_kept, others

BUSY = "while True: pass"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Others:
    """What is believed of others."""
    said = Others(0.0, "nobody")

    @contextmanager
    def told(_: ArchiveServer) -> Iterator[Others]:
        yield said

    monkeypatch.setattr(kept_share, "others", told)
    return said


def rates(*several: float) -> Callable[[ArchiveServer], float]:
    """One after the other; the last for ever."""
    left = list(several)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.usefixtures("said")
def test_enough(archive_server: ArchiveServer) -> None:
    assert_kept(archive_server, rates(100, 20, 100, 60), nullcontext, 0.5)


@pytest.mark.usefixtures("said")
def test_too_little(archive_server: ArchiveServer) -> None:
    with pytest.raises(AssertionError, match=r"share=0\.2, alone=100, amid=20, others='nobody'"):
        assert_kept(archive_server, rates(*(100, 20) * 5), nullcontext, 0.5)


def test_with_others_there_it_says_nothing(archive_server: ArchiveServer, said: Others) -> None:
    said.processors, said.names = 0.9, "somebody"
    with pytest.raises(pytest.skip.Exception, match=r"^this machine cannot say.*somebody"):
        assert_kept(archive_server, rates(*(100, 20) * 10), nullcontext, 0.5)
    assert_kept(archive_server, rates(100, 60), nullcontext, 0.5)


def test_others_are_seen(archive_server: ArchiveServer) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as busy:
        try:
            with (
                others(archive_server) as found,
                subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"]),
            ):
                pass
        finally:
            busy.kill()
    assert found.processors > 0.2
    assert f"({busy.pid})" in found.names
