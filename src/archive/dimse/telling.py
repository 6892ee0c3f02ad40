"""What an association still owes to who asked: the result of storage commitment, told on the same association while it
lives (PS3.4 J.3.3.1.2, note 1).

Told is between the messages of the requestor, and only when it has said nothing for a second: most SCUs release the
association as soon as they have their N-ACTION-RSP, and would meet a request of ours where they expect
A-RELEASE-RP. The response comes among their requests, as PS3.7 allows each side one operation at a time. Whatever goes
wrong here the jobs put right, on an association of our own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import structlog

from archive.dicom.errors import ArchiveError, PeerFailure
from archive.network.association import Association, Context, Message
from archive.remote import event_report
from archive.services.reports import HOLD_SECONDS, Held, Reports
from archive.settings.doors import Dimse

QUIET_SECONDS = 1.0
"""Of the requestor, before it is told anything; and between looks whether there is something to be told."""

_log = structlog.get_logger()


@dataclass(slots=True)
class _Promise:
    """A result that is to be told. The moments are those of the monotonic clock, `sent_at` 0 until it was sent."""

    held: Held
    context: Context
    held_at: float
    checked: bool = False
    message_id: int = 0
    sent_at: float = 0.0


@dataclass(slots=True)
class Telling:
    """Stands before the requests of an association; use it in a `with`."""

    reports: Reports
    association: Association
    settings: Dimse
    _promises: list[_Promise] = field(default_factory=list)
    _message_id: int = 0
    _heard_at: float = 0.0

    def expect(self, held: Held, context: Context) -> None:
        """This result is to be told, in this context. Raises OutOfResources."""
        if self.settings.commitment_same_association:
            self._promises.append(_Promise(held, context, time.monotonic()))
        else:
            self.reports.let_go(held)

    def receive(self) -> Message | None:
        """The next request, as of the association. What is due is told in the meantime. Raises PeerFailure."""
        self._heard_at = time.monotonic()
        while True:
            if self._promises and not self.association.arriving(QUIET_SECONDS):
                self._look()
                continue
            message = self.association.receive()
            if message is None or not event_report.is_answer(message):
                return message
            self._conclude(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for promise in list(self._promises):
            self._drop(promise)

    def _look(self) -> None:
        """Tell what can be told. An index that is away changes nothing: we look again."""
        now = time.monotonic()
        for promise in list(self._promises):
            try:
                if now - self._heard_at > self.settings.idle_deadline or self._is_unanswered(promise, now):
                    self._drop(promise)
                else:
                    self._attend(promise, now)
            except PeerFailure:
                raise
            except ArchiveError as error:
                _log.warning("commitment not told yet", reason=error.reason)

    def _is_unanswered(self, promise: _Promise, now: float) -> bool:
        return promise.sent_at > 0 and now - promise.sent_at > self.settings.response_deadline

    def _attend(self, promise: _Promise, now: float) -> None:
        if not promise.checked:
            self.reports.check_at_once(promise.held)
            promise.checked = True
        event = None if any(other.sent_at for other in self._promises) else self.reports.event(promise.held)
        if event is None and now - promise.held_at < HOLD_SECONDS / 2:
            return
        if not self.reports.hold(promise.held):  # somebody else has taken it on
            self._promises.remove(promise)
            return
        promise.held_at = now
        if event is not None:
            self._message_id = self._message_id % 0xFFFF + 1
            promise.message_id, promise.sent_at = self._message_id, now
            event_report.send(self.association, promise.context, event, self._message_id)

    def _conclude(self, message: Message) -> None:
        """What the requestor says to a report."""
        answered, status = message.command.MessageIDBeingRespondedTo, message.command.Status
        asked = (one for one in self._promises if one.sent_at and one.message_id == answered)
        promise = next(asked, None)
        if promise is None:
            _log.info("answer to no report of ours", message_id=answered)
            return
        try:
            if status is not None and self.reports.settle(promise.held, status):
                self._promises.remove(promise)
                return
        except ArchiveError as error:
            _log.warning("told commitment not noted", reason=error.reason)
        self._drop(promise)

    def _drop(self, promise: _Promise) -> None:
        """Leave it to the jobs; they find it by themselves if even that cannot be noted."""
        self._promises.remove(promise)
        try:
            self.reports.let_go(promise.held)
        except ArchiveError as error:
            _log.warning("commitment left to the jobs", reason=error.reason)
