"""Write the tables of the conformance statement from the tables of the code: `python conformance/generate.py`.

`statement.md` is written by hand but for what stands between `<!-- table:NAME -->` and `<!-- end -->`. Each NAME is a
row of TABLES below. A test compares, so the statement cannot claim what the code does not do. What a table says of
matching and of statuses is found out by asking the code, not by repeating it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pydicom.uid import UID_dictionary

from archive.config import KEYS
from archive.dicom import errors
from archive.dicom.attribute_levels import TIMEZONE_OFFSET_FROM_UTC, time_beside, vr_of
from archive.dicom.attributes import ATTRIBUTES, BY_TAG, REQUEST_ATTRIBUTES, UNIQUE_KEYS, Attribute
from archive.dicom.charsets import decoder
from archive.dicom.errors import ArchiveError, InvalidQuery
from archive.dicom.identifiers import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from archive.dicom.instance import Level
from archive.dicom.matching.key_matching import matching
from archive.dicom.pixels.codecs import DECODERS
from archive.dicom.query import Empty, Key, Range, UIDList, Wildcard
from archive.dicom.sop_classes import is_storage, sop_class_name
from archive.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from archive.dimse import statuses
from archive.dimse.contexts import SERVICES, UNCOMPRESSED, Operation
from archive.dimse.server import HANDLERS
from archive.index.examining import MAXIMUM_SECONDS, PREPARED_FOR_ONE
from archive.index.kept import MAXIMUM_METADATA
from archive.services.ingest import COERCED
from archive.services.search import Search
from archive.web import qido_keys, qido_parameters, store_response
from archive.web.description.route import About, Route
from archive.web.http import charset
from archive.web.http.exchange import MAXIMUM_PARAMETERS
from archive.web.qido_keys import Manner
from archive.web.routes import ROUTES

MOST_NAMED = 8
"""Transactions that are named beside a status; more are all but a few."""
STATEMENT = Path(__file__).with_name("statement.md")
COMMAND = "python conformance/generate.py"

Table = tuple[Sequence[str], Iterable[Sequence[str]]]
_MARKED = re.compile(r"(<!-- table:([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def implementation() -> Table:
    return ("Item", "Value"), (
        ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
        ("Default AE title", str(KEYS["dimse.ae_title"].default)),
        ("Default port", str(KEYS["dimse.listen"].default.port)),
    )


def network_services() -> Table:
    rows = [(sop_class_name(uid), uid, one.operation.value, "SCP") for uid, one in SERVICES.items()]
    storage = ("Storage: each SOP Class of annex A, and private ones", "", Operation.STORE.value)
    return ("SOP Class", "UID", "Operation", "Role"), [*rows, (*storage, "SCP; SCU for C-MOVE and C-GET")]


def storage_sop_classes() -> Table:
    known = sorted(
        uid for uid, (name, kind, *_) in UID_dictionary.items() if kind == "SOP Class" and is_storage(uid)
    )
    return ("SOP Class", "UID"), ((sop_class_name(uid), uid) for uid in known)


def transfer_syntaxes() -> Table:
    rows = (
        (row.name, uid, row.media_type, "yes" if uid in DECODERS else "no")
        for uid, row in TRANSFER_SYNTAXES.items()
    )
    return ("Transfer Syntax", "UID", "Media type of a frame", "Rendered"), rows


def query_transfer_syntaxes() -> Table:
    return ("Preference", "Transfer Syntax", "UID"), (
        (str(place), TRANSFER_SYNTAXES[uid].name, str(uid)) for place, uid in enumerate(UNCOMPRESSED, 1)
    )


def association_settings() -> Table:
    return _settings("dimse")


def limits() -> Table:
    return _settings("limits")


def _settings(section: str) -> Table:
    keys = [key for key in KEYS.values() if key.section == section]
    return ("Setting", "Default", "Meaning"), (
        (f"`{key.path}`", str(key.default), key.sentence) for key in keys
    )


def keys() -> Table:
    header = ("Level", "Attribute", "Tag", "VR", "Matching", "QIDO-RS also", "Returned by QIDO-RS unasked")
    several = _searched((_REQUESTS, 0x00400009), Level.SERIES, matched=True)
    nested = (
        (
            "SERIES",
            f"RequestAttributesSequence > {keyword}",
            _tag(tag),
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
        _tag(row.tag),
        row.vr,
        kinds if row.matched else "-",
        also,
        returned,
    )


_REQUESTS = 0x00400275


def _searched(path: tuple[int, ...], level: Level, *, matched: bool) -> str:
    """What a search over HTTP matches by, besides: found out by asking the reader of its keys."""
    vr = vr_of(path[-1])
    found = [] if matched else [_kinds(vr)]
    beside = BY_TAG.get(time_beside(path[-1]))
    if beside is not None and beside.matched == matched:
        found.append(f"range together with {beside.keyword}")
    found += ["fuzzy"] if vr == "PN" else []
    if len(_asked(Manner(level, multiple=True), path, "A\\B")) == 2:
        found.append("several values")
    empty = _asked(Manner(level, empty=True), path, qido_keys.EMPTY_VALUE)
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
        ("Keys that are examined", str(qido_keys.MAXIMUM_EXAMINED_KEYS)),
        ("Values of a key with multiple value matching", str(qido_keys.MAXIMUM_VALUES)),
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


def store_statuses() -> Table:
    return _statuses(
        Operation.STORE,
        (
            errors.CannotUnderstand,
            errors.MissingAttribute,
            errors.InvalidUID,
            errors.ObjectMismatch,
            errors.UnsupportedSOPClass,
            errors.InstanceConflict,
            errors.OutOfResources,
            errors.ObjectTooLarge,
            errors.OutcomeUnknown,
            errors.ArchiveError,
        ),
        {
            statuses.SUCCESS: "The object is safe, or was so already: see 1.2.",
            COERCED: "The same; attributes were coerced, and the former values are in Original Attributes Sequence.",
        },
    )


def find_statuses() -> Table:
    pending = {
        statuses.SUCCESS: "All matches have been sent.",
        statuses.PENDING: "A match.",
        statuses.PENDING_WITH_UNSUPPORTED_KEYS: "A match; a key with a value is not matched and did not restrict.",
        statuses.CANCELLED: "C-CANCEL-RQ was received.",
    }
    raised = (errors.InvalidQuery, errors.CannotUnderstand, errors.OutOfResources, errors.ArchiveError)
    return _statuses(Operation.FIND, raised, pending)


def retrieve_statuses() -> Table:
    final = {
        statuses.SUCCESS: "All sub-operations succeeded, or nothing matched.",
        statuses.PENDING: "Sub-operations go on; at most five such responses a second.",
        statuses.SUB_OPERATIONS_WARNING: "Some sub-operations failed (their UIDs are listed) or had a warning.",
        statuses.SUB_OPERATIONS_REFUSED: "All sub-operations failed; Error Comment has the first reason.",
        statuses.CANCELLED: "C-CANCEL-RQ was received.",
    }
    raised = (
        errors.InvalidQuery,
        errors.InvalidUID,
        errors.CannotUnderstand,
        errors.UnknownDestination,
        errors.OutOfResources,
        errors.ArchiveError,
    )
    return _statuses(Operation.MOVE, raised, final)


def _statuses(operation: Operation, raised: Sequence[type[ArchiveError]], fixed: Mapping[int, str]) -> Table:
    """One row for each status: the fixed ones, and those of what the service may raise."""
    column = HANDLERS[operation].column
    also = {
        statuses.SOP_CLASS_NOT_SUPPORTED: "The operation or SOP Class does not belong into its context.",
        statuses.UNRECOGNIZED_OPERATION: "No such operation here.",
    }
    meanings: dict[int, list[str]] = {code: [words] for code, words in {**fixed, **also}.items()}
    for error in raised:
        meanings.setdefault(getattr(statuses.row(error), column), []).append(_meaning(error))
    return ("Status", "Meaning"), ((f"{code:04X}", " ".join(meanings[code])) for code in sorted(meanings))


def _meaning(error: type[ArchiveError]) -> str:
    """The words of the tree of errors, at the top of its module."""
    if error is errors.ArchiveError:
        return "A fault of the archive; its log has the details."
    found = re.search(rf"── {error.__name__}  +(.+)", errors.__doc__ or "")
    assert found is not None, f"{error.__name__} is not in the tree of errors"
    words = found[1]
    return f"{words if words[:2].isupper() else words[0].upper() + words[1:]}."


def resources() -> Table:
    """Those of DICOMweb; an extension is marked as one."""
    rows = (
        (row.method, f"`{row.template}`", row.name, row.clause or "extension")
        for row in ROUTES
        if row.clause or row.about.extension
    )
    return ("Method", "Path", "Transaction", "PS3.18"), rows


def other_resources() -> Table:
    rows = (
        (row.method, f"`{row.template}`", row.about.summary)
        for row in ROUTES
        if not row.clause and not row.about.extension
    )
    return ("Method", "Path", "What for"), rows


def _transactions() -> dict[About, list[Route]]:
    """The rows that share a description: one kind of transaction at several resources."""
    kinds: dict[About, list[Route]] = {}
    for row in ROUTES:
        kinds.setdefault(row.about, []).append(row)
    return kinds


def _names(routes: Iterable[Route]) -> str:
    return ", ".join(row.name for row in routes)


def media_types() -> Table:
    return ("Transactions", "Media types of the answer, the default first"), (
        (_names(routes), ", ".join(f"`{name}`" for name in about.offers))
        for about, routes in _transactions().items()
        if about.offers and (routes[0].clause or about.extension)
    )


def request_media_types() -> Table:
    return ("Transactions", "Media types of the request"), (
        (_names(routes), ", ".join(f"`{name}`" for name in about.takes))
        for about, routes in _transactions().items()
        if about.takes
    )


def parameters() -> Table:
    """All but matching keys, which have a table of their own."""
    found: dict[tuple[str, str, str], list[Route]] = {}
    for about, routes in _transactions().items():
        for one in about.parameters:
            if not one.alias and one.name not in ("accept", "charset"):
                found.setdefault((one.name, one.description, one.clause), []).extend(routes)
    return ("Parameter", "Meaning", "PS3.18", "Transactions"), (
        (f"`{name}`", meaning, clause, _names(routes)) for (name, meaning, clause), routes in found.items()
    )


def answer_character_sets() -> Table:
    return ("Character set of an answer",), ((f"`{name}`",) for name in charset.SUPPORTED)


def http_statuses() -> Table:
    """Every status that may come back, and what it means where."""
    meanings: dict[int, dict[str, list[Route]]] = {}
    for about, routes in _transactions().items():
        for status in about.statuses:
            meanings.setdefault(status.code, {}).setdefault(status.meaning, []).extend(routes)
    return ("Status", "Meaning", "Of these transactions"), (
        (str(code), words, _names(routes) if len(routes) <= MOST_NAMED else "")
        for code in sorted(meanings)
        for words, routes in meanings[code].items()
    )


def http_settings() -> Table:
    return _settings("http")


def failure_reasons() -> Table:
    meanings: dict[int, list[str]] = {}
    for error, code in store_response.FAILURE_REASONS.items():
        meanings.setdefault(code, []).append(_meaning(error))
    return ("Failure Reason", "Meaning"), (
        (f"{code:04X}", " ".join(meanings[code])) for code in sorted(meanings)
    )


_SINGLE_BYTE = {
    "13": (b"\xb1", "ｱ"),
    "100": (b"\xe9", "é"),
    "101": (b"\xb1", "ą"),
    "109": (b"\xe6", "ĉ"),
    "110": (b"\xe7", "į"),
    "126": (b"\xe1", "α"),
    "127": (b"\xc8", "ب"),
    "138": (b"\xe0", "א"),
    "144": (b"\xd6", "ж"),
    "148": (b"\xfd", "ı"),
    "166": (b"\xa1", "ก"),
    "203": (b"\xa4", "€"),
}
_SAMPLES = {
    **{f"ISO_IR {number}": sample for number, sample in _SINGLE_BYTE.items()},
    **{f"ISO 2022 IR {number}": sample for number, sample in _SINGLE_BYTE.items()},
    "ISO 2022 IR 58": (b"\x1b$)A\xd6\xd0", "中"),
    "ISO 2022 IR 87": (b"\x1b$B;3\x1b(B", "山"),
    "ISO 2022 IR 149": (b"\x1b$)C\xb1\xe8", "김"),
    "ISO 2022 IR 159": (b"\x1b$(D0!\x1b(B", "丂"),
    "ISO_IR 192": ("é中".encode(), "é中"),
    "GB18030": ("é中".encode("gb18030"), "é中"),
    "GBK": ("中".encode("gbk"), "中"),
}
"""Defined Terms of PS3.3 C.12.1.1.2, each with a text of its own."""


def character_sets() -> Table:
    read = (
        (f"`{term}`", text) for term, (raw, text) in _SAMPLES.items() if decoder((term,))(raw, "LO") == text
    )
    return ("Defined Term", "Such as"), read


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


TABLES: Mapping[str, Callable[[], Table]] = {
    "implementation": implementation,
    "network-services": network_services,
    "storage-sop-classes": storage_sop_classes,
    "transfer-syntaxes": transfer_syntaxes,
    "query-transfer-syntaxes": query_transfer_syntaxes,
    "association-settings": association_settings,
    "limits": limits,
    "keys": keys,
    "search-bounds": search_bounds,
    "store-statuses": store_statuses,
    "find-statuses": find_statuses,
    "retrieve-statuses": retrieve_statuses,
    "resources": resources,
    "other-resources": other_resources,
    "media-types": media_types,
    "request-media-types": request_media_types,
    "parameters": parameters,
    "answer-character-sets": answer_character_sets,
    "http-statuses": http_statuses,
    "http-settings": http_settings,
    "failure-reasons": failure_reasons,
    "character-sets": character_sets,
}


def as_markdown(table: Table) -> str:
    """The table as GitHub renders it, one line a row."""
    header, rows = table
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def filled(statement: str) -> str:
    """`statement` with every marked table made anew. Raises KeyError for a mark that names no table."""
    return _MARKED.sub(lambda mark: mark[1] + as_markdown(TABLES[mark[2]]()) + mark[3], statement)


def marked(statement: str) -> list[str]:
    """The names of the tables in the statement, in order."""
    return [mark[2] for mark in _MARKED.finditer(statement)]


def main() -> None:
    """Fill the statement in place."""
    before = STATEMENT.read_text(encoding="utf-8")
    after = filled(before)
    STATEMENT.write_text(after, encoding="utf-8")
    sys.stdout.write(f"{STATEMENT.name}: {'unchanged' if after == before else 'tables written anew'}\n")


if __name__ == "__main__":
    main()
