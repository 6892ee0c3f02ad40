"""Whatever is stored and whatever a view says: what is found under it is what a plain reading of it leaves of what is
found without it, on both engines."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from archive.dicom.attributes import BY_KEYWORD, UNIQUE_KEYS
from archive.dicom.charsets import fold
from archive.dicom.instance import Instance, Level, Scope
from archive.dicom.query import AsGiven, Key, Match, Matching, Query, SingleValue, Universal, Wildcard
from archive.index import instances, schema, views
from archive.index.database import Connection, Database
from archive.index.recording import record
from archive.security.views import Grant, View
from archive.services.search import Search
from instances_made import SOURCE, instance, new_uid

INSTITUTIONS = st.sampled_from(["St. Mary", "St. Mary's", "st. mary", "Holy Cross", "a%b", "a_b", "[x]"])
PHYSICIANS = st.sampled_from(["Doe^Jane", "DOE^JANE", "Doe^John", "Müller^Ann", "Roe"])
PATIENTS = st.sampled_from(["1", "2", "A"])
ISSUERS = st.sampled_from(["", "X", "XY"])
MODALITIES = st.sampled_from(["CT", "MR", "SR"])
TITLES = st.sampled_from(["CT1", "MR1", "PACS"])
STUDIES = st.sampled_from(["1.2.0", "1.2.1", "1.2.2", "1.2.3"])
PATTERNS = st.sampled_from(["St. Mary*", "?t. Mary", "Holy Cross", "a%b", "a_b", "[x]", "*s", "Nobody"])
NAME_PATTERNS = st.sampled_from(["doe*", "Doe^J*", "muller^ann", "Roe", "*ann", "Nobody", "?oe"])


@dataclass(frozen=True)
class Stored:
    """An instance, and who sent it."""

    instance: Instance
    title: str


@st.composite
def archives(draw: st.DrawFn) -> list[Stored]:
    made = []
    for study in range(draw(st.integers(1, 4))):
        whose = {"PatientID": draw(PATIENTS), "IssuerOfPatientID": draw(ISSUERS)}
        whose["ReferringPhysicianName"] = tuple(draw(st.lists(PHYSICIANS, max_size=2)))
        for series in range(draw(st.integers(1, 2))):
            said: dict[str, Any] = {"Modality": draw(MODALITIES)}
            said["InstitutionName"] = tuple(draw(st.lists(INSTITUTIONS, max_size=2)))
            for number in range(draw(st.integers(1, 2))):
                uids = (f"1.2.{study}", f"1.2.{study}.{series}", f"1.2.{study}.{series}.{number}")
                made.append(Stored(instance(*uids, **whose, **said), draw(TITLES)))
    return made


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, min_size=1, max_size=2, unique=True).map(tuple)


GRANTS = (
    st.fixed_dictionaries(
        {},
        optional={
            "institution": some(PATTERNS),
            "referring": some(NAME_PATTERNS),
            "ae": some(TITLES),
            "modality": some(MODALITIES),
            "patient": some(PATIENTS),
            "issuer": some(st.sampled_from(["X", "X*"])),
            "study": some(STUDIES),
        },
    )
    .filter(bool)
    .map(lambda said: Grant(**said))
)
ONE_SET = st.lists(GRANTS, max_size=3).map(View.of)
VIEWS = st.one_of(ONE_SET, st.builds(lambda one, other: one & other, ONE_SET, ONE_SET))


def fits(pattern: str, text: str) -> bool:
    made = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern)
    return re.fullmatch(made, text, re.DOTALL) is not None


def values(one: Instance, keyword: str) -> tuple[str, ...]:
    element = one.attributes.get(BY_KEYWORD[keyword].tag)
    return tuple(value for value in element.values if value) if element else ()


def allows(grant: Grant, study: list[Stored]) -> bool:
    """A plain reading of a grant."""

    def said(keyword: str) -> set[str]:
        return {value for one in study for value in values(one.instance, keyword)}

    def any_fits(patterns: tuple[str, ...], texts: set[str]) -> bool:
        return any(fits(pattern, text) for pattern in patterns for text in texts)

    names = {fold(name) for name in said("ReferringPhysicianName")}
    asked = [
        (grant.institution, lambda wanted: any_fits(wanted, said("InstitutionName"))),
        (grant.referring, lambda wanted: any_fits(tuple(map(fold, wanted)), names)),
        (grant.issuer, lambda wanted: any_fits(wanted, said("IssuerOfPatientID"))),
        (grant.ae, lambda wanted: not {one.title for one in study}.isdisjoint(wanted)),
        (grant.modality, lambda wanted: not said("Modality").isdisjoint(wanted)),
        (grant.patient, lambda wanted: not said("PatientID").isdisjoint(wanted)),
        (grant.study, lambda wanted: study[0].instance.StudyInstanceUID in wanted),
    ]
    return all(test(wanted) for wanted, test in asked if wanted)


def studies_of(archive: list[Stored]) -> dict[str, list[Stored]]:
    by_study: dict[str, list[Stored]] = {}
    for one in archive:
        by_study.setdefault(one.instance.StudyInstanceUID, []).append(one)
    return by_study


def seen(view: View, archive: list[Stored]) -> list[Stored]:
    """What a plain reading of the view leaves."""
    return [
        one
        for study in studies_of(archive).values()
        if all(any(allows(grant, study) for grant in grants) for grants in view.sets)
        for one in study
    ]


def fill(connection: Connection, archive: list[Stored]) -> None:
    for table in reversed(schema.metadata.sorted_tables):
        connection.execute(table.delete())
    for one in archive:
        source = replace(SOURCE, calling_ae_title=one.title)
        record(connection, one.instance, f"00/00/{new_uid()}", 300, "0" * 64, source)


def keys(**asked: Matching) -> tuple[Key, ...]:
    return tuple(Key((BY_KEYWORD[keyword].tag,), value) for keyword, value in asked.items())


RELATED = {f"NumberOfPatientRelated{what}": Universal() for what in ("Studies", "Series", "Instances")}
QUERIES = [
    *(Query(level) for level in Level),
    *(Query(level, keys(PatientID=SingleValue("1"))) for level in Level),
    *(Query(level, keys(Modality=SingleValue("CT"))) for level in (Level.SERIES, Level.IMAGE)),
    Query(Level.STUDY, keys(ReferringPhysicianName=Wildcard("doe*"))),
    Query(Level.STUDY, keys(ModalitiesInStudy=SingleValue("MR"))),
    Query(Level.PATIENT, keys(**RELATED)),
    Query(Level.STUDY, keys(**RELATED)),
]
EXAMINED = Query(Level.IMAGE, (Key((BY_KEYWORD["InstitutionName"].tag,), AsGiven(("St. Mary",))),))


def identities(found: list[Match], level: Level) -> list[str]:
    named = [UNIQUE_KEYS[level]] + ([BY_KEYWORD["IssuerOfPatientID"].tag] if level is Level.PATIENT else [])
    return ["|".join(str(match.get(f"{tag:08X}", {}).get("Value", "")) for tag in named) for match in found]


def asked(database: Database, query: Query, view: View | None = None) -> list[Match]:
    search = Search(database) if view is None else Search(database).seen_by(view)
    page = search.find(query)
    found = list(page.matches)
    assert page.number == len(found) == search.count(query)
    assert [match for match in search.stream(query) if match is not None] == found
    limited = search.find(replace(query, limit=1))
    assert len(list(limited.matches)) + limited.remaining == len(found)
    return found


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(archive=archives(), view=VIEWS)
def test_what_is_found_under_a_view_is_what_is_left_of_everything(
    reused: Database, archive: list[Stored], view: View
) -> None:
    reused.write(lambda connection: fill(connection, archive))
    left = seen(view, archive)
    note(f"{view} leaves {[one.instance.SOPInstanceUID for one in left]}")
    under = {repr(query): asked(reused, query, view) for query in (*QUERIES, EXAMINED)}
    with reused.read() as connection:
        got = {one.SOPInstanceUID for one in instances.instances(connection, Scope(), view)}
        assert got == {one.instance.SOPInstanceUID for one in left}
        for uid in studies_of(archive):
            stays = any(one.instance.StudyInstanceUID == uid for one in left)
            assert bool(instances.instances(connection, Scope((uid,)), view)) == stays
            assert views.any_hidden(connection, view, [uid, "9.9"]) == (not stays)
    reused.write(lambda connection: fill(connection, left))
    for query in (*QUERIES, EXAMINED):
        alone = asked(reused, query)
        assert sorted(identities(under[repr(query)], query.level)) == sorted(identities(alone, query.level))
        for keyword in RELATED:
            tag = BY_KEYWORD[keyword].tag_hex
            counted = [
                sorted(str(match.get(tag)) for match in found) for found in (under[repr(query)], alone)
            ]
            assert counted[0] == counted[1], keyword


def test_a_view_of_nothing_shows_nothing(reused: Database) -> None:
    archive = [Stored(instance("1.2.0", f"1.2.0.{number}", PatientID="1"), "CT1") for number in range(3)]
    reused.write(lambda connection: fill(connection, archive))
    for query, view in itertools.product(QUERIES, (View.of(()), View.of_studies([]))):
        assert asked(reused, query, view) == []
