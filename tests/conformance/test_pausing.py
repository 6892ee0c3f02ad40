"""The mend of an association of pynetdicom that drops what somebody waits for."""

from __future__ import annotations

import threading
import time

from pynetdicom import AE
from pynetdicom.association import Association

from conformance.pausing import Checkpoint, mend


def test_who_has_cleared_it_finds_the_thread_at_rest() -> None:
    checkpoint, ended, busy = Checkpoint(), threading.Event(), threading.Event()
    checkpoint.set()

    def work() -> None:
        while not ended.is_set():
            checkpoint.wait()
            busy.set()
            time.sleep(0.002)
            busy.clear()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(50):
            assert busy.wait(5)
            checkpoint.clear()
            assert not busy.is_set()
            time.sleep(0.003)
            assert not busy.is_set()
            checkpoint.set()
    finally:
        ended.set()
        checkpoint.set()
        thread.join()


def test_nobody_waits_for_themselves() -> None:
    checkpoint = Checkpoint()
    checkpoint.set()
    assert checkpoint.wait()
    begin = time.monotonic()
    checkpoint.clear()
    assert time.monotonic() - begin < 1
    assert not checkpoint.is_set()
    assert not checkpoint.wait(0.01)


def test_each_association_has_one() -> None:
    mend()
    mend()
    association = Association(AE(), "requestor")
    assert isinstance(association._reactor_checkpoint, Checkpoint)
