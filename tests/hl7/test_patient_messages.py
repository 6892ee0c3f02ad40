"""Messages about patients (HL7 v2.5.1 chapter 3, IHE RAD TF-2 4.12), sent by python-hl7's own client over MLLP
(dimse.md 1.5: HL7 ADT, patient merge)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from archive.dicom.errors import ArchiveError
from archive.dicom.instance import Scope, Source
from archive.hl7 import patients
from archive.hl7.message import Message
from hl7_door import PID, PV1, Door, acknowledged, header, obr, orc, order, received, segment, sent
from objects import encoded, new_uid, secondary_capture

OpenDoor = Callable[..., Door]
EVENTS = ("A01", "A04", "A05", "A06", "A07", "A08", "A28", "A31")
IGNORED = ("A02", "A03", "A11", "A12", "A13", "A23", "A29", "A38")
NOTHING = "nothing that is stored had to be changed"
EVN = segment("EVN", f2="20261122093000")


def adt(event: str, *segments: str, **fields: str) -> str:
    return "\r".join([header(kind=f"ADT^{event}", f12="2.5.1", **fields), EVN, *segments]) + "\r"


def pid(ids: str = "4711^^^HOSP^MR", name: str = "Roe^Rita^^^^^L", **fields: str) -> str:
    return segment("PID", f3=ids, f5=name, **fields)


def mrg(ids: str, **fields: str) -> str:
    return segment("MRG", f1=ids, **fields)


def store(door: Door, **keywords: Any) -> str:
    """An object; its SOP Instance UID."""
    one = secondary_capture(StudyInstanceUID=keywords.pop("StudyInstanceUID", new_uid()), **keywords)
    source = Source("DIMSE", "127.0.0.1", "CT1", "ARCHIVE")
    syntax = "1.2.840.10008.1.2.1"
    with door.archive.ingest.data_set(syntax, one.SOPClassUID, one.SOPInstanceUID, source) as reception:
        reception.write(encoded(one))
        reception.finish()
    return str(one.SOPInstanceUID)


def said(door: Door, uid: str, *keywords: str) -> tuple[str, ...]:
    """What an object says, as it is retrieved."""
    instance = door.archive.retrieve.instance(Scope(sop_instance_uids=(uid,)))
    with door.archive.retrieve.open(instance) as blob:
        found = dcmread(BytesIO(blob.read(0, blob.length)))
    return tuple(str(found.get(keyword, "")) for keyword in keywords)


WHOLE = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")


@pytest.mark.parametrize("event", EVENTS)
def test_demographics(door: Door, event: str) -> None:
    uid = store(door, PatientID="4711", PatientName="Doe^Jane", PatientSex="O")
    door.send(order())
    message = adt(event, pid(f6="Poe^Edna", f7="19800229", f8="F"), PV1)
    assert door.send(message) == ("AA", "M1", "")
    assert said(door, uid, *WHOLE) == ("4711", "Roe^Rita", "19800229", "F")
    assert said(door, uid, "PatientMotherBirthName") == ("",)
    [entry] = door.entries()
    assert (entry["PatientName"], entry["PatientBirthDate"]) == ("Roe^Rita", "19800229")
    assert (entry["PatientID"], entry["AccessionNumber"]) == ("4711", "ACC1")
    assert door.send(message) == ("AA", "M1", NOTHING), "the same message again"
    correction = door.archive.corrections.last()[-1]
    assert (correction.made_by, correction.reason) == ("HL7 RIS 127.0.0.1", f"ADT^{event} M1")


@pytest.mark.parametrize("event", IGNORED)
def test_what_changes_nothing_of_what_was_examined(door: Door, event: str) -> None:
    """Not even what is said to be deleted."""
    uid = store(door, PatientID="4711", PatientName="Doe^Jane")
    assert door.send(adt(event, pid(f8="F"), PV1)) == ("AA", "M1", NOTHING)
    assert said(door, uid, "PatientName") == ("Doe^Jane",)


def test_a_patient_whom_nobody_knows(door: Door) -> None:
    assert door.send(adt("A04", pid(), PV1)) == ("AA", "M1", NOTHING)
    assert door.archive.corrections.last() == []


def test_an_empty_field_says_nothing_and_an_explicit_null_takes_away(door: Door) -> None:
    """HL7 v2.5.1 2.5.3."""
    known = {
        "PatientID": "4711",
        "PatientName": "Doe^Jane",
        "PatientBirthDate": "19700131",
        "PatientSex": "F",
    }
    uid = store(door, **known)
    door.send(adt("A08", pid(f7="", f8="")))
    assert said(door, uid, *WHOLE) == ("4711", "Roe^Rita", "19700131", "F")
    door.send(adt("A08", pid(name="", f7='""', f8='""')))
    assert said(door, uid, *WHOLE) == ("4711", "Roe^Rita", "", "")


@pytest.mark.parametrize(("birth", "sex"), [("1970", "U"), ("197001", "N"), ("", "X")])
def test_what_has_no_place_in_dicom_says_nothing(door: Door, birth: str, sex: str) -> None:
    uid = store(door, PatientID="4711", PatientName="Doe^Jane", PatientBirthDate="19690131", PatientSex="F")
    assert door.send(adt("A08", pid(f7=birth, f8=sex)))[0] == "AA"
    assert said(door, uid, *WHOLE) == ("4711", "Roe^Rita", "19690131", "F")


@pytest.mark.parametrize(
    ("event", "prior"),
    [("A40", "T1"), ("A18", "T1"), ("A34", "T1^^^HOSP"), ("A36", "T1^^^ER"), ("A47", "T1")],
)
def test_a_merge(door: Door, event: str, prior: str) -> None:
    moved = store(door, PatientID="T1", PatientName="Unknown^Male", PatientSex="M")
    if event != "A47":
        store(door, PatientID="4711", PatientName="Roe^Rita")
    assert door.send(adt(event, pid("4711", f8="F"), mrg(prior)))[:2] == ("AA", "M1")
    assert said(door, moved, *WHOLE)[:2] == ("4711", "Roe^Rita")
    assert said(door, moved, "PatientSex") == ("F",)


def test_several_merges_of_one_message(door: Door) -> None:
    """ADT_A39 repeats PID and MRG (HL7 v2.5.1 3.3.40); two MRG are two priors of one patient."""
    uids = [store(door, PatientID=one, PatientName="Unknown") for one in ("T1", "T2", "T3")]
    pairs = (pid("1", "One"), PV1, mrg("T1"), mrg("T2"), pid("2", "Two"), mrg("T3"))
    assert door.send(adt("A40", *pairs))[0] == "AA"
    assert [said(door, uid, "PatientID", "PatientName") for uid in uids] == [
        ("1", "One"),
        ("1", "One"),
        ("2", "Two"),
    ]


def test_a_merge_by_the_authority_of_the_site(open_door: OpenDoor) -> None:
    """The MPI's identifiers are merged too; only the hospital's are those of the images."""
    door = open_door(hl7__assigning_authorities=["HOSP"])
    moved = store(door, PatientID="T1", PatientName="Unknown")
    bystanders = [store(door, PatientID=one, PatientName="Poe") for one in ("E1", "E2", "99")]
    survivors = "E2^^^MPI^PI~4711^^^HOSP^MR~99^^^HOSP^AN"
    assert door.send(adt("A40", pid(survivors), mrg("E1^^^MPI^PI~T1^^^HOSP^MR")))[0] == "AA"
    assert said(door, moved, "PatientID", "PatientName") == ("4711", "Roe^Rita")
    assert [said(door, uid, "PatientName") for uid in bystanders] == [("Poe",)] * 3


def test_a_study_that_is_another_patients(door: Door) -> None:
    study = new_uid()
    moved = store(door, PatientID="T1", PatientName="Unknown", StudyInstanceUID=study)
    stays = store(door, PatientID="T1", PatientName="Unknown")
    zds = segment("ZDS", f1=f"{study}^HOSP^Application^DICOM")
    assert door.send(adt("A45", pid("4711"), mrg("T1", f5="V1"), PV1, zds))[0] == "AA"
    assert said(door, moved, "PatientID", "PatientName") == ("4711", "Roe^Rita")
    assert said(door, stays, "PatientID", "PatientName") == ("T1", "Unknown")


REFUSED = [
    (adt("A08"), "AE", "no PID"),
    (adt("A08", pid(), pid("2")), "AE", "several PID"),
    (adt("A08", pid("")), "AE", "PID-3"),
    (adt("A08", pid("1&2^^^HOSP")), "AE", "PID-3.1 holds a separator"),
    (adt("A08", pid(name='""')), "AE", "PID-5"),
    (adt("A08", pid(f7="31.1.1970")), "AE", "PID-7"),
    (adt("A08", pid(f7="19701399")), "AE", "PatientBirthDate"),
    (adt("A08", pid(name="x" * 65)), "AE", "PatientName"),
    (adt("A08", pid(name="Roe\\X5C\\Rita")), "AE", "PatientName"),
    (adt("A08", pid(), header()), "AE", "several MSH"),
    (adt("A40", pid()), "AE", "no MRG"),
    (adt("A40", mrg("T1"), pid()), "AE", "MRG stands before PID"),
    (adt("A40", pid(), mrg("")), "AE", "MRG-1"),
    (adt("A40", pid("T1"), mrg("T1")), "AE", "nothing to merge"),
    (adt("A40", pid(), mrg("~".join(f"T{n}" for n in range(101)))), "AE", "more than 100 identifiers"),
    (adt("A40", pid(), *(mrg(f"T{n}") for n in range(101))), "AE", "more than 100 merges"),
    (adt("A43", pid(), mrg("T1")), "AE", "archive patients move-study"),
    (adt("A44", pid(), mrg("T1"), segment("ZDS", f1="1.2.3")), "AE", "nothing is stored"),
    (adt("A24", pid(), pid("2")), "AR", "MSH-9.2"),
    (adt("A46", pid(), mrg("T1")), "AR", "ADT\\S\\A47"),
    (adt("A99", pid()), "AR", "MSH-9.2"),
    (adt("A08", pid(), f11="T"), "AR", "MSH-11"),
    (adt("A08", pid(), control_id=""), "AE", "MSH-10"),
]


@pytest.mark.parametrize(("message", "code", "words"), REFUSED)
def test_what_is_refused_says_why(door: Door, message: str, code: str, words: str) -> None:
    uids = [store(door, PatientID=one, PatientName="Doe^Jane") for one in ("4711", "T1", "1")]
    answered, _, text = door.send(message)
    assert (answered, words in text) == (code, True), text
    assert not any(name in text for name in ("Doe", "Roe", "4711"))
    assert {said(door, uid, "PatientName") for uid in uids} == {("Doe^Jane",)}
    assert door.archive.corrections.last() == []


def test_the_whole_acknowledgment(door: Door) -> None:
    """Byte by byte, but for the moment at which it was made."""
    with door.connect() as connection:
        connection.sendall(b"\x0b" + adt("A24", pid()).encode() + b"\x1c\r")
        refused = received(connection).split(b"\r")
        connection.sendall(b"\x0b" + adt("A03", pid()).encode() + b"\x1c\r")
        taken = received(connection).split(b"\r")
    reason = (
        b"the trigger event (MSH-9.2) is none that is known here. Merges are taken as ADT\\S\\A40, other "
        b"Patient IDs as ADT\\S\\A47, demographics as ADT\\S\\A08 or ADT\\S\\A31"
    )
    assert refused[0].startswith(b"\x0bMSH|^~\\&|ARCHIVE|HOSP|RIS|HOSP|20")
    assert refused[0].endswith(b"||ACK^A24^ACK|M1|P|2.5.1||||||UNICODE UTF-8")
    assert refused[1] == b"MSA|AR|M1|" + reason
    assert refused[2] == b"ERR|||201^^HL70357|E||||" + reason
    assert refused[3:] == [b"\x1c", b""]
    assert taken[1:] == [b"MSA|AA|M1|" + NOTHING.encode(), b"\x1c", b""]


def test_the_event_where_only_evn_has_it(door: Door) -> None:
    """HL7 v2.2 and before."""
    uid = store(door, PatientID="4711", PatientName="Doe^Jane")
    message = adt("A08", pid()).replace("ADT^A08", "ADT").replace("EVN||", "EVN|A08|")
    assert door.send(message)[0] == "AA"
    assert said(door, uid, "PatientName") == ("Roe^Rita",)


@pytest.mark.parametrize(
    ("name", "charset", "encoding", "expected"),
    [
        ("Müller^Jörg", "8859/1", "latin-1", "Müller^Jörg"),
        ("Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I", "~ISO IR87", "iso2022_jp", "Yamada^Tarou=山田^太郎"),
        ("Alias^A^^^^^A~Wang^XiaoDong^^^^^L", "UNICODE UTF-8", "utf-8", "Wang^XiaoDong"),
    ],
)
def test_names_in_other_scripts(door: Door, name: str, charset: str, encoding: str, expected: str) -> None:
    door.send(order())
    uid = store(door, PatientID="4711", PatientName="Doe^Jane", SpecificCharacterSet="ISO_IR 192")
    assert door.send(adt("A08", pid(name=name), charset=charset), encoding)[0] == "AA"
    assert said(door, uid, "PatientName") == (expected,)
    assert door.entries()[0]["PatientName"] == expected


def test_news_of_a_patient_between_orders_on_one_connection(door: Door) -> None:
    """Emergency: registered, ordered, identified, ordered anew; what comes late under the former ID is refused."""
    temporary = PID.replace("4711^^^HOSP", "T1^^^HOSP").replace("Doe^Jane^M^Jr^Dr", "Unknown^Male")
    first = order().replace(PID, temporary)
    late = order(orc(f2="PL9", f3="F9"), obr(f18="A9", f19="R9", f20="S9")).replace(PID, temporary)
    with door.connect() as connection:
        assert sent(connection, adt("A04", temporary, PV1))[0] == "AA"
        assert sent(connection, first)[0] == "AA"
        assert sent(connection, adt("A40", PID, mrg("T1^^^HOSP")))[0] == "AA"
        assert sent(connection, first)[0] == "AA", "the RIS repeats its order"
        [entry] = door.entries()
        assert (entry["PatientID"], entry["PatientName"]) == ("4711", "Doe^Jane^M^Dr^Jr")
        code, _, text = sent(connection, late)
        assert (code, "merged into another" in text) == ("AE", True)
        code, _, text = sent(connection, adt("A08", temporary))
        assert (code, "merged into another" in text) == ("AE", True)
    assert len(door.entries()) == 1


def test_an_index_that_is_away_is_no_fault_of_the_message(door: Door, tmp_path: Any) -> None:
    uid = store(door, PatientID="4711", PatientName="Doe^Jane")
    index = tmp_path / "data" / "index.sqlite"
    index.rename(index.with_suffix(".away"))
    assert door.send(adt("A08", pid()))[0] == "AR"
    index.with_suffix(".away").rename(index)
    assert door.send(adt("A08", pid()))[0] == "AA"
    assert said(door, uid, "PatientName") == ("Roe^Rita",)


MARKS = st.sampled_from(
    [
        "|",
        "^",
        "~",
        "\\",
        "&",
        "\r",
        "\n",
        "PID",
        "MRG",
        "ZDS",
        "EVN",
        '""',
        "\\X41\\",
        "x",
        "ü",
        "1",
        "HOSP",
        "MR",
    ]
)
ACTIONS = {
    "A08": patients.update,
    "A40": patients.merges,
    "A45": patients.move,
}


@given(
    st.sampled_from(sorted(ACTIONS)),
    st.lists(MARKS, max_size=60).map("".join),
    st.sampled_from([(), ("HOSP",), ("1", "HOSP")]),
)
def test_whatever_follows_the_header_it_is_news_or_an_error_of_ours(
    event: str, rest: str, authorities: tuple[str, ...]
) -> None:
    for whole in (rest, f"|||{rest}", f"|||1^^^HOSP|\rMRG|{rest}"):
        raw = adt(event, f"PID{whole}").encode()
        with contextlib.suppress(ArchiveError):
            assert ACTIONS[event](Message(raw, "UNICODE UTF-8"), authorities) is not None


def test_every_event_has_an_answer(door: Door) -> None:
    with door.connect() as connection:
        for number in range(1, 63):
            for segments in ((), (pid(),), (pid(), mrg("T1"))):
                connection.sendall(b"\x0b" + adt(f"A{number:02}", *segments).encode() + b"\x1c\r")
                assert acknowledged(received(connection))[0] in ("AA", "AE", "AR")
