"""Carrying corrections out, one after the other, study by study.

    every object of a study is written anew, published, and kept in the index as such
      ->  one transaction changes the whole study over, if it holds just what was written anew; else only the rest is
          written, and it is tried again
      ->  the former bytes stay for `storage.copies_days`

Killed at any point, it goes on from what the index has: nothing of a study is shown before all of it is. A study
that cannot be changed (an object is damaged, or cannot say the new value in its character set) stays as it is, and the
record says why; the others are done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import structlog

from archive.dicom.demographics import PATIENT_ID
from archive.dicom.errors import ArchiveError, NotFound, OutcomeUnknown, OutOfResources
from archive.dicom.instance import Scope, StoredInstance
from archive.dicom.patient_key import PatientKey
from archive.index import corrected_objects, correction_rules, corrections, holds, instances, rewriting
from archive.index.corrections import Correction, Kind, State
from archive.index.database import Connection, Database
from archive.index.rewriting import Anew, Changed
from archive.services import correcting
from archive.services.correcting import Rewriting
from archive.services.duplicates import GRACE_SECONDS, abandon
from archive.storage.base import Blob, BlobStore

_log = structlog.get_logger()

AT_ONCE = 20
"""Objects that are written anew before the index hears of them."""
ROUNDS = 50
"""So often a study may grow, or change, while it is written anew."""

LARGE = 1 << 26
"""Bytes of an object that may take more than a moment."""
STEP_SECONDS = 1.0
EXPIRED_AT_ONCE = 500
DAY = 86_400.0

Values = Callable[[str], Mapping[str, str]]
"""What an object of this SOP Instance UID is to say."""


class CorrectionWork:
    """What the jobs do."""

    def __init__(self, store: BlobStore, database: Database, modifying_system: str) -> None:
        self._store = store
        self._database = database
        self._modifying_system = modifying_system

    def work(self, number: int) -> Iterator[None]:
        """Carry out what is pending up to this correction, a step at a time. Raises OutOfResources: to be tried
        again."""
        while True:
            with self._database.read() as connection:
                one = corrections.next_due(connection, number)
            if one is None:
                return
            yield from self._carry_out(one)

    def expire(self, days: int) -> int:
        """Let go of former bytes of objects that were corrected so many days ago, for 0 of none; how many."""
        before, number = time.time() - days * DAY, 0
        while days:
            released = self._database.write(lambda connection: _expire(connection, before))
            number += released
            if released < EXPIRED_AT_ONCE:
                break
        return number

    def _carry_out(self, one: Correction) -> Iterator[None]:
        if not one.begun:
            self._database.write(lambda connection: _begin(connection, one))
        with self._database.read() as connection:
            studies = corrections.studies(connection, one.id)
        for uid, (state, _) in studies.items():
            if state == State.PENDING:
                yield from self._correct(one, uid)
        self._database.write(lambda connection: _finish(connection, one))
        _log.info("correction_carried_out", correction=one.id, kind=one.kind, studies=len(studies))

    def _correct(self, one: Correction, uid: str) -> Iterator[None]:
        try:
            for _ in range(ROUNDS):
                yield from self._write_anew(one, uid)
                if not self._database.write(lambda connection: _change_over(connection, one, uid)).rest:
                    return
        except OutOfResources:
            raise
        except ArchiveError as error:
            self._give_up(one, uid, error.reason)
            return
        self._give_up(one, uid, "the study does not stop changing: try again when it has")

    def _give_up(self, one: Correction, uid: str, reason: str) -> None:
        def change(connection: Connection) -> None:
            _abandon(connection, rewriting.discard(connection, one.id, uid))
            if corrections.is_pending(connection, one.id, uid):
                corrections.settle_study(connection, one.id, uid, State.FAILED, reason)

        self._database.write(change)
        _log.warning("study_not_corrected", correction=one.id, study_instance_uid=uid, reason=reason)

    # --- objects ---

    def _write_anew(self, one: Correction, uid: str) -> Iterator[None]:
        """Whatever of the study is not written anew from the bytes that are stored now."""
        with self._database.read() as connection:
            ready = rewriting.staged(connection, one.id, uid)
            found = [
                stored
                for stored in instances.instances(connection, Scope(study_instance_uids=(uid,)))
                if ready.get(stored.SOPInstanceUID) != stored.blob_key
            ]
            values = _values(connection, one, uid)
        for start in range(0, len(found), AT_ONCE):
            yield from self._write_some(one, found[start : start + AT_ONCE], values)

    def _write_some(self, one: Correction, found: list[StoredInstance], values: Values) -> Iterator[None]:
        made: list[Anew] = []
        try:
            for stored in found:
                anew = yield from self._in_steps(stored, values(stored.SOPInstanceUID))
                if anew is not None:
                    made.append(anew)
                yield

            def change(connection: Connection) -> None:
                _abandon(connection, rewriting.stage(connection, one.id, made, one.attributes))

            self._database.write(change)
        except OutcomeUnknown:
            raise  # perhaps the index points to them
        except BaseException:
            for anew in made:
                if anew.blob_key:
                    self._store.delete(anew.blob_key)
            raise

    def _in_steps(
        self, stored: StoredInstance, values: Mapping[str, str]
    ) -> Generator[None, None, Anew | None]:
        """`_anew`, in a thread of its own for an object that takes longer than a worker may be silent."""
        if stored.data_set_length <= LARGE:
            return self._anew(stored, values)
        with ThreadPoolExecutor(1) as thread:
            future = thread.submit(self._anew, stored, values)
            while wait([future], STEP_SECONDS).not_done:
                yield
            return future.result()

    def _anew(self, stored: StoredInstance, values: Mapping[str, str]) -> Anew | None:
        """The object written anew and published; None when it is not stored any more."""
        with self._database.read() as connection:
            detail = instances.detail(connection, stored)
        if detail is None:
            return None
        metadata, bulk_values, source = detail
        opened = partial(self._open, stored)
        told = correcting.circumstances(self._modifying_system, source)
        rewriting_it = Rewriting(stored, metadata, bulk_values, opened, values, told)
        try:
            made = correcting.rewritten(self._store, rewriting_it, source)
        except OutOfResources:
            raise
        except ArchiveError as error:
            raise NotFound(f"{stored.SOPInstanceUID}: {error.reason}") from error
        if not rewriting_it.is_changed:
            made.writer.discard()
            return Anew(stored, made.instance, "", 0, "", {})
        try:
            made.writer.publish()
        except BaseException:
            made.writer.discard()
            raise
        key, offset = made.writer.key, made.data_set_offset
        return Anew(stored, made.instance, key, offset, made.sha256, rewriting_it.before)

    def _open(self, stored: StoredInstance) -> Blob:
        blob = self._store.open(stored.blob_key)
        if blob.length != stored.blob_length:
            blob.close()
            raise NotFound("the stored bytes of this instance were damaged: restore them from a backup")
        return blob


def _begin(connection: Connection, one: Correction) -> None:
    """Look up which studies it concerns, while nobody records an object. What makes a study from now on meets its
    rules."""
    correction_rules.enter_alone(connection)
    known = corrections.find(connection, one.id, lock=True)
    if known is not None and not known.begun:
        corrections.begin(connection, one, _studies(connection, one))


def _studies(connection: Connection, one: Correction) -> list[str]:
    if one.kind == Kind.UNDO:
        undone = corrections.find(connection, one.undoes)
        attempted = corrections.studies(connection, one.undoes) if undone is not None else {}
        unfinished = [uid for uid, (state, _) in attempted.items() if state != State.DONE]
        return [
            uid
            for uid in corrected_objects.corrected_studies(connection, one.undoes)
            if uid not in unfinished
            and (uid in attempted or corrected_objects.begins_with(connection, one.undoes, uid))
        ]
    if one.StudyInstanceUID:
        return [one.StudyInstanceUID]
    return corrections.studies_of(connection, one.patient)


def _values(connection: Connection, one: Correction, uid: str) -> Values:
    """What is taken back is for each object what it said before; for one that came later, what the first did."""
    if one.kind != Kind.UNDO:
        return lambda _: one.attributes
    before = corrected_objects.before(connection, one.undoes, uid)
    others = [*before.values()]
    other = next((its for its in others if its.get(PATIENT_ID)), others[0] if others else {})
    return lambda sop_instance_uid: before.get(sop_instance_uid, other)


def _change_over(connection: Connection, one: Correction, uid: str) -> Changed:
    """Nothing is changed by who was overtaken: others have carried it out, and perhaps what goes on from it."""
    if not corrections.is_pending(connection, one.id, uid):
        _abandon(connection, rewriting.discard(connection, one.id, uid))
        return Changed()
    holds.pin(connection, uid)
    changed = rewriting.change_over(
        connection, one.id, uid, tuple(one.attributes), restores=one.kind == Kind.UNDO
    )
    _let_go(connection, uid, changed.freed)
    if changed.rest:
        return changed
    corrections.settle_study(connection, one.id, uid, State.DONE)
    if one.kind in (Kind.MERGE, Kind.MOVE_STUDY):
        _rule_for_study(connection, one, uid, changed.former)
    return changed


def _rule_for_study(
    connection: Connection, one: Correction, uid: str, former: tuple[PatientKey, ...]
) -> None:
    """Objects of this study may say less of their patient than it did: no issuer, or nothing at all."""
    formers = [correction_rules.former_identity(key) for key in (*former, PatientKey(""))]
    correction_rules.add(
        connection, one.id, correction_rules.of_study(uid), correction_rules.IDENTITY_TAG, formers
    )


def _finish(connection: Connection, one: Correction) -> None:
    known = corrections.find(connection, one.id, lock=True)
    if known is None or known.state != State.PENDING:
        return
    settled = corrections.studies(connection, one.id).values()
    if any(state == State.PENDING for state, _ in settled):
        return  # somebody has asked to try it again meanwhile
    _abandon(connection, rewriting.discard(connection, one.id))
    reasons = [reason for state, reason in settled if state == State.FAILED]
    state = State.FAILED if reasons else State.DONE
    corrections.set_state(connection, one.id, state, next(iter(reasons), ""))


def _expire(connection: Connection, before: float) -> int:
    keys = corrected_objects.expire(connection, before, EXPIRED_AT_ONCE)
    _abandon(connection, keys)
    return len(keys)


def _let_go(connection: Connection, uid: str, keys: Iterable[str]) -> None:
    """Bytes of which a study has newer ones. On hold they stay as they are, and come to the quarantine."""
    holds.destroy_beside(connection)
    _abandon(connection, () if holds.held(connection, (uid,)) else keys)


def _abandon(connection: Connection, keys: Iterable[str]) -> None:
    for key in keys:
        abandon(connection, key, GRACE_SECONDS)
