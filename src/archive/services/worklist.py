"""The modality worklist: filled by API, command line and orders, and asked by modalities (PS3.4 annex K).

Every way in goes through `enter`, so what a modality gets is complete whoever brought it. Nothing is entered that would
mix up patients: a study in the worklist is of one patient, and an entry keeps its patient for good.
"""

from __future__ import annotations

import datetime
import secrets
import time
import uuid
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archive.dicom.errors import InstanceConflict, InvalidValue, NoLongerChangeable, NotFound, OtherPatient
from archive.dicom.matching import moments
from archive.dicom.matching.item_matching import DataSetTest
from archive.dicom.query import Key, Query, Range, SingleValue, Universal
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import entries as rules
from archive.dicom.worklist.entries import SCHEDULED, STATES, Defaults, Facts
from archive.index import performed_steps, worklist
from archive.index.database import Database
from archive.index.worklist import Entry
from archive.services import patient_entries
from archive.settings.planning import WorklistSettings

__all__ = ("Entry", "Worklist", "check_same_patient", "stations")

BATCH = 50
DAY = 86_400.0

_STATE = (rules.SCHEDULED_STEP_SEQUENCE, rules.SCHEDULED_STEP_STATUS)
_DATE = (rules.SCHEDULED_STEP_SEQUENCE, int(rules.START_DATE, 16))


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry that was entered: its key, and whether it is new."""

    id: int
    new: bool


class Worklist:
    """The one worklist, for every door."""

    def __init__(self, database: Database, settings: WorklistSettings) -> None:
        self._database = database
        self._settings = settings
        self._stations = stations(settings.stations)

    def add(self, brought: DataSet, source: str) -> list[int]:
        """New entries, one for each scheduled procedure step; their keys. All of them or none. Raises MissingValue,
        InvalidValue, InvalidUID, OtherPatient, InstanceConflict."""
        made = rules.entries(brought, self.defaults())

        def change(connection: Any) -> list[int]:
            return [self._add(connection, data_set, state, source) for data_set, state in made]

        return self._database.write(change)

    def replace(self, key: int, brought: DataSet, source: str) -> Entry:
        """Give an entry other content; what identifies patient, study and step stays. Raises NotFound and what `add`
        raises."""

        def change(connection: Any) -> Entry:
            entry = _found(worklist.get(connection, key, lock=True))
            [(data_set, state), *others] = rules.entries(
                rules.identified(brought, entry.data_set), self.defaults()
            )
            if others:
                raise InvalidValue("an entry is one scheduled procedure step", rules.SCHEDULED_STEP_SEQUENCE)
            self.revise(connection, entry, data_set, source)
            if state:
                worklist.plan(connection, key, state, source)
            return _found(worklist.get(connection, key))

        return self._database.write(change)

    def get(self, key: int) -> Entry:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _found(worklist.get(connection, key))

    def all(self, states: Iterable[str] = STATES, limit: int | None = None) -> list[Entry]:
        """Entries in these states, in the order of their dates."""
        with self._database.read() as connection:
            keys = worklist.candidates(connection, tuple(states), limit=limit)
            return worklist.entries(connection, keys)

    def plan(self, key: int, state: str, source: str) -> Entry:
        """Set the state of an entry. Raises NotFound, InvalidValue."""
        rules.check_state(state)

        def change(connection: Any) -> Entry:
            _found(worklist.get(connection, key, lock=True))
            worklist.plan(connection, key, state, source)
            return _found(worklist.get(connection, key))

        return self._database.write(change)

    def remove(self, key: int) -> None:
        """Forget an entry. Raises NotFound."""
        if not self._database.write(lambda connection: worklist.remove(connection, key)):
            raise _nothing()

    def find(self, query: Query, limit: int) -> Generator[DataSet | None, None, None]:
        """The entries that a modality asks for, as they are offered, at most `limit`; None now and then while nothing
        is, so that whoever takes them can look whether they are still wanted. Raises InvalidQuery."""
        keys = [key for key in query.keys if not isinstance(key.matching, Universal)]
        test = DataSetTest(query, keys)
        named = any(key.path == _STATE for key in keys)
        with self._database.read() as connection:
            left = worklist.candidates(connection, STATES if named else self._settings.offered, *_days(keys))
        found = 0
        for start in range(0, len(left), BATCH):
            with self._database.read() as connection:
                batch = worklist.entries(connection, left[start : start + BATCH])
            for entry in batch:
                offered = rules.with_state(entry.data_set, entry.state)
                if test.passes(offered):
                    yield offered
                    found += 1
                if found == limit:
                    return
            yield None

    def expire(self) -> int:
        """Forget what is done with, or was never done, after the days that the settings say; how many."""
        before = time.time() - self._settings.keep_days * DAY
        day = datetime.datetime.fromtimestamp(before).strftime("%Y%m%d")
        return self._database.write(
            lambda connection: worklist.expire(
                connection, final_before=before, scheduled_before=day, changed_before=before
            )
        )

    # --- for whoever is in a transaction already: orders ---

    def defaults(self) -> Defaults:
        """What is filled in now where nobody says."""
        return Defaults(datetime.datetime.now(), _new_uid, _new_id, self._stations)

    def enter(self, connection: Any, entry: Entry | None, data_set: DataSet, state: str, source: str) -> Kept:
        """A new entry, or other content for the one that there is. Raises OtherPatient, InstanceConflict."""
        if entry is None:
            return Kept(self._add(connection, data_set, state, source), new=True)
        self.revise(connection, entry, data_set, source)
        if state:
            worklist.plan(connection, entry.id, state, source)
        return Kept(entry.id, new=False)

    def revise(self, connection: Any, entry: Entry, data_set: DataSet, source: str) -> None:
        """Other content for the same patient. Raises OtherPatient, InstanceConflict, NoLongerChangeable."""
        data_set = patient_entries.resolved(connection, data_set)
        before, after = rules.facts(entry.data_set), rules.facts(data_set)
        check_same_patient(before, after)
        if _identity(before) != _identity(after):
            if performed_steps.steps_of(connection, entry.id):
                raise NoLongerChangeable(
                    "a modality has begun this step: its study and its ID stay as they are"
                )
            self._check_place(connection, after, except_for=entry.id)
        worklist.replace(connection, entry.id, data_set, after, source)

    def _add(self, connection: Any, data_set: DataSet, state: str, source: str) -> int:
        facts = rules.facts(data_set)
        self._check_place(connection, facts)
        patient_entries.check_current(connection, data_set)
        key = worklist.add(connection, data_set, facts, state or SCHEDULED, source)
        if key is None:
            raise _taken()
        return key

    def _check_place(self, connection: Any, facts: Facts, except_for: int | None = None) -> None:
        """A study is of one patient, and has each step once."""
        worklist.hold(connection, facts.StudyInstanceUID)
        for other in worklist.of_study(connection, facts.StudyInstanceUID):
            there = rules.facts(other.data_set)
            check_same_patient(there, facts)
            if other.id != except_for and _identity(there) == _identity(facts):
                raise _taken()


def check_same_patient(one: Facts, other: Facts) -> None:
    """Raises OtherPatient where the Patient IDs differ, or their issuers if both are known."""
    issuers = {one.IssuerOfPatientID, other.IssuerOfPatientID} - {""}
    if one.PatientID != other.PatientID or len(issuers) > 1:
        raise OtherPatient(
            "the worklist has this study or order for another patient: nothing was changed; "
            "remove the entry with `archive worklist remove` if it is wrong"
        )


def stations(named: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The stations of each modality from `CT=CT1` and the like."""
    found: dict[str, tuple[str, ...]] = {}
    for one in named:
        modality, _, title = one.partition("=")
        found[modality.strip()] = (*found.get(modality.strip(), ()), title.strip())
    return found


def _identity(facts: Facts) -> tuple[str, str]:
    return facts.StudyInstanceUID, facts.ScheduledProcedureStepID


def _days(keys: Iterable[Key]) -> tuple[str, str]:
    """Days before and after which nothing can match: wider than the key, as time zones are up to 26 hours apart."""
    for key in keys:
        if key.path == _DATE and isinstance(key.matching, SingleValue | Range):
            value = key.matching
            first, last = (
                (value.value, value.value) if isinstance(value, SingleValue) else (value.first, value.last)
            )
            return _moved(moments.date(first), -2), _moved(moments.date(last), 2)
    return "", ""


def _moved(day: str, days: int) -> str:
    try:
        return (datetime.date.fromisoformat(day) + datetime.timedelta(days)).strftime("%Y%m%d") if day else ""
    except (ValueError, OverflowError):
        return ""


def _found(entry: Entry | None) -> Entry:
    if entry is None:
        raise _nothing()
    return entry


def _nothing() -> NotFound:
    return NotFound("the worklist has no entry of this number; see `archive worklist list`")


def _taken() -> InstanceConflict:
    return InstanceConflict("the worklist has this ScheduledProcedureStepID of this study already")


def _new_uid() -> str:
    """PS3.5 B.2: derived from a UUID."""
    return f"2.25.{uuid.uuid4().int}"


def _new_id() -> str:
    """For a VR SH, which has 16 characters; nobody else has it."""
    return secrets.token_hex(7).upper()
