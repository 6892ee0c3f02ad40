"""Where libfiu is, which has calls to the system fail."""

from __future__ import annotations

from pathlib import Path

import pytest


def libfiu() -> str:
    """What LD_PRELOAD has to name."""
    for folder in ("/usr/lib", "/usr/local/lib"):
        for found in Path(folder).rglob("fiu_posix_preload.so"):
            return str(found)
    pytest.skip("libfiu is not installed (Debian package fiu-utils)")
