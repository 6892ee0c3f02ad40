"""The commit protocol: what is on the disk and in the index after each way an object can come in."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.bootstrap.building import Archive
from archive.dicom.errors import (
    ArchiveError,
    CannotUnderstand,
    InstanceConflict,
    MissingAttribute,
    NotDicom,
    ObjectMismatch,
    ObjectTooLarge,
    OutOfResources,
)
from archive.dicom.instance import Scope, Source
from archive.jobs.worker import work
from archive.services.receipts import Receipt
from objects import data_set_bytes, encoded, part10, secondary_capture

SOURCE = Source("IMPORT")


def store(archive: Archive, data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> Receipt:
    """As C-STORE does."""
    with archive.ingest.data_set(syntax, data_set.SOPClassUID, data_set.SOPInstanceUID, SOURCE) as reception:
        reception.write(encoded(data_set, syntax))
        return reception.finish()


def store_file(archive: Archive, pieces: Iterable[bytes], study: str = "") -> Receipt:
    """As STOW-RS does."""
    with archive.ingest.part10(SOURCE, study) as reception:
        for piece in pieces:
            reception.write(piece)
        return reception.finish()


def files(archive: Archive) -> list[Path]:
    """Every file of bytes, safe or on its way in."""
    data = archive.settings.data
    return [path for folder in ("objects", "spool") for path in (data / folder).rglob("*") if path.is_file()]


def kept(archive: Archive, data_set: Dataset) -> bytes:
    """The data set's bytes as they come back."""
    instance = archive.retrieve.instance(Scope(sop_instance_uids=(data_set.SOPInstanceUID,)))
    with archive.retrieve.open(instance) as blob:
        assert blob.length == instance.blob_length
        return blob.read(instance.data_set_offset, instance.data_set_length)


def test_bytes_are_kept_as_received(archive: Archive) -> None:
    data_set = secondary_capture()
    receipt = store(archive, data_set, ImplicitVRLittleEndian)
    assert not receipt.already_there
    assert kept(archive, data_set) == encoded(data_set, ImplicitVRLittleEndian)


def test_a_blob_is_a_file_that_any_reader_reads(archive: Archive) -> None:
    import pydicom

    data_set = secondary_capture()
    store(archive, data_set)
    (path,) = files(archive)
    read = pydicom.dcmread(path)
    assert read.file_meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
    assert read.PixelData == data_set.PixelData


def test_file_meta_information_is_kept_and_the_preamble_is_not(archive: Archive) -> None:
    """reliability.md O5: the preamble is where a file can hide a program."""
    file = part10(secondary_capture(), SourceApplicationEntityTitle="SCANNER")
    store_file(archive, [b"MZ" + b"\x90" * 126 + file[128:]])
    (path,) = files(archive)
    assert path.read_bytes() == bytes(128) + file[128:]


@pytest.mark.parametrize("size", [1, 7, 131, 133, 1000])
def test_pieces_of_any_size(archive: Archive, size: int) -> None:
    data_set = secondary_capture()
    file = part10(data_set)
    store_file(archive, (file[start : start + size] for start in range(0, len(file), size)))
    assert kept(archive, data_set) == data_set_bytes(file)


def test_the_same_object_through_another_door_writes_nothing(archive: Archive) -> None:
    """reliability.md 1.4: a lost answer makes senders repeat themselves."""
    data_set = secondary_capture()
    store(archive, data_set)
    before = files(archive)
    again = store_file(archive, [part10(data_set)])
    assert again.already_there
    assert files(archive) == before


def test_other_content_under_the_same_uid_is_kept_out(archive: Archive) -> None:
    """reliability.md O10."""
    first = secondary_capture()
    store(archive, first)
    second = secondary_capture(SOPInstanceUID=first.SOPInstanceUID, PatientComments="other content")
    with pytest.raises(InstanceConflict) as conflict:
        store(archive, second)
    assert conflict.value.conflict_id
    assert conflict.value.sop_instance_uid == first.SOPInstanceUID
    assert kept(archive, first) == encoded(first)
    assert len(files(archive)) == 1


def test_a_study_of_another_patient_is_kept_out(archive: Archive) -> None:
    first = secondary_capture(PatientID="A")
    store(archive, first)
    second = secondary_capture(PatientID="B", StudyInstanceUID=first.StudyInstanceUID)
    with pytest.raises(InstanceConflict, match="another patient"):
        store(archive, second)
    assert archive.retrieve.instances(Scope(sop_instance_uids=(second.SOPInstanceUID,))) == []
    abandon(archive)
    assert len(files(archive)) == 1


def test_a_series_of_another_study_is_kept_out(archive: Archive) -> None:
    """Reliability: O10."""
    first = secondary_capture()
    store(archive, first)
    with pytest.raises(InstanceConflict, match="another study"):
        store(
            archive, secondary_capture(SeriesInstanceUID=first.SeriesInstanceUID, PatientID=first.PatientID)
        )


def test_twenty_at_once_make_one(archive: Archive) -> None:
    """reliability.md O10, I5: the losers' bytes go, the winner's stay."""
    data_set = secondary_capture()
    with ThreadPoolExecutor(20) as pool:
        receipts = list(pool.map(lambda _: store(archive, data_set), range(20)))
    assert sum(not receipt.already_there for receipt in receipts) == 1
    abandon(archive)
    assert kept(archive, data_set) == encoded(data_set)
    assert len(files(archive)) == 1


def abandon(archive: Archive) -> None:
    """What the jobs do with bytes that lost a race."""
    while work(archive):
        pass


def test_leaving_early_leaves_nothing(archive: Archive) -> None:
    """reliability.md D11, I6."""
    data_set = secondary_capture()
    with archive.ingest.part10(SOURCE) as reception:
        reception.write(part10(data_set)[:-10])
    assert files(archive) == []


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (lambda file: file[:-10], CannotUnderstand),
        (lambda file: file[:200], CannotUnderstand),
        (lambda file: file[:50], NotDicom),
        (lambda file: b"", NotDicom),
        (lambda file: b"<html>" * 100, NotDicom),
        (lambda file: file + b"\x01", CannotUnderstand),
    ],
    ids=["truncated", "header only", "shorter than a preamble", "empty", "a web page", "one byte more"],
)
def test_refused_objects_leave_nothing(archive: Archive, broken, error: type[ArchiveError]) -> None:
    """reliability.md O1."""
    with pytest.raises(error):
        store_file(archive, [broken(part10(secondary_capture()))])
    assert files(archive) == []


def test_an_object_without_a_study_has_no_place(archive: Archive) -> None:
    with pytest.raises(MissingAttribute) as missing:
        store(archive, secondary_capture(StudyInstanceUID=None))
    assert missing.value.tag == 0x0020000D


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID"])
def test_a_data_set_that_is_not_what_the_command_said(archive: Archive, keyword: str) -> None:
    """reliability.md O9: A900."""
    data_set = secondary_capture()
    said = {"SOPClassUID": data_set.SOPClassUID, "SOPInstanceUID": data_set.SOPInstanceUID, keyword: "1.2.3"}
    reception = archive.ingest.data_set(
        ExplicitVRLittleEndian, said["SOPClassUID"], said["SOPInstanceUID"], SOURCE
    )
    with reception:
        reception.write(encoded(data_set))
        with pytest.raises(ObjectMismatch):
            reception.finish()
    assert files(archive) == []


def test_an_object_of_another_study_than_the_request(archive: Archive) -> None:
    """dicomweb.md S1."""
    with pytest.raises(ObjectMismatch):
        store_file(archive, [part10(secondary_capture())], study="1.2.3")


def test_an_object_past_the_limit(archive: Archive) -> None:
    archive.ingest.maximum_object_bytes = 1000
    with pytest.raises(ObjectTooLarge), archive.ingest.part10(SOURCE) as reception:
        reception.write(part10(secondary_capture(PatientComments="x" * 2000)))
    assert files(archive) == []


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 0)], ids=["gone", "empty"])
def test_never_success_for_bytes_that_are_gone(archive: Archive, damage: Callable[[Path], None]) -> None:
    data_set = secondary_capture()
    store(archive, data_set)
    for path in files(archive):
        damage(path)
    store(archive, data_set)
    [whole] = archive.retrieve.instances(Scope())
    with archive.retrieve.open(whole) as blob:
        data = blob.read(whole.data_set_offset, whole.data_set_length)
    assert hashlib.sha256(data).hexdigest() == whole.sha256


def test_an_index_that_fails_leaves_no_bytes(archive: Archive) -> None:
    """reliability.md 1.3: success though not stored."""
    with sqlite3.connect(archive.settings.data / "index.sqlite") as direct:
        direct.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON instance BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
    direct.close()
    with pytest.raises(OutOfResources):
        store(archive, secondary_capture())
    assert files(archive) == []
