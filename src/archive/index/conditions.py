"""From the keys of a query to SQL conditions (PS3.4 C.2.2.2), for what the index has columns for.

Matching of a time with fewer parts than hhmmss.ffffff is matching of the whole span that it means. A wildcard key of
`*` alone is universal for every VR. Keys without a column are left to `index.examining`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from archive.dicom.attributes import BY_KEYWORD, BY_TAG, REQUEST_ATTRIBUTES, Attribute
from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.matching.wildcards import is_pattern, pieces_of
from archive.dicom.query import (
    AsGiven,
    Empty,
    Key,
    Matching,
    Query,
    SingleValue,
    UIDList,
    Universal,
    Wildcard,
)
from archive.index import name_conditions, terms, time_conditions
from archive.index.name_conditions import Similar
from archive.index.rows import TERM_TABLES
from archive.index.schema import (
    ABSENT_NUMBER,
    WITH_ORDER,
    column_name,
    has_terms,
    instance,
    patient,
    request,
    series,
    study,
    study_text,
)
from archive.index.sql import DownwardJoin, among, like

Condition = sa.ColumnElement[bool]
Test = Callable[[sa.ColumnElement[str]], Condition]

MAXIMUM_PATTERN = 4096
FEW_CODES = 20
REQUESTS = next(one.tag for one in BY_TAG.values() if one.keyword == "RequestAttributesSequence")
MODALITIES = BY_KEYWORD["ModalitiesInStudy"].tag
_TABLES = {Level.PATIENT: patient, Level.STUDY: study, Level.SERIES: series, Level.IMAGE: instance}


@dataclass(frozen=True, slots=True)
class Facts:
    """What has to be known of the index before the conditions can be written."""

    zones: tuple[str, ...] = ()
    similar: Similar = field(default_factory=dict)
    in_column: frozenset[Key] = frozenset()
    """Keys that no term matches, so that the column alone decides: of those in `schema.WITH_ORDER`."""
    with_triggers: bool = False
    """Whether triggers keep the list of texts in these columns, and the modalities of each study."""


def facts(connection: sa.Connection, query: Query) -> Facts:
    """Read beforehand; nothing for most queries."""
    return Facts(
        time_conditions.zones(connection, query),
        name_conditions.similar_words(connection, query),
        frozenset(key for key in query.keys if _is_only_in_column(connection, key, query)),
        with_triggers=connection.dialect.name == "sqlite",
    )


def conditions(query: Query, facts: Facts) -> Iterator[Condition]:
    """What a row at the query's level, joined with those above it, has to fulfil. Raises InvalidQuery."""
    keys = [key for key in query.keys if not is_universal(key.matching)]
    for key in keys:
        _check_pattern(key.matching)
    moments = {}
    for key in (key for key in keys if len(key.path) == 1 and is_indexed(key)):
        attribute = _attribute(key, query.level)
        if attribute.vr in ("DA", "TM") and not isinstance(key.matching, Empty):
            moments[attribute] = key.matching
        else:
            yield _condition(attribute, key, query, facts)
    tables = {attribute: _table(attribute, query.level) for attribute in moments}
    yield from time_conditions.conditions(query, moments, tables, facts.zones)
    requested = [key for key in keys if len(key.path) > 1 and is_indexed(key)]
    for key in requested:
        _check_level(BY_TAG[key.path[0]], query.level)
    if requested:
        yield _in_one_request(requested)


def is_indexed(key: Key) -> bool:
    """Whether the index matches the attribute itself."""
    if isinstance(key.matching, AsGiven):
        return False
    if len(key.path) > 1:
        return key.path[0] == REQUESTS and len(key.path) == 2 and key.path[1] in REQUEST_ATTRIBUTES
    attribute = BY_TAG.get(key.path[0])
    return (
        attribute is not None
        and attribute.matched
        and (attribute.vr != "SQ" or isinstance(key.matching, Empty))
    )


def is_selective(key: Key) -> bool:
    """Whether the key leaves few rows and an index finds them; a code, of which there are few, does not."""
    attribute = BY_TAG.get(key.path[0])
    if is_universal(key.matching) or (attribute is not None and attribute.vr == "CS"):
        return False
    return not (isinstance(key.matching, Wildcard) and key.matching.pattern.strip(" ")[:1] in ("*", "?"))


def is_universal(matching: Matching) -> bool:
    """Whether the key matches everything."""
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
    attribute = BY_TAG[key.path[0]]
    _check_level(attribute, level)
    return attribute


def _check_level(attribute: Attribute, level: Level) -> None:
    if attribute.level > level:
        raise InvalidQuery(f"{attribute.keyword} is below the level of the query")


def _check_pattern(matching: Matching) -> None:
    patterns = matching.values if isinstance(matching, AsGiven) else ()
    if isinstance(matching, Wildcard):
        patterns = (matching.pattern,)
    if any(len(one) > MAXIMUM_PATTERN and is_pattern(one) for one in patterns):
        raise InvalidQuery(f"a wildcard key of more than {MAXIMUM_PATTERN} characters")


def _condition(attribute: Attribute, key: Key, query: Query, facts: Facts) -> Condition:
    matching, selective = key.matching, is_selective(key)
    if attribute.computed:
        codes = modalities_of(key) if facts.with_triggers else ()
        return _has_modality(codes) if codes else _computed(attribute, matching)
    table = _table(attribute, query.level)
    if isinstance(matching, Empty):
        return _empty(attribute, table)
    if key in facts.in_column:
        return _in_column(attribute, key, facts)
    match attribute.vr:
        case "IS":
            return table.c[column_name(attribute)].in_(_numbers(attribute, matching))
        case "PN":
            return _name(attribute, key, query, facts.similar)
        case "UI":
            return _unique(table, column_name(attribute), _test(attribute, matching))
        case _:
            return _any_value(attribute, table, _test(attribute, matching), selective)


def _empty(attribute: Attribute, table: sa.Table) -> Condition:
    """PS3.4 C.2.2.2.7. What is no value of its VR is none here."""
    if attribute.vr == "SQ":
        return series.c.id.not_in(sa.select(request.c.series_id))
    if attribute.vr == "IS":
        return table.c[column_name(attribute)] == ABSENT_NUMBER
    absent = table.c[column_name(attribute)] == ""
    if not has_terms(attribute):
        return absent
    term = _term_table(attribute, table)
    return sa.and_(absent, table.c.id.not_in(sa.select(term.c[0]).where(term.c.tag == attribute.tag)))


def _is_only_in_column(connection: sa.Connection, key: Key, query: Query) -> bool:
    """Whether the key is of a column in `schema.WITH_ORDER`, and none of the terms matches it: few studies have any."""
    attribute = BY_TAG.get(key.path[0])
    if query.level is not Level.STUDY or attribute is None or len(key.path) > 1 or not is_indexed(key):
        return False
    if is_universal(key.matching) or isinstance(key.matching, Empty):
        return False
    if column_name(attribute) not in WITH_ORDER or name_conditions.is_fuzzy(query, attribute):
        return False
    _check_pattern(key.matching)
    tests = tests_of(attribute, key.matching)
    if len(tests) != 1 or tests[0] is None:
        return False
    term = _term_table(attribute, study)
    found = sa.select(sa.literal(1)).where(term.c.tag == attribute.tag, tests[0](term.c.text)).limit(1)
    return connection.execute(found).first() is None


def _in_column(attribute: Attribute, key: Key, facts: Facts) -> Condition:
    """A pattern that begins with anything is looked for in the list of texts, which is much shorter than the index."""
    [test] = tests_of(attribute, key.matching)
    assert test is not None
    column = study.c[column_name(attribute)]
    if is_selective(key) or not facts.with_triggers:
        return test(column)
    listed = sa.select(study_text.c.text).where(study_text.c.tag == attribute.tag, test(study_text.c.text))
    return column.in_(listed)


def tests_of(attribute: Attribute, matching: Matching) -> list[Test | None]:
    """How the text of a column is tested; of a name with several component groups, that of each."""
    if attribute.vr == "PN":
        return name_conditions.literal_tests(attribute, matching)
    return [_test(attribute, matching)]


def _unique(table: sa.Table, name: str, test: Test) -> Condition:
    """Found first and joined by key: for a list of UIDs SQLite would else walk all the studies in their order."""
    same = _same(table)
    return table.c.id.in_(sa.select(same.c.id).where(test(same.c[name])))


@functools.cache
def _same(table: sa.Table) -> sa.FromClause:
    """The table under another name, made once: making it takes longer than asking it."""
    return table.alias()


def _table(attribute: Attribute, level: Level) -> sa.Table:
    """Below the patient level the patient is matched as in the study."""
    if attribute.level is Level.PATIENT and level > Level.PATIENT:
        return study
    return _TABLES[attribute.level]


def modalities_of(key: Key) -> list[str]:
    """The modalities of which a study has to have one, if the key names a few."""
    values: tuple[str, ...] = ()
    matching = key.matching
    if key.path == (MODALITIES,) and isinstance(matching, SingleValue | UIDList):
        values = (matching.value,) if isinstance(matching, SingleValue) else matching.values
    codes = [terms.text(value) for value in values if value.strip(" ")]
    # A backslash stands between the modalities of a study: with one, a code would be looked for across two of them.
    return codes if len(codes) <= FEW_CODES and not any("\\" in code for code in codes) else []


def _has_modality(codes: list[str]) -> Condition:
    return sa.or_(*(sa.func.instr(study.c.modalities, f"\\{code}\\") > 0 for code in codes))


def _computed(attribute: Attribute, matching: Matching) -> Condition:
    """ModalitiesInStudy and SOPClassesInStudy: one of the study's series or instances has it."""
    inner = _same(series)
    found = sa.select(sa.literal(1)).where(inner.c.study_id == study.c.id)
    if isinstance(matching, Empty):
        coded = found.where(inner.c.Modality != "").correlate(study)
        return ~sa.exists(coded) if attribute.keyword == "ModalitiesInStudy" else sa.false()
    test = _test(attribute, matching)
    if attribute.keyword == "ModalitiesInStudy":
        return sa.exists(found.where(test(inner.c.Modality)).correlate(study))
    within = _same(instance)
    # Down from the study: SQLite would else go through all the instances of a class, once for each study.
    joined = found.select_from(DownwardJoin(inner, within, within.c.series_id == inner.c.id))
    return sa.exists(joined.where(test(within.c.SOPClassUID)).correlate(study))


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
            pieces = pieces_of(terms.clean(pattern.strip(" ")))
            return lambda column: like(column, pieces)
        case _:
            raise InvalidQuery(f"{attribute.keyword} cannot be matched by a range")


def _any_value(
    attribute: Attribute,
    table: sa.Table,
    test: Test,
    selective: bool,
    others: sa.Select[Any] | None = None,
) -> Condition:
    """The test holds for the column or for one of the terms, or the row is one of those others.

    Written so that an index serves it where that pays: OR would make both engines read every row."""
    name = column_name(attribute)
    indexed = (selective or others is not None) and _has_index(table, name)
    if not has_terms(attribute):
        return _unique(table, name, test) if indexed else test(table.c[name])
    term = _term_table(attribute, table)
    in_terms = sa.select(term.c[0]).where(term.c.tag == attribute.tag, test(term.c.text))
    further = [in_terms] if others is None else [in_terms, others]
    if indexed:
        same = _same(table)
        in_column = sa.select(same.c.id).where(test(same.c[name]))
        return table.c.id.in_(sa.union_all(in_column, *further))
    return sa.or_(test(table.c[name]), *(table.c.id.in_(one) for one in further))


def _term_table(attribute: Attribute, table: sa.Table) -> sa.Table:
    level = Level.STUDY if table is study else attribute.level
    return TERM_TABLES[level]


def _has_index(table: sa.Table, name: str) -> bool:
    return any(next(iter(index.columns)).name == name for index in table.indexes if index.columns)


def _name(attribute: Attribute, key: Key, query: Query, similar: Similar) -> Condition:
    tests = name_conditions.literal_tests(attribute, key.matching)
    given = {group: test for group, test in enumerate(tests) if test is not None}
    if not given:
        return sa.true()
    table = _table(attribute, query.level)
    others = None
    if name_conditions.is_fuzzy(query, attribute):
        others = name_conditions.with_similar(attribute, query.level, key.matching, similar)
    if len(tests) == 1:
        return _any_value(attribute, table, given[0], is_selective(key), others)
    literal = name_conditions.same_value(attribute, table, given)
    return literal if others is None else sa.or_(literal, table.c.id.in_(others))


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


def _in_one_request(keys: list[Key]) -> Condition:
    """A sequence matches when one of its items matches all the keys (PS3.4 C.2.2.2.6)."""
    tests = [_of_request(key) for key in keys]
    return series.c.id.in_(sa.select(request.c.series_id).where(*tests))


def _of_request(key: Key) -> Condition:
    column = request.c[REQUEST_ATTRIBUTES[key.path[1]]]
    return column == "" if isinstance(key.matching, Empty) else _test(BY_TAG[REQUESTS], key.matching)(column)
