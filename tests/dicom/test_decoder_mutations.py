"""No damaged codestream ends the process or raises anything but CannotRender (the list is in mutate_codestreams).

This is what let OpenJPH go: garbage ends it with SIGFPE. Other seeds and longer runs:
`python tests/dicom/mutate_codestreams.py "jpeg 2000" SEED SECONDS`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mutate_codestreams import frames

PROGRAM = Path(__file__).with_name("mutate_codestreams.py")


@pytest.mark.parametrize("codec", sorted(frames()))
def test_a_decoder_survives_damaged_frames(codec: str) -> None:
    """Reliability: O4."""
    run = subprocess.run(
        [sys.executable, str(PROGRAM), codec, "20261122", "0.7"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    word, tried, refused = run.stdout.split()
    assert word == "done"
    assert 0 < int(refused) <= int(tried)
