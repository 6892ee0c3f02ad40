"""Fixtures for every test. What lies beside the project is used when it is there, and named when not."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from archive_process import ArchiveServer, StartArchive, start
from conformance import pausing
from logging_kept import logging_put_back

# Tests run beside each other; how long one example takes says nothing.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

# A response that its own client drops says nothing of the archive either.
pausing.mend()

REPOSITORY = Path(__file__).resolve().parents[1]

pytest_plugins = ["alone"]

NO_SKIPS = os.environ.get("CI", "").lower() in {"1", "true"}
"""In continuous integration everything that a test needs is there, so a skipped test is a fault."""

MACHINE_CANNOT = "this machine cannot"
"""How the reason of a skip begins where no installation would help: mounting takes a privilege."""


def _refuse_skip(report: Any) -> Any:
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if str(reason).removeprefix("Skipped: ").startswith(MACHINE_CANNOT):
            return report
        report.outcome = "failed"
        report.longrepr = f"{reason} (with CI set nothing may be skipped)"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """A test that is skipped in continuous integration has failed."""
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """The same for a whole file."""
    return _refuse_skip((yield))


@pytest.fixture(autouse=True)
def its_own_logging() -> Iterator[None]:
    """A command that a test runs in its own process sets up logging; the next test begins as if none had."""
    with logging_put_back():
        yield


@pytest.fixture
def start_archive(tmp_path: Path) -> Iterator[StartArchive]:
    """A factory of real servers: `start_archive("--workers", "1", data=…, environment=…)`; stops all."""
    started: list[ArchiveServer] = []

    def begin(
        *options: str, data: Path | None = None, environment: dict[str, str] | None = None
    ) -> ArchiveServer:
        log = tmp_path / f"archive-{len(started)}.log"
        server = start(*options, data=data or tmp_path / "data", log_path=log, environment=environment)
        started.append(server)
        return server

    yield begin
    for server in started:
        _end(server)


@pytest.fixture(scope="session")
def archive_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveServer]:
    """One real server for all tests of a process that can share it; CORS is open to every origin."""
    folder = tmp_path_factory.mktemp("archive")
    environment = {"ARCHIVE_HTTP_CORS_ORIGINS": "*"}
    server = start(data=folder / "data", log_path=folder / "archive.log", environment=environment)
    yield server
    _end(server)


def _end(server: ArchiveServer) -> None:
    try:
        server.stop()
    finally:
        server.process.kill()
        server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real DICOM files beside the project."""
    folder = REPOSITORY.parent / "shared" / "data" / "pydicom-data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the project")
    return folder


@pytest.fixture(scope="session")
def pydicom_data() -> Path:
    """The DICOM files that pydicom's own wheel brings."""
    import pydicom.data

    return Path(pydicom.data.__file__).parent
