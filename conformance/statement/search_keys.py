"""Keys and bounds of searches. What a table says of matching is found out by asking the code, not by repeating it."""

from __future__ import annotations

from archive.config import KEYS
from archive.dicom.attribute_levels import TIMEZONE_OFFSET_FROM_UTC, time_beside, vr_of
from archive.dicom.attributes import ATTRIBUTES, BY_TAG, REQUEST_ATTRIBUTES, UNIQUE_KEYS, Attribute
from archive.dicom.errors import ArchiveError, InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.matching import asking
from archive.dicom.matching.key_matching import matching
from archive.dicom.query import Empty, Key, Range, UIDList, Wildcard
from archive.index.conditions import MAXIMUM_PATTERN
from archive.index.examining import MAXIMUM_SECONDS, PREPARED_FOR_ONE
from archive.index.kept import MAXIMUM_METADATA
from archive.index.name_conditions import MAXIMUM_ASKED
from archive.index.time_conditions import MAXIMUM_ZONES
from archive.services.search import Search
from archive.web import qido_keys, qido_parameters
from archive.web.http.exchange import MAXIMUM_PARAMETERS
from archive.web.qido_keys import Manner
from conformance.statement.table import Table, written_tag


def keys() -> Table:
    header = (
        "Level",
        "Attribute",
        "Tag",
        "VR",
        "Matching",
        "Further matching",
        "Returned by QIDO-RS unasked",
    )
    several = _searched((_REQUESTS, 0x00400009), Level.SERIES, matched=True)
    nested = (
        (
            "SERIES",
            f"RequestAttributesSequence > {keyword}",
            written_tag(tag),
            "SH",
            _kinds("SH"),
            several,
            "in the sequence",
        )
        for tag, keyword in REQUEST_ATTRIBUTES.items()
    )
    return header, [*(_key(row) for row in sorted(ATTRIBUTES, key=lambda row: row.level)), *nested]


def _key(row: Attribute) -> tuple[str, ...]:
    unique = " (unique key)" if UNIQUE_KEYS[row.level] == row.tag else ""
    kinds = "by its items, see below" if row.vr == "SQ" else _kinds(row.vr)
    returned = "yes" if row.returned else "no"
    also = _searched((row.tag,), row.level, matched=row.matched)
    zone = row.tag == TIMEZONE_OFFSET_FROM_UTC
    also = "the zone of the request's dates and times" if zone else also
    return (
        row.level.name,
        row.keyword + unique,
        written_tag(row.tag),
        row.vr,
        kinds if row.matched else "-",
        also,
        returned,
    )


_REQUESTS = 0x00400275


def _searched(path: tuple[int, ...], level: Level, *, matched: bool) -> str:
    """What is matched in the objects, or when that was asked for: found out by asking the reader of keys."""
    vr = vr_of(path[-1])
    found = [] if matched else [_kinds(vr)]
    beside = BY_TAG.get(time_beside(path[-1]))
    if beside is not None and beside.matched == matched:
        found.append(f"range together with {beside.keyword}")
    found += ["fuzzy"] if vr == "PN" else []
    if len(_asked(Manner(level, multiple=True), path, "A\\B")) == 2:
        found.append("several values")
    empty = _asked(Manner(level, empty=True), path, asking.EMPTY_VALUE)
    found += ["empty value"] if any(isinstance(key.matching, Empty) for key in empty) else []
    return ("" if matched else "examined: ") + ", ".join(found) if empty and found else "-"


def _asked(manner: Manner, path: tuple[int, ...], value: str) -> tuple[Key, ...]:
    try:
        return qido_keys.keys(manner, {path: value}, ()).keys
    except ArchiveError:
        return ()


def search_bounds() -> Table:
    """How much one search may ask and cost (10.6.5)."""
    examined = Search.maximum_examined
    return ("Bound", "Value"), (
        (
            "Matches in one answer",
            f"`limits.maximum_query_results`, {KEYS['limits.maximum_query_results'].default}",
        ),
        ("Parameters", str(MAXIMUM_PARAMETERS)),
        ("Included attributes", str(qido_parameters.MAXIMUM_INCLUDED)),
        ("Keys that are examined", str(asking.MAXIMUM_EXAMINED_KEYS)),
        ("Values of a key with multiple value matching", str(asking.MAXIMUM_VALUES)),
        ("Words of names with fuzzy matching", str(MAXIMUM_ASKED)),
        ("Time zones of studies with TimezoneOffsetFromUTC (413)", str(MAXIMUM_ZONES)),
        ("Characters of a key with wildcards", str(MAXIMUM_PATTERN)),
        ("Candidates for keys that are not in this table: instances whose metadata are read", str(examined)),
        ("Candidates for keys marked as examined", str(examined * PREPARED_FOR_ONE)),
        ("Seconds of examining", f"{MAXIMUM_SECONDS:.0f}"),
        ("Metadata of one instance that are examined, MiB of JSON", str(MAXIMUM_METADATA >> 20)),
    )


_PROBES = (
    ("list", ("1.2", "1.3"), UIDList),
    ("wildcard", ("A*",), Wildcard),
    ("range", ("20260101-20260131",), Range),
    ("range", ("1000-1130",), Range),
)
"""Values that mean one kind of matching, where the VR knows it."""


def _kinds(vr: str) -> str:
    found = ["single value"] + [name for name, values, kind in _PROBES if _means(vr, values, kind)]
    return ", ".join(dict.fromkeys(found))


def _means(vr: str, values: tuple[str, ...], kind: type) -> bool:
    try:
        return isinstance(matching(vr, values), kind)
    except InvalidQuery:
        return False
