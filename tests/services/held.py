"""What every test of conflicts asks of an archive: nothing that was acknowledged is lost, nothing is mixed up."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope, Source
from archive.jobs.worker import work
from archive.services.conflicts import Conflict
from archive.services.receipts import Receipt
from objects import encoded

SCANNER = Source("DIMSE", "192.0.2.1", "SCANNER", "ARCHIVE")
FUTURE = 1e6


def version_of(data_set: Dataset, **keywords: Any) -> Dataset:
    """The same instance with something changed."""
    made = copy.deepcopy(data_set)
    for keyword, value in (keywords or {"PatientComments": "another version"}).items():
        setattr(made, keyword, value)
    return made


def store(archive: Archive, data_set: Dataset, source: Source = SCANNER) -> Receipt:
    """As C-STORE does."""
    syntax = ExplicitVRLittleEndian
    with archive.ingest.data_set(syntax, data_set.SOPClassUID, data_set.SOPInstanceUID, source) as reception:
        reception.write(encoded(data_set))
        return reception.finish()


def digest(data_set: Dataset) -> str:
    return hashlib.sha256(encoded(data_set)).hexdigest()


def stored(archive: Archive) -> dict[str, str]:
    """By SOP Instance UID the digest of the bytes that are served, which are read."""
    found = {}
    for instance in archive.retrieve.instances(Scope()):
        with archive.retrieve.open(instance) as blob:
            data = blob.read(instance.data_set_offset, instance.data_set_length)
        assert hashlib.sha256(data).hexdigest() == instance.sha256
        found[instance.SOPInstanceUID] = instance.sha256
    return found


def aside(archive: Archive) -> dict[str, Conflict]:
    """By the digest of the bytes, which are read, the records of what is kept aside."""
    found = {}
    for one in archive.conflicts.last():
        if one.has_copy:
            _, blob = archive.conflicts.open_copy(one.id)
            with blob:
                data = blob.read(one.data_set_offset, one.data_set_length)
            assert hashlib.sha256(data).hexdigest() == one.kept_sha256
            assert one.kept_sha256 not in found
            found[one.kept_sha256] = one
    return found


def files(archive: Archive) -> list[Path]:
    """Every file of bytes, safe or on its way in."""
    data = archive.settings.data
    return [path for folder in ("objects", "spool") for path in (data / folder).rglob("*") if path.is_file()]


def settle_down(archive: Archive) -> None:
    """Everything that is left to the jobs is done, also what waits for a while."""
    import time

    while work(archive, now=lambda: time.time() + FUTURE):
        pass


def check(archive: Archive) -> None:
    """Index and files agree (reliability.md I1, I3, I5), once the jobs have done their part."""
    settle_down(archive)
    pointed_to = [instance.blob_key for instance in archive.retrieve.instances(Scope())]
    pointed_to += [one.blob_key for one in archive.conflicts.last() if one.has_copy]
    assert len(set(pointed_to)) == len(pointed_to)
    assert sorted(archive.store.keys()) == sorted(pointed_to)
    stored(archive)
    aside(archive)
