"""What the end-to-end tests need from outside the project. A test that lacks it is skipped with the name."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dcmtk
from archive_process import ArchiveServer, start
from npm_packages import PackageMissing

# The lists of refused files and the oracle of metadata are those of the dicom tests.
sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))


def _program(name: str, package: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if path is None:
        pytest.skip(f"{name} is not installed (Debian package {package})")
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium."""
    return _program("chromium", "chromium")


@pytest.fixture(scope="session")
def nginx() -> str:
    """Debian's nginx; the tests start one of their own."""
    return _program("nginx", "nginx-light")


@pytest.fixture(scope="session")
def dcmtk_tools() -> None:
    """DCMTK's command line tools."""
    for name in dcmtk.TOOLS:
        if dcmtk.tool(name) is None:
            pytest.skip(f"{name} is not installed (Debian package dcmtk)")


@pytest.fixture(scope="session")
def gdcm() -> None:
    """GDCM's command line tools."""
    _program("gdcmscu", "libgdcm-tools")


@pytest.fixture(scope="session")
def dicom3tools() -> None:
    """David Clunie's validator of DICOM files."""
    _program("dciodvfy", "dicom3tools")


@pytest.fixture(scope="session")
def ohif_viewer() -> Iterator[object]:
    """OHIF, served from an origin of its own."""
    import ohif

    try:
        ohif.distribution()
    except PackageMissing as missing:
        pytest.skip(str(missing))
    with ohif.viewer() as viewer:
        yield viewer


@pytest.fixture(scope="session")
def node() -> str:
    """Debian's Node.js."""
    return _program("node", "nodejs")


@pytest.fixture(scope="session")
def ask(node: str) -> object:
    """dcmjs-dimse, a DIMSE client in JavaScript."""
    import dcmjs

    try:
        return dcmjs.asking(node)
    except PackageMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def module_archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ArchiveServer]]:
    """A factory of real servers that live as long as the tests of one file: `module_archive("--workers", "1")`."""
    started: list[ArchiveServer] = []

    def begin(*options: str, environment: dict[str, str] | None = None) -> ArchiveServer:
        folder = tmp_path_factory.mktemp("archive")
        log = folder / "archive.log"
        server = start(*options, data=folder / "data", log_path=log, environment=environment)
        started.append(server)
        return server

    yield begin
    for server in started:
        try:
            server.stop()
        finally:
            server.process.kill()
            server.process.wait()
            assert server.process.stdout is not None
            server.process.stdout.close()


@pytest.fixture
def received(tmp_path: Path) -> Path:
    """An empty folder for what a peer receives."""
    folder = tmp_path / "received"
    folder.mkdir()
    return folder
