"""Our archive as anybody starts it: `archive serve`, every setting as it comes."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.servers import server
from benchmarks.servers.server import HOST, SINK_AE_TITLE, Server, ServerFault

NAME = "archive"
DURABILITY = "strict: file, folder and index entry of each object fsynced before Success"
SOURCE = Path(__file__).parents[2] / "src" / "archive"
_LAST_GREETING_LINE = "archive import "
_WHAT_LIES_ON_DISK = ("dicom/reading", "index", "services", "storage")


def start(folder: Path, sink_port: int) -> Server:
    """Start it on an empty or a held folder."""
    data, log, greeting = folder / "data", folder / "log", folder / "greeting"
    folder.mkdir(parents=True, exist_ok=True)
    _make_known(data, sink_port)
    command = [*_command("serve"), "--http", f"{HOST}:0", "--dimse", f"{HOST}:0", "--data", str(data)]
    with greeting.open("wb") as out, log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdout=out, stderr=errors, env=_environment(), start_new_session=True
        )
    server.await_ready(process, lambda: _greeted(greeting), log)
    text = greeting.read_text()
    return Server(
        name=NAME,
        version=version("dicom-archive"),
        durability=DURABILITY,
        process=process,
        folder=folder,
        http_port=_found(r"HTTP +http://[^ ]*:(\d+)", text),
        dimse_port=_found(r"DIMSE +\S*:(\d+)", text),
        ae_title="ARCHIVE",
        log=log,
    )


def form() -> str:
    """A name for how it keeps studies: of the same source, it would keep the same ones the same way."""
    digest = hashlib.sha256()
    for part in _WHAT_LIES_ON_DISK:
        for path in sorted((SOURCE / part).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _make_known(data: Path, sink_port: int) -> None:
    command = [*_command("ae"), "add", SINK_AE_TITLE, HOST, str(sink_port), "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode:
        raise ServerFault(f"archive ae add: {done.stderr[-2000:]}")


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "archive.cli", name]


def _environment() -> dict[str, str]:
    """Without settings of another archive; the source is that beside these benchmarks, whatever is installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_")}
    return kept | {"PYTHONPATH": str(SOURCE.parent)}


def _greeted(greeting: Path) -> bool:
    text = greeting.read_text()
    return _LAST_GREETING_LINE in text and text.endswith("\n")


def _found(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    if match is None:
        raise ServerFault(f"no {pattern!r} in what the archive says: {text}")
    return int(match[1])
