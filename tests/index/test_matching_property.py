"""Whatever is stored and whatever is asked: the SQL of both engines answers like the naive matcher."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from archive.dicom.attributes import ATTRIBUTES, BY_KEYWORD, REQUEST_ATTRIBUTES, UNIQUE_KEYS, Attribute
from archive.dicom.instance import Instance, Level
from archive.dicom.query import Empty, Key, Matching, Query, Range, SingleValue, UIDList, Universal, Wildcard
from archive.index import matching
from archive.index.database import Database
from instances_made import instance, requests
from matches import fill
from naive import matches

TEXTS = st.text("aAbBéÉ%_\\[]^'-. ", max_size=4)
NAMES = st.text("aAbBéßﬀＡ山\ud7ff\U0010ffff^= %_[", max_size=6)
DATES = st.sampled_from(["20240101", "20240229", "20231231", "2024.01.01", "19700101"])
TIMES = st.sampled_from(["10", "1030", "103015", "103015.5", "10:30", "000000", "235959.999999"])
NUMBERS = st.sampled_from(["1", "01", "+1", "2", "-3", "12"])
ZONES = st.sampled_from(["+0000", "+0100", "-0530", "+1400", ""])
WORDS = st.sampled_from(
    [
        "schmidt",
        "Schmitd",
        "schmi",
        "Jörg",
        "山田",
        "太郎",
        "ヤマダ",
        "김영희",
        "김연희",
        "ss",
        "ß",
        "^",
        " ",
        "=",
    ]
)
FUZZY_NAMES = st.lists(WORDS, min_size=1, max_size=5).map("".join)
UIDS = st.sampled_from([f"1.2.{number}" for number in range(6)])
CODES = st.sampled_from(["CT", "MR", "SR", "ct", "C_"])
VALUES = {
    "PN": st.one_of(NAMES, FUZZY_NAMES),
    "LO": TEXTS,
    "SH": TEXTS,
    "CS": CODES,
    "DA": DATES,
    "TM": TIMES,
    "IS": NUMBERS,
    "UI": UIDS,
}
GENERATED = {
    Level.STUDY: ("PatientName", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"),
    Level.SERIES: ("Modality", "SeriesNumber", "PerformingPhysicianName"),
    Level.IMAGE: ("InstanceNumber", "ContentDate", "ContentTime", "SOPClassUID"),
}


def attributes_at(level: Level) -> st.SearchStrategy[dict[str, Any]]:
    """Some of a level's attributes, each with one value, or sometimes several where the VR has them."""
    made = {}
    for keyword in GENERATED[level]:
        vr = BY_KEYWORD[keyword].vr
        several = vr in ("LO", "PN")
        made[keyword] = st.lists(VALUES[vr], min_size=1, max_size=2 if several else 1).map(tuple)
    sop_class = made.pop("SOPClassUID", None)
    required = {"SOPClassUID": sop_class.map(lambda values: values[0])} if sop_class is not None else {}
    return st.fixed_dictionaries(required, optional=made)


@st.composite
def archives(draw: st.DrawFn) -> list[Instance]:
    """A few instances of a few patients, studies and series; those of one series agree about it."""
    made = []
    for study in range(draw(st.integers(1, 3))):
        of_study = draw(attributes_at(Level.STUDY)) | {"PatientID": draw(st.sampled_from(["a", "A", "b%"]))}
        of_study["TimezoneOffsetFromUTC"] = draw(ZONES)
        for series in range(draw(st.integers(1, 2))):
            of_series = draw(attributes_at(Level.SERIES)) | draw(requested())
            for number in range(draw(st.integers(1, 2))):
                uids = (f"1.2.{study}", f"1.2.{study}.{series}", f"1.2.{study}.{series}.{number}")
                made.append(instance(*uids, **of_study, **of_series, **draw(attributes_at(Level.IMAGE))))
    return made


def requested() -> st.SearchStrategy[dict[str, Any]]:
    item = st.fixed_dictionaries({}, optional={keyword: TEXTS for keyword in REQUEST_ATTRIBUTES.values()})
    items = st.lists(item, max_size=2).map(lambda made: {"RequestAttributesSequence": requests(*made)})
    return st.one_of(st.just({}), items)


def matchings(vr: str) -> st.SearchStrategy[Matching]:
    values = VALUES[vr]
    ends = st.one_of(values, st.just(""))
    ranges = st.builds(Range, ends, ends).filter(lambda made: made.first or made.last)
    patterns = st.builds("".join, st.lists(st.one_of(values, st.sampled_from(["*", "?"])), max_size=4))
    lists = st.lists(values, max_size=3).map(lambda made: UIDList(tuple(made)))
    kinds: dict[str, list[st.SearchStrategy[Matching]]] = {
        "DA": [ranges],
        "TM": [ranges],
        "IS": [lists],
        "UI": [lists],
        "PN": [patterns.map(Wildcard)],
    }
    return st.one_of(
        st.just(Universal()),
        st.just(Empty()),
        values.map(SingleValue),
        *kinds.get(vr, [patterns.map(Wildcard), lists]),
    )


def keys_of(attribute: Attribute) -> st.SearchStrategy[Key]:
    if attribute.vr == "SQ":
        inner = st.sampled_from(sorted(REQUEST_ATTRIBUTES))
        return st.builds(lambda tag, made: Key((attribute.tag, tag), made), inner, matchings("SH"))
    return matchings(attribute.vr).map(lambda made: Key((attribute.tag,), made))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    level = draw(st.sampled_from(Level))
    names = {"PatientID", "ModalitiesInStudy", "SOPClassesInStudy", "RequestAttributesSequence"}
    names |= {
        "StudyInstanceUID",
        "SeriesInstanceUID",
        *(name for part in GENERATED.values() for name in part),
    }
    possible = [one for one in ATTRIBUTES if one.keyword in names and one.level <= level]
    asked = draw(st.lists(st.sampled_from(possible), max_size=3, unique_by=lambda one: one.keyword))
    return Query(
        level,
        tuple(draw(keys_of(attribute)) for attribute in asked),
        fuzzy=draw(st.booleans()),
        combined=draw(st.booleans()),
        timezone=draw(st.sampled_from([None, 0, 60, -300, 840])),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(archive=archives(), asked=st.lists(queries(), min_size=1, max_size=4))
def test_sql_answers_like_the_naive_matcher(
    reused: Database, archive: list[Instance], asked: list[Query]
) -> None:
    reused.write(lambda connection: fill(connection, archive))
    with reused.read() as connection:
        for query in asked:
            unique = f"{UNIQUE_KEYS[query.level]:08X}"
            matched = matching.find(connection, query, matching.keys(connection, query))
            found = [match[unique]["Value"][0] for match in matched]
            note(f"{query} found {found}")
            assert len(found) == len(set(found)) == matching.count(connection, query)
            assert set(found) == matches(archive, query)
