"""Many stored instances to one receiver, over one association or several at a time.

Each association has a thread of its own, so whoever waits for the outcomes can tell a requestor how far it is, or be
told to stop, while a receiver takes its time over one object. An instance that fails does not end the transfer. Given
up is only a receiver that cannot be reached, or that breaks two associations in a row of the same thread without having
stored anything in between. The first association has to stand before others are tried, and a receiver that lets in
fewer than we ask for gets everything over those.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from archive.dicom.errors import AssociationAborted, PeerFailure
from archive.dicom.instance import StoredInstance
from archive.network.association import Association
from archive.remote.peer import Peer
from archive.remote.proposals import Batch, batches
from archive.remote.store_scu import NO_ASSOCIATION, Objects, Outcome, StoreRequest, store

GRACE_SECONDS = 1.0
"""What is on its way when the transfer is cancelled gets so long to arrive."""
_STRIKES = 2


class _Lost(AssociationAborted):
    """The association broke while an instance was on its way."""


class Transfer:
    """Under way from the moment it is made. Use it in a `with`: at its end, what is still under way is cut off."""

    def __init__(
        self,
        peer: Peer,
        instances: Sequence[StoredInstance],
        objects: Objects,
        request: StoreRequest,
        *,
        associations: int = 1,
        preferred: str = "",
    ) -> None:
        self._peer, self._objects, self._request = peer, objects, request
        self._batches = batches(instances, preferred)
        self._changed = threading.Condition()
        self._outcomes: deque[Outcome] = deque()
        self._under_way: dict[int, tuple[StoredInstance, Association]] = {}
        self._stopped = False
        self._working = 0
        self._wanted = max(1, min(associations, len(instances)))
        self._start(1)

    def next(self, seconds: float) -> Outcome | None:
        """The next outcome; None when there is none within so many seconds, or none any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._outcomes or not self._working, seconds)
            return self._outcomes.popleft() if self._outcomes else None

    def cancel(self, grace: float = GRACE_SECONDS) -> list[Outcome]:
        """Begin with nothing more. What is on its way has a moment to arrive, and is then cut off. The outcomes that
        nobody has taken yet; instances without one were not begun with."""
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: not self._under_way, grace)
            cut, self._under_way = list(self._under_way.values()), {}
            outcomes, self._outcomes = list(self._outcomes), deque()
        for _, association in cut:
            association.interrupt()
        reason = "cut off when the transfer was cancelled"
        return [*outcomes, *(Outcome(instance, NO_ASSOCIATION, reason) for instance, _ in cut)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel(0)

    def _start(self, until: int) -> None:
        with self._changed:
            numbers = range(self._working, 0 if self._stopped else until)
            self._working += len(numbers)
        for number in numbers:
            thread = threading.Thread(
                target=self._work, args=(number,), name=f"transfer-{number}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # the system has no more of them: those that there are do it
                self._ended(number, "the archive has no thread left to send it")

    # --- in the threads ---

    def _work(self, number: int) -> None:
        reason = "the archive failed to send it: see its log"
        try:
            reason = self._send_batches(number)
        finally:
            self._ended(number, reason)

    def _ended(self, number: int, reason: str) -> None:
        with self._changed:
            self._working -= 1
            if number in self._under_way:
                self._settled(number, self._under_way[number][0], reason)
            if not self._working and not self._stopped:
                self._give_up(reason)
            self._changed.notify_all()

    def _send_batches(self, number: int) -> str:
        """Why this thread stopped before the end; empty if it did not."""
        for batch in self._batches:
            reason = self._send_batch(number, batch)
            if reason:
                return reason
        return ""

    def _send_batch(self, number: int, batch: Batch) -> str:
        strikes, reason = 0, ""
        while batch.waiting and not self._stopped and strikes < _STRIKES:
            try:
                with self._association(batch) as association:
                    for outcome in self._over(number, association, batch):
                        strikes = strikes if outcome.failed else 0
            except _Lost as lost:
                strikes, reason = strikes + 1, lost.reason
            except PeerFailure as failure:
                return failure.reason
        return reason if strikes >= _STRIKES else ""

    @contextmanager
    def _association(self, batch: Batch) -> Iterator[Association]:
        """Open, and released whatever happens, unless it is broken."""
        association = self._peer.associate(batch.contexts)
        self._start(self._wanted)
        self._wanted = 0
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        with suppress(PeerFailure):  # what was stored is stored, however the other side takes its leave
            association.release()

    def _over(self, number: int, association: Association, batch: Batch) -> Iterator[Outcome]:
        """Send what waits over an association; the outcome of each that had one."""
        message_id = 0
        while (instance := self._begin(number, association, batch)) is not None:
            message_id = message_id % 0xFFFF + 1
            try:
                outcome = store(association, instance, self._objects, self._request, message_id)
            except PeerFailure as failure:
                with self._changed:
                    self._settled(number, instance, failure.reason)
                raise _Lost(failure.reason) from failure
            with self._changed:
                self._settle(number, outcome)
            yield outcome

    def _begin(self, number: int, association: Association, batch: Batch) -> StoredInstance | None:
        with self._changed:
            if self._stopped or not batch.waiting:
                return None
            instance = batch.waiting.popleft()
            self._under_way[number] = instance, association
            return instance

    # --- with the lock held ---

    def _settle(self, number: int, outcome: Outcome) -> None:
        """What was cut off has its outcome already."""
        if self._under_way.pop(number, None) is not None:
            self._outcomes.append(outcome)
            self._changed.notify_all()

    def _settled(self, number: int, instance: StoredInstance, reason: str) -> None:
        self._settle(number, Outcome(instance, NO_ASSOCIATION, reason))

    def _give_up(self, reason: str) -> None:
        for batch in self._batches:
            while batch.waiting:
                self._outcomes.append(Outcome(batch.waiting.popleft(), NO_ASSOCIATION, reason))
