"""Modality performed procedure steps, and what becomes of the worklist by them (PS3.4 F.7.2).

A step is linked to the entries that it names when it is created; the state of an entry then follows from all steps
that belong to it. An entry is named by study and scheduled step, and has to be of the same patient: a step that names
somebody else's is kept, as the modality did perform it, and changes nothing of the worklist.
"""

from __future__ import annotations

import uuid
from typing import Any

import structlog

from archive.dicom.errors import InstanceConflict, NotFound
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import entries as entry_rules
from archive.dicom.worklist import performed_steps as rules
from archive.dicom.worklist.entries import text
from archive.dicom.worklist.performed_steps import Change, ScheduledStep
from archive.index import performed_steps, worklist
from archive.index.database import Database
from archive.index.performed_steps import Step
from archive.index.worklist import Entry
from archive.services import patient_entries

__all__ = ("PerformedSteps", "Step", "state")

_log = structlog.get_logger()


class PerformedSteps:
    """The performed steps that modalities tell of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, uid: str, asked: DataSet, calling_ae_title: str, address: str) -> str:
        """A new step, IN PROGRESS; its SOP Instance UID, made here when `uid` is empty. Raises InstanceConflict when
        that is taken, MissingAttribute, MissingValue, InvalidValue, InvalidUID."""
        created = rules.created(asked)
        uid = uid or f"2.25.{uuid.uuid4().int}"

        def change(connection: Any) -> tuple[int, int]:
            data_set = patient_entries.resolved(connection, created)
            key = performed_steps.add(connection, uid, data_set, calling_ae_title, address)
            if key is None:
                raise InstanceConflict("a performed step has this SOP Instance UID already", uid)
            named, linked = _named_entries(connection, data_set)
            performed_steps.link(connection, key, linked)
            _follow(connection, key)
            return named, len(linked)

        named, linked = self._database.write(change)
        self._note("created", uid, rules.IN_PROGRESS, calling_ae_title)
        if linked < named:
            _log.warning("performed step of another patient", SOPInstanceUID=uid, entries=named - linked)
        return uid

    def change(self, uid: str, asked: DataSet, calling_ae_title: str) -> Change:
        """The step after an N-SET. Raises NotFound, NoLongerChangeable, MissingAttribute, MissingValue,
        InvalidValue, InvalidUID."""

        def change(connection: Any) -> Change:
            step = performed_steps.find(connection, uid, lock=True)
            if step is None:
                raise NotFound("no performed step has this SOP Instance UID")
            changed = rules.changed(step.data_set, patient_entries.of_now(connection, step.data_set, asked))
            performed_steps.change(connection, step.id, changed.data_set)
            _follow(connection, step.id)
            return changed

        changed = self._database.write(change)
        self._note("changed", uid, rules.status_of(changed.data_set), calling_ae_title)
        return changed

    def find(self, uid: str) -> Step:
        """Raises NotFound."""
        with self._database.read() as connection:
            step = performed_steps.find(connection, uid)
        if step is None:
            raise NotFound("no performed step has this SOP Instance UID")
        return step

    def newest(self, limit: int) -> list[Step]:
        """The steps that were told of last, newest first."""
        with self._database.read() as connection:
            return performed_steps.newest(connection, limit)

    def _note(self, what: str, uid: str, status: str, calling_ae_title: str) -> None:
        _log.info(
            f"performed step {what}", SOPInstanceUID=uid, status=status, calling_ae_title=calling_ae_title
        )


def _named_entries(connection: Any, data_set: DataSet) -> tuple[int, list[int]]:
    """How many entries a step names, and which of them are of its patient."""
    named = {entry.id: entry for one in rules.scheduled_steps(data_set) for entry in _named(connection, one)}
    return len(named), sorted(key for key, entry in named.items() if _same_patient(data_set, entry))


def _named(connection: Any, step: ScheduledStep) -> list[Entry]:
    """By study and step ID; without the ID (type 2) the one entry of the study, unless there are several."""
    found = worklist.of_study(connection, step.StudyInstanceUID) if step.StudyInstanceUID else []
    if not step.ScheduledProcedureStepID:
        return found if len(found) == 1 else []
    wanted = step.ScheduledProcedureStepID
    return [entry for entry in found if entry_rules.facts(entry.data_set).ScheduledProcedureStepID == wanted]


def _same_patient(data_set: DataSet, entry: Entry) -> bool:
    """A step without Patient ID (type 2) says nothing against it."""
    facts = entry_rules.facts(entry.data_set)
    issuers = {text(data_set, entry_rules.ISSUER), facts.IssuerOfPatientID} - {""}
    return text(data_set, entry_rules.PATIENT_ID) in ("", facts.PatientID) and len(issuers) < 2


def _follow(connection: Any, step: int) -> None:
    """Give every entry of a step the state that follows from all its steps."""
    for item in performed_steps.items_of(connection, step):
        if worklist.get(connection, item, lock=True) is not None:
            steps = performed_steps.steps_of(connection, item)
            worklist.perform(connection, item, state([one.data_set for one in steps]))


def state(steps: list[DataSet]) -> str | None:
    """The state of an entry with these performed steps; None where there is none that was meant for it."""
    meant = {rules.status_of(step) for step in steps if not rules.was_a_mistake(step)}
    if rules.IN_PROGRESS in meant:
        return entry_rules.STARTED
    if rules.COMPLETED in meant:
        return entry_rules.COMPLETED
    return entry_rules.DISCONTINUED if meant else None
