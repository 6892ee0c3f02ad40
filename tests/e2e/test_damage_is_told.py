"""What `archive verify` has found is in the metrics of the server; a scrape shows what is missing."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.request import urlopen

from archive_process import StartArchive, archive
from objects import part10, secondary_capture

SECONDS = 60


def test_a_missing_file_is_alarmed(tmp_path: Path, start_archive: StartArchive) -> None:
    data, files = tmp_path / "data", tmp_path / "files"
    files.mkdir()
    for number in range(3):
        (files / f"{number}.dcm").write_bytes(part10(secondary_capture()))
    assert archive("import", str(files), "--data", str(data)).code == 0
    stored = [path for path in (data / "objects").rglob("*") if path.is_file()]
    assert len(stored) == 3
    stored[0].unlink()
    found = archive("verify", "--data", str(data))
    assert found.code == 1, found.stderr
    server = start_archive("--workers", "1", data=data)
    assert _until(f"{server.http_url}/metrics", "archive_objects_missing") == 1
    assert _until(f"{server.http_url}/metrics", "archive_objects_corrupt") == 0
    assert _until(f"{server.http_url}/metrics", "archive_objects_verified_total") == 0


def _until(url: str, name: str) -> float:
    """The value of a metric, as soon as it is there."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with urlopen(url, timeout=SECONDS) as answer:
            if match := re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", answer.read().decode(), re.MULTILINE):
                return float(match[1])
        time.sleep(0.1)
    raise AssertionError(f"no {name} in the metrics")
