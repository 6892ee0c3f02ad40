"""From the keys of a query to SQL conditions (PS3.4 C.2.2.2).

Matching of a time with fewer parts than hhmmss.ffffff is matching of the whole span that it means. A name key of
one component group matches any group of a name; with `=` in it, each group that it gives has to match that group.
A wildcard key of `*` alone is universal for every VR.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import sqlalchemy as sa

from archive.dicom.attributes import BY_TAG, REQUEST_ATTRIBUTES, Attribute
from archive.dicom.charsets import fold
from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.query import Key, Matching, Query, Range, SingleValue, UIDList, Universal, Wildcard
from archive.index import terms
from archive.index.rows import TERM_TABLES
from archive.index.schema import column_name, has_terms, instance, patient, request, series, study
from archive.index.sql import among, like

Condition = sa.ColumnElement[bool]
Test = Callable[[sa.ColumnElement[str]], Condition]

MAXIMUM_PATTERN = 4096
_REQUESTS = next(one.tag for one in BY_TAG.values() if one.keyword == "RequestAttributesSequence")
_TABLES = {Level.PATIENT: patient, Level.STUDY: study, Level.SERIES: series, Level.IMAGE: instance}


def conditions(query: Query) -> Iterator[Condition]:
    """What a row at the query's level, joined with those above it, has to fulfil. Raises InvalidQuery."""
    keys = [key for key in query.keys if not _is_universal(key.matching)]
    for key in keys:
        if len(key.path) == 1:
            yield _condition(_attribute(key, query.level), key, query.level)
        else:
            _check_request(key, query.level)
    requested = [key for key in keys if len(key.path) > 1]
    if requested:
        yield _in_one_request(requested)


def is_selective(key: Key) -> bool:
    """Whether the key leaves few rows and an index finds them; a code, of which there are few, does not."""
    attribute = BY_TAG.get(key.path[0])
    if _is_universal(key.matching) or (attribute is not None and attribute.vr == "CS"):
        return False
    return not (isinstance(key.matching, Wildcard) and key.matching.pattern.strip(" ")[:1] in ("*", "?"))


def _is_universal(matching: Matching) -> bool:
    match matching:
        case Universal():
            return True
        case SingleValue(value):
            return not value.strip(" ")
        case Wildcard(pattern):
            return not pattern.strip(" *")
        case UIDList(values):
            return not any(value.strip(" *") for value in values)
        case _:
            return False


def _attribute(key: Key, level: Level) -> Attribute:
    attribute = BY_TAG.get(key.path[0])
    if attribute is None or not attribute.matched or attribute.vr == "SQ":
        raise InvalidQuery(f"the attribute {key.path[0]:08X} cannot be matched")
    if attribute.level > level:
        raise InvalidQuery(f"{attribute.keyword} is below the level of the query")
    return attribute


def _condition(attribute: Attribute, key: Key, level: Level) -> Condition:
    matching, selective = key.matching, is_selective(key)
    if attribute.computed:
        return _computed(attribute, matching)
    table = _table(attribute, level)
    column = table.c[column_name(attribute)]
    match attribute.vr:
        case "DA" | "TM":
            return _span(attribute, column, matching)
        case "IS":
            return column.in_(_numbers(attribute, matching))
        case "PN":
            return _name(attribute, table, matching, selective)
        case "UI":
            return _unique(table, column.name, _test(attribute, matching))
        case _:
            return _any_value(attribute, table, _test(attribute, matching), selective)


def _unique(table: sa.Table, name: str, test: Test) -> Condition:
    """Found first and joined by key: for a list of UIDs SQLite would else walk all the studies in their order."""
    same = table.alias()
    return table.c.id.in_(sa.select(same.c.id).where(test(same.c[name])))


def _table(attribute: Attribute, level: Level) -> sa.Table:
    """Below the patient level the patient is matched as in the study."""
    if attribute.level is Level.PATIENT and level > Level.PATIENT:
        return study
    return _TABLES[attribute.level]


def _computed(attribute: Attribute, matching: Matching) -> Condition:
    """ModalitiesInStudy and SOPClassesInStudy: one of the study's series or instances has it."""
    test = _test(attribute, matching)
    inner = series.alias()
    found = sa.select(sa.literal(1)).where(inner.c.study_id == study.c.id)
    if attribute.keyword == "ModalitiesInStudy":
        return sa.exists(found.where(test(inner.c.Modality)).correlate(study))
    within = instance.alias()
    joined = found.where(within.c.series_id == inner.c.id, test(within.c.SOPClassUID))
    return sa.exists(joined.correlate(study))


def _test(attribute: Attribute, matching: Matching) -> Test:
    """How one text is tested."""
    match matching:
        case SingleValue(value):
            wanted = terms.text(value)
            return lambda column: column == wanted
        case UIDList(values):
            listed = [terms.text(value) for value in values if value.strip(" ")]
            return lambda column: among(column, listed)
        case Wildcard(pattern):
            pieces = _pieces(pattern.strip(" "), terms.clean)
            return lambda column: like(column, pieces)
        case _:
            raise InvalidQuery(f"{attribute.keyword} cannot be matched by a range")


def _pieces(pattern: str, prepare: Callable[[str], str]) -> list[str]:
    """The pattern with its literal pieces prepared as stored texts were; runs of `*` are one."""
    if len(pattern) > MAXIMUM_PATTERN:
        raise InvalidQuery(f"a wildcard key of more than {MAXIMUM_PATTERN} characters")
    pieces = re.split(r"([*?])", re.sub(r"\*{2,}", "*", pattern))
    return [piece if place % 2 else prepare(piece) for place, piece in enumerate(pieces)]


def _any_value(attribute: Attribute, table: sa.Table, test: Test, selective: bool) -> Condition:
    """The test holds for the column or for one of the terms.

    Written so that an index serves it where that pays: OR would make both engines read every row."""
    name = column_name(attribute)
    indexed = selective and _has_index(table, name)
    if not has_terms(attribute):
        return _unique(table, name, test) if indexed else test(table.c[name])
    term = _term_table(attribute, table)
    in_terms = sa.select(term.c[0]).where(term.c.tag == attribute.tag, test(term.c.text))
    if indexed:
        same = table.alias()
        in_column = sa.select(same.c.id).where(test(same.c[name]))
        return table.c.id.in_(sa.union_all(in_column, in_terms))
    return sa.or_(test(table.c[name]), table.c.id.in_(in_terms))


def _same_value(attribute: Attribute, table: sa.Table, tests: Mapping[int, Test]) -> Condition:
    """Each component group of one and the same value passes its test. The alphabetic group of the first value is
    in the column, everything else in the terms."""
    term = _term_table(attribute, table)
    in_terms = sa.select(term.c[0]).where(term.c.tag == attribute.tag)
    passed = {
        group: sa.and_(term.c.component_group == group, test(term.c.text)) for group, test in tests.items()
    }
    first = [
        test(table.c[column_name(attribute)])
        if group == terms.ALPHABETIC
        else table.c.id.in_(in_terms.where(term.c.value_number == 0, passed[group]))
        for group, test in tests.items()
    ]
    further = (
        in_terms.where(term.c.value_number > 0, sa.or_(*passed.values()))
        .group_by(term.c[0], term.c.value_number)
        .having(sa.func.count() == len(passed))
    )
    return sa.or_(sa.and_(*first), table.c.id.in_(further))


def _term_table(attribute: Attribute, table: sa.Table) -> sa.Table:
    level = Level.STUDY if table is study else attribute.level
    return TERM_TABLES[level]


def _has_index(table: sa.Table, name: str) -> bool:
    return any(next(iter(index.columns)).name == name for index in table.indexes if index.columns)


def _name(attribute: Attribute, table: sa.Table, matching: Matching, selective: bool) -> Condition:
    match matching:
        case SingleValue(value):
            tests = [_name_test(group) for group in terms.clean(value).split("=")[:3]]
        case Wildcard(pattern):
            tests = [_name_pattern(group) for group in terms.clean(pattern).split("=")[:3]]
        case _:
            raise InvalidQuery(f"{attribute.keyword} is matched by one name")
    given = {group: test for group, test in enumerate(tests) if test is not None}
    if not given:
        return sa.true()
    if len(tests) == 1:
        return _any_value(attribute, table, given[0], selective)
    return _same_value(attribute, table, given)


def _name_test(group: str) -> Test | None:
    """How one component group is tested; None where the key leaves it open."""
    wanted = terms.name(group)
    return (lambda column: column == wanted) if wanted else None


def _name_pattern(group: str) -> Test | None:
    """The same for a key with wildcards, of which this group may have none."""
    trimmed = group.strip(" ").rstrip("^ ")
    if not trimmed.strip("*"):
        return None
    if "*" not in trimmed and "?" not in trimmed:
        return _name_test(trimmed)
    pieces = _pieces(trimmed, fold)
    return lambda column: like(column, pieces)


def _numbers(attribute: Attribute, matching: Matching) -> list[int]:
    match matching:
        case SingleValue(value):
            numbers = [terms.number(value)]
        case UIDList(values):
            numbers = [terms.number(value) for value in values if value.strip(" ")]
        case _:
            raise InvalidQuery(f"{attribute.keyword} is matched by a number")
    found = [number for number in numbers if number is not None]
    if len(found) < len(numbers):
        raise InvalidQuery(f"{attribute.keyword} is matched by a number")
    return found


def _span(attribute: Attribute, column: sa.ColumnElement[str], matching: Matching) -> Condition:
    match matching:
        case SingleValue(value) | UIDList((value,)):
            first, last = value, value
        case Range(first, last) if first.strip(" ") or last.strip(" "):
            pass
        case _:
            raise InvalidQuery(f"{attribute.keyword} is matched by a value or a range of values")
    begin, end = (terms.date, terms.date) if attribute.vr == "DA" else (terms.time, terms.last_time)
    # Absent is '', which comes before any digit.
    limits = [column >= (_limit(attribute, begin, first) or "0")]
    if last.strip(" "):
        limits.append(column <= _limit(attribute, end, last))
    return sa.and_(*limits)


def _limit(attribute: Attribute, normalise: Callable[[str], str], value: str) -> str:
    if not value.strip(" "):
        return ""
    limit = normalise(value)
    if not limit:
        raise InvalidQuery(f"a value of {attribute.keyword} is no {attribute.vr} (PS3.5 6.2)")
    return limit


def _check_request(key: Key, level: Level) -> None:
    if key.path[0] != _REQUESTS or len(key.path) > 2 or key.path[1] not in REQUEST_ATTRIBUTES:
        raise InvalidQuery("of sequences, only the IDs of RequestAttributesSequence can be matched")
    if level < Level.SERIES:
        raise InvalidQuery("RequestAttributesSequence is below the level of the query")


def _in_one_request(keys: list[Key]) -> Condition:
    """A sequence matches when one of its items matches all the keys (PS3.4 C.2.2.2.6)."""
    attribute = BY_TAG[_REQUESTS]
    tests = [_test(attribute, key.matching)(request.c[REQUEST_ATTRIBUTES[key.path[1]]]) for key in keys]
    return series.c.id.in_(sa.select(request.c.series_id).where(*tests))
