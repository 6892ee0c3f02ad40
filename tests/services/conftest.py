"""An archive in this process, on its embedded default."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from archive import bootstrap, config
from archive.bootstrap import Archive

# The oracles of the dicom tests are those of the services too.
sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Empty, with its data in `tmp_path/data`."""
    settings = replace(config.load(environment={}), data=tmp_path / "data")
    bootstrap.prepare(settings)
    built = bootstrap.build(settings)
    yield built
    built.close()
