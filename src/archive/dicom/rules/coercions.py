"""Rules by which attributes of new objects are coerced (PS3.4 B.4.1.3, PS3.18 10.5.2).

    name = "IDs of the old scanner"
    calling = "CT1"                                  any of the conditions
    copy = { OtherPatientIDs = "PatientID" }         then what is done, in this order whatever the lines' order:
    set = { InstitutionName = "General" }
    map = { StationName = { "OLD" = "NEW", "X*" = "X" } }
    replace = { PatientID = ["^0+", ""] }
    prefix = { PatientID = "GH-" }
    suffix = { AccessionNumber = "-GH" }
    default = { BodyPartExamined = "CHEST" }
    remove = ["PatientComments"]
    required = true                                  what cannot be coerced so is refused, not stored as it is
    last = true                                      no later rule is asked

All rules that fit are carried out, each on what those before it have left; conditions look at the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydicom import config
from pydicom.valuerep import validate_value

from archive.dicom import attribute_ids, charsets
from archive.dicom.dictionary import PLAIN
from archive.dicom.errors import InvalidValue
from archive.dicom.instance import Instance, Source
from archive.dicom.matching.wildcards import is_pattern
from archive.dicom.rules import conditions, tables
from archive.dicom.rules.actions import (
    Action,
    Change,
    Copy,
    Default,
    Draft,
    Prefix,
    Remove,
    Replacements,
    Set,
    Suffix,
    Translation,
    Values,
)
from archive.dicom.rules.conditions import Conditions, patterns, plain_tag, values_of
from archive.dicom.rules.replacing import replacing
from archive.dicom.rules.tables import Table
from archive.dicom.writing.coercion import CHARSET_VRS, Coerced, coerced

_CHARACTER_SET = 0x00080005
_ONE_VALUE = frozenset(("LT", "ST", "UR", "UT"))


@dataclass(frozen=True, slots=True)
class CoercionRule:
    """The objects that it is for, what is done to them, and whether later rules are asked."""

    name: str
    conditions: Conditions
    actions: tuple[Action, ...]
    required: bool = False
    last: bool = False

    @property
    def tags(self) -> frozenset[int]:
        """The attributes that have to be known of an object."""
        sources = {action.source for action in self.actions if isinstance(action, Copy)}
        return self.conditions.tags | {action.tag for action in self.actions} | sources | {_CHARACTER_SET}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an object is to have, and the attributes that stay although a rule would have them otherwise; `required`
    when some of it has to be."""

    wanted: tuple[Coerced, ...]
    left: tuple[int, ...]
    required: bool = False


def outcome(rules: Iterable[CoercionRule], source: Source, instance: Instance) -> Outcome:
    """What the rules make of an object that was read with `tags` of them. Raises InvalidValue where one cannot be
    carried out that has to be."""
    draft, required = Draft(values_of(instance)), set[int]()
    for rule in rules:
        if not rule.conditions.fit(source, instance, draft.values):
            continue
        for action in rule.actions:
            draft.set(action.tag, action.made(draft))
            if rule.required:
                required.add(action.tag)
        if rule.last:
            break
    found = _outcome(draft, instance)
    for tag in required.intersection(found.left):
        raise InvalidValue(
            f"{attribute_ids.keyword(tag)} cannot be coerced as a rule of the archive requires", tag
        )
    return replace(found, required=any(one.tag in required for one in found.wanted))


def _outcome(draft: Draft, instance: Instance) -> Outcome:
    wanted, left = list[Coerced](), set(draft.left)
    sets = draft.before(_CHARACTER_SET)
    for tag, values in sorted(draft.changed.items()):
        is_as_it_was = values == draft.before(tag) if values is not None else tag not in instance.attributes
        if is_as_it_was:
            continue
        made = Coerced(tag, PLAIN[tag], "\\".join(values or ()), removed=values is None)
        if _can_be_said(made, values or (), sets):
            wanted.append(made)
        else:
            left.add(tag)
    return Outcome(tuple(wanted), tuple(sorted(left)))


def _can_be_said(one: Coerced, values: Values, character_sets: tuple[str, ...]) -> bool:
    """Whether the values are such as their VR allows, in the character sets of the object."""
    try:
        check_values(one.vr, values)
        charsets.encode(one.value, one.vr, character_sets if one.vr in CHARSET_VRS else ())
    except ValueError:  # UnicodeEncodeError is one
        return False
    return True


def check_values(vr: str, values: Values) -> None:
    """Raises ValueError for what PS3.5 6.2 does not allow."""
    if vr in _ONE_VALUE:
        values = ("\\".join(values),)
    elif any("\\" in value for value in values):
        raise ValueError("a value of several holds a backslash")
    for value in values:
        if any(character < " " and character not in "\t\r\n\f" for character in value):
            raise ValueError("a value holds a control character")
        if vr not in CHARSET_VRS and not value.isascii():
            raise ValueError(f"{vr} has no characters beyond ASCII")
        validate_value(vr, value, config.RAISE)


# --- reading a rule ---


def coercion_rule(table: Table) -> CoercionRule:
    """Raises ValueError."""
    tables.check_keys(table, ("name", "required", "last", *ACTIONS, *conditions.KEYS))
    actions = tuple(
        action for key, read in ACTIONS.items() if key in table for action in read(key, table[key])
    )
    if not actions and "last" not in table:
        raise ValueError(f"the rule does nothing: give it one of {', '.join(ACTIONS)}")
    return CoercionRule(
        tables.text(table.get("name", ""), "name"),
        conditions.conditions(table),
        actions,
        tables.flag(table.get("required", False), "required"),
        tables.flag(table.get("last", False), "last"),
    )


def _target(keyword: str) -> int:
    return coerced(keyword, "").tag


def _checked(keyword: str, value: Any, what: str) -> Values:
    """The values of a constant."""
    tag = _target(keyword)
    text = tables.text(value, f"{what}.{keyword}")
    values = () if not text else (text,) if PLAIN[tag] in _ONE_VALUE else tuple(text.split("\\"))
    try:
        check_values(PLAIN[tag], values)
    except ValueError as error:
        raise ValueError(f"{what}.{keyword}: {error}") from None
    return values


def _sets(what: str, value: Any) -> Iterator[Action]:
    kind = Set if what == "set" else Default
    for keyword, text in tables.lines(value, what).items():
        yield kind(_target(keyword), _checked(keyword, text, what))


def _copies(what: str, value: Any) -> Iterator[Action]:
    for keyword, source in tables.lines(value, what).items():
        yield Copy(_target(keyword), plain_tag(tables.text(source, f"{what}.{keyword}")))


def _removals(what: str, value: Any) -> Iterator[Action]:
    for keyword in tables.texts(value, what):
        yield Remove(_target(keyword))


def _additions(what: str, value: Any) -> Iterator[Action]:
    kind = Prefix if what == "prefix" else Suffix
    for keyword, given in tables.lines(value, what).items():
        tag, text = _target(keyword), tables.text(given, f"{what}.{keyword}")
        if not text or "\\" in text:
            raise ValueError(f"{what}.{keyword} must be a text without backslash")
        coerced(keyword, text)
        yield Change(tag, kind(text))


def _replacements(what: str, value: Any) -> Iterator[Action]:
    for keyword, given in tables.lines(value, what).items():
        pairs = [given] if _is_pair(given) else given
        if not isinstance(pairs, list) or not pairs or not all(_is_pair(pair) for pair in pairs):
            raise ValueError(f'{what}.{keyword} must be ["pattern", "replacement"], or a list of such pairs')
        yield Change(_target(keyword), Replacements(tuple(replacing(*pair) for pair in pairs)))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)


def _translations(what: str, value: Any) -> Iterator[Action]:
    for keyword, table in tables.lines(value, what).items():
        place = f"{what}.{keyword}"
        found = tables.lines(table, place)
        for text in found.values():
            if len(_checked(keyword, text, what)) > 1:
                raise ValueError(f"{place} maps one value to one, without backslash")
        wild = tuple((patterns(key, place), made) for key, made in found.items() if is_pattern(key))
        yield Change(_target(keyword), Translation(dict(found), wild), empty_too=True)


ACTIONS: Mapping[str, Callable[[str, Any], Iterator[Action]]] = {
    "copy": _copies,
    "set": _sets,
    "map": _translations,
    "replace": _replacements,
    "prefix": _additions,
    "suffix": _additions,
    "default": _sets,
    "remove": _removals,
}
"""In the order in which they are carried out."""
