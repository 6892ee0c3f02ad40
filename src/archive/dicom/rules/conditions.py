"""Which objects a rule is for: by who sends them where, by their kind, and by the values of their attributes.

Every condition that is named has to hold, by one of its patterns; without any a rule is for all objects. Patterns have
the wildcards `*` and `?` and are compared to the letter; the empty one is for what is absent or empty.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydicom.uid import UID_dictionary

from archive.dicom.attribute_ids import attribute_path
from archive.dicom.dictionary import PLAIN
from archive.dicom.instance import Instance, Source
from archive.dicom.matching import wildcards
from archive.dicom.matching.wildcards import Pieces
from archive.dicom.rules import tables
from archive.dicom.rules.tables import Table

_MODALITY = 0x00080060
_UID_PATTERN = re.compile(r"[0-9.*?]{1,64}", re.ASCII)
LONGEST_PATTERN = 1024
UNKNOWN = "\ufffd"
"""Stands for a value that is there and was not understood: of another VR, or very long."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """Alternatives."""

    pieces: tuple[Pieces, ...]

    def fit(self, text: str) -> bool:
        """Whether one of them does."""
        return any(wildcards.fits(one, text) for one in self.pieces)

    def fit_one_of(self, values: tuple[str, ...]) -> bool:
        """Whether one of them fits one of the values; what has none is empty."""
        return any(map(self.fit, values or ("",)))


def patterns(value: object, what: str) -> Patterns:
    """Raises ValueError."""
    found = tables.texts(value, what)
    if any(len(one) > LONGEST_PATTERN for one in found):
        raise ValueError(f"a pattern of {what} is longer than {LONGEST_PATTERN} characters")
    return Patterns(tuple(map(wildcards.pieces_of, found)))


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a rule asks of an object and of its sender; `attributes` by tag, and `exceptions` that must not fit."""

    facts: tuple[tuple[str, Patterns], ...] = ()
    attributes: tuple[tuple[int, Patterns], ...] = ()
    exceptions: tuple[tuple[int, Patterns], ...] = ()

    @property
    def tags(self) -> frozenset[int]:
        """The attributes that have to be known of an object."""
        return frozenset(tag for tag, _ in (*self.attributes, *self.exceptions))

    def fit(self, source: Source, instance: Instance, values: Callable[[int], tuple[str, ...]]) -> bool:
        """Whether the rule is for this object, whose attributes have these values."""
        return (
            all(wanted.fit(_FACTS[name](source, instance)) for name, wanted in self.facts)
            and all(wanted.fit_one_of(values(tag)) for tag, wanted in self.attributes)
            and not any(wanted.fit_one_of(values(tag)) for tag, wanted in self.exceptions)
        )


def values_of(instance: Instance) -> Callable[[int], tuple[str, ...]]:
    """The values of its attributes, as far as they were kept when it was read."""
    return functools.partial(_values, instance)


def _values(instance: Instance, tag: int) -> tuple[str, ...]:
    element = instance.attributes.get(tag)
    if element is None or element.values:
        return element.values if element is not None else ()
    is_long = any(value.path == f"{tag:08X}" for value in instance.bulk_values)
    is_empty = element.json == f'{{"vr":"{element.vr}"}}' and not is_long
    return () if is_empty else (UNKNOWN,)


def _modality(_: Source, instance: Instance) -> str:
    return next(iter(_values(instance, _MODALITY)), "")


_FACTS: Mapping[str, Callable[[Source, Instance], str]] = {
    "door": lambda source, _: source.door,
    "calling": lambda source, _: source.calling_ae_title,
    "called": lambda source, _: source.called_ae_title,
    "address": lambda source, _: source.address,
    "modality": _modality,
    "sop_class": lambda _, instance: instance.SOPClassUID,
    "received_as": lambda _, instance: instance.transfer_syntax_uid,
}
DOORS = ("DIMSE", "STOW-RS", "IMPORT")
_UIDS = ("sop_class", "received_as")
KEYS = (*_FACTS, "when", "unless")


def conditions(table: Table) -> Conditions:
    """The conditions among the keys of a rule. Raises ValueError."""
    return Conditions(
        tuple((name, _fact(name, table[name])) for name in _FACTS if name in table),
        _of_attributes(table.get("when", {}), "when"),
        _of_attributes(table.get("unless", {}), "unless"),
    )


def _fact(name: str, value: object) -> Patterns:
    if name in _UIDS:
        return patterns([uid(one) for one in tables.texts(value, name)], name)
    found = patterns(value, name)
    if name == "door" and not any(map(found.fit, DOORS)):
        raise ValueError(f"door must be one of {', '.join(DOORS)}")
    return found


def _of_attributes(value: object, what: str) -> tuple[tuple[int, Patterns], ...]:
    return tuple(
        (plain_tag(keyword), patterns(wanted, f"{what}.{keyword}"))
        for keyword, wanted in tables.lines(value, what).items()
    )


def plain_tag(keyword: str) -> int:
    """The tag of an attribute at the top level whose values are texts or numbers. Raises ValueError."""
    path = attribute_path(keyword) or ()
    if len(path) != 1 or path[0] not in PLAIN:
        raise ValueError(f"{keyword} is no attribute that rules know: texts and numbers, by their keyword")
    return path[0]


def uid(text: str) -> str:
    """A UID, or a pattern of UIDs, by itself or by its keyword in PS3.6. Raises ValueError."""
    if _UID_PATTERN.fullmatch(text):
        return text
    found = _by_keyword().get(text)
    if found is None:
        raise ValueError(f"{text} is neither a UID nor a keyword of PS3.6 table A-1, such as CTImageStorage")
    return found


@functools.cache
def _by_keyword() -> Mapping[str, str]:
    return {row[4]: uid for uid, row in UID_dictionary.items() if row[4]}
