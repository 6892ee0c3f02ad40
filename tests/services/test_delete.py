"""Deleting while others store and read: nothing that was acknowledged is lost, and a crash leaves all or nothing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import Gone, InstanceConflict, NotFound
from archive.dicom.instance import Scope, Source, StoredInstance
from archive.index import outbox
from archive.jobs import worker
from archive.services.arrivals import Arrival
from archive.services.receipts import Receipt
from objects import part10, secondary_capture

SOURCE = Source("DIMSE")
ROUNDS = 40
LATER = 1e9


def store(archive: Archive, file: bytes) -> Receipt:
    with archive.ingest.part10(SOURCE) as reception:
        reception.write(file)
        return reception.finish()


def run_all_jobs(archive: Archive) -> None:
    while worker.work(archive, now=lambda: time.time() + LATER):
        pass


def blobs(archive: Archive) -> set[str]:
    return set(archive.store.keys())


def test_a_store_that_races_with_a_delete_is_not_lost(archive: Archive) -> None:
    """Either the object is there with all its bytes, or the delete found it and it is known to be gone. A delete that
    found nothing has taken nothing away."""
    data_set = secondary_capture()
    file = part10(data_set)
    scope = Scope((data_set.StudyInstanceUID,))
    start = threading.Barrier(2, timeout=60)
    seen = set()

    def storing() -> Receipt:
        start.wait()
        return store(archive, file)

    def deleting() -> bool:
        start.wait()
        try:
            return archive.deletion.delete(scope) == 1
        except NotFound:
            return False

    with ThreadPoolExecutor(2) as threads:
        for _ in range(ROUNDS):
            stored, deleted = threads.submit(storing), threads.submit(deleting)
            receipt, found = stored.result(), deleted.result()
            run_all_jobs(archive)
            there = archive.retrieve.instances(scope)
            seen.add((receipt.already_there, found, bool(there)))
            assert there or found
            assert len(blobs(archive)) == len(there)
            for instance in there:
                with archive.retrieve.open(instance) as blob:
                    assert blob.read(0, blob.length)[132:] == file[132:]
            if not there:
                assert type(archive.retrieve.missing(scope)) is Gone
    assert len(seen) > 1, "the two never met in different orders"


def test_other_content_stored_amid_a_re_send_is_no_success(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look and its answer the object is deleted, and another takes its UID: the sender must not hear that
    its own is there."""
    data_set = secondary_capture()
    mine = part10(data_set)
    data_set.PatientID = "another"
    other = part10(data_set)
    store(archive, mine)
    check = Arrival._is_sound

    def interrupted(self: Arrival, stored: StoredInstance) -> bool:
        sound = check(self, stored)
        monkeypatch.undo()
        archive.deletion.delete(Scope((data_set.StudyInstanceUID,)))
        store(archive, other)
        return sound

    monkeypatch.setattr(Arrival, "_is_sound", interrupted)
    with pytest.raises(InstanceConflict):
        store(archive, mine)
    run_all_jobs(archive)
    assert len(blobs(archive)) == 1


def test_a_crash_leaves_everything_or_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows, the remembrance and the job are one transaction."""
    data_set = secondary_capture()
    store(archive, part10(data_set))
    scope = Scope((data_set.StudyInstanceUID,))

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "put", crash)
        with pytest.raises(RuntimeError):
            archive.deletion.delete(scope)
    run_all_jobs(archive)
    (instance,) = archive.retrieve.instances(scope)
    archive.retrieve.open(instance).close()
    assert type(archive.retrieve.missing(scope)) is NotFound
    assert archive.deletion.delete(scope) == 1
    with pytest.raises(Gone):
        archive.deletion.delete(scope)


def test_the_job_may_run_twice(archive: Archive) -> None:
    data_set = secondary_capture()
    store(archive, part10(data_set))
    (key,) = blobs(archive)
    for _ in range(2):
        archive.deletion.discard([key])
    assert not blobs(archive)
