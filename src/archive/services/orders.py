"""Orders: what an information system wants done, and what it takes back. They fill the worklist by themselves.

A message is one transaction: all its orders are taken, or none. What an order names is found by the number of its
filler, else of its placer, else by accession number, and has to be of the same patient. The same message again, whose
acknowledgment was lost, changes nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from archive.audit import messages
from archive.audit.events import Details
from archive.dicom.errors import InvalidValue, MissingValue, NoLongerChangeable, NotFound, OtherPatient
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import entries as rules
from archive.dicom.worklist.entries import (
    CANCELED,
    COMPLETED,
    DISCONTINUED,
    FINAL,
    SCHEDULED,
    STARTED,
    Facts,
    text,
)
from archive.index import audit, worklist
from archive.index.database import Database
from archive.index.worklist import Entry
from archive.security.actor import Actor
from archive.services import patient_entries
from archive.services.auditing import Auditing
from archive.services.worklist import Worklist, check_same_patient

_ORDER_NUMBERS = ("FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest")


class Control(enum.Enum):
    """What is to be done about the entries of an order."""

    ENTER = "enter or change"
    CANCEL = "cancel"
    DISCONTINUE = "discontinue"
    STATE = "set the state"


_ACTIONS = {
    Control.ENTER: messages.CREATE,
    Control.CANCEL: messages.DELETE,
    Control.DISCONTINUE: messages.DELETE,
}


@dataclass(frozen=True, slots=True)
class Order:
    """One scheduled procedure step of an order, as complete as the message was. `state` is what it has to become, ""
    where the message says nothing of it."""

    control: Control
    data_set: DataSet
    state: str = ""


class Orders:
    """What becomes of the worklist by orders."""

    def __init__(self, database: Database, worklist: Worklist, auditing: Auditing | None = None) -> None:
        self._database = database
        self._worklist = worklist
        self._auditing = auditing

    def apply(self, orders: Sequence[Order], source: str) -> list[int]:
        """Carry them out, all or none; the keys of the entries. Raises OtherPatient, NotFound, NoLongerChangeable,
        InstanceConflict, MissingValue, InvalidValue, InvalidUID."""

        def change(connection: Any) -> list[int]:
            touched: list[int] = []
            for order in orders:
                touched += self._apply(connection, order, _Beside(orders, touched), source)
            if self._auditing is not None:
                self._auditing.ordered(connection, Actor("HL7", user=source), map(_told, orders))
            return touched

        return self._database.write(change)

    def _apply(self, connection: Any, order: Order, beside: _Beside, source: str) -> list[int]:
        brought = patient_entries.resolved(connection, order.data_set)
        merged, order = brought is not order.data_set, replace(order, data_set=brought)
        asked = rules.facts(brought)
        there = _entries(connection, order)
        if order.control is Control.ENTER:
            if not any(getattr(asked, name) for name in (*_ORDER_NUMBERS, "AccessionNumber")):
                raise MissingValue(
                    "the order has no number (filler's, placer's or accession number): sent again, it would be another",
                    int(rules.PLACER, 16),
                )
            entry = beside.entry(_named(there, asked), asked)
            if merged and entry is None:
                raise OtherPatient(patient_entries.MERGED)
            brought = _completed(order.data_set, entry, _of_procedure(there, asked))
            [(data_set, _)] = rules.entries(brought, self._worklist.defaults())
            return [self._worklist.enter(connection, entry, data_set, _entered(order, entry), source).id]
        named = _named(there, asked)
        if not named:
            raise NotFound("the worklist has no entry of this order")
        for entry in named:
            worklist.plan(connection, entry.id, _next_state(order, entry), source)
        return [entry.id for entry in named]


def _told(order: Order) -> tuple[str, str, Details]:
    """Of the audit trail: whose order, what is done about it, and which it is."""
    asked = rules.facts(order.data_set)
    action = _ACTIONS.get(order.control, messages.UPDATE)
    number = asked.AccessionNumber or asked.FillerOrderNumberImagingServiceRequest
    return audit.patient_of(asked.PatientID, asked.IssuerOfPatientID), action, (("Order", number),)


@dataclass(frozen=True, slots=True)
class _Beside:
    """The orders of the same message, and the entries that they were about so far."""

    orders: Sequence[Order]
    touched: Sequence[int]

    def entry(self, named: list[Entry], asked: Facts) -> Entry | None:
        """Which of the entries that an order may be about it is about; None: a new one. Steps without an ID are taken
        in their order, if the message has all of them. Raises InvalidValue."""
        left = [entry for entry in named if entry.id not in self.touched]
        if len(left) > 1 and len(named) != self._alike(asked):
            raise InvalidValue(
                "the order has several steps, and the message does not say which it is about (OBR-20, IPC-4)",
                int(rules.STEP_ID, 16),
            )
        return left[0] if left else None

    def _alike(self, asked: Facts) -> int:
        """How many orders of the message cannot be told apart from this one."""
        return sum(_numbers(rules.facts(order.data_set)) == _numbers(asked) for order in self.orders)


def _numbers(facts: Facts) -> tuple[str, ...]:
    return (
        facts.FillerOrderNumberImagingServiceRequest,
        facts.PlacerOrderNumberImagingServiceRequest,
        facts.AccessionNumber,
        facts.RequestedProcedureID,
        facts.ScheduledProcedureStepID,
    )


def _entries(connection: Any, order: Order) -> list[Entry]:
    """All entries of the order, by the first of its numbers that any has. Raises OtherPatient."""
    asked = rules.facts(order.data_set)
    worklist.hold(connection, *(getattr(asked, name) for name in (*_ORDER_NUMBERS, "AccessionNumber")))
    for name in (*_ORDER_NUMBERS, "AccessionNumber"):
        value = getattr(asked, name)
        found = worklist.with_number(connection, name, value) if value else []
        there = [entry for entry in found if not _of_another_order(entry, order.data_set)]
        for entry in there:
            check_same_patient(rules.facts(entry.data_set), asked)
        if there:
            return there
    return []


def _of_another_order(entry: Entry, brought: DataSet) -> bool:
    """Whether a number that both have differs, or who gave it: a placer's order may become several of the filler, an
    accession number may stand for several orders, and two systems may count alike."""
    there, asked = rules.facts(entry.data_set), rules.facts(brought)
    pairs = ((getattr(there, name), getattr(asked, name)) for name in _ORDER_NUMBERS)
    return rules.given_by_others(entry.data_set, brought) or any(
        one and other and one != other for one, other in pairs
    )


def _named(there: list[Entry], asked: Facts) -> list[Entry]:
    """Those of them that the message is about: all of the step or of the procedure that it names, else all."""
    for name in ("ScheduledProcedureStepID", "RequestedProcedureID"):
        wanted = getattr(asked, name)
        if wanted:
            there = [entry for entry in there if getattr(rules.facts(entry.data_set), name) == wanted]
    return there


def _of_procedure(there: list[Entry], asked: Facts) -> Entry | None:
    """Another step of the same requested procedure: its study is ours."""
    same = [
        entry
        for entry in there
        if asked.RequestedProcedureID in ("", rules.facts(entry.data_set).RequestedProcedureID)
    ]
    return same[0] if same else None


def _completed(brought: DataSet, entry: Entry | None, sibling: Entry | None) -> DataSet:
    """With what is known already of the entry, or of another step of its procedure, where the message is silent."""
    made, step = dict(brought), dict(rules.step_of(brought))
    known = entry or sibling
    if known is not None:
        for tag in (rules.STUDY_UID, rules.PROCEDURE_ID, rules.ISSUER):
            _keep(made, known.data_set, tag)
    if entry is not None:
        for tag in (rules.ACCESSION, rules.PLACER, rules.FILLER, rules.PLACERS, rules.FILLERS):
            _keep(made, entry.data_set, tag)
        if not text(step, rules.START_DATE):
            step.pop(rules.START_TIME, None)
        for tag in (rules.STEP_ID, rules.START_DATE, rules.START_TIME, rules.STATION):
            _keep(step, rules.step_of(entry.data_set), tag)
    return {**made, rules.STEPS: {"vr": "SQ", "Value": [step]}}


def _keep(data_set: DataSet, before: DataSet, tag: str) -> None:
    said = data_set.get(tag, {})
    if not (said.get("Value") if said.get("vr") == "SQ" else text(data_set, tag)) and tag in before:
        data_set[tag] = before[tag]


def _entered(order: Order, entry: Entry | None) -> str:
    """The state of what is entered; "" where it stays. What was taken back and is ordered again is wanted again, but
    not what a modality discontinued: the same message may come once more for that, and nobody knows whether it is
    meant."""
    if order.state or entry is None:
        return order.state
    taken_back = entry.state == CANCELED or entry.state == entry.planned_state == DISCONTINUED
    return SCHEDULED if taken_back else ""


def _next_state(order: Order, entry: Entry) -> str:
    """Raises NoLongerChangeable for what has happened already. That a step has begun, told late, does not bring back
    one that has ended."""
    if order.control is Control.STATE:
        return entry.state if order.state == STARTED and entry.state in FINAL else order.state
    wanted = CANCELED if order.control is Control.CANCEL else DISCONTINUED
    if entry.state in (wanted, CANCELED):
        return entry.state
    if entry.state == COMPLETED or (entry.state == STARTED and order.control is Control.CANCEL):
        raise NoLongerChangeable(f"the step cannot be cancelled: its state is {entry.state}")
    return wanted
