"""TABLE event -> job: what follows from an event that a transaction left in the outbox; and what recurs by
itself.

A job may run more than once (a worker can die after it did the work), so each must be harmless when repeated.
An event without a row is nobody's business, and is finished at once. There is none for a stored object as long as
no job follows from it: it would cost each object three changes of the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archive.bootstrap.building import Archive
from archive.jobs import metrics
from archive.services.commitment import COMMITMENT_REQUESTED
from archive.services.corrections import CORRECTION_DUE
from archive.services.delete import BLOBS_DELETED
from archive.services.duplicates import BLOB_ABANDONED
from archive.services.noting import STANDING_CHANGED

Job = Callable[[Archive, Mapping[str, Any]], Iterable[None] | None]
"""A long one comes in steps, between which the worker shows that it lives."""


def discard_abandoned(archive: Archive, payload: Mapping[str, Any]) -> None:
    """Bytes that lost a race to the same object: nobody points to them."""
    archive.ingest.discard_abandoned(payload["key"])


def discard_deleted(archive: Archive, payload: Mapping[str, Any]) -> None:
    """Bytes whose entries in the index were deleted."""
    archive.deletion.discard(payload["keys"], payload.get("request", 0))


def check_commitment(archive: Archive, payload: Mapping[str, Any]) -> Iterable[None]:
    """Instances whose safekeeping was asked for."""
    return archive.commitment.work(payload["id"])


def carry_out_correction(archive: Archive, payload: Mapping[str, Any]) -> Iterable[None]:
    """Patients or studies of which something else is to be said."""
    return archive.corrections.work(payload["id"])


def note_standing(archive: Archive, payload: Mapping[str, Any]) -> None:
    """Blobs that are not simply what is stored, or are so again."""
    archive.noting.note(payload["subjects"])


JOBS: Mapping[str, Job] = {
    BLOB_ABANDONED: discard_abandoned,
    BLOBS_DELETED: discard_deleted,
    COMMITMENT_REQUESTED: check_commitment,
    CORRECTION_DUE: carry_out_correction,
    STANDING_CHANGED: note_standing,
}


@dataclass(frozen=True, slots=True)
class Recurring:
    """Work that no event asks for."""

    name: str
    every_seconds: float
    run: Callable[[Archive], object]
    by_age: bool = False
    """Whether something goes for good because it is old: only while the clock can be believed (`clock`)."""


SPOOL_AGE_SECONDS = 60.0
"""What a dead worker left is gone a minute later: it may be half of somebody's picture."""


def sweep_spool(archive: Archive) -> int:
    """Remove what interrupted receptions left in the spool; how many."""
    return archive.store.sweep(SPOOL_AGE_SECONDS)


def expire_commitments(archive: Archive) -> None:
    """Results of storage commitment that nobody fetches any more."""
    archive.commitment.expire()


def expire_copies(archive: Archive) -> None:
    """What conflicts that were decided long ago keep aside."""
    archive.conflicts.expire(archive.settings.storage.copies_days)


def expire_rejected(archive: Archive) -> None:
    """The bytes of instances that were rejected long ago."""
    archive.rejections.expire(archive.settings.rejection.keep_days)


def carry_out_retention(archive: Archive) -> None:
    """Studies whose time is over, by the rules of the settings."""
    archive.deletions.carry_out_rules()


def resume_corrections(archive: Archive) -> None:
    """Corrections that were given up, as the store or the index could not take them for long."""
    archive.corrections.resume()


def expire_corrected(archive: Archive) -> None:
    """The former bytes of what was corrected long ago."""
    archive.corrections.expire(archive.settings.storage.copies_days)


def expire_worklist(archive: Archive) -> None:
    """Entries of the worklist that are done with, or long past."""
    archive.worklist.expire()


def expire_workitems(archive: Archive) -> None:
    """Workitems that ended long ago and nobody keeps, and what subscribers were told."""
    archive.workitems.expire()
    archive.workitem_events.sweep()


def take_over_reports(archive: Archive) -> None:
    """Results that associations were about to tell which are gone; and those that nobody could tell."""
    archive.reports.sweep()
    archive.reports.give_up()


def notice_studies(archive: Archive) -> None:
    """Studies that others want to be told of."""
    archive.notifications.notice()


def expire_notifications(archive: Archive) -> None:
    """What others were told of long ago."""
    archive.notifications.expire()


def scrub(archive: Archive) -> None:
    """Some of what is stored, read to see whether it is what it was."""
    metrics.VERIFIED.inc(archive.scrubbing.step())


def tell_of_damage(archive: Archive) -> None:
    """What is known to be damaged, whoever has found it."""
    metrics.tell(archive.scrubbing.state())


def tidy_notes(archive: Archive) -> None:
    """Notes about blobs that are not there any more."""
    archive.noting.tidy()


def record_received(archive: Archive) -> None:
    """What was received by processes that were killed."""
    archive.auditing.sweep()


def anchor_audit(archive: Archive) -> None:
    """Where the audit trail's chain is."""
    archive.audit_log.anchor()


def export_audit(archive: Archive) -> None:
    """What is new in the audit trail, for the syslog receiver."""
    archive.audit_export.begin()


def sweep_copies(archive: Archive) -> None:
    """The copies of de-identified shares that have ended."""
    archive.shares.sweep_copies(archive.retrieve)


RECURRING: tuple[Recurring, ...] = (
    Recurring("record what was received", 60.0, record_received, by_age=True),
    Recurring("anchor the audit trail", 600.0, anchor_audit),
    Recurring("export the audit trail", 2.0, export_audit),
    Recurring("sweep de-identified copies", 60.0, sweep_copies, by_age=True),
    Recurring("tidy notes", 3600.0, tidy_notes),
    Recurring("take over reports", 15.0, take_over_reports),
    Recurring("notice studies", 5.0, notice_studies),
    Recurring("expire notifications", 3600.0, expire_notifications, by_age=True),
    Recurring("sweep spool", 60.0, sweep_spool),
    Recurring("expire commitments", 3600.0, expire_commitments, by_age=True),
    Recurring("expire copies", 3600.0, expire_copies, by_age=True),
    Recurring("expire rejected", 3600.0, expire_rejected, by_age=True),
    Recurring("carry out retention", 3600.0, carry_out_retention, by_age=True),
    Recurring("resume corrections", 600.0, resume_corrections),
    Recurring("expire corrected", 3600.0, expire_corrected, by_age=True),
    Recurring("expire worklist", 3600.0, expire_worklist, by_age=True),
    Recurring("expire workitems", 3600.0, expire_workitems, by_age=True),
    Recurring("scrub", 1.0, scrub),
    Recurring("tell of damage", 60.0, tell_of_damage),
)
