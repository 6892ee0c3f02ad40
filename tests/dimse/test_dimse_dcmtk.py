"""DCMTK's tools against the door; the broad rounds with real files are in tests/e2e."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1

from door import AE_TITLE, Door, keep
from objects import ct, data_set_bytes, encoded, part10, secondary_capture
from receivers import dead_port

STUDY = "1.2.3.4"


def tool(name: str) -> str | None:
    """DCMTK's, not pynetdicom's tool of the same name in the Python environment."""
    ours = Path(sys.prefix).resolve()
    folders = [each for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    outside = [each for each in folders if not Path(each).resolve().is_relative_to(ours)]
    return shutil.which(name, path=os.pathsep.join(outside))


pytestmark = pytest.mark.skipif(tool("storescu") is None, reason="DCMTK's tools are not installed")


@pytest.fixture
def received(tmp_path: Path) -> Path:
    """A folder for a tool to write to."""
    folder = tmp_path / "received"
    folder.mkdir()
    return folder


def run(
    name: str, door: Door, *options: object, files: Sequence[Path] = (), folder: Path | None = None
) -> str:
    """What the tool says; it must end well."""
    command = [tool(name), "-v", *options, "-aec", AE_TITLE, "127.0.0.1", door.port, *files]
    done = subprocess.run(list(map(str, command)), capture_output=True, cwd=folder, timeout=60, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, said
    return said


def stored_in(folder: Path) -> list[bytes]:
    """The data sets that a tool wrote."""
    return sorted(data_set_bytes(path.read_bytes()) for path in folder.iterdir())


def keys(level: str, **values: str) -> list[str]:
    options = ["-k", f"QueryRetrieveLevel={level}"]
    for keyword, value in values.items():
        options += ["-k", f"{keyword}={value}" if value else keyword]
    return options


def test_echoscu(door: Door) -> None:
    assert "Received Echo Response (Success)" in run("echoscu", door)


def test_storescu(door: Door, tmp_path: Path) -> None:
    made = ct()
    (tmp_path / "one.dcm").write_bytes(part10(made))
    assert "Received Store Response (Success)" in run("storescu", door, files=[tmp_path / "one.dcm"])
    assert door.stored()[made.SOPInstanceUID].transfer_syntax_uid == ExplicitVRLittleEndian


def test_findscu(door: Door) -> None:
    keep(door, ct(PatientName="Doe^Jane", PatientID="P1"), ct(PatientName="Roe^Ann", PatientID="P2"))
    said = run("findscu", door, "-P", *keys("PATIENT", PatientName="doe*", PatientID=""))
    assert "PatientID" in said
    assert "[P1]" in said
    assert "[P2]" not in said
    assert "Received Final Find Response (Success)" in said


def test_findscu_cancels(door: Door) -> None:
    keep(door, *(secondary_capture() for _ in range(40)))
    said = run("findscu", door, "-S", "--cancel", 1, *keys("STUDY", StudyInstanceUID=""))
    assert "Received Final Find Response" in said


def test_movescu_to_itself(door: Door, received: Path) -> None:
    sent = keep(door, ct(StudyInstanceUID=STUDY), ct(StudyInstanceUID=STUDY))
    port = dead_port()
    door.archive.ae_titles.add("MOVER", "127.0.0.1", port)
    options = ["-S", "-aet", "MOVER", "-aem", "MOVER", "--port", port, "+B"]
    # with +B it ignores -od
    said = run("movescu", door, *options, *keys("STUDY", StudyInstanceUID=STUDY), folder=received)
    assert "Received Final Move Response (Success)" in said
    assert stored_in(received) == sorted(sent), said


def test_getscu(door: Door, received: Path) -> None:
    sent = keep(door, ct(StudyInstanceUID=STUDY), ct(StudyInstanceUID=STUDY))
    run("getscu", door, "-S", "+B", "-od", received, *keys("STUDY", StudyInstanceUID=STUDY))
    assert stored_in(received) == sorted(sent)


def test_getscu_gets_compressed_objects_as_they_are(door: Door, received: Path) -> None:
    made = secondary_capture(
        StudyInstanceUID=STUDY, PixelData=encapsulate([b"\xff\xd8 not looked at \xff\xd9"])
    )
    keep(door, made, transfer_syntax=JPEGLosslessSV1)
    run("getscu", door, "-S", "+B", "+xs", "-od", received, *keys("STUDY", StudyInstanceUID=STUDY))
    assert stored_in(received) == [encoded(made, JPEGLosslessSV1)]
