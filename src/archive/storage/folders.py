"""Folders that survive a power cut: a folder is there when the one that it lies in was synced, and not before."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """With its parents, for our eyes only, each durable if it was made now. One that is there may have been made by a
    process that was killed before it could sync: what has to outlive a power cut syncs the parent once more."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path | str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
