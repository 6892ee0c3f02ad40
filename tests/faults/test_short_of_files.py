"""Too many open files for a moment (reliability.md 4.3): the index takes the next change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archive_process import clean_environment
from fiu_preloaded import libfiu

PROGRAM = Path(__file__).with_name("short_of_files.py")
FILES = ("index", "its log", "the index of its log")
"""In the order in which SQLite opens them."""


@pytest.mark.parametrize("nth", range(1, len(FILES) + 1), ids=FILES)
def test_the_next_change_is_taken(tmp_path: Path, nth: int) -> None:
    """SQLite opens what it may not write to be read, and keeps it so while a process has the index open."""
    command = [sys.executable, str(PROGRAM), str(tmp_path / "index.sqlite"), str(nth)]
    ran = subprocess.run(
        command, env=clean_environment({"LD_PRELOAD": libfiu()}), capture_output=True, text=True, timeout=60
    )
    opened, _, outcome = ran.stdout.strip().partition(" ")
    assert outcome == "changed", ran.stdout + ran.stderr
    assert int(opened) == len(FILES) + 1, "one of them is opened twice: to write, and then to read"
