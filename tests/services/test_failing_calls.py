"""Every call to the operating system that storing an object makes fails in turn, the first, the second, … until none is
left that could (reliability.md 4.3): what failed is refused and leaves nothing, and the next attempt succeeds."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from archive.bootstrap.building import Archive
from archive.dicom.errors import OutOfResources
from archive.dicom.instance import Scope, Source
from archive.jobs.worker import work
from archive.services.receipts import Receipt
from archive.storage.local import LocalStore
from objects import encoded, secondary_capture

CALLS: dict[str, ModuleType] = {
    **dict.fromkeys(("open", "write", "fsync", "link", "unlink", "mkdir", "statvfs"), os),
    "flock": fcntl,
}
MOST = 60
Sent = list[Receipt | Exception]


def store(archive: Archive, *data_sets: Dataset) -> Sent:
    """As one STOW-RS request, or as one C-STORE: what comes of each."""
    with ExitStack() as open_ones:
        receptions = []
        for one in data_sets:
            try:
                reception = archive.ingest.data_set(
                    ExplicitVRLittleEndian, one.SOPClassUID, one.SOPInstanceUID, Source("TEST")
                )
                open_ones.enter_context(reception)
                reception.write(encoded(one))
            except OutOfResources as error:
                return [error] * len(data_sets)
            receptions.append(reception)
        return [
            each.results[0] if each.error is None else each.error
            for each in archive.ingest.finish(receptions)
        ]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("name", CALLS)
def test_each_call_of_a_store_fails_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    check_each_call(archive, monkeypatch, name, number, lambda: [secondary_capture()])


@pytest.mark.parametrize("name", CALLS)
def test_each_call_of_a_request_of_several_objects_fails_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The others of the request are stored, unless they share what failed."""
    check_each_call(archive, monkeypatch, name, errno.EIO, lambda: [secondary_capture() for _ in range(4)])


def check_each_call(
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
    made: Callable[[], list[Dataset]],
) -> None:
    sent = 0
    for nth in range(MOST):
        assert isinstance(archive.store, LocalStore)
        archive.store._leave_folder()
        objects = made()
        sent += len(objects)
        with monkeypatch.context() as patched:
            failures = fail_at(patched, name, nth, number)
            answers = store(archive, *objects)
        assert all(isinstance(answer, Receipt | OutOfResources) for answer in answers), answers
        for one, answer in zip(objects, answers, strict=True):
            assert is_there(archive, one) == isinstance(answer, Receipt)
        assert all(isinstance(answer, Receipt) for answer in store(archive, *objects))
        check_files(archive, objects, sent)
        if not failures:
            assert nth > 0 or name == "mkdir", "it was never called"
            return
    pytest.fail("never got through")


def check_files(archive: Archive, objects: list[Dataset], sent: int) -> None:
    """These are there with their bytes; every object has one file, and nothing else is there, once the spool was
    swept."""
    archive.store.sweep(0)
    assert all(is_there(archive, one) for one in objects)
    assert len(set(archive.store.keys())) == sent
    assert list((archive.settings.data / "spool").iterdir()) == []


def is_there(archive: Archive, one: Dataset) -> bool:
    found = archive.retrieve.instances(Scope(sop_instance_uids=(one.SOPInstanceUID,)))
    for instance in found:
        with archive.retrieve.open(instance) as blob:
            assert blob.read(instance.data_set_offset, instance.data_set_length) == encoded(one)
    return bool(found)


def fail_at(patched: pytest.MonkeyPatch, name: str, nth: int, number: int) -> list[int]:
    """Let the nth call from now on fail, once; the list says that it did."""
    module = CALLS[name]
    original, calls, failures = getattr(module, name), iter(range(1_000_000)), []

    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == nth:
            failures.append(number)
            raise OSError(number, os.strerror(number))
        return original(*args, **kwargs)

    patched.setattr(module, name, call)
    return failures


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
def test_bytes_that_cannot_be_deleted_are_tried_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What was deleted is gone for everybody at once; its bytes go when the disk lets them."""
    one = secondary_capture()
    assert isinstance(store(archive, one)[0], Receipt)
    archive.deletion.delete(Scope(study_instance_uids=(one.StudyInstanceUID,)))
    with monkeypatch.context() as patched:
        failures = fail_at(patched, "unlink", 0, number)
        work(archive, now=lambda: 2e9)
    assert failures
    assert not is_there(archive, one)
    assert len(list(archive.store.keys())) == 1
    for later in range(5):
        work(archive, now=lambda later=later: 3e9 + later * 1e6)
    assert list(archive.store.keys()) == []
