"""What somebody may see: studies, by what is said in them. What one may not see does not exist for one.

A grant is what an administrator writes in one line, `institution=St. Mary*; modality=CT,MR`: studies that fulfil all of
it. A view has several grants, of which a study has to fulfil one; of two views together it has to fulfil both. The unit
is the study, as physicians read studies: who sees one sees all of it, also the series of other modalities.

Institution, referring physician and issuer are patterns with `*` and `?`; a name is compared without regard to case. A
backslash before a comma, a semicolon or another backslash makes it part of a value.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from archive.dicom.errors import InvalidEntry
from archive.security.titles import is_title

MOST_VALUES = 200
"""Of one condition that somebody writes."""
MOST_GRANTS = 50
LONGEST_TEXT = 20_000
_LONGEST_VALUE = 324
"""Characters: a name has three groups of 64 at most, each of five components; nobody writes more."""
_MODALITY = re.compile(r"[A-Z0-9_ ]{1,16}")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Grant:
    """Studies that fulfil each of the conditions that is there; a condition that has several values is fulfilled by
    one. There is at least one condition: a grant of nothing in particular would be one of everything.

    `institution`: a series says this InstitutionName. `referring`: ReferringPhysicianName. `ae`: AE titles of which one
    has sent some of it. `modality`: a series has it. `patient`: PatientID. `issuer`: IssuerOfPatientID. `study`: Study
    Instance UIDs."""

    institution: tuple[str, ...] = ()
    referring: tuple[str, ...] = ()
    ae: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()
    patient: tuple[str, ...] = ()
    issuer: tuple[str, ...] = ()
    study: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not any(getattr(self, name) for name in CONDITIONS):
            raise InvalidEntry("see: a condition at least, such as institution=St. Mary*")

    @staticmethod
    def read(text: str) -> Grant:
        """What an administrator has written. Raises InvalidEntry."""
        if len(text) > LONGEST_TEXT:
            raise InvalidEntry(f"see: at most {LONGEST_TEXT} characters")
        said: dict[str, tuple[str, ...]] = {}
        for part in filter(None, (part.strip() for part in _divided(text, ";"))):
            name, equals, values = part.partition("=")
            name = name.strip().lower()
            if not equals or name not in CONDITIONS:
                raise InvalidEntry(
                    f"see: {part!r} is no condition: {', '.join(CONDITIONS)}, each with = and values"
                )
            if name in said:
                raise InvalidEntry(f"see: {name} is there twice: divide its values by commas")
            said[name] = _values(name, values)
        return Grant(**said)

    def __str__(self) -> str:
        """The same as text, which `read` understands."""
        return "; ".join(f"{name}={values}" for name, values in self.said.items())

    @property
    def said(self) -> dict[str, str]:
        """Its conditions, each with its values as text."""
        said = ((name, getattr(self, name)) for name in CONDITIONS)
        return {name: ",".join(map(_escaped, values)) for name, values in said if values}


CONDITIONS = tuple(field.name for field in dataclasses.fields(Grant))


@dataclass(frozen=True, slots=True)
class View:
    """What somebody sees: a study has to fulfil one grant of each of these sets. A set without grants is fulfilled by
    no study; that is what is seen by who has no view at all yet is to see nothing."""

    sets: tuple[tuple[Grant, ...], ...]

    def __post_init__(self) -> None:
        if not self.sets:
            raise InvalidEntry("see: a view without any set of grants would be of everything")

    @staticmethod
    def of(grants: Iterable[Grant]) -> View:
        """Studies that fulfil one of these."""
        return View((tuple(grants),))

    @staticmethod
    def of_studies(uids: Iterable[str]) -> View:
        """These studies; none of none."""
        named = tuple(dict.fromkeys(uids))
        return View.of((Grant(study=named),) if named else ())

    @staticmethod
    def read(texts: Iterable[str]) -> View:
        """What an administrator has written, a line for each grant. Raises InvalidEntry."""
        grants = tuple(dict.fromkeys(Grant.read(text) for text in texts))
        if len(grants) > MOST_GRANTS:
            raise InvalidEntry(f"see: more than {MOST_GRANTS} of them")
        return View.of(grants)

    def __and__(self, other: View) -> View:
        """What both see."""
        return View(tuple(dict.fromkeys((*self.sets, *other.sets))))

    def __str__(self) -> str:
        """For people to read."""
        return " AND ".join(" OR ".join(f"[{one}]" for one in grants) or "nothing" for grants in self.sets)

    def __or__(self, other: Grant) -> View:
        """What is seen with one grant more."""
        return View(tuple((*grants, other) for grants in self.sets))

    @property
    def texts(self) -> tuple[str, ...]:
        """The lines of a view of one set, which `read` understands. Raises ValueError for several sets."""
        (grants,) = self.sets
        return tuple(map(str, grants))


EVERYTHING = "*"
"""How all studies are written where something has to stand."""


def view_of(texts: Sequence[str]) -> View | None:
    """What an administrator has written, a line for each grant; None, which is everything, of no line. Raises
    InvalidEntry."""
    return View.read(texts) if texts else None


def texts_of(view: View | None) -> tuple[str, ...]:
    """The lines that `view_of` makes such a view of. Of a view of several sets, each of them in brackets, for people
    to read alone; what sees nothing is said so."""
    if view is None:
        return ()
    return view.texts if len(view.sets) == 1 and view.sets[0] else (str(view),)


def both(one: View | None, other: View | None) -> View | None:
    """What both see, where None sees everything."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _values(name: str, text: str) -> tuple[str, ...]:
    is_one, what = _CHECKS[name]
    values = tuple(dict.fromkeys(_plain(value.strip()) for value in _divided(text, ",")))
    if name == "modality":
        values = tuple(value.upper() for value in values)
    for value in values:
        if not value or len(value) > _LONGEST_VALUE or not value.isprintable() or not is_one(value):
            raise InvalidEntry(f"see: {name}: {value!r} cannot be: {what}")
    if len(values) > MOST_VALUES:
        raise InvalidEntry(f"see: {name}: more than {MOST_VALUES} values")
    return values


def _divided(text: str, by: str) -> Iterator[str]:
    """Its parts between these characters, with their backslashes; those behind a backslash divide nothing."""
    start = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == by:
            yield text[start:at]
            start = at + 1
        at += 1
    yield text[start:]


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value)


def _escaped(value: str) -> str:
    return re.sub(r"([\\,;])", r"\\\1", value)


def _says_something(value: str) -> bool:
    return bool(value.strip("* "))


_PATTERN = (
    _says_something,
    "a text, in which * and ? stand for others; but not * alone, which is everything",
)
_CHECKS: dict[str, tuple[Callable[[str], bool], str]] = {
    "institution": _PATTERN,
    "referring": (
        lambda value: _says_something(value) and "=" not in value,
        "a name, in which * and ? stand for others; but not * alone, and of one component group",
    ),
    "issuer": _PATTERN,
    "ae": (is_title, "an AE title has 1 to 16 printable ASCII characters and no backslash"),
    "modality": (lambda value: _MODALITY.fullmatch(value) is not None, "a code, such as CT"),
    "patient": (lambda value: not {"*", "?"} & set(value), "a Patient ID as it is, without * and ?"),
    "study": (lambda value: len(value) <= 64 and _UID.fullmatch(value) is not None, "a Study Instance UID"),
}
