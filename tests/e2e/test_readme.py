"""The README's lines work as they are written; only the ports are those of the test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

import dcmtk
from archive_process import ArchiveServer
from files import File, files
from refused_files import REFUSED

README = Path(__file__).resolve().parents[2] / "README.md"

pytestmark = pytest.mark.usefixtures("dcmtk_tools")


def block(heading: str, position: int = 0) -> str:
    """The shell lines under a heading of the README."""
    section = README.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[position]


@dataclass(frozen=True)
class Terminal:
    """A shell in the project's folder, as the reader has it: `.venv` is there, and the archive's `data`."""

    folder: Path
    ports: dict[str, int]

    def run(self, lines: str) -> str:
        """Type these lines; their output. A line that fails ends it."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(lines)],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        output = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, output
        return output

    def here(self, lines: str) -> str:
        """The lines with the ports of this test."""
        for written, ours in self.ports.items():
            lines = re.sub(rf"\b{written}\b", str(ours), lines)
        return lines

    def environment(self) -> dict[str, str]:
        """Without the Python environment's own tools in the path: they have DCMTK's names."""
        ours = str(Path(sys.prefix) / "bin")
        path = [each for each in os.environ["PATH"].split(os.pathsep) if each != ours]
        return os.environ | {"PATH": os.pathsep.join(path)}


@pytest.fixture
def terminal(start_archive: Callable[..., ArchiveServer], tmp_path: Path) -> Terminal:
    """A terminal beside a running archive."""
    server = start_archive(data=tmp_path / "data")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    ports = {"8080": server.http_port, "11112": server.dimse_port, "11113": dcmtk.free_port()}
    return Terminal(tmp_path, ports)


def test_send_a_file_and_see_it(terminal: Terminal) -> None:
    lines = block("Send a file and see it")
    assert len(lines.strip().splitlines()) == 5
    output = terminal.run(lines)
    assert "CompressedSamples^CT1" in output
    with Image.open(terminal.folder / "picture.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (128, 128))
        lowest, highest = picture.convert("L").getextrema()
        assert highest - lowest > 50


def test_a_whole_folder(terminal: Terminal, shared_data: Path) -> None:
    accepted = [file for file in files(shared_data) if file.path.name not in REFUSED]
    sent, imported = block("Send a file and see it", 1).replace("FOLDER", str(shared_data)).splitlines()
    terminal.run(sent)
    stored = terminal.folder / "data" / "objects"
    assert uids(files(stored)) == uids(file for file in accepted if file.path.name not in dcmtk.NOT_SENT)
    output = terminal.run(f"{imported} || true  # it ends with 1, as some files are refused")
    assert uids(files(stored)) == uids(accepted), output


def uids(several: Iterable[File]) -> set[str]:
    """Their SOP Instance UIDs; some have the same."""
    return {file.SOPInstanceUID for file in several}


@contextmanager
def workstation(terminal: Terminal) -> Iterator[None]:
    """The README's storescp, in a terminal of its own, until it answers."""
    lines = block("Find and fetch", 1)
    process = subprocess.Popen(
        ["bash", "-euc", terminal.here(lines)],
        cwd=terminal.folder,
        env=terminal.environment(),
        start_new_session=True,
    )
    try:
        dcmtk.wait_until_it_answers(process, terminal.ports["11113"], "WORKSTATION")
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def test_find_and_fetch(terminal: Terminal) -> None:
    lines = [block("Send a file and see it"), block("Find and fetch"), block("Find and fetch", 2)]
    with workstation(terminal):
        output = terminal.run("".join(lines))
    assert "CompressedSamples^CT1" in output
    (fetched,) = files(terminal.folder / "fetched")
    (received,) = files(terminal.folder / "received")
    (stored,) = files(terminal.folder / "data" / "objects")
    assert fetched.data_set == received.data_set == stored.data_set
    assert stored.data_set in (terminal.folder / "study.multipart").read_bytes()
    with zipfile.ZipFile(terminal.folder / "study.zip") as archive:
        assert "DICOMDIR" in archive.namelist()
        assert len(archive.namelist()) == 2


def test_the_picture_is_there() -> None:
    with Image.open(README.parent / "docs" / "ohif.png") as picture:
        assert picture.size == (1440, 900)
