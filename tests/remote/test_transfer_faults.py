"""What goes wrong on our own side of a transfer costs no more than it has to, and nobody waits for what never comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from archive.dicom.instance import StoredInstance
from archive.remote.store_scu import NO_BYTES, Objects, StoreRequest
from archive.remote.transfer import Transfer
from receivers import Received, receiver

CONTEXTS = [(CTImageStorage, [ExplicitVRLittleEndian])]


def stored(number: int) -> StoredInstance:
    uid = f"1.2.{number}"
    return StoredInstance("1.1", "1.1.1", uid, CTImageStorage, ExplicitVRLittleEndian, "key", 0, 10, "")


@contextmanager
def opened(instance: StoredInstance, _: str) -> Iterator[list[bytes]]:
    """As stored; the third one is what nobody has thought of."""
    if instance.SOPInstanceUID == "1.2.3":
        raise ZeroDivisionError("PATIENT^NAME")
    yield [instance.SOPInstanceUID.encode() * 100]


def outcomes(received: Received, numbers: range, associations: int = 1) -> dict[str, int]:
    """The status of each."""
    objects = Objects(lambda instance: [instance.transfer_syntax_uid], opened)
    found = {}
    instances = [stored(number) for number in numbers]
    with Transfer(received.peer(), instances, objects, StoreRequest(), associations=associations) as transfer:
        while (outcome := transfer.next(10)) is not None:
            found[outcome.instance.SOPInstanceUID] = outcome.status
    return found


@pytest.mark.parametrize("there_are", [0, 1, 2])
def test_a_system_without_threads_left(monkeypatch: pytest.MonkeyPatch, there_are: int) -> None:
    """Those that could be started do the work; nobody waits for those that could not."""
    start = threading.Thread.start

    def starting(thread: threading.Thread) -> None:
        if thread.name.startswith("transfer-") and int(thread.name[9:]) >= there_are:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    with receiver(CONTEXTS) as received:
        found = outcomes(received, range(10, 16), associations=3)
    assert len(found) == 6
    assert set(found.values()) == ({0} if there_are else {0xA702})


def test_an_object_that_nobody_has_thought_of_fails_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """PS3.4 C.4.2.3.1: what comes behind it is sent, and no log quotes what a library says of it."""
    with receiver(CONTEXTS) as received:
        found = outcomes(received, range(1, 7))
    assert found == {f"1.2.{n}": NO_BYTES if n == 3 else 0 for n in range(1, 7)}
    written = capsys.readouterr()
    assert "ZeroDivisionError" in written.out + written.err
    assert "PATIENT^NAME" not in written.out + written.err
