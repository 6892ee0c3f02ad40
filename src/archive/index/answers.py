"""What an answer to a query holds, and how it is put together from the rows.

Most of it was prepared at ingest, one JSON text per level. Counts and lists are made by the query itself. Only
attributes that are not prepared at all are taken from the metadata of the entity's first instance, within the bounds
of `index.kept`: beyond them an answer holds only what the index knows.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.attribute_levels import FACTS_OF_AN_ANSWER, is_at_or_above, is_private
from archive.dicom.attributes import ATTRIBUTES, BY_TAG, UNIQUE_KEYS, Attribute
from archive.dicom.instance import Level
from archive.dicom.matching import projection
from archive.dicom.query import Match, Path, Query
from archive.index import kept
from archive.index.schema import instance, instance_detail, patient, series, study
from archive.index.sql import distinct_texts, either
from archive.index.views import shown
from archive.security.views import View

MAXIMUM_MEMBER = 1 << 16
"""Bytes of JSON of one attribute from the metadata: longer single values are no part of the metadata either."""
MAXIMUM_MEMBERS = 1 << 20
"""Bytes of JSON of all of them in one answer."""

_RECORD_KEY = "0008041B"

_PREPARED = {
    Level.PATIENT: (patient.c.attributes,),
    Level.STUDY: (study.c.attributes,),
    Level.SERIES: (study.c.attributes, series.c.attributes),
    Level.IMAGE: (study.c.attributes, series.c.attributes, instance.c.attributes),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns to select, and what to make of a row's key and of them."""

    columns: tuple[sa.ColumnElement[Any], ...]
    assemble: Callable[[int, Sequence[Any]], Match]


def plan(query: Query, view: View | None = None) -> Plan:
    """What the query wants: the attributes of PS3.18 10.6.3.3 for its level and those above, those that it names,
    or all. The values of its keys are of no account. `view`: what is to be told of other studies than those found."""
    whole, parts = _whole(query), _parts(query)
    computed = [BY_TAG[tag] for tag in sorted(whole) if tag in BY_TAG and BY_TAG[tag].computed]
    prepared = _PREPARED[query.level]
    columns = [*prepared, *(_computed_column(one, query.level, view) for one in computed)]
    if needs_metadata(query):
        columns.append(_first_metadata(query.level, view))
    texts = [f"{tag:08X}" for tag in sorted(whole)]
    empty = _shown_empty(query, whole)
    add_further = _further(query, whole, parts)

    def assemble(key: int, row: Sequence[Any]) -> Match:
        members = orjson.loads(row[0])
        for text in row[1 : len(prepared)]:
            members.update(orjson.loads(text))
        for attribute, value in zip(computed, row[len(prepared) :], strict=False):
            members.update(_computed_member(attribute, value))
        answer = {tag: member for tag in texts if (member := members.get(tag) or empty.get(tag)) is not None}
        return answer if add_further is None else add_further(answer, members, key, row)

    return Plan(tuple(columns), assemble)


_Further = Callable[[dict[str, Any], Mapping[str, Any], int, Sequence[Any]], Match]


def _further(query: Query, whole: frozenset[int], parts: frozenset[Path]) -> _Further | None:
    """How to add what few queries ask for: parts of sequences, the metadata, the RecordKey."""
    known = projection.wanted([path for path in parts if path[0] in BY_TAG], query.creators)
    others = projection.wanted(_others(whole, parts), query.creators)
    with_metadata = needs_metadata(query)
    if not (known.within or with_metadata or query.by_record_key):
        return None

    def add(answer: dict[str, Any], members: Mapping[str, Any], key: int, row: Sequence[Any]) -> Match:
        if known.within:
            answer.update(projection.shown(members, known))
        if with_metadata:
            answer.update(_members(row[-1], query, others))
        if query.by_record_key:
            answer[_RECORD_KEY] = {"vr": "OB", "InlineBinary": record_key(key)}
        return dict(sorted(answer.items()))

    return add


def record_key(key: int) -> str:
    """The RecordKey of a patient, study, series or instance: base64 of eight bytes, which sort as the records do."""
    return base64.b64encode(key.to_bytes(8, "big")).decode()


def needs_metadata(query: Query) -> bool:
    """Whether something is wanted that is not prepared."""
    return query.include_all or bool(_others(_whole(query), _parts(query)))


def tells_of_others(query: Query) -> bool:
    """Whether an answer tells of more than the study that it is about, or a part of it: of those of its patient."""
    return query.level is Level.PATIENT or not _OF_PATIENT.isdisjoint(_whole(query))


def _others(whole: frozenset[int], parts: frozenset[Path]) -> list[Path]:
    return [(tag,) for tag in whole if tag not in BY_TAG] + [path for path in parts if path[0] not in BY_TAG]


def _whole(query: Query) -> frozenset[int]:
    """Tags of attributes to show as they are. What the index knows to belong to a level below is left out without a
    word (PS3.18 10.6.3.3)."""
    default = {one.tag for one in ATTRIBUTES if one.returned or query.include_all}
    unique = {tag for level, tag in UNIQUE_KEYS.items() if level <= query.level}
    if query.only_named:
        default, unique = set(), set()
    named = {key.path[0] for key in query.keys if len(key.path) == 1} | query.include
    named -= {path[0] for path, _ in query.creators if len(path) == 1}
    return frozenset(tag for tag in default | unique | named if _may_show(tag, query.level))


def _parts(query: Query) -> frozenset[Path]:
    """Attributes within sequences that are not to be shown as a whole."""
    whole = _whole(query)
    named = query.include_parts | {key.path for key in query.keys if len(key.path) > 1}
    return frozenset(path for path in named if path[0] not in whole and _may_show(path[0], query.level))


def _may_show(tag: int, level: Level) -> bool:
    row = BY_TAG.get(tag)
    return tag not in FACTS_OF_AN_ANSWER and (row is None or row.level <= level)


def _shown_empty(query: Query, wanted: frozenset[int]) -> Mapping[str, Mapping[str, str]]:
    """Attributes that appear without Value when the object lacks them: those asked for by name, and those that
    every answer has to have. Counts and lists are always there, or better left out: viewers stumble over them."""
    named = {key.path[0] for key in query.keys} | query.include
    return {
        one.tag_hex: {"vr": one.vr}
        for one in ATTRIBUTES
        if one.tag in wanted and not one.computed and (one.tag in named or (one.returned and one.matched))
    }


_COUNTERS: Mapping[str, sa.ColumnElement[Any]] = {
    "NumberOfStudyRelatedSeries": study.c.number_of_series,
    "NumberOfStudyRelatedInstances": study.c.number_of_instances,
    "NumberOfSeriesRelatedInstances": series.c.number_of_instances,
    "AvailableTransferSyntaxUID": instance.c.transfer_syntax_uid,
}


_OF_PATIENT = frozenset(
    one.tag for one in ATTRIBUTES if one.computed and one.keyword.startswith("NumberOfPatientRelated")
)


def _computed_column(attribute: Attribute, level: Level, view: View | None) -> sa.ColumnElement[Any]:
    if view is not None and attribute.tag in _OF_PATIENT:
        return _of_patient(attribute, level, view)
    return _made_column(attribute, level)


@functools.cache
def _made_column(attribute: Attribute, level: Level) -> sa.ColumnElement[Any]:
    """Made once: making it takes longer than running it."""
    if attribute.keyword in _COUNTERS:
        return _COUNTERS[attribute.keyword]
    inner = series.alias()
    if attribute.keyword == "ModalitiesInStudy":
        listed = sa.select(distinct_texts(inner.c.Modality)).where(inner.c.study_id == study.c.id)
        return either(study.c.modalities, listed.correlate(study).scalar_subquery())
    if attribute.keyword == "SOPClassesInStudy":
        within = instance.alias()
        joined = sa.and_(within.c.series_id == inner.c.id, inner.c.study_id == study.c.id)
        return (
            sa.select(distinct_texts(within.c.SOPClassUID)).where(joined).correlate(study).scalar_subquery()
        )
    return _of_patient(attribute, level)


def _of_patient(attribute: Attribute, level: Level, view: View | None = None) -> sa.ColumnElement[Any]:
    """NumberOfPatientRelated…: the sum over the patient's studies, as far as they are shown."""
    inner = study.alias()
    total = {
        "NumberOfPatientRelatedStudies": sa.func.count(),
        "NumberOfPatientRelatedSeries": sa.func.sum(inner.c.number_of_series),
        "NumberOfPatientRelatedInstances": sa.func.sum(inner.c.number_of_instances),
    }[attribute.keyword]
    outer = patient if level is Level.PATIENT else study
    owner = patient.c.id if level is Level.PATIENT else study.c.patient_id
    theirs = sa.select(total).where(inner.c.patient_id == owner, *shown(view, inner))
    return theirs.correlate(outer).scalar_subquery()


def _computed_member(attribute: Attribute, value: Any) -> dict[str, Any]:
    if attribute.keyword in ("ModalitiesInStudy", "SOPClassesInStudy"):
        listed = value.split("\\") if value and value[0] == "\\" else orjson.loads(value or "[]")
        values = sorted(filter(None, listed))
    else:
        values = [int(value) if attribute.vr == "IS" else value]
    return {attribute.tag_hex: {"vr": attribute.vr, "Value": values}} if values else {}


def _first_metadata(level: Level, view: View | None) -> sa.ColumnElement[Any]:
    """The compressed metadata of the first instance that was stored of the entity, unless longer than `longest`."""
    if level is Level.IMAGE:
        first: Any = instance.c.id
    else:
        first = _first_instance(level, view if level is Level.PATIENT else None)
    found = sa.select(instance_detail.c.metadata).where(
        instance_detail.c.instance_id == first,
        sa.func.length(instance_detail.c.metadata) <= sa.bindparam("longest"),
    )
    return found.correlate(patient, study, series, instance).scalar_subquery()


@functools.lru_cache(maxsize=64)
def _first_instance(level: Level, view: View | None) -> sa.ScalarSelect[Any]:
    one_instance, one_series, one_study = instance.alias(), series.alias(), study.alias()
    joined = one_instance.join(one_series, one_instance.c.series_id == one_series.c.id).join(
        one_study, one_series.c.study_id == one_study.c.id
    )
    owner = {
        Level.PATIENT: one_study.c.patient_id == patient.c.id,
        Level.STUDY: one_series.c.study_id == study.c.id,
        Level.SERIES: one_instance.c.series_id == series.c.id,
    }[level]
    first = (
        sa.select(sa.func.min(one_instance.c.id)).select_from(joined).where(owner, *shown(view, one_study))
    )
    return first.correlate(patient, study, series).scalar_subquery()


def _members(compressed: bytes | None, query: Query, others: projection.Wanted) -> dict[str, Any]:
    """Attributes that are not prepared, in the order of tags, as far as they are not too long."""
    with kept.parsed(compressed) as members:
        if members is None:
            return {}
        found = {
            tag: value for tag, value in members.items() if query.include_all and _is_of(tag, query.level)
        }
        return dict(_short(dict(sorted((found | projection.shown(members, others)).items()))))


def _is_of(tag: str, level: Level) -> bool:
    """Whether `all` means it: not what is prepared, and no private attributes but those of the instance asked for."""
    number = int(tag, 16)
    if number in BY_TAG or (is_private(number) and level is not Level.IMAGE):
        return False
    return is_at_or_above(number, level) and number not in FACTS_OF_AN_ANSWER


def _short(members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A value that is only linked to (BulkDataURI), or as long as such a one, is no answer to a query."""
    room = MAXIMUM_MEMBERS
    for tag, value in members.items():
        text = orjson.dumps(value)
        if len(text) <= MAXIMUM_MEMBER and b'"BulkDataURI"' not in text:
            room -= len(text)
            if room < 0:
                return
            yield tag, value
