"""What `archive demo` stores has no error for dciodvfy (Debian's dicom3tools): an example goes by the book."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path

from archive.cli.demo.plan import Planned, planned


def one_of_each() -> dict[tuple[str, str], Planned]:
    """The last instance of each series."""
    found = {}
    for one in planned(date(2026, 11, 23)):
        found[one.StudyInstanceUID, str(one.make.args[0].number)] = one  # type: ignore[attr-defined]
    return found


def test_no_object_has_an_error(tmp_path: Path, dicom3tools: None) -> None:
    several = one_of_each()
    assert len(several) == 7
    for number, one in enumerate(several.values()):
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(one.file())
        done = subprocess.run(["dciodvfy", "-new", file], capture_output=True, check=False, timeout=60)
        said = done.stderr.decode("latin-1")
        assert done.returncode == 0, said
        assert "Error" not in said, said
        assert said.strip(), "it names the IOD that it has found"
