"""What tests of deletions and holds ask of an archive."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pydicom.dataset import Dataset

from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope
from archive.security.actor import Actor
from archive.services.deletion_requests import Order, Request, Target
from archive.services.holds import Hold

ADA = Actor("HTTP", "192.0.2.1", user="ada")
BOB = Actor("HTTP", "192.0.2.2", user="bob")


def scope_of(one: Dataset) -> Scope:
    """The study."""
    return Scope((one.StudyInstanceUID,))


def target_of(one: Dataset) -> Target:
    """The study."""
    return Target(StudyInstanceUID=one.StudyInstanceUID)


def ask(archive: Archive, one: Dataset, reason: str = "asked to be forgotten", **options: bool) -> Request:
    """Have a study deleted, with all that is kept of it."""
    return archive.deletions.ask(Order(target_of(one), reason, everything=True, **options), ADA)


def hold(archive: Archive, one: Dataset) -> Hold:
    """On the study."""
    return archive.holds.place(ADA, "a court wants to see it", study=one.StudyInstanceUID)


def places(folder: Path, *canaries: bytes) -> list[str]:
    """The files in which one of these stands, read to their ends."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with suppress(FileNotFoundError):
            data = path.read_bytes()
            found += [f"{path.relative_to(folder)}: {one!r}" for one in canaries if one in data]
    return found
