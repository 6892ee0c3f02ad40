"""What no device should send, on both engines: it is stored, kept apart, and found, or it is refused as ours."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archive.dicom.attributes import ATTRIBUTES, BY_KEYWORD, BY_TAG, UNIQUE_KEYS, Attribute
from archive.dicom.errors import ArchiveError
from archive.dicom.instance import Element, Instance, Level, Scope
from archive.dicom.query import Key, Matching, Query, SingleValue, Wildcard
from archive.dicom.reading.reader import DataSetReader
from archive.index import instances, matching, schema, terms
from archive.index.database import Database
from archive.index.recording import Outcome
from instances_made import EXPLICIT, element, instance, new_uid, requests, store

LONG = "7" * 600
TEXT_IDS: list[tuple[str, ...]] = [
    ("1", "2"),
    ("1", "3"),
    ("1",),
    ("2",),
    ("1", ""),
    ("A\0B",),
    ("AB",),
    ("M\udcfcller",),
    ("M\udcf6ller",),
    ("M\ufffdller",),
    (LONG + "1",),
    (LONG + "2",),
]
NO_TEXT_IDS = [Element("OB", (), f'{{"vr":"OB","InlineBinary":"{raw}"}}') for raw in ("MQ==", "Mg==")]


def with_patient_id(element_of_id: Element) -> Instance:
    made = instance(PatientID="")
    return replace(made, attributes={**made.attributes, 0x00100020: element_of_id})


def found_by(database: Database, level: Level, keyword: str, key: Matching) -> int:
    query = Query(level, (Key((BY_KEYWORD[keyword].tag,), key),))
    with database.read() as connection:
        return len(list(matching.find(connection, query, matching.keys(connection, query))))


def test_different_ids_are_different_patients(database: Database) -> None:
    """D13, O8. However they differ: in a second value, a NUL, a broken byte, after 600 characters, in a wrong VR."""
    made = [with_patient_id(Element("LO", one, '{"vr":"LO"}')) for one in TEXT_IDS]
    made += [with_patient_id(one) for one in NO_TEXT_IDS]
    assert set(store(database, *made)) == {Outcome.STORED}
    assert len({id_of_patient(database, one) for one in made}) == len(made)
    for values, one in zip(TEXT_IDS, made, strict=False):
        patient_id = "\\".join(values)
        with database.read() as connection:
            scope = Scope(patient_ids=(patient_id,))
            assert [i.SOPInstanceUID for i in instances.instances(connection, scope)] == [one.SOPInstanceUID]
        assert found_by(database, Level.PATIENT, "PatientID", SingleValue(patient_id)) == 1
        assert found_by(database, Level.STUDY, "PatientID", SingleValue(patient_id)) == 1
    assert found_by(database, Level.STUDY, "PatientID", Wildcard("1*")) == 4
    assert found_by(database, Level.STUDY, "PatientID", Wildcard("*2")) == 2


def id_of_patient(database: Database, one: Instance) -> int:
    with database.read() as connection:
        uid = schema.study.c.StudyInstanceUID == one.StudyInstanceUID
        return int(connection.execute(sa.select(schema.study.c.patient_id).where(uid)).scalar_one())


def test_an_id_of_empty_values_is_none(database: Database) -> None:
    empty = [Element("LO", ("", ""), '{"vr":"LO"}'), Element("OB", (), '{"vr":"OB"}')]
    study = new_uid()
    made = [instance(study), *(replace(with_patient_id(one), StudyInstanceUID=study) for one in empty)]
    assert store(database, *made) == [Outcome.STORED] * 3


def count_terms(database: Database) -> int:
    with database.read() as connection:
        tables = (schema.patient_term, schema.study_term, schema.series_term, schema.request)
        return sum(
            connection.execute(sa.select(sa.func.count()).select_from(one)).scalar_one() for one in tables
        )


def test_values_beyond_the_first_hundred_are_answered_and_not_matched(database: Database) -> None:
    values = tuple(f"V{number}" for number in range(1000))
    items = [{"RequestedProcedureID": value} for value in values]
    made = instance(
        StudyDescription=values,
        SeriesDescription=values,
        PerformingPhysicianName=values,
        RequestAttributesSequence=requests(*items),
    )
    store(database, made)
    assert count_terms(database) == 3 * (terms.MAXIMUM_VALUES - 1) + terms.MAXIMUM_VALUES
    for value, found in (("V0", 1), ("V99", 1), ("V100", 0)):
        assert found_by(database, Level.STUDY, "StudyDescription", SingleValue(value)) == found
    query = Query(Level.STUDY)
    with database.read() as connection:
        [answer] = matching.find(connection, query, matching.keys(connection, query))
    assert len(answer["00081030"]["Value"]) == 1000


def incompressible(length: int) -> str:
    """Of four bytes each in UTF-8, so that PostgreSQL's index entries are as large as they may become."""
    return "".join(map(chr, random.Random(length).choices(range(0x20000, 0x2A000), k=length)))


def test_no_value_is_too_long_for_an_index(database: Database) -> None:
    """A btree entry of PostgreSQL holds 2,704 bytes. They are found whole, and by their beginning."""
    texts = [one for one in ATTRIBUTES if one.matched and one.vr in ("LO", "SH", "CS", "PN")]
    texts = [one for one in texts if not one.computed]
    long = {one.keyword: element(one.vr, incompressible(5000), incompressible(6000)) for one in texts}
    item = {"RequestedProcedureID": incompressible(5000), "ScheduledProcedureStepID": incompressible(6000)}
    assert store(database, instance(**long, RequestAttributesSequence=requests(item))) == [Outcome.STORED]
    for key in (SingleValue(incompressible(6000)), Wildcard(incompressible(6000)[:400] + "*")):
        assert found_by(database, Level.STUDY, "StudyDescription", key) == 1
    other = SingleValue(incompressible(6000)[:-1])
    assert found_by(database, Level.STUDY, "StudyDescription", other) == 0


# --- whatever VR ---

LONG_VRS = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
SHORT_VRS = ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS")
VRS = (*LONG_VRS, *SHORT_VRS, "ST", "TM", "UI", "UL", "US", "XX")
INDEXED = [one for one in ATTRIBUTES if not one.computed]
VALUES = st.one_of(
    st.binary(max_size=24),
    st.sampled_from([b"", b"1", b"\\\\", b"A\\B", b"20240101", b"1.2.3", b"a=b=c=d", b"\xff\xfe\x00"]),
)


def encoded_element(tag: int, vr: str, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    length = struct.pack("<HI", 0, len(value)) if vr in LONG_VRS else struct.pack("<H", len(value))
    return struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode()) + length + value


def item(*elements: bytes) -> bytes:
    content = b"".join(elements)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


@st.composite
def values_of(draw: st.DrawFn, vr: str) -> bytes:
    """Mostly what the VR does not allow; of a sequence, items with attributes of any VR."""
    if vr != "SQ":
        return draw(VALUES)
    inner = st.tuples(st.sampled_from([0x00400009, 0x00401001]), st.sampled_from(VRS)).flatmap(
        lambda made: values_of(made[1]).map(lambda value: encoded_element(*made, value))
    )
    return b"".join(item(*elements) for elements in draw(st.lists(st.lists(inner, max_size=2), max_size=2)))


@st.composite
def odd_elements(draw: st.DrawFn) -> tuple[Attribute, str, bytes]:
    vr = draw(st.sampled_from(VRS))
    return draw(st.sampled_from(INDEXED)), vr, draw(values_of(vr))


def data_set(odd: list[tuple[Attribute, str, bytes]]) -> bytes:
    uids = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "SOPInstanceUID": new_uid()}
    uids |= {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    elements = {BY_KEYWORD[keyword].tag: ("UI", uid.encode()) for keyword, uid in uids.items()}
    elements |= {attribute.tag: (vr, value) for attribute, vr, value in odd}
    return b"".join(encoded_element(tag, *elements[tag]) for tag in sorted(elements))


@settings(max_examples=150)
@given(odd=st.lists(odd_elements(), min_size=1, max_size=4))
@example(odd=[(BY_KEYWORD["RequestAttributesSequence"], "LO", b"X")])
@example(odd=[(BY_KEYWORD["RequestAttributesSequence"], "UN", b"X")])
@example(
    odd=[
        (
            BY_KEYWORD["RequestAttributesSequence"],
            "SQ",
            item(encoded_element(0x00401001, "SQ", item(encoded_element(0x00100010, "PN", b"A^B")))),
        )
    ]
)
def test_an_indexed_attribute_may_have_any_vr(
    reused: Database, odd: list[tuple[Attribute, str, bytes]]
) -> None:
    """It is stored and shown, or refused with one of our errors."""
    try:
        reader = DataSetReader(EXPLICIT)
        reader.feed(data_set(odd))
        made = reader.finish()
    except ArchiveError:
        return
    if store(reused, made) != [Outcome.STORED]:
        return
    for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
        unique = BY_TAG[UNIQUE_KEYS[level]]
        key = Key((unique.tag,), SingleValue(getattr(made, unique.keyword)))
        query = Query(level, (key,), include_all=True)
        with reused.read() as connection:
            keys = matching.keys(connection, query)
            assert len(list(matching.find(connection, query, keys))) == 1
