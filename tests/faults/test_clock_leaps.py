"""The real archive on a machine whose clock is ten years off, and leaps while it runs (reliability.md 4.3): nothing
goes for that, nobody's association ends, and all is served. By libfaketime, which every process obeys."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from archive_process import StartArchive
from reliability import dimse, objects, senders
from reliability.checker import check
from reliability.ledger import Ledger
from reliability.objects import SOP_CLASSES
from reliability.target import Target

LEAPS = ("+10y", "-10y", "+0", "+20y", "+1d", "+0")


def library() -> str:
    for folder in ("/usr/lib", "/usr/local/lib"):
        for found in Path(folder).rglob("libfaketimeMT.so.1"):
            return str(found)
    pytest.skip("this machine cannot: libfaketime is not installed (Debian package faketime)")


class FakeClock:
    """That of all processes of an archive."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.environment = {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def leap(self, by: str) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(by)
        new.rename(self._file)


def year(url: str) -> int:
    """What the archive takes this year for."""
    return int(httpx.get(f"{url}/health/live", timeout=30).headers["date"].split()[3])


def await_another_year(url: str, than: int) -> None:
    """The Date of answers is made anew once a second."""
    deadline = time.monotonic() + 20
    while abs(year(url) - than) < 9:
        assert time.monotonic() < deadline, "the clock was not believed"
        time.sleep(0.1)


def test_a_clock_that_leaps(tmp_path: Path, start_archive: StartArchive) -> None:
    clock, ledger, data = FakeClock(tmp_path), Ledger(), tmp_path / "data"
    clock.leap("+0")
    server = start_archive("--workers", "1", data=data, environment=clock.environment)
    target = Target(server.http_port, server.dimse_port, data=data)
    workers, real = server.worker_pids(), year(server.http_url)
    with dimse.storing(target, SOP_CLASSES) as held:
        for number, leap in enumerate(LEAPS):
            clock.leap(leap)
            assert senders.store(ledger, held, objects.made("leaps", number)) == 0
            if leap.endswith("0y"):
                await_another_year(server.http_url, real)
            assert httpx.get(f"{server.http_url}/health/ready", timeout=30).status_code == 200
    assert server.worker_pids() == workers, "a worker has died, or was taken for silent"
    report = check(ledger, target)
    assert report.ok, report
    assert server.stop() == 0


@pytest.mark.parametrize("leap", ["+10y", "-10y"])
def test_a_start_with_a_wrong_clock(tmp_path: Path, start_archive: StartArchive, leap: str) -> None:
    """As of a machine whose battery is empty; what was kept aside for some days is still kept."""
    clock, ledger, data = FakeClock(tmp_path), Ledger(), tmp_path / "data"
    for number, now in enumerate((leap, "+0")):
        clock.leap(now)
        server = start_archive("--workers", "1", data=data, environment=clock.environment)
        target = Target(server.http_port, server.dimse_port, data=data)
        with dimse.storing(target, SOP_CLASSES) as association:
            assert senders.store(ledger, association, objects.made("starts", number)) == 0
        report = check(ledger, target)
        assert report.ok, report
        assert report.acknowledged == number + 1
        assert server.stop() == 0
