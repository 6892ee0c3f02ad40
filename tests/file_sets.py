"""File-sets as others read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.fileset import FileSet


@contextmanager
def file_set(folder: Path) -> Iterator[FileSet]:
    """The file-set of a folder with a DICOMDIR, read by pydicom; it makes a temporary folder that it leaves to us."""
    found = FileSet(folder / "DICOMDIR")
    try:
        yield found
    finally:
        found._stage["t"].cleanup()
