"""What becomes of an object whose identifiers are taken: the policies, and the one transaction that carries them out.

    reject      it is refused, and its sender keeps it; only a record stays here
    keep        another version of a stored instance is kept aside; what is stored stays what is shown
    replace     another version takes the place of what is stored, and that is kept aside
    conflict    it is kept aside, until somebody decides

Whatever is answered with Success or a warning is safe here: nothing is dropped on the word of a policy. What was
decided by one of them is held for `storage.copies_days` and can be taken back until then.

`keep` and `replace` are about versions: the same study, series, class and patient. An object that brings another
patient into a study, or stands elsewhere under a UID that is taken, is no version of anything; it is refused, or with
`conflict` kept aside, and nothing but a person's decision lets it in.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from archive.dicom.instance import Form, Instance, Source, StoredInstance
from archive.index import (
    conflicts,
    correction_rules,
    outbox,
    recording,
    rejected_copies,
    standing,
    verification,
)
from archive.index.conflicts import Copy, State
from archive.index.database import Connection, Raced
from archive.index.recording import Former, Outcome
from archive.security.ae_titles import AETitle
from archive.services import late_arrivals
from archive.services.ae_titles import AETitles
from archive.services.shaping import Note

BLOB_ABANDONED = "BlobAbandoned"
"""Outbox event: these bytes lost a race and nobody points to them; payload `{"key": …}`."""

GRACE_SECONDS = 60.0
"""How long bytes outlive what pointed to them, where somebody may have read that and be about to open them."""

REPLACED = "another version of this instance took its place"
BY_POLICY = "policy"

REASONS: Mapping[Outcome, str] = {
    Outcome.OTHER_CONTENT: "this SOP Instance UID is stored already, with other content",
    Outcome.ELSEWHERE: "this SOP Instance UID is stored already, in another series or study, or of another class",
    Outcome.OTHER_STUDY: "this Series Instance UID belongs to another study",
    Outcome.OTHER_PATIENT: "this Study Instance UID belongs to another patient",
    Outcome.REJECTED: "rejected by a rejection note: it is not taken again",
    Outcome.AWAITED: "a rejection note was here before it",
}
"""Why an object is not simply stored."""


class Policy(enum.StrEnum):
    """What becomes of an object whose identifiers are taken, as the settings and the rules of AE titles name it."""

    REJECT = "reject"
    KEEP = "keep"
    REPLACE = "replace"
    CONFLICT = "conflict"

    def holds(self, outcome: Outcome) -> State | None:
        """How an object is kept aside; None where it is not. What was rejected is not taken again by any policy (IHE
        RAD TF-3 4.66.4.2.3.1, 4.66.4.3.3)."""
        if self is Policy.CONFLICT and outcome is not Outcome.REJECTED:
            return State.OPEN
        return State.KEPT if self is Policy.KEEP and outcome is Outcome.OTHER_CONTENT else None

    def replaces(self, outcome: Outcome) -> bool:
        """Whether an object takes the place of what is stored."""
        return self is Policy.REPLACE and outcome is Outcome.OTHER_CONTENT


class Policies:
    """The policy for each sender: that of its AE title's entry, else that of the settings."""

    def __init__(self, ae_titles: AETitles, default: str) -> None:
        self._ae_titles = ae_titles
        self._default = Policy(default)

    def of(self, source: Source) -> Policy:
        """Raises OutOfResources when the entry cannot be read: then nothing is decided."""
        entry = self._entry(source)
        if entry is None or not entry.rules.duplicates:
            return self._default
        try:
            return Policy(entry.rules.duplicates)
        except ValueError:
            return Policy.REJECT  # of another version of the archive; this loses nothing

    def _entry(self, source: Source) -> AETitle | None:
        return self._ae_titles.entry_of(source.calling_ae_title) if source.calling_ae_title else None


@dataclass(frozen=True, slots=True)
class Incoming:
    """An object whose bytes are safe, and what was learnt from them. `sha256` is the digest of what is kept, and
    `received` says what came in, which is something else where attributes were coerced, or pixels compressed."""

    instance: Instance
    blob_key: str
    data_set_offset: int
    sha256: str
    received: Form
    source: Source
    notes: tuple[Note, ...] = ()
    """What is entered together with it."""

    @property
    def stored(self) -> StoredInstance:
        """As the index would have it."""
        one, received = self.instance, self.received
        return StoredInstance(
            one.StudyInstanceUID,
            one.SeriesInstanceUID,
            one.SOPInstanceUID,
            one.SOPClassUID,
            one.transfer_syntax_uid,
            self.blob_key,
            self.data_set_offset,
            one.length,
            self.sha256,
            received.sha256,
            received.transfer_syntax_uid,
        )


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an object. `outcome` is STORED or ALREADY_THERE, or what was in its way; then it is `held` or
    refused, and `conflict_id` is the number of the record: of a rejection note, if that waits for it."""

    outcome: Outcome
    held: bool = False
    conflict_id: int = 0
    hidden: bool = False
    """A rejection note: safe, and found by nobody."""

    @property
    def refused(self) -> bool:
        """Whether the sender has to keep it."""
        return self.outcome in REASONS and not self.held


def enter(connection: Connection, one: Incoming, policy: Policy, mends: str = "") -> Fate:
    """Enter an object into the index, or what the policy says where something is in its way. Bytes that nobody points
    to afterwards are left to the jobs in the same transaction. `mends` is the key of damaged bytes of the same object,
    whose place it takes; these are left where they are, and go to the quarantine."""
    outcome = record(connection, one)
    if outcome is Outcome.STORED:
        return Fate(outcome)
    if outcome is Outcome.ALREADY_THERE:
        if mends and _mend(connection, one, mends):
            return Fate(Outcome.STORED)
        abandon(connection, one.blob_key)
        return Fate(outcome)
    if outcome is Outcome.AWAITED:
        note = rejected_copies.arrive(connection, rejected_copies.Kept(one.stored, one.source))
        return Fate(outcome, held=True, conflict_id=note)
    if policy.replaces(outcome):
        return Fate(Outcome.STORED, conflict_id=replace(connection, one, BY_POLICY))
    state = policy.holds(outcome)
    if state is None:
        abandon(connection, one.blob_key)
        return Fate(outcome, conflict_id=refuse(connection, one, outcome))
    by = "" if state is State.OPEN else BY_POLICY
    number, freed = conflicts.hold(connection, Copy(one.stored, one.source), REASONS[outcome], state, by)
    abandon(connection, freed, GRACE_SECONDS)
    return Fate(outcome, held=True, conflict_id=number)


def _mend(connection: Connection, one: Incoming, damaged: str) -> bool:
    """Put an object in the place of the same one, whose bytes are damaged; False where somebody has done so."""
    if recording.find_former(connection, one.instance.SOPInstanceUID).stored.blob_key != damaged:
        return False
    if take_place(connection, one, Outcome.ALREADY_THERE).stored.blob_key != damaged:
        raise Raced  # somebody has done so since
    verification.note(connection, (), [damaged])
    standing.changed(connection, [damaged, one.blob_key])
    return True


def refuse(connection: Connection, one: Incoming, outcome: Outcome) -> int:
    """Keep the record of a refused object; its number. Raises OutOfResources while its study is being corrected."""
    if outcome is Outcome.OTHER_PATIENT:
        _check_settled(connection, one)
    return conflicts.record_conflict(
        connection, one.instance, one.received.sha256, one.source, REASONS[outcome]
    )


def replace(connection: Connection, one: Incoming, settled_by: str) -> int:
    """Put an object in the place of the version that is stored, and keep that aside; the number of its record."""
    return put_aside(connection, take_place(connection, one), one, settled_by)


def put_aside(connection: Connection, former: Former, one: Incoming, settled_by: str) -> int:
    """Keep aside what was stored until `one` took its place; the number of its record."""
    release_same(connection, one, settled_by)
    copy = Copy(former.stored, former.source)
    number, freed = conflicts.hold(connection, copy, REPLACED, State.REPLACED, settled_by)
    abandon(connection, freed, GRACE_SECONDS)
    return number


def release_same(connection: Connection, one: Incoming, settled_by: str) -> None:
    """Keep nothing aside of an object that is stored now."""
    for key in conflicts.release_same(connection, one.stored, settled_by):
        if key != one.blob_key:
            abandon(connection, key, GRACE_SECONDS)


def abandon(connection: Connection, key: str, after_seconds: float = 0.0) -> None:
    """Leave bytes to the jobs that nobody points to when this transaction has ended; no key, nothing. After
    GRACE_SECONDS where somebody may be about to read them."""
    if key:
        outbox.put(connection, BLOB_ABANDONED, {"key": key}, after_seconds=after_seconds)
        if after_seconds:
            standing.changed(connection, [key])


def record(connection: Connection, one: Incoming) -> Outcome:
    """Enter an object unless something is in its way. Raises Outdated where it is to be corrected before, and
    OutOfResources while its study is being corrected."""
    correction_rules.record_beside(connection)
    outcome = recording.record(
        connection,
        one.instance,
        one.blob_key,
        one.data_set_offset,
        one.sha256,
        one.source,
        one.received,
    )
    if outcome is not Outcome.ALREADY_THERE:
        late_arrivals.check(connection, one.instance)
    if outcome is Outcome.STORED:
        _enter_notes(connection, one)
    elif outcome is Outcome.OTHER_PATIENT:
        late_arrivals.check_settled(connection, one.instance.StudyInstanceUID)
        if recording.judge(connection, one.instance, one.received) is not outcome:
            raise Raced  # its study has just been corrected
    return outcome


def take_place(connection: Connection, one: Incoming, instead_of: Outcome = Outcome.OTHER_CONTENT) -> Former:
    """Put an object in the place of the version that is stored; what that was, to which nothing points then. Raises
    Outdated as `record` does."""
    correction_rules.record_beside(connection)
    former = recording.replace(
        connection,
        one.instance,
        one.blob_key,
        one.data_set_offset,
        one.sha256,
        one.source,
        one.received,
        instead_of=instead_of,
    )
    late_arrivals.check(connection, one.instance)
    _enter_notes(connection, one)
    return former


def _check_settled(connection: Connection, one: Incoming) -> None:
    """It is of another patient than its study: raises OutOfResources where a correction is about to change that, or has
    just done so."""
    late_arrivals.check_settled(connection, one.instance.StudyInstanceUID)
    if recording.judge(connection, one.instance, one.received) is not Outcome.OTHER_PATIENT:
        raise late_arrivals.being_corrected()


def _enter_notes(connection: Connection, one: Incoming) -> None:
    for note in one.notes:
        note.enter(connection, one.stored)
