"""What a view shows, as SQL: conditions on a row of `study`.

Where each grant of a set names patients or studies, those are found first by their indexes, and the rest is asked of
them. Else each study that the other conditions leave is asked: a few look-ups by key for each, so that a search by
indexed keys costs no more than it finds, and one through everything is as long as the archive is large.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from archive.dicom.attributes import ATTRIBUTES
from archive.dicom.instance import Level
from archive.dicom.matching.wildcards import is_pattern, pieces_of
from archive.dicom.query import SingleValue, Wildcard
from archive.index import name_conditions, rows, terms
from archive.index.database import Connection
from archive.index.rows import TERM_TABLES
from archive.index.schema import instance, instance_detail, patient, series, study
from archive.index.sql import among_these, like
from archive.security.views import Grant, View

Condition = sa.ColumnElement[bool]
Test = Callable[[sa.ColumnElement[str]], Condition]

_BY_KEYWORD = {attribute.keyword: attribute for attribute in ATTRIBUTES}
_INSTITUTION = _BY_KEYWORD["InstitutionName"]
_REFERRING = _BY_KEYWORD["ReferringPhysicianName"]


def shown(view: View | None, of: sa.FromClause = study) -> Sequence[Condition]:
    """What a study has to fulfil, all of it, for the view to show it; `of` is the table, or another name of it."""
    return () if view is None else _of_study(view, of)


def at_level(view: View | None, level: Level) -> Sequence[Condition]:
    """The same for what a query at this level walks through: a patient is shown by any of their studies."""
    if view is None or level is not Level.PATIENT:
        return shown(view)
    theirs = study.alias()
    found = sa.select(sa.literal(1)).where(theirs.c.patient_id == patient.c.id, *shown(view, theirs))
    return (sa.exists(found.correlate(patient)),)


def any_hidden(connection: Connection, view: View, study_instance_uids: Iterable[str]) -> bool:
    """Whether one of these studies is stored, and not shown."""
    named = among_these(study.c.StudyInstanceUID, [rows.uid(uid) for uid in study_instance_uids])
    found = sa.select(sa.literal(1)).where(named, sa.not_(sa.and_(*shown(view)))).limit(1)
    return connection.execute(found).first() is not None


@functools.lru_cache(maxsize=64)
def _remembered(view: View) -> Sequence[Condition]:
    return tuple(_one_of(grants, study) for grants in view.sets)


def _of_study(view: View, of: sa.FromClause) -> Sequence[Condition]:
    return _remembered(view) if of is study else tuple(_one_of(grants, of) for grants in view.sets)


def _one_of(grants: Sequence[Grant], of: sa.FromClause) -> Condition:
    if not grants:
        return sa.false()
    if all(grant.patient or grant.study for grant in grants):
        found = [_found_first(grant) for grant in grants]
        return of.c.id.in_(found[0] if len(found) == 1 else sa.union_all(*found))
    return sa.or_(*(sa.and_(*_conditions(grant, of)) for grant in grants))


def _found_first(grant: Grant) -> sa.Select[Any]:
    same = study.alias()
    return sa.select(same.c.id).where(*_conditions(grant, same))


def _conditions(grant: Grant, of: sa.FromClause) -> list[Condition]:
    asked: list[tuple[Sequence[str], Callable[[Sequence[str], sa.FromClause], Condition]]] = [
        (grant.study, _study),
        (grant.patient, _patient),
        (grant.issuer, _issuer),
        (grant.referring, _referring),
        (grant.modality, _modality),
        (grant.institution, _institution),
        (grant.ae, _sender),
    ]
    return [make(values, of) for values, make in asked if values]


def _study(values: Sequence[str], of: sa.FromClause) -> Condition:
    return among_these(of.c.StudyInstanceUID, [rows.uid(value) for value in values])


def _patient(values: Sequence[str], of: sa.FromClause) -> Condition:
    return among_these(of.c.PatientID, [terms.text(value) for value in values])


def _issuer(values: Sequence[str], of: sa.FromClause) -> Condition:
    return _any(values, _text_test, of.c.IssuerOfPatientID)


def _referring(values: Sequence[str], of: sa.FromClause) -> Condition:
    column = of.c.ReferringPhysicianName_search
    further = _further(Level.STUDY, _REFERRING.tag, of, lambda text: _any(values, _name_test, text))
    return sa.or_(_any(values, _name_test, column), further)


def _modality(values: Sequence[str], of: sa.FromClause) -> Condition:
    inner = series.alias()
    return _exists(of, inner.c.study_id == of.c.id, among_these(inner.c.Modality, values))


def _institution(values: Sequence[str], of: sa.FromClause) -> Condition:
    inner = series.alias()
    further = _further(Level.SERIES, _INSTITUTION.tag, inner, lambda text: _any(values, _text_test, text))
    said = sa.or_(_any(values, _text_test, inner.c.InstitutionName), further)
    return _exists(of, inner.c.study_id == of.c.id, said)


def _sender(values: Sequence[str], of: sa.FromClause) -> Condition:
    inner, within, detail = series.alias(), instance.alias(), instance_detail.alias()
    return _exists(
        of,
        inner.c.study_id == of.c.id,
        within.c.series_id == inner.c.id,
        detail.c.instance_id == within.c.id,
        among_these(detail.c.calling_ae_title, [terms.text(value) for value in values]),
    )


def _further(level: Level, tag: int, owner: sa.FromClause, test: Test) -> Condition:
    """The test holds for a further value, or another component group of a name."""
    term = TERM_TABLES[level].alias()
    return _exists(owner, next(iter(term.c)) == owner.c.id, term.c.tag == tag, test(term.c.text))


def _exists(owner: sa.FromClause, *conditions: Condition) -> Condition:
    return sa.exists(sa.select(sa.literal(1)).where(*conditions).correlate(owner))


def _any(values: Iterable[str], test: Callable[[str], Test], column: sa.ColumnElement[str]) -> Condition:
    return sa.or_(*(test(value)(column) for value in values))


def _text_test(value: str) -> Test:
    if not is_pattern(value):
        return lambda column: column == terms.text(value)
    return lambda column: like(column, pieces_of(terms.clean(value.strip(" "))))


def _name_test(value: str) -> Test:
    matching = Wildcard(value) if is_pattern(value) else SingleValue(value)
    [test] = name_conditions.literal_tests(_REFERRING, matching)
    return test or (lambda _: sa.false())
