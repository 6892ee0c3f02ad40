"""DCMTK's command line tools as clients and peers; modalities and other archives behave much like them.

pynetdicom installs tools of the same names, so ours are looked up outside the Python environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from archive_process import ArchiveServer
from ports import free_port

TOOLS = ("storescu", "dcmsend", "storescp", "findscu", "movescu", "getscu", "echoscu")
START_SECONDS = 20

NOT_SENT = {
    "HTJ2KLossless_08_RGB.dcm": "DCMTK does not know HTJ2K",
    "HTJ2K_08_RGB.dcm": "DCMTK does not know HTJ2K",
    "liver_deflate.dcm": "DCMTK does not know Deflated Image Frame Compression",
    "liver_nonbyte_aligned_deflate.dcm": "DCMTK does not know Deflated Image Frame Compression",
    "explicit_VR-UN.dcm": "its UIDs are encoded as UN, where DCMTK finds none",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "truncated, and not stored by us either",
    "bad_sequence.dcm": "its SOP Instance UID has letters; not stored by us either",
}
"""Files of the shared collection that DCMTK 3.6.7 does not send, and why."""


@dataclass(frozen=True)
class Run:
    """How a tool ended, and all that it said."""

    code: int
    output: str


def tool(name: str) -> str | None:
    """The path of a DCMTK tool; None when DCMTK is not installed."""
    ours = Path(sys.prefix).resolve()
    folders = [each for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    outside = [each for each in folders if not Path(each).resolve().is_relative_to(ours)]
    return shutil.which(name, path=os.pathsep.join(outside))


def run(name: str, *arguments: object, timeout: float = 300) -> Run:
    """Run a tool to its end."""
    command = [str(tool(name)), *map(str, arguments)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False
    )
    return Run(done.returncode, done.stdout.decode("utf-8", "replace"))


def peer(server: ArchiveServer) -> list[object]:
    """Where the tools find the archive."""
    return ["-aec", server.ae_title, "127.0.0.1", server.dimse_port]


@contextmanager
def storescp(folder: Path, ae_title: str = "STORESCP", *options: str) -> Iterator[int]:
    """A stock storage SCP that writes what it gets to `folder`, bit by bit as received; gives its port."""
    port = free_port()
    command = [str(tool("storescp")), "+B", "+xa", "-pm", "-aet", ae_title, "-od", str(folder), *options]
    process = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_answers(process, port, ae_title)
        yield port
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int, ae_title: str) -> None:
    """Return when a C-ECHO succeeds; fail when the process ends before."""
    deadline = time.monotonic() + START_SECONDS
    pause = threading.Event()
    while run("echoscu", "-aec", ae_title, "127.0.0.1", port).code:
        assert process.poll() is None, f"storescp ended with {process.returncode}"
        assert time.monotonic() < deadline, "storescp does not answer"
        pause.wait(0.02)


def association_profile(path: Path, pairs: Iterable[tuple[str, str]]) -> Sequence[str]:
    """Options that make storescu propose each SOP class with exactly the transfer syntaxes its files have.

    `pairs` are (SOP Class UID, transfer syntax UID). Without this, storescu decompresses or refuses."""
    wanted = sorted(set(pairs))
    syntaxes = sorted({syntax for _, syntax in wanted})
    lines = ["[[TransferSyntaxes]]"]
    for number, syntax in enumerate(syntaxes):
        lines += [f"[Syntax{number}]", f"TransferSyntax1 = {syntax}"]
    lines += ["[[PresentationContexts]]", "[Files]"]
    for number, (sop_class, syntax) in enumerate(wanted, 1):
        lines.append(f"PresentationContext{number} = {sop_class}\\Syntax{syntaxes.index(syntax)}")
    lines += ["[[Profiles]]", "[Default]", "PresentationContexts = Files"]
    path.write_text("\n".join(lines) + "\n")
    return ["-xf", str(path), "Default"]
