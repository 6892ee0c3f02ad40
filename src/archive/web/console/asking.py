"""What people type into the box of the study list, as questions to the index. Pure: today is given.

Each word narrows: parts of a name, in any order ("doe j", "Doe^John", "john, doe"); a patient's ID or an accession
number, from its beginning once eight characters are typed; a Study Instance UID; a day, of the study or of birth
(2026-11-23, 23.11.2026, 20261123, today, yesterday, this week, last month); a modality ("ct", "ultrasound").

A word may mean several things: `A1234` is an ID, an accession number or part of a name. `questions` are the
alternatives, each of which an index answers in a few hundredths of a second among a million studies, for whoever asks
to merge. One question with all of it would not be: an OR over several columns makes an engine look at every study.
For the same reason names are looked for as they are written; that they may be spelt otherwise (`similar`) takes longer
to find out, and is asked for by who did not find them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice, product

from archive.dicom.query import Key, Matching, Range, SingleValue, UIDList, Wildcard

LONGEST = 256
"""Characters of a question; what comes after them is left out."""
MOST_QUESTIONS = 12
SHORTEST_BEGINNING = 8
"""Characters of an ID of which the beginning is enough: shorter ones begin too many."""

PATIENT_NAME, PATIENT_ID, BIRTH_DATE = 0x00100010, 0x00100020, 0x00100030
STUDY_DATE, ACCESSION_NUMBER, MODALITIES = 0x00080020, 0x00080050, 0x00080061
STUDY = 0x0020000D

MODALITY_NAMES: Mapping[str, str] = {
    "CR": "Computed radiography",
    "CT": "CT",
    "DX": "Digital radiography",
    "ECG": "ECG",
    "ES": "Endoscopy",
    "IVUS": "Intravascular ultrasound",
    "MG": "Mammography",
    "MR": "MR",
    "NM": "Nuclear medicine",
    "OCT": "Optical coherence tomography",
    "OP": "Ophthalmic photography",
    "OPT": "Ophthalmic tomography",
    "PT": "PET",
    "PX": "Panoramic X-ray",
    "RF": "Fluoroscopy",
    "RTSTRUCT": "RT structures",
    "SM": "Slide microscopy",
    "SR": "Reports",
    "US": "Ultrasound",
    "XA": "Angiography",
    "XC": "Photographs",
}
"""Those that are offered to choose from, and that a word of two or more letters may mean (PS3.3 C.7.3.1.1.1)."""

_MODALITY_WORDS: Mapping[str, tuple[str, ...]] = {
    **{code.lower(): (code,) for code in MODALITY_NAMES},
    "mri": ("MR",),
    "mrt": ("MR",),
    "pet": ("PT",),
    "ultrasound": ("US",),
    "sono": ("US",),
    "xray": ("CR", "DX", "RG"),
    "x-ray": ("CR", "DX", "RG"),
    "mammography": ("MG",),
    "mammo": ("MG",),
    "angio": ("XA",),
    "angiography": ("XA",),
}
_UID = re.compile(r"[0-9]+(\.[0-9]+){2,}")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DAY_FIRST = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_EIGHT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_DAYS = {"today": (0, 0), "yesterday": (1, 1)}
_SPANS = re.compile(r"\b(this|last)\s+(week|month|year)\b", re.IGNORECASE)
_OF_NAMES = re.compile(r"[\^,;=\\\"]")
_LAST_LATIN = 0x24F
_LETTER = re.compile(r"[^\W\d_]")

Meaning = tuple[tuple[int, Matching], ...]
"""What a word may mean: attributes, and what each has to match."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is chosen beside the box: days as DA, empty where open; a modality, empty for all."""

    first: str = ""
    last: str = ""
    modality: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Days, both included."""

    first: date
    last: date

    @property
    def matching(self) -> Range:
        """As DICOM asks for it."""
        return Range(f"{self.first:%Y%m%d}", f"{self.last:%Y%m%d}")


def questions(text: str, filters: Filters, today: date, *, similar: bool = False) -> list[tuple[Key, ...]]:
    """The keys of each alternative, the likeliest first; one without keys where nothing is asked for, none at all where
    what is asked for contradicts itself. `similar`: names are for fuzzy matching, which those that nobody writes in
    Latin letters always are: of these the index has words, and no list of whole names."""
    fixed: Meaning = ()
    if filters.first or filters.last:
        fixed += ((STUDY_DATE, Range(filters.first, filters.last)),)
    if filters.modality:
        fixed += ((MODALITIES, UIDList((filters.modality,))),)
    found = (_together((fixed, *chosen)) for chosen in product(*_meanings(text[:LONGEST], today, similar)))
    distinct = dict.fromkeys(keys for keys in islice(found, 4 * MOST_QUESTIONS) if keys is not None)
    return list(islice(distinct, MOST_QUESTIONS))


def day(text: str) -> date | None:
    """The day that a word means, if it is one."""
    for pattern in (_ISO, _EIGHT):
        if found := pattern.fullmatch(text):
            return _date(*map(int, found.groups()))
    if found := _DAY_FIRST.fullmatch(text):
        first, second, year = map(int, found.groups())
        return _date(year, second, first) or _date(year, first, second)
    return None


def _meanings(text: str, today: date, similar: bool) -> list[list[Meaning]]:
    """For each thing that is said, what it may mean; the words of the name are one thing."""
    text, spans = _spans(text, today)
    told: list[list[Meaning]] = [[((STUDY_DATE, span.matching),)] for span in spans]
    names: list[str] = []
    for chunk in text.split():
        for word in filter(None, _OF_NAMES.split(chunk)):
            meanings = None if _OF_NAMES.search(chunk) else _of_word(word, today, similar)
            if meanings is None:
                names.append(word)
            else:
                told.append(meanings)
    if len(names) == 1 and not told:
        return [[*_name(names, similar), *_identifier(names[0])]]
    return [*([_name(names, similar)] if names else []), *told]


def _of_word(word: str, today: date, similar: bool) -> list[Meaning] | None:
    """What a word may mean that is not just part of a name; None if it is."""
    lower = word.lower()
    if codes := _MODALITY_WORDS.get(lower):
        return [((MODALITIES, UIDList(codes)),)]
    if ago := _DAYS.get(lower):
        span = Span(today - timedelta(ago[0]), today - timedelta(ago[1]))
        return [((STUDY_DATE, span.matching),)]
    if not any(character.isdigit() for character in word):
        return None
    meant: list[Meaning] = []
    if (known := day(word)) is not None:
        exactly = SingleValue(f"{known:%Y%m%d}")
        meant += [((STUDY_DATE, exactly),), ((BIRTH_DATE, exactly),)]
    if known is None or _EIGHT.fullmatch(word):
        meant += _identifier(word)
    if _UID.fullmatch(word) and known is None:
        meant.insert(0, ((STUDY, UIDList((word,))),))
    elif _LETTER.match(word):
        meant += _name([word], similar)
    return meant


def _name(words: list[str], similar: bool) -> list[Meaning]:
    """A name with these in it: one after the other or, of two, the other way round. One letter begins the family
    name, two that or the given name."""
    if similar or any(ord(letter) > _LAST_LATIN for word in words for letter in word):
        text = " ".join(words)
        return [((PATIENT_NAME, Wildcard(text) if "*" in text or "?" in text else SingleValue(text)),)]
    if len(words) > 2:
        return [tuple((PATIENT_NAME, Wildcard(f"*{word}*")) for word in dict.fromkeys(words))]
    if len(words) == 2:
        return [((PATIENT_NAME, Wildcard(f"*{one}*{other}*")),) for one, other in (words, words[::-1])]
    [word] = words
    patterns = ((f"{word}*",), (f"{word}*", f"*^{word}*"), (f"*{word}*",))[min(len(word), 3) - 1]
    return [((PATIENT_NAME, Wildcard(pattern)),) for pattern in patterns]


def _identifier(word: str) -> Iterator[Meaning]:
    """An ID as it is typed, in capitals or in small letters, which are others to DICOM."""
    spelt = tuple(dict.fromkeys((word, word.upper(), word.lower())))
    ways: list[Matching] = [UIDList(spelt)]
    if len(word) >= SHORTEST_BEGINNING or "*" in word or "?" in word:
        ways = [Wildcard(f"{one.rstrip('*')}*") for one in spelt]
    for way, tag in product(ways, (PATIENT_ID, ACCESSION_NUMBER)):
        yield ((tag, way),)


def _together(meanings: Iterable[Meaning]) -> tuple[Key, ...] | None:
    """All of it in one question; None where it cannot hold together."""
    found: dict[int, Matching] = {}
    names: list[Key] = []
    for tag, matching in (one for meaning in meanings for one in meaning):
        if tag == PATIENT_NAME:
            names.append(Key((tag,), matching))
            continue
        both = _both(found[tag], matching) if tag in found else matching
        if both is None:
            return None
        found[tag] = both
    return (*dict.fromkeys(names), *(Key((tag,), matching) for tag, matching in found.items()))


def _both(one: Matching, other: Matching) -> Matching | None:
    """What matches both: of days and of modalities. None where nothing can."""
    match one, other:
        case (SingleValue(), _) | (_, SingleValue()) if (met := _same_day(one, other)) is not None:
            return met
        case Range(), Range():
            first, last = max(one.first, other.first), min(filter(None, (one.last, other.last)), default="")
            return Range(first, last) if not last or first <= last else None
        case UIDList(), UIDList():
            values = tuple(value for value in one.values if value in other.values)
            return UIDList(values) if values else None
        case _:
            return None


def _same_day(one: Matching, other: Matching) -> Matching | None:
    if isinstance(one, Range):
        one, other = other, one
    if isinstance(one, SingleValue) and isinstance(other, Range):
        return one if other.first <= one.value and (not other.last or one.value <= other.last) else None
    return one if one == other else None


def _spans(text: str, today: date) -> tuple[str, list[Span]]:
    """The spans that are named in two words, and the text without them."""
    spans = [_span(found[1].lower(), found[2].lower(), today) for found in _SPANS.finditer(text)]
    return _SPANS.sub(" ", text), spans


def _span(which: str, unit: str, today: date) -> Span:
    """Weeks begin on Monday. Those that last end where they end; this one may hold days to come."""
    if unit == "week":
        begin = today - timedelta(today.weekday() + (7 if which == "last" else 0))
        return Span(begin, begin + timedelta(6))
    if unit == "month":
        begin = today.replace(day=1)
        if which == "last":
            begin = (begin - timedelta(1)).replace(day=1)
        return Span(begin, (begin + timedelta(31)).replace(day=1) - timedelta(1))
    year = today.year - (which == "last")
    return Span(date(year, 1, 1), date(year, 12, 31))


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if 1850 <= year <= 2150 else None
    except ValueError:
        return None
