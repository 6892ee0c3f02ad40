"""All files of pydicom's wheel and of pydicom-data, and how to split a PS3.10 file."""

from __future__ import annotations

from pathlib import Path

import pydicom.data

from archive.dicom.part10 import FileMeta, FileMetaReader

_WHEEL = Path(pydicom.data.__file__).parent
_SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "pydicom-data"
_OTHER = {".py", ".pyc", ".json", ".icc", ".gz", ".dump", ".md", ".zip"}


def every_file() -> list[Path]:
    """Every file that is meant to be DICOM, and a few that are not. Without ../shared beside the project, the
    wheel's alone."""
    folders = [_WHEEL / "test_files", _WHEEL / "charset_files", _WHEEL / "palettes", _SHARED]
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in _OTHER and path.stat().st_size and "__" not in path.name
    )


def identify(path: Path) -> str:
    """A name for a test."""
    return path.name


def split(raw: bytes) -> tuple[FileMeta, bytes]:
    """The File Meta Information and the data set. Raises NotDicom and CannotUnderstand."""
    header = FileMetaReader()
    header.feed(raw[:65536])
    meta = header.meta
    return meta, raw[meta.length :]
