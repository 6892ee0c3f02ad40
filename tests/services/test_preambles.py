"""The 128 bytes before a PS3.10 file, in which it may be another file as well (reliability.md O5, PS3.10 7.5): what
becomes of them, by the setting storage.preamble. Whatever becomes of them, from the prefix DICM on every byte is
kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.config import load
from archive.dicom.errors import CannotUnderstand
from archive.dicom.instance import Source
from archive.dicom.part10 import preamble_contents
from archive.settings.keeping import PREAMBLES
from objects import part10, secondary_capture
from suites.sqlite import prepare

PROGRAM = b"MZ" + b"\x90" * 126
TIFF = b"II*\0" + b"\x10\x27\0\0" + bytes(120)
PREAMBLE_OF = {
    "TIFF": TIFF,
    "a Windows program": PROGRAM,
    "a Linux program": b"\x7fELF" + b"\1" * 124,
    "PDF": b"%PDF-1.7\n" + b" " * 119,
    "a script": b"#!/bin/sh\nrm -rf /\n" + b"\n" * 109,
    "unknown": b"\0" * 127 + b"x",
    "": bytes(128),
}


def opened(folder: Path, policy: str) -> Archive:
    settings = load(
        environment={},
        overrides={"data": str(folder), "storage.preamble": policy, "storage.minimum_free_bytes": 0},
    )
    prepare(settings)
    return building.build(settings)


def kept(archive: Archive, file: bytes) -> bytes:
    """The file as the archive stores it, sent in two pieces."""
    with archive.ingest.part10(Source("STOW-RS")) as reception:
        reception.write(file[:100])
        reception.write(file[100:])
        reception.finish()
    (path,) = [path for path in (archive.settings.data / "objects").rglob("*") if path.is_file()]
    return path.read_bytes()


@pytest.mark.parametrize(("contents", "preamble"), PREAMBLE_OF.items())
@pytest.mark.parametrize("policy", PREAMBLES)
def test_o5_what_becomes_of_a_preamble(tmp_path: Path, policy: str, contents: str, preamble: bytes) -> None:
    """O5."""
    assert len(preamble) == 128
    assert preamble_contents(preamble) == contents
    file = preamble + part10(secondary_capture())[128:]
    archive = opened(tmp_path / "data", policy)
    try:
        if policy == "reject" and contents:
            with pytest.raises(CannotUnderstand, match="preamble"):
                kept(archive, file)
            assert not [path for path in archive.settings.data.rglob("*.part") if path.is_file()]
            return
        stays = policy == "keep-tiff" and contents == "TIFF"
        assert kept(archive, file) == (preamble if stays else bytes(128)) + file[128:]
    finally:
        archive.close()


@pytest.mark.parametrize("first", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
def test_o5_every_tiff_is_one(first: bytes) -> None:
    """O5: of either byte order, and BigTIFF."""
    assert preamble_contents(first + bytes(124)) == "TIFF"


def test_the_log_tells_of_it_without_anything_that_a_stranger_wrote(tmp_path: Path) -> None:
    """A UID may be logged; what stands in the place of one may be the name of a patient."""
    data_set = secondary_capture()
    file = part10(data_set)
    uid = str(data_set.SOPInstanceUID).encode()
    name = b"ZZCANARY^PHI".ljust(len(uid), b"^")[: len(uid)]
    assert file.count(uid) == 2
    archive = opened(tmp_path / "data", "zero")
    try:
        with structlog.testing.capture_logs() as lines, archive.ingest.part10(Source("STOW-RS")) as reception:
            reception.write(PROGRAM + file[128:].replace(uid, name, 1))
            reception.finish()
    finally:
        archive.close()
    (told,) = [line for line in lines if line["event"] == "preamble"]
    assert told["holds"] == "a Windows program"
    assert "CANARY" not in repr(lines)
