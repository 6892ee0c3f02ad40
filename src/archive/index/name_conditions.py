"""SQL for keys of names: literal matching of component groups, and fuzzy matching by their words.

Literal: a key of one component group matches any group of a name; with `=` in it, each group that it gives has to
match that group, in one and the same value. Fuzzy (`dicom.fuzzy_names`): what literal matching finds, and the names
whose words the key finds. Words that differ by a few edits are looked up beforehand, among those that begin or end
like the word that is asked for. A patient is found fuzzily by the name that any of the studies has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from archive.dicom.attributes import BY_TAG, Attribute
from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.matching import fuzzy_names, name_patterns
from archive.dicom.matching.wildcards import is_pattern
from archive.dicom.query import Matching, Query, SingleValue, Wildcard
from archive.index import terms
from archive.index.rows import TERM_TABLES, WORD_TABLES
from archive.index.schema import column_name, study
from archive.index.sql import among, begins_with, like

Condition = sa.ColumnElement[bool]
Test = Callable[[sa.ColumnElement[str]], Condition]
Similar = Mapping[tuple[int, fuzzy_names.Asked], Sequence[str]]
"""By the tag of a name and a word that is asked for: the words of names that resemble it."""

MAXIMUM_ASKED = 100
"""Words of all the keys of a search with fuzzy matching; each is looked up on its own."""
MAXIMUM_SIMILAR = 1000
"""Words of names that one word of a key may stand for; beyond them it stands for those that it begins."""


def literal_tests(attribute: Attribute, matching: Matching) -> list[Test | None]:
    """How each component group is tested; None where the key leaves it open. Raises InvalidQuery."""
    match matching:
        case SingleValue(value):
            return [_name_test(group) for group in terms.clean(value).split("=")[:3]]
        case Wildcard(pattern):
            return [_name_pattern(group) for group in terms.clean(pattern).split("=")[:3]]
        case _:
            raise InvalidQuery(f"{attribute.keyword} is matched by one name")


def same_value(attribute: Attribute, table: sa.Table, tests: Mapping[int, Test]) -> Condition:
    """Each component group of one and the same value passes its test. The alphabetic group of the first value is
    in the column, everything else in the terms."""
    term = TERM_TABLES[Level.STUDY if table is study else attribute.level]
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


def _name_test(group: str) -> Test | None:
    wanted = terms.name(group)
    return (lambda column: column == wanted) if wanted else None


def _name_pattern(group: str) -> Test | None:
    """The same for a key with wildcards, of which this group may have none."""
    trimmed = group.strip(" ").rstrip("^ ")
    if not trimmed.strip("*"):
        return None
    if not is_pattern(trimmed):
        return _name_test(trimmed)
    alternatives = name_patterns.patterns(group)
    return lambda column: sa.or_(sa.false(), *(like(column, pieces) for pieces in alternatives))


# --- fuzzy ---


def is_fuzzy(query: Query, attribute: Attribute) -> bool:
    """Whether the index has the words of this name at the query's level."""
    return query.fuzzy and attribute.vr == "PN" and _word_level(attribute) in WORD_TABLES


def similar_words(connection: sa.Connection, query: Query) -> Similar:
    """For each word of a fuzzy key of which edits are forgiven: the words in the index that it stands for. Raises
    InvalidQuery."""
    found: dict[tuple[int, fuzzy_names.Asked], Sequence[str]] = {}
    keys = list(_fuzzy_keys(query))
    if sum(len(group) for _, key in keys for group in fuzzy_names.asked(key)) > MAXIMUM_ASKED:
        raise InvalidQuery(f"more than {MAXIMUM_ASKED} words of names in one search with fuzzy matching")
    for attribute, key in keys:
        table = WORD_TABLES[_word_level(attribute)]
        for word in {word for group in fuzzy_names.asked(key) for word in group if word.edits}:
            candidates = connection.execute(_candidates(table, attribute.tag, word)).scalars()
            resembling = [one for one in candidates if word.resembles(one)]
            found[attribute.tag, word] = resembling if len(resembling) <= MAXIMUM_SIMILAR else []
    return found


def with_similar(
    attribute: Attribute, level: Level, matching: Matching, similar: Similar
) -> sa.Select[Any] | None:
    """Whose name has the words of the key; None for a key without words."""
    if not isinstance(matching, SingleValue | Wildcard):
        return None
    key = matching.value if isinstance(matching, SingleValue) else matching.pattern
    groups = fuzzy_names.asked(key)
    wanted = [(None if len(groups) == 1 else at, word) for at, group in enumerate(groups) for word in group]
    if not wanted:
        return None
    table = WORD_TABLES[_word_level(attribute)]
    found = [_having(table, attribute.tag, at, word, similar) for at, word in wanted]
    same = (sa.intersect(*found) if len(found) > 1 else found[0]).subquery()
    if level is Level.PATIENT:
        return sa.select(study.c.patient_id).where(study.c.id.in_(sa.select(same.c[0])))
    return sa.select(same.c[0])


def _fuzzy_keys(query: Query) -> Iterator[tuple[Attribute, str]]:
    for key in query.keys:
        attribute = BY_TAG.get(key.path[0]) if len(key.path) == 1 else None
        if attribute is None or not attribute.matched or not is_fuzzy(query, attribute):
            continue
        if isinstance(key.matching, SingleValue | Wildcard):
            yield (
                attribute,
                key.matching.value if isinstance(key.matching, SingleValue) else key.matching.pattern,
            )


def _word_level(attribute: Attribute) -> Level:
    """Of a patient the words are kept with the studies: a patient is found by each of the names there."""
    return Level.STUDY if attribute.level is Level.PATIENT else attribute.level


def _candidates(table: sa.Table, tag: int, word: fuzzy_names.Asked) -> sa.CompoundSelect[Any]:
    """Words of about the same length that begin or end like the one that is asked for."""
    length = len(word.word)
    some = sa.select(table.c.word).where(
        table.c.tag == tag, sa.func.length(table.c.word).between(length - word.edits, length + word.edits)
    )
    beginning = some.where(*begins_with(table.c.word, word.word[: word.third]), table.c.joined == 0)
    ending = some.where(*begins_with(table.c.reversed, word.word[::-1][: word.third]))
    return sa.union(beginning, ending)


def _having(
    table: sa.Table, tag: int, group: int | None, word: fuzzy_names.Asked, similar: Similar
) -> sa.Select[Any]:
    """Names, by owner and value (and component group, if any may have it), with a word that is found."""
    columns = [table.c[0], table.c.value_number]
    columns += [table.c.component_group] if group is None else []
    found = sa.select(*columns).where(table.c.tag == tag)
    if group is not None:
        found = found.where(table.c.component_group == group)
    if word.pieces:
        return found.where(like(table.c.word, word.pieces))
    begins = found.where(*begins_with(table.c.word, word.word))
    listed = similar.get((tag, word), ())
    if not listed:
        return begins
    # Not OR, for which SQLite would read all the words of this tag.
    either = sa.union_all(begins, found.where(among(table.c.word, listed), table.c.joined == 0)).subquery()
    return sa.select(*either.c)
