"""A run that is ended leaves no server behind, and nothing of what only it needed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archive_process import await_end
from benchmarks.loads import dcmtk
from benchmarks.servers import processes

START_SECONDS = 240


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_ends_its_servers(tmp_path: Path, signum: signal.Signals) -> None:
    missing = [tool for tool in dcmtk.NEEDED if not shutil.which(tool)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (apt install dcmtk)")
    command = [sys.executable, "-m", "benchmarks", "qido", "--quick", "--no-peer", "--data", str(tmp_path)]
    repository = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=repository, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + START_SECONDS
        while not any(is_server(pid) for pid in processes.tree(run.pid)):
            assert run.poll() is None
            assert time.monotonic() < deadline
        started = processes.tree(run.pid)
        run.send_signal(signum)
        assert run.wait(120) != 0
    for pid in started:
        await_end(pid)
    assert not list(tmp_path.glob("run-*"))


def is_server(pid: int) -> bool:
    """Whether it is a worker of the archive: then the whole of it is there."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("archive-")
    except OSError:
        return False
