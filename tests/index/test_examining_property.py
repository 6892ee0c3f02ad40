"""Keys without a column: what is examined is what the objects say, on both engines, whatever is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import orjson
import zstandard
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from archive.dicom.instance import Instance, Level
from archive.dicom.query import AsGiven, Empty, Key, Path, Query, SingleValue, Wildcard
from archive.index.database import Database
from archive.services.search import Search
from instances_made import instance, store
from matches import fill

TEXTS = st.sampled_from(["a", "b", "ab", "*"])
KVP, SERIAL, OTHER_IDS, COMMENTS, PROTOCOL = 0x00180060, 0x00181000, 0x00101002, 0x00104000, 0x00181030
ID, ISSUER, CREATOR, PRIVATE = 0x00100020, 0x00100021, 0x00090010, 0x00091001
LEVELS = {
    COMMENTS: Level.PATIENT,
    OTHER_IDS: Level.PATIENT,
    PROTOCOL: Level.SERIES,
    SERIAL: Level.SERIES,
    KVP: Level.IMAGE,
}
UNIQUE = {
    Level.PATIENT: "00100020",
    Level.STUDY: "0020000D",
    Level.SERIES: "0020000E",
    Level.IMAGE: "00080018",
}


def text(tag: int, vr: str, *values: Any) -> dict[str, Any]:
    return {f"{tag:08X}": {"vr": vr, **({"Value": list(values)} if values else {})}}


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    return text(ID, "LO", draw(TEXTS)) | (text(ISSUER, "LO", draw(TEXTS)) if draw(st.booleans()) else {})


@st.composite
def metadata(draw: st.DrawFn) -> dict[str, Any]:
    """Some attributes that are only in the metadata, the private one in a block of any number."""
    found = {}
    if draw(st.booleans()):
        found |= text(KVP, "DS", draw(st.sampled_from([80, 80.0, 120])))
    if draw(st.booleans()):
        found |= text(SERIAL, "LO", draw(TEXTS))
    if draw(st.booleans()):
        found |= text(OTHER_IDS, "SQ", *draw(st.lists(items(), max_size=2)))
    if draw(st.booleans()):
        block, name = draw(st.sampled_from([(0x10, "ACME"), (0x42, "ACME"), (0x10, "OTHER")]))
        found |= text(0x00090000 | block, "LO", name) | text(0x00090001 | block << 8, "SH", draw(TEXTS))
    return found


@st.composite
def archives(draw: st.DrawFn) -> list[Instance]:
    made = []
    for study in range(draw(st.integers(1, 3))):
        comments = {"PatientComments": draw(TEXTS)} if draw(st.booleans()) else {}
        for series in range(draw(st.integers(1, 2))):
            protocol = {"ProtocolName": draw(TEXTS)} if draw(st.booleans()) else {}
            for number in range(draw(st.integers(1, 2))):
                uids = (f"1.2.{study}", f"1.2.{study}.{series}", f"1.2.{study}.{series}.{number}")
                made.append(instance(*uids, draw(metadata()), PatientID=str(study), **comments, **protocol))
    return made


@st.composite
def queries(draw: st.DrawFn) -> Query:
    level = draw(st.sampled_from(Level))
    paths = [(tag,) for tag, at in LEVELS.items() if at <= level and tag != OTHER_IDS]
    paths += [(OTHER_IDS, ID), (OTHER_IDS, ISSUER), (PRIVATE,)]
    chosen = draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3, unique=True))
    keys = tuple(Key(path, draw(matchings(path))) for path in chosen)
    return Query(level, keys, creators=(((CREATOR,), "ACME"),))


def matchings(path: Path) -> st.SearchStrategy[Any]:
    if path == (KVP,):
        return st.one_of(st.just(Empty()), st.sampled_from(["80", "080.0", "1"]).map(SingleValue))
    if path == (PRIVATE,):
        return st.one_of(st.just(Empty()), st.sampled_from(["a", "a*", "?"]).map(lambda one: AsGiven((one,))))
    patterns = st.sampled_from(["a*", "?", "*b", "??"]).map(Wildcard)
    return st.one_of(st.just(Empty()), st.sampled_from(["a", "b", "x"]).map(SingleValue), patterns)


def expected(stored: list[Instance], query: Query) -> set[str]:
    """The unique keys of what matches: of a series its first instance speaks, of a study or patient the first ones of
    its series, and what is prepared is that of all of them. Each study has a patient of its own."""
    unique = UNIQUE[query.level]
    data_sets = [orjson.loads(zstandard.decompress(one.metadata)) for one in stored]
    firsts = {one["0020000E"]["Value"][0]: one for one in reversed(data_sets)}
    found = set()
    for one in data_sets:
        name = one[unique]["Value"][0]
        speaking = [one] if query.level is Level.IMAGE else firsts.values()
        speaking = [other for other in speaking if other[unique]["Value"][0] == name]
        own = [key for key in query.keys if key.path[0] in (COMMENTS, PROTOCOL)]
        others = [key for key in query.keys if key not in own]
        if all(prepared_matches(key, data_sets, one) for key in own) and any(
            data_set_matches(others, other) for other in speaking
        ):
            found.add(name)
    return found


def prepared_matches(key: Key, data_sets: list[dict[str, Any]], one: Mapping[str, Any]) -> bool:
    of = "0020000D" if key.path[0] == COMMENTS else "0020000E"
    same = [other for other in data_sets if other[of] == one[of]]
    tag = f"{key.path[0]:08X}"
    return value_matches(next((other[tag] for other in same if tag in other), None), key.matching)


def data_set_matches(keys: Iterable[Key], data_set: Mapping[str, Any]) -> bool:
    keys = list(keys)
    inner = [key for key in keys if len(key.path) == 2]
    listed = data_set.get(f"{OTHER_IDS:08X}", {}).get("Value", [])
    in_one = any(
        all(value_matches(item.get(f"{key.path[1]:08X}"), key.matching) for key in inner) for item in listed
    )
    return (not inner or in_one) and all(
        value_matches(member(data_set, key.path[0]), key.matching) for key in keys if len(key.path) == 1
    )


def member(data_set: Mapping[str, Any], tag: int) -> Mapping[str, Any] | None:
    if tag != PRIVATE:
        return data_set.get(f"{tag:08X}")
    block = next(
        (one for one in ("10", "42") if data_set.get(f"000900{one}", {}).get("Value") == ["ACME"]), "FF"
    )
    return data_set.get(f"0009{block}01")


def value_matches(element: Mapping[str, Any] | None, matching: Any) -> bool:
    values = (element or {}).get("Value", [])
    match matching:
        case Empty():
            return not values
        case AsGiven((pattern,)) | Wildcard(pattern):
            return any(fnmatchcase(value, pattern.replace("[", "[[]")) for value in values)
        case SingleValue(value):
            if (element or {}).get("vr") == "DS":
                return any(float(one) == float(value) for one in values)
            return value in values
    raise AssertionError(matching)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(archive=archives(), asked=st.lists(queries(), min_size=1, max_size=4))
def test_examining_finds_what_the_objects_say(
    reused: Database,
    archive: list[Instance],
    asked: list[Query],
) -> None:
    reused.write(lambda connection: fill(connection, archive))
    search = Search(reused)
    for query in asked:
        matches = list(search.find(query).matches)
        assert [match for match in search.stream(query) if match is not None] == matches
        found = [match[UNIQUE[query.level]]["Value"][0] for match in matches]
        note(f"{query} found {found}")
        assert len(found) == len(set(found)) == search.count(query)
        assert set(found) == expected(archive, query)


def test_what_is_too_long_to_be_examined_is_counted(reused: Database) -> None:
    long = text(0x00204000, "LT", "x" * 9_000_000)
    reused.write(lambda c: fill(c, []))
    store(
        reused,
        instance(PatientID="1", others=long | text(KVP, "DS", 80)),
        instance(others=text(KVP, "DS", 80)),
    )
    found = Search(reused).find(Query(Level.IMAGE, (Key((KVP,), SingleValue("80")),)))
    assert (found.number, found.unread) == (1, 1)
