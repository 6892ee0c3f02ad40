"""dimse.md 1.4: destinations that refuse, sleep, abort and die, and such as take one transfer syntax only: DCMTK's
storescp, as it comes. What did not arrive is counted and named, the rest goes on, and the requestor hears why."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

import dcmtk
import scu
from archive_process import ArchiveServer
from holdings import add_ae_title
from objects import ct, new_uid
from objects import encoded as encoded_object

pytestmark = pytest.mark.usefixtures("dcmtk_tools")
OBJECTS = 4


@dataclass
class Held:
    """A study in the archive: the objects, and what they look like."""

    server: ArchiveServer
    study: str
    objects: list[Dataset]

    @property
    def uids(self) -> set[str]:
        return {str(one.SOPInstanceUID) for one in self.objects}


@pytest.fixture(scope="module")
def held(module_archive: Any) -> Held:
    """Slices in Explicit VR Little Endian."""
    server, study = module_archive(), new_uid()
    pixels = np.arange(64 * 64, dtype="<u2") // 2
    made = [
        ct(StudyInstanceUID=study, Rows=64, Columns=64, PixelData=(pixels + 7 * n).tobytes())
        for n in range(OBJECTS)
    ]
    for one in made:
        data = encoded_object(one, ExplicitVRLittleEndian)
        status, said = scu.store(
            server, (CTImageStorage, ExplicitVRLittleEndian), str(one.SOPInstanceUID), [data]
        )
        assert status == 0, said
    return Held(server, study, made)


@contextmanager
def destination(
    held: Held, folder: Path, *options: str, rules: Sequence[str] = ("--transfer-syntax", "")
) -> Iterator[subprocess.Popen[bytes]]:
    """A storescp that behaves as the options say, known to the archive as FAULTY."""
    folder.mkdir(exist_ok=True)
    port = dcmtk.free_port()
    command = [str(dcmtk.tool("storescp")), "-d", "+B", "-pm", "-aet", "FAULTY", "-od", str(folder), *options]
    with (folder.parent / "storescp.log").open("wb") as log:
        process = subprocess.Popen([*command, str(port)], stdout=log, stderr=log)
    try:
        wait_for(lambda: listens(port))
        add_ae_title(held.server, "FAULTY", port, *rules)
        yield process
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Any) -> None:
    deadline, pause = time.monotonic() + 30, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def move(held: Held, *options: str) -> str:
    """What movescu says of moving the study to FAULTY."""
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={held.study}"]
    return dcmtk.run(
        "movescu", "-d", "-S", "-aem", "FAULTY", *keys, *options, *dcmtk.peer(held.server)
    ).output


def final(said: str) -> dict[str, str]:
    """The last response that movescu tells of: its fields by their names."""
    fields = {}
    for line in said.rpartition("INCOMING DIMSE MESSAGE")[2].splitlines():
        name, colon, value = line.removeprefix("D: ").partition(":")
        if colon:
            fields[name.strip()] = value.strip()
    return fields


def counts(fields: dict[str, str]) -> tuple[int, int]:
    """Completed and failed."""
    return int(fields["Completed Suboperations"]), int(fields["Failed Suboperations"])


def received(folder: Path) -> set[str]:
    return {str(pydicom.dcmread(path).SOPInstanceUID) for path in folder.iterdir()}


def test_one_that_refuses_associations(held: Held, tmp_path: Path) -> None:
    with destination(held, tmp_path / "in", "--refuse"):
        fields = final(move(held))
    assert "0xa702" in fields["DIMSE Status"]
    assert counts(fields) == (0, OBJECTS)


def test_one_that_aborts_after_every_object(held: Held, tmp_path: Path) -> None:
    """It may have them or not: without an answer they count as failed. After two it is given up."""
    with destination(held, tmp_path / "in", "--abort-after"):
        fields = final(move(held))
    assert "0xa702" in fields["DIMSE Status"]
    assert counts(fields) == (0, OBJECTS)


def test_one_that_aborts_amid_every_object(held: Held, tmp_path: Path) -> None:
    with destination(held, tmp_path / "in", "--abort-during"):
        fields = final(move(held))
    assert "0xa702" in fields["DIMSE Status"]
    assert counts(fields) == (0, OBJECTS)
    assert received(tmp_path / "in") <= held.uids


@pytest.mark.parametrize("option", ["--sleep-after", "--sleep-during"])
def test_one_that_sleeps_and_is_waited_for(held: Held, tmp_path: Path, option: str) -> None:
    """With pending responses in the meantime: a requestor that hears nothing gives up."""
    with destination(held, tmp_path / "in", option, "1"):
        said = move(held)
    assert "0x0000" in final(said)["DIMSE Status"]
    assert counts(final(said)) == (OBJECTS, 0)
    assert said.count("0xff00") >= 2
    assert received(tmp_path / "in") == held.uids


def test_a_cancel_while_one_sleeps(held: Held, tmp_path: Path) -> None:
    """movescu cancels after the first response; the destination would take a minute for each."""
    begun = time.monotonic()
    with destination(held, tmp_path / "in", "--sleep-during", "60"):
        said = move(held, "--cancel", "1")
    assert time.monotonic() - begun < 45
    fields = final(said)
    assert "0xfe00" in fields["DIMSE Status"]
    done, failed = counts(fields)
    assert (done, failed, int(fields["Remaining Suboperations"])) == (0, 1, OBJECTS - 1)


def test_one_that_dies(held: Held, tmp_path: Path) -> None:
    """Killed while it has the first object: the rest finds nobody."""
    with destination(held, tmp_path / "in", "--sleep-during", "60") as process:
        said: list[str] = []
        moving = threading.Thread(target=lambda: said.append(move(held)))
        moving.start()
        wait_for(lambda: "C-STORE RQ" in (tmp_path / "storescp.log").read_text("latin-1"))
        process.kill()
        moving.join(60)
    fields = final(said[0])
    assert "0xa702" in fields["DIMSE Status"]
    assert counts(fields) == (0, OBJECTS)


TAKING = {
    "+xi": ImplicitVRLittleEndian,
    "+xe": ExplicitVRLittleEndian,
    "+x=": ExplicitVRLittleEndian,
}
PREFERRED = {"+xv": JPEG2000Lossless, "+xr": RLELossless}


@pytest.mark.parametrize("option", TAKING)
def test_what_it_takes_is_what_it_gets(held: Held, tmp_path: Path, option: str) -> None:
    with destination(held, tmp_path / "in", option):
        assert "0x0000" in final(move(held))["DIMSE Status"]
    check(held, tmp_path / "in", TAKING[option])


@pytest.mark.parametrize("option", PREFERRED)
def test_what_the_administrator_says_it_prefers(held: Held, tmp_path: Path, option: str) -> None:
    """Compressed on the way out, as `archive ae set … --transfer-syntax` wants it."""
    rule = "--transfer-syntax", PREFERRED[option]
    with destination(held, tmp_path / "in", option, rules=rule):
        assert "0x0000" in final(move(held))["DIMSE Status"]
    check(held, tmp_path / "in", PREFERRED[option])


def check(held: Held, folder: Path, transfer_syntax_uid: str) -> None:
    """Everything arrived in this transfer syntax and shows the same."""
    files = [pydicom.dcmread(path) for path in folder.iterdir()]
    assert {str(one.SOPInstanceUID) for one in files} == held.uids
    assert {str(one.file_meta.TransferSyntaxUID) for one in files} == {transfer_syntax_uid}
    expected = {str(one.SOPInstanceUID): np.frombuffer(one.PixelData, "<u2") for one in held.objects}
    for one in files:
        shown = pixel_array(one, raw=True).astype("<u2").ravel()
        assert np.array_equal(shown, expected[str(one.SOPInstanceUID)])
