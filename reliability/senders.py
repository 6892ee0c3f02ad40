"""Those who send while something happens to the server: each object is entered in the ledger, and so is its answer.

They outlive the server: an object whose answer does not come stays unanswered, and the sender tries to come back until
it is told to stop. All take their objects from one row, so that they store into the same new studies at once.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.loads.http import BrokenOff
from reliability import dimse, objects
from reliability.ledger import Ledger
from reliability.objects import SOP_CLASSES, Object
from reliability.target import Target
from reliability.web import Web

THREADS = 8
IN_ONE_REQUEST = 5
_BEFORE_COMING_BACK = 0.05

Targets = Callable[[], Target]
"""Where the server is now: started again, it may be elsewhere."""


class Senders:
    """`threads` senders, of which the last `by_stow` send by STOW-RS. `name` names their objects."""

    def __init__(
        self, ledger: Ledger, where: Target | Targets, name: str, threads: int = THREADS, by_stow: int = 0
    ) -> None:
        self._ledger = ledger
        self._where: Targets = where if callable(where) else lambda: where
        self._name = name
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.faults: list[BaseException] = []
        """What ended a sender that should have gone on: nothing, or a fault of these tests."""
        sends = [self._send_by_dimse] * (threads - by_stow) + [self._send_by_stow] * by_stow
        self._threads = [threading.Thread(target=self._run, args=(send,), daemon=True) for send in sends]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the object at hand; raises what ended a sender before."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self.faults:
            raise self.faults[0]

    def _run(self, send: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                try:
                    send()
                except (OSError, EOFError, BrokenOff):
                    self._stop.wait(_BEFORE_COMING_BACK)  # the server is gone, or has refused us
        except BaseException as fault:  # noqa: BLE001 - raised by stop
            self.faults.append(fault)

    def _send_by_dimse(self) -> None:
        with dimse.storing(self._where(), SOP_CLASSES) as association:
            while not self._stop.is_set():
                store(self._ledger, association, self._next())

    def _send_by_stow(self) -> None:
        with Web(self._where()) as web:
            while not self._stop.is_set():
                post(self._ledger, web, [self._next() for _ in range(IN_ONE_REQUEST)])

    def _next(self) -> Object:
        with self._lock:
            number = next(self._numbers)
        return objects.made(self._name, number)


@contextmanager
def sending(
    ledger: Ledger, where: Target | Targets, name: str, threads: int = THREADS, by_stow: int = 0
) -> Iterator[Senders]:
    """Senders at work as long as the block lasts."""
    senders = Senders(ledger, where, name, threads, by_stow)
    senders.start()
    try:
        yield senders
    finally:
        senders.stop()


def enter(ledger: Ledger, one: Object) -> str:
    """It is about to be sent; its digest."""
    return ledger.sent(
        one.SOPInstanceUID, one.StudyInstanceUID, one.SeriesInstanceUID, one.data_set, one.SOPClassUID
    )


def store(ledger: Ledger, association: dimse.Association, one: Object) -> int:
    """C-STORE of an object, with the ledger as witness; the status. Raises Broken."""
    digest = enter(ledger, one)
    status = association.store(one.SOPClassUID, one.SOPInstanceUID, one.data_set)
    ledger.answered(one.SOPInstanceUID, status, digest)
    return status


def post(ledger: Ledger, web: Web, sent: Sequence[Object]) -> dict[str, int | None]:
    """STOW-RS of objects in one request, with the ledger as witness; their statuses. Raises BrokenOff, OSError."""
    digests = {one.SOPInstanceUID: enter(ledger, one) for one in sent}
    statuses = web.store(sent)
    for uid, status in statuses.items():
        ledger.answered(uid, status, digests[uid])
    return statuses
