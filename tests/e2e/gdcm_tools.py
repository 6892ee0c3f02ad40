"""gdcmscu, GDCM's SCU: a DICOM network stack that shares no code with DCMTK or pynetdicom.

Debian's 3.0.21 dies of an exception of its own ("ProtocolStream as nullptr is invalid") once it has released the
association, whoever the peer is; so what it did is read from the log that it writes before, and its answers to C-FIND,
which it would print afterwards, are only counted.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from archive_process import ArchiveServer


@dataclass(frozen=True)
class Log:
    """All that gdcmscu wrote."""

    text: str

    @property
    def statuses(self) -> list[int]:
        """The Status of each response, in order; the log tells every one twice."""
        return [int(value) for value in re.findall(r"\(0000,0900\) \?\? \(US\) (\d+)", self.text)[::2]]


def gdcmscu(server: ArchiveServer, log: Path, *options: object, called: str = "") -> Log:
    """Run it to its end."""
    program = shutil.which("gdcmscu")
    assert program is not None
    peer = ["--call", called or server.ae_title, "127.0.0.1", server.dimse_port]
    command = [program, *options, "-V", "-D", "-W", "-E", "-L", log, *peer]
    done = subprocess.run(list(map(str, command)), capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    return Log(log.read_text(errors="replace") + said)
