"""DCMTK's tools, the same for every server: with Nagle's algorithm off unless a row says stock."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.servers.server import HOST, SINK_AE_TITLE, Server

SECONDS = 900
NEEDED = ("storescu", "storescp", "findscu", "movescu", "getscu")
_YEAR_KEYS = (
    "StudyInstanceUID",
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyDescription",
    "StudyTime",
)


class ToolFault(Exception):
    """A tool did not succeed."""


def store(folders: Sequence[Path], port: int, ae_title: str, stock: bool = False) -> float:
    """One storescu for each folder, all at one time: seconds until the last has ended."""
    common = ["storescu", "-R", "-aec", ae_title, "--max-send-pdu", "131072", "+sd", "-xe"]
    commands = [[*common, HOST, str(port), str(folder)] for folder in folders]
    if stock:
        commands = [
            ["storescu", "-R", "-aec", ae_title, "+sd", HOST, str(port), str(each)] for each in folders
        ]
    return _timed(commands, stock)


def store_file(path: Path, server: Server) -> float:
    """One object by storescu: seconds."""
    options = ["-R", "-xe", "--max-send-pdu", "131072", "-aec", server.ae_title]
    return _timed([["storescu", *options, HOST, str(server.dimse_port), str(path)]])


def find_year(server: Server, year: int) -> float:
    """C-FIND of the studies of a year: seconds until the last answer."""
    return _timed([["findscu", "-q", *_year(server, year)]])


def count_year(server: Server, year: int) -> int:
    """How many answers that brings."""
    said = _said(["findscu", *_year(server, year)])
    return said.count("Find Response:")


def _year(server: Server, year: int) -> list[str]:
    keys = ["QueryRetrieveLevel=STUDY", f"StudyDate={year}0101-{year}1231", *_YEAR_KEYS]
    options = [part for key in keys for part in ("-k", key)]
    return ["-S", "-aec", server.ae_title, *options, HOST, str(server.dimse_port)]


def move(server: Server, StudyInstanceUID: str) -> float:
    """C-MOVE of a study to the sink: seconds."""
    options = ["-S", "-aec", server.ae_title, "-aem", SINK_AE_TITLE, *_study(StudyInstanceUID)]
    return _timed([["movescu", "-q", *options, HOST, str(server.dimse_port)]])


def get(server: Server, StudyInstanceUID: str) -> float:
    """C-GET of a study, which getscu throws away: seconds."""
    options = ["-S", "--ignore", "-pdu", "131072", "-aec", server.ae_title, *_study(StudyInstanceUID)]
    return _timed([["getscu", "-q", *options, HOST, str(server.dimse_port)]])


def _study(StudyInstanceUID: str) -> list[str]:
    return ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={StudyInstanceUID}"]


def _environment(stock: bool) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    return kept if stock else kept | {"TCP_NODELAY": "1"}


def _timed(commands: Sequence[Sequence[str]], stock: bool = False) -> float:
    begin = time.perf_counter()
    running = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment(stock), text=True
        )
        for command in commands
    ]
    try:
        said = [process.communicate(timeout=SECONDS)[0] for process in running]
    except BaseException:
        for process in running:
            process.kill()
        raise
    seconds = time.perf_counter() - begin
    for command, process, text in zip(commands, running, said, strict=True):
        if process.returncode or text.startswith(("E:", "F:")):
            raise ToolFault(f"{' '.join(command)[:300]}: {text[-1000:]}")
    return seconds


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(False),
        timeout=SECONDS,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise ToolFault(f"{command[0]}: {done.stdout[-1000:]}")
    return done.stdout


def version() -> str:
    """That of DCMTK."""
    return _said(["storescu", "--version"]).split("v", 1)[1].split(" ", 1)[0]
