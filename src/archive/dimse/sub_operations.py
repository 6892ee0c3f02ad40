"""The C-STORE sub-operations that a C-MOVE and a C-GET share: counting, pending responses, cancel, the last
word.

A sub-operation that fails does not end the others (PS3.4 C.4.2.3.1). Pending responses are spaced in time (setting
`dimse.pending_interval`): one for each of ten thousand slices would cost more than it tells, and none while one large
object is on its way would let the requestor believe that we are gone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from archive.dicom.instance import StoredInstance
from archive.dimse.answers import failed_instances
from archive.dimse.exchange import Exchange
from archive.dimse.statuses import (
    CANCELLED,
    PENDING,
    SUB_OPERATIONS_REFUSED,
    SUB_OPERATIONS_WARNING,
    SUCCESS,
    Status,
    comment,
)
from archive.remote.store_scu import Objects, Outcome
from archive.services.conversion import forms
from archive.services.delivery import Delivery
from archive.services.disclosing import Sending

POLLING_SECONDS = 0.1
"""How long a C-CANCEL may wait for being seen while a receiver takes its time."""

_MOST_COUNTED = 0xFFFF
"""The counts are US."""

_log = structlog.get_logger()


@dataclass(slots=True)
class Tally:
    """What became of the sub-operations so far."""

    total: int
    completed: int = 0
    warning: int = 0
    failed: list[str] = field(default_factory=list)
    reason: str = ""

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        if outcome.failed:
            self.failed.append(outcome.instance.SOPInstanceUID)
            self.reason = self.reason or outcome.reason or f"status {outcome.status:04X} from the receiver"
        elif outcome.warned:
            self.warning += 1
        else:
            self.completed += 1

    @property
    def remaining(self) -> int:
        """How many have no outcome yet."""
        return self.total - self.completed - self.warning - len(self.failed)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers that every response has. They are US: network says 65535 for more."""
        return {
            "NumberOfCompletedSuboperations": self.completed,
            "NumberOfFailedSuboperations": len(self.failed),
            "NumberOfWarningSuboperations": self.warning,
        }

    @property
    def pending_counts(self) -> dict[str, int]:
        """The same for a pending or cancelled retrieve, where some remain (PS3.7 9.1.4.1.7)."""
        return {"NumberOfRemainingSuboperations": self.remaining, **self.counts}

    @property
    def status(self) -> Status:
        """The final status: A702 when nothing went through, B000 when not all of it did."""
        if not self.failed and not self.warning:
            return Status(SUCCESS, self.comment)
        if len(self.failed) == self.total:
            return Status(SUB_OPERATIONS_REFUSED, self.comment)
        return Status(SUB_OPERATIONS_WARNING, self.comment)

    @property
    def comment(self) -> str:
        """Why the first one failed, behind the numbers where the counts cannot say them."""
        if self.total <= _MOST_COUNTED:
            return comment(self.reason)
        numbers = f"{self.completed} completed, {len(self.failed)} failed, {self.warning} warnings"
        return comment(f"{numbers}: {self.reason}" if self.reason else numbers)


class SubOperations(Protocol):
    """Instances on their way: one outcome of each, in whatever order."""

    def next(self, seconds: float, /) -> Outcome | None:
        """The next outcome, if there is one within so many seconds."""

    def cancel(self) -> list[Outcome]:
        """Begin with no further one; the outcomes that have not been taken yet."""


class Recorded:
    """Sub-operations whose outcomes are recorded in the audit trail as they come; `sent` is called with each instance
    that the receiver has taken."""

    def __init__(
        self, under_way: SubOperations, recorded: Sending, sent: Callable[[StoredInstance], None]
    ) -> None:
        self._under_way = under_way
        self._recorded = recorded
        self._sent = sent

    def next(self, seconds: float) -> Outcome | None:
        """The next outcome, if there is one within so many seconds."""
        outcome = self._under_way.next(seconds)
        return None if outcome is None else self._noted(outcome)

    def cancel(self) -> list[Outcome]:
        """Begin with no further one; the outcomes that have not been taken yet."""
        return [self._noted(outcome) for outcome in self._under_way.cancel()]

    def _noted(self, outcome: Outcome) -> Outcome:
        self._recorded.note(outcome.instance, failed=outcome.failed)
        if not outcome.failed:
            self._sent(outcome.instance)
        return outcome


def objects(delivery: Delivery, preferred: str = "") -> Objects:
    """The stored objects, as the receiver can take them."""
    return Objects(
        forms=lambda instance: forms(instance.transfer_syntax_uid, preferred), opened=delivery.data_set
    )


def run(exchange: Exchange, total: int, under_way: SubOperations) -> Status:
    """Report the outcomes as they come, and the end; stop when the requestor cancels. Returns the final status."""
    tally = Tally(total)
    pace = _Pace(exchange.archive.settings.dimse.pending_interval)
    while tally.remaining and not exchange.cancelled:
        if pace.is_due:
            exchange.respond(Status(PENDING), counts=tally.pending_counts)
            pace.responded()
        outcome = under_way.next(min(POLLING_SECONDS, pace.seconds_left))
        if outcome is not None:
            _note(exchange, tally, outcome)
            pace.progressed()
    for outcome in under_way.cancel() if tally.remaining else ():
        _note(exchange, tally, outcome)
    if tally.remaining:
        return _conclude(exchange, tally, Status(CANCELLED), tally.pending_counts)
    return _conclude(exchange, tally, tally.status, tally.counts)


class _Pace:
    """When pending responses are sent: at once, and at an interval, of 0 seconds after each sub-operation."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._due = -math.inf

    @property
    def seconds_left(self) -> float:
        return max(self._due - time.monotonic(), 0)

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    def responded(self) -> None:
        self._due = time.monotonic() + (self._interval or math.inf)

    def progressed(self) -> None:
        if not self._interval:
            self._due = -math.inf


def _note(exchange: Exchange, tally: Tally, outcome: Outcome) -> None:
    """A reason in the receiver's words is not for the log: its Error Comment may name a patient."""
    tally.add(outcome)
    if outcome.failed:
        _log.warning(
            "sub-operation failed",
            operation=exchange.service.operation.command,
            SOPInstanceUID=outcome.instance.SOPInstanceUID,
            status=f"{outcome.status:04X}",
            reason="" if outcome.of_receiver else outcome.reason,
        )


def _conclude(exchange: Exchange, tally: Tally, status: Status, counts: Mapping[str, int]) -> Status:
    data = failed_instances(tally.failed, implicit=exchange.implicit) if tally.failed else None
    return exchange.respond(status, data, counts)
