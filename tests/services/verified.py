"""An archive with bytes in every table that holds some, and ways to damage them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from archive.bootstrap.building import Archive
from archive.services.verification import Held
from corrected import DOE, ROE, of, opened_archive
from held import settle_down, store, version_of
from rejecting_here import reject, series_of, store_all
from rejection_notes import PATIENT_SAFETY

TABLES = {"instance", "conflict", "rejection", "rejected_copy", "corrected_object"}
"""Whose rows point to bytes when `fill` has run; `rewritten` has some only while a correction is carried out."""


@contextlib.contextmanager
def filled_archive(folder: Path, index_url: str = "", **overrides: object) -> Iterator[Archive]:
    """An archive on this engine that has something in each of TABLES."""
    with opened_archive(folder, index_url, **{"dimse.duplicates": "conflict", **overrides}) as archive:
        fill(archive)
        yield archive


def fill(archive: Archive) -> None:
    """Something in each of TABLES; the archive's policy for duplicates is `conflict`."""
    stored = series_of(3)
    store_all(archive, stored)
    store(archive, version_of(stored[0]))
    rejected = series_of(2)
    store_all(archive, rejected)
    reject(archive, PATIENT_SAFETY, rejected[:1])
    store_all(archive, [of(DOE, "Doe")])
    archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    settle_down(archive)
    assert {one.holder for one in all_held(archive)} == TABLES


def all_held(archive: Archive) -> list[Held]:
    return [one for some in archive.verification.held() for one in some]


def path_of(archive: Archive, one: Held) -> Path:
    return archive.settings.data / "objects" / one.blob_key


def flip(path: Path, offset: int) -> None:
    """One bit of one byte is another."""
    with path.open("r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")
