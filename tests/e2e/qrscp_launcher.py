"""A pytest plugin by which pynetdicom's tests of its qrscp meet the archive in its place, unmodified.

Those tests start `qrscp.py`, wait a second, send six files with storescu, wait again, and ask at port 11112; a storage
SCP of theirs listens at 11113. Run with `-p qrscp_launcher`, their modules get another `subprocess`, `time` and `AE`:
"starting qrscp" hands out one archive that runs for all of them, ports are those that the system chose, and nobody
waits for the clock, as storescu has ended before it is left.

qrscp asks nobody by which AE title it was called, and they do not call it by its own; here it is named for them. They
count the attributes of answers, so Instance Availability is taken out, which PS3.4 C.4.1.1.3.2 lets an SCP add and
qrscp does not: else it would hide all that they ask after.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pynetdicom import AE

import dicomweb
from archive_process import ArchiveServer, archive, start
from dcmtk import free_port

AE_TITLE, DESTINATION = "QRSCP", "STORESCP"
QRSCP_PORT, DESTINATION_PORT = 11112, 11113


class Launcher:
    """What stands for qrscp: one archive, and what the tests believe they started."""

    def __init__(self, server: ArchiveServer, destination_port: int) -> None:
        self.server = server
        self.ports = {QRSCP_PORT: server.dimse_port, DESTINATION_PORT: destination_port}
        self.instance_location = Path()
        self.has_objects = False

    def popen(self, arguments: Sequence[str]) -> Any:
        """`subprocess.Popen` for their modules: qrscp or storescu."""
        if "storescu" in arguments:
            self._send(arguments)
            return None
        self.instance_location = Path(arguments[arguments.index("--instance-location") + 1])
        return Launched()

    def _send(self, arguments: Sequence[str]) -> None:
        """Their storescu, once: the archive keeps what it has. Then show what there is as qrscp would, as files."""
        if not self.has_objects:
            there = {"localhost": "127.0.0.1", str(QRSCP_PORT): str(self.server.dimse_port)}
            command = [*(there.get(each, each) for each in arguments), "-aec", AE_TITLE]
            subprocess.run(command, check=True, timeout=120)
            self.has_objects = True
        for match in dicomweb.search(self.server.dicomweb_url, "instances"):
            (self.instance_location / str(dicomweb.value(match, "00080018"))).touch()

    def application_entity(self) -> type[AE]:
        """`AE` with their ports led to ours."""
        ports = self.ports

        class LedAE(AE):  # type: ignore[misc]
            def associate(self, addr: str, port: int, **options: Any) -> Any:
                association = super().associate("127.0.0.1", ports[port], ae_title=AE_TITLE, **options)
                association.send_c_find = as_qrscp_would(association.send_c_find)
                return association

            def start_server(self, address: tuple[str, int], **options: Any) -> Any:
                return super().start_server(("127.0.0.1", ports[address[1]]), **options)

        return LedAE


def as_qrscp_would(send_c_find: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """The same answers without Instance Availability."""

    def answers(*arguments: Any) -> Iterator[Any]:
        for status, identifier in send_c_find(*arguments):
            if identifier is not None and "InstanceAvailability" in identifier:
                del identifier.InstanceAvailability
            yield status, identifier

    return answers


class Launched:
    """The process that they believe to have: it runs until it is told to end."""

    returncode: int | None = None

    def terminate(self) -> None:
        """As SIGTERM would."""
        self.returncode = -15

    kill = terminate

    def wait(self, timeout: float | None = None) -> int | None:
        """It has ended, or this is a question about qrscp's command line, which nobody can answer here."""
        assert self.returncode is not None, "qrscp was expected to end by itself"
        return self.returncode


@contextmanager
def launcher(folder: Path) -> Iterator[Launcher]:
    """An archive with the AE titles that qrscp's configuration knows."""
    destination_port = free_port()
    data = folder / "data"
    environment = {"ARCHIVE_DIMSE_AE_TITLE": AE_TITLE}
    server = start("--workers", "1", data=data, log_path=folder / "archive.log", environment=environment)
    try:
        added = archive("ae", "add", DESTINATION, "127.0.0.1", str(destination_port), "--data", str(data))
        assert added.code == 0, added.stderr
        yield Launcher(server, destination_port)
    finally:
        server.stop()


@pytest.fixture(scope="session", autouse=True)
def launched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put the launcher into the modules of the tests."""
    with launcher(tmp_path_factory.mktemp("qrscp")) as held:
        for module in {item.module for item in request.session.items}:
            module.subprocess = SimpleNamespace(Popen=held.popen)
            module.time = SimpleNamespace(sleep=lambda seconds: None)
            module.AE = held.application_entity()
        yield
