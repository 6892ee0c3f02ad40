"""What corrections mean for objects that come after them: which of them apply to an object that still says what was
corrected.

    merged       whatever has the identity of the prior patient becomes the surviving one's
    moved        what comes into this study with the former identity, or without any, becomes that of the other patient
    updated      of the patient, or of the study, a value that was replaced is replaced again

An object of a study that is not changed over yet goes with its study, and is changed over with it.

The rules are walked through in the order of their corrections, and each sees what the one before has made of the
object: so chains come to their end whichever way they were made, and none goes round in a circle.

A correction enters its rules, and looks its studies up, while nobody records an object (`enter_alone`), and an object
is looked at once more when it has been recorded (`check`): so either the correction finds it stored, or it finds the
rules. On SQLite that is so by its one writer. PostgreSQL has a lock that costs no row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.demographics import ISSUER, PATIENT_ID, compared, same_patient, tag_of
from archive.dicom.errors import OutOfResources
from archive.dicom.instance import Instance
from archive.dicom.patient_key import PatientKey
from archive.index import rows, standing, terms
from archive.index.corrections_schema import corrected_study, correction, correction_rule
from archive.index.database import Connection
from archive.index.prepared import Prepared
from archive.index.schema import study

IDENTITY_TAG = 0
"""In place of a tag: the rule is about whose the object is."""
_LOCK = 0x44494345

Value = Callable[[str], str]
"""What an object says of an attribute, by its keyword; empty for nothing."""


class Outdated(OutOfResources):
    """A correction that has just been made concerns this object: it is to be corrected before it is recorded."""


@dataclass(frozen=True, slots=True)
class Said:
    """What of an object the rules look at."""

    StudyInstanceUID: str
    patient: PatientKey
    value: Value


@dataclass(frozen=True, slots=True)
class Step:
    """A correction that applies to an object: what it sets."""

    correction_id: int
    after: Mapping[str, str]


def of_patient(key: PatientKey) -> str:
    """The scope of a patient's rules."""
    digest = hashlib.sha256(orjson.dumps([key.PatientID, key.IssuerOfPatientID])).hexdigest()
    return f"patient {digest}"


def of_study(study_instance_uid: str) -> str:
    """The scope of a study's rules."""
    return f"study {rows.uid(study_instance_uid)}"


def former_identity(key: PatientKey) -> str:
    """The identity that a study's rule is about."""
    return orjson.dumps([key.PatientID, key.IssuerOfPatientID]).decode()


def former_value(keyword: str, text: str) -> str:
    """A value that is replaced, as it is compared."""
    return terms.text(compared(keyword, text))


def enter_alone(connection: Connection) -> None:
    """Wait until whoever records an object now has committed; who comes after sees what this transaction enters."""
    _lock(connection, "pg_advisory_xact_lock")


def record_beside(connection: Connection) -> None:
    """Others may record objects at the same time, but nobody enters rules until this transaction ends."""
    _lock(connection, "pg_advisory_xact_lock_shared")


def _lock(connection: Connection, function: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT {function}({_LOCK})")


def add(connection: Connection, correction_id: int, scope: str, tag: int, formers: Iterable[str]) -> None:
    """Enter rules of a correction, as far as they are new."""
    mine = [correction_rule.c.correction_id == correction_id, correction_rule.c.scope == scope]
    known = sa.select(correction_rule.c.former).where(*mine, correction_rule.c.tag == tag)
    there = set(connection.execute(known).scalars())
    values = {"correction_id": correction_id, "scope": scope, "tag": tag}
    new = [{**values, "former": one} for one in dict.fromkeys(formers) if one not in there]
    if new:
        connection.execute(sa.insert(correction_rule), new)
        standing.changed(connection, [standing.of_correction(correction_id)])


def remove(connection: Connection, correction_id: int) -> None:
    """Take back all rules of a correction."""
    connection.execute(sa.delete(correction_rule).where(correction_rule.c.correction_id == correction_id))
    standing.changed(connection, [standing.of_correction(correction_id)])


def exist(connection: Connection) -> bool:
    """Whether there are any rules at all."""
    return _ANY.row(connection) is not None


def check(connection: Connection, instance: Instance, value: Value) -> None:
    """Raises Outdated when this object, which was recorded in this transaction, is to be corrected."""
    if exist(connection) and steps(connection, said(instance, value)):
        raise Outdated("a correction of this patient or study has just been made: send the object again")


def said(instance: Instance, value: Value) -> Said:
    """What an object says, before it is recorded or after."""
    return Said(instance.StudyInstanceUID, PatientKey(*rows.patient(instance)), value)


def steps(connection: Connection, one: Said) -> list[Step]:
    """The corrections that apply to an object, in their order. None when it says already what they would make it
    say."""
    return _Walk(connection, one).steps()


def resolve(connection: Connection, key: PatientKey) -> PatientKey:
    """Who this patient is by now: merged into another, and that perhaps into a third."""
    after = 0
    while True:
        rule = sa.select(*_RULE).select_from(_JOINED).order_by(correction.c.id)
        mine = [correction_rule.c.scope == of_patient(key), correction_rule.c.tag == IDENTITY_TAG]
        found = connection.execute(rule.where(*mine, correction.c.id > after)).first()
        if found is None:
            return key
        after, key = found.id, PatientKey(found.to_PatientID, found.to_IssuerOfPatientID)


class _Walk:
    """One object on its way through the corrections."""

    def __init__(self, connection: Connection, one: Said) -> None:
        self._connection = connection
        self._one = one
        self._key = one.patient
        self._values: dict[str, str] = {}
        self._found: list[Step] = []
        self._owner: PatientKey | None = None

    def steps(self) -> list[Step]:
        after, scopes = 0, self._first_scopes()
        while True:
            for number, its in self._rules(scopes, after):
                after = number
                if not self._waits(its[0]) and self._apply(number, its):
                    scopes = [scopes[0], of_patient(self._key)]
                    break  # it is another patient's now, who has other rules
            else:
                return self._found if self._is_changed() else []

    def _is_changed(self) -> bool:
        """Whether the object would say something else in the end."""
        if self._key != self._one.patient:
            return True
        return any(value != self._one.value(keyword) for keyword, value in self._values.items())

    def _first_scopes(self) -> list[str]:
        """An object may say less of its patient than its study does."""
        uid = self._one.StudyInstanceUID
        scopes = [of_study(uid), of_patient(self._key)]
        row = self._connection.execute(_STUDY, {"uid": rows.uid(uid)}).first()
        if row is not None:
            self._owner = its = PatientKey(*row)
            if its != self._key and self._goes_with_study():
                scopes.append(of_patient(its))
        return scopes

    def _goes_with_study(self) -> bool:
        return self._owner is not None and (not self._key.PatientID or same_patient(self._owner, self._key))

    def _waits(self, row: Any) -> bool:
        """Whether the object's study is not changed over yet by this correction: the object then goes with its study,
        now and when that is changed over."""
        if row.state is not None:
            return row.state != "done" and self._goes_with_study()
        return not row.begun and self._goes_with_study()

    def _rules(self, scopes: Sequence[str], after: int) -> list[tuple[int, list[Any]]]:
        uid = rows.uid(self._one.StudyInstanceUID)
        found: dict[int, list[Any]] = {}
        for row in self._connection.execute(_RULES, {"uid": uid, "scopes": scopes, "after": after}):
            found.setdefault(row.id, []).append(row)
        return list(found.items())

    def _apply(self, number: int, its: Sequence[Any]) -> bool:
        """Whether the object is another patient's after it."""
        attributes: dict[str, str] = orjson.loads(its[0].attributes)
        target = PatientKey(its[0].to_PatientID, its[0].to_IssuerOfPatientID)
        if any(row.tag == IDENTITY_TAG and self._is_whose(row) for row in its):
            if self._key == target:
                return False
            self._key = target
            self._take(number, attributes)
            return True
        former = {(row.tag, row.former) for row in its if row.tag != IDENTITY_TAG}
        changed = {k: v for k, v in attributes.items() if self._is_former(k, v, former)}
        if changed:
            self._take(number, changed)
        return False

    def _take(self, number: int, values: Mapping[str, str]) -> None:
        self._values.update(values)
        self._found.append(Step(number, values))

    def _is_whose(self, row: Any) -> bool:
        """Whether an identity rule is about the patient that the object is of now."""
        if row.scope == of_patient(self._key):
            return True
        if row.scope != of_study(self._one.StudyInstanceUID):
            return False
        former = PatientKey(*orjson.loads(row.former))
        if not former.PatientID or not self._key.PatientID:
            return former.PatientID == self._key.PatientID
        return same_patient(former, self._key)

    def _is_former(self, keyword: str, value: str, former: set[tuple[int, str]]) -> bool:
        now = self._values.get(keyword)
        now = self._one.value(keyword) if now is None else now
        return now != value and (tag_of(keyword), former_value(keyword, now)) in former


_JOINED = correction_rule.join(correction, correction.c.id == correction_rule.c.correction_id)
_RULE = (
    correction.c.id,
    correction.c.attributes,
    correction.c.to_PatientID,
    correction.c.to_IssuerOfPatientID,
    correction_rule.c.scope,
    correction_rule.c.tag,
    correction_rule.c.former,
)
_RULES = (
    sa.select(*_RULE, correction.c.begun, corrected_study.c.state)
    .select_from(
        _JOINED.outerjoin(
            corrected_study,
            sa.and_(
                corrected_study.c.correction_id == correction.c.id,
                corrected_study.c.StudyInstanceUID == sa.bindparam("uid"),
            ),
        )
    )
    .where(correction_rule.c.scope.in_(sa.bindparam("scopes", expanding=True)))
    .where(correction.c.id > sa.bindparam("after"))
    .order_by(correction.c.id, correction_rule.c.tag)
)
"""Made once: making a statement costs as much as running it."""
_ANY = Prepared(sa.select(sa.literal(1)).select_from(correction_rule).limit(1))
_STUDY = sa.select(study.c[PATIENT_ID], study.c[ISSUER]).where(
    study.c.StudyInstanceUID == sa.bindparam("uid")
)
