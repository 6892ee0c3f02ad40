"""The C-STORE sub-operations that a C-MOVE and a C-GET share: counting, pending responses, cancel, the last
word.

A sub-operation that fails does not end the others (PS3.4 C.4.2.3.1). Pending responses are spaced in time:
one for each of ten thousand slices would cost more than it tells."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

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
from archive.remote.store_scu import DataSets, Outcome
from archive.services.retrieve import Retrieve

PENDING_INTERVAL = 0.2

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
            return Status(SUCCESS)
        if len(self.failed) == self.total:
            return Status(SUB_OPERATIONS_REFUSED, comment(self.reason))
        return Status(SUB_OPERATIONS_WARNING, comment(self.reason))


def data_sets(retrieve: Retrieve) -> DataSets:
    """How the bytes of an instance are opened: as they are stored, from the first byte of the data set."""

    @contextmanager
    def opened(instance: StoredInstance) -> Iterator[Iterable[bytes]]:
        with retrieve.open(instance) as blob:
            yield blob.pieces(instance.data_set_offset, instance.data_set_length)

    return opened


def run(exchange: Exchange, total: int, outcomes: Generator[Outcome, None, None]) -> Status:
    """Report the outcomes as they come, and the end; stop early when the requestor cancels. Returns the final
    status."""
    tally = Tally(total)
    due = time.monotonic()
    with closing(outcomes):
        while tally.remaining:
            if exchange.cancelled:
                return _conclude(exchange, tally, Status(CANCELLED), tally.pending_counts)
            if time.monotonic() >= due:
                exchange.respond(Status(PENDING), counts=tally.pending_counts)
                due = time.monotonic() + PENDING_INTERVAL
            _note(exchange, tally, next(outcomes))
    return _conclude(exchange, tally, tally.status, tally.counts)


def _note(exchange: Exchange, tally: Tally, outcome: Outcome) -> None:
    """The reason is not for the log: it may be the receiver's Error Comment, which may name a patient."""
    tally.add(outcome)
    if outcome.failed:
        _log.warning(
            "sub-operation failed",
            operation=exchange.service.operation.command,
            SOPInstanceUID=outcome.instance.SOPInstanceUID,
            status=f"{outcome.status:04X}",
        )


def _conclude(exchange: Exchange, tally: Tally, status: Status, counts: Mapping[str, int]) -> Status:
    data = failed_instances(tally.failed, implicit=exchange.implicit) if tally.failed else None
    return exchange.respond(status, data, counts)
