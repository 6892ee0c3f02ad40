"""docs/workitems.md: its lines work as they are written; only the port is that of the test."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import httpx
from websockets.sync.client import connect

from archive_process import ArchiveServer, StartArchive

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "workitems.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def run(server: ArchiveServer, folder: Path, lines: str) -> str:
    """Type these lines into a shell; what they say. A line that fails ends it."""
    typed = lines.replace("127.0.0.1:8080", f"127.0.0.1:{server.http_port}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", typed], cwd=folder, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


def test_the_guide_from_creation_to_completion(start_archive: StartArchive, tmp_path: Path) -> None:
    server = start_archive("--workers", "1")
    create, perform, subscribe = blocks("sh")
    said = run(server, tmp_path, create + perform + subscribe)
    before, after = [
        json.loads(text) for text in re.findall(r"\[\{.*?\}\](?=\[|content-location)", said, re.I)
    ]
    assert before[0]["00741000"]["Value"] == ["SCHEDULED"]
    assert after[0]["00741000"]["Value"] == ["COMPLETED"]
    assert after[0]["00741204"]["Value"] == ["Segment the liver"]
    assert "00081195" not in after[0]
    place = re.search(r"(?i)^content-location: (ws://\S+)", said, re.MULTILINE) or re.search(
        r"(?i)content-location: (ws://\S+)", said
    )
    assert place, said
    with connect(place[1]) as events:
        other = httpx.post(
            f"{server.dicomweb_url}/workitems?2.25.4712",
            content=(tmp_path / "item.json").read_bytes(),
            headers={"Content-Type": "application/dicom+json"},
            timeout=60,
        )
        assert other.status_code == 201
        event = json.loads(events.recv(timeout=60))
    assert event["00001000"]["Value"] == ["2.25.4712"]


def test_the_listener_of_the_guide() -> None:
    """It is a program; what it uses is there."""
    [listener] = blocks("python")
    compile(listener, str(GUIDE), "exec")
    assert "/dicom-web/subscribers/" in listener
