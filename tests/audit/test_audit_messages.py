"""Every event as PS3.15 A.5 wants it: valid by the schema of A.5.1.1, with the participants and objects of A.5.3."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from archive.audit import codes, events, messages, xml
from archive.audit.events import Patient, Reporter, Study
from archive.audit.messages import Message, Participant, Subject
from archive.security.actor import Actor

SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).with_name("audit_message.rng")))
REPORTER = Reporter("ARCHIVE", "hospital", ("ARCHIVE", "PACS"), "17")
SCANNER = Actor("DIMSE", "192.0.2.7", "SCANNER")
DOCTOR = Actor("HTTP", "2001:db8::1", user="jdoe", user_name="Jo <Doe> & Co")
STUDY = Study("1.2.3", Patient("P1^^^HOSPITAL"), (("1.2.840.10008.5.1.4.1.1.2", 200),))
AT = 1_700_000_000.25

MADE: dict[str, Message] = {
    "start": events.application_activity(REPORTER, AT, started=True),
    "stop": events.application_activity(REPORTER, AT, started=False),
    "log used": events.audit_log_used(REPORTER, AT, DOCTOR, uri="/api/audit", what="patient P1"),
    "received": events.received(REPORTER, AT, SCANNER, STUDY),
    "received again": events.received(REPORTER, AT, SCANNER, STUDY, already_held=True),
    "begin sending": events.begin_sending(REPORTER, AT, SCANNER, STUDY, Actor("DIMSE", "host.name", "PEER")),
    "sent": events.sent(REPORTER, AT, DOCTOR, STUDY, outcome=4, outcome_text="3 not sent"),
    "accessed": events.accessed(REPORTER, AT, DOCTOR, STUDY, "R"),
    "deleted": events.study_deleted(REPORTER, AT, DOCTOR, STUDY),
    "export": events.data_export(REPORTER, AT, DOCTOR, STUDY, to="file:///media/usb"),
    "import": events.data_import(REPORTER, AT, DOCTOR, STUDY, source="file:///media/cd"),
    "patient": events.patient_record(REPORTER, AT, DOCTOR, Patient("P1"), "U", (("By", "HL7 ADT^A08"),)),
    "order": events.order_record(REPORTER, AT, DOCTOR, Patient("P1"), "C"),
    "procedure": events.procedure_record(REPORTER, AT, SCANNER, STUDY, "U"),
    "query": events.query(REPORTER, AT, SCANNER, "1.2.840.10008.5.1.4.1.2.2.1", b"\x08\x00\xff", times=3),
    "alert": events.security_alert(REPORTER, AT, SCANNER, codes.NODE_AUTHENTICATION, "not known"),
    "login": events.user_authentication(REPORTER, AT, DOCTOR),
    "login failed": events.user_authentication(REPORTER, AT, DOCTOR, failed="wrong password"),
}


def tree(message: Message) -> Any:
    document = etree.fromstring(xml.document(message))
    SCHEMA.assertValid(document)
    return document


def codes_of(found: Any, path: str) -> list[str]:
    return [each.get("csd-code") for each in found.findall(path)]


@pytest.mark.parametrize("name", MADE)
def test_every_event_is_valid_by_the_schema(name: str) -> None:
    found = tree(MADE[name])
    assert found.find("EventIdentification").get("EventDateTime") == "2023-11-14T22:13:20.250Z"
    requestors = [
        each for each in found.findall("ActiveParticipant") if each.get("UserIsRequestor") == "true"
    ]
    assert len(requestors) <= 1  # A.5.2: "shall not identify multiple participants"


def test_every_event_id_has_a_function() -> None:
    assert {message.event.value for message in MADE.values()} == set(codes.EVENTS)


@pytest.mark.parametrize("name", MADE)
def test_what_is_kept_is_read_back_whole(name: str) -> None:
    assert messages.read(messages.kept(MADE[name])) == MADE[name]


@pytest.mark.parametrize(
    ("name", "event", "action", "roles"),
    [
        ("start", "110100", "E", [["110150"]]),
        ("log used", "110101", "R", [[]]),
        ("received", "110104", "C", [["110153"], ["110152"]]),
        ("received again", "110104", "R", [["110153"], ["110152"]]),
        ("begin sending", "110102", "E", [["110153"], ["110152"], []]),
        ("sent", "110104", "R", [["110153"], ["110152"]]),
        ("accessed", "110103", "R", [[]]),
        ("deleted", "110105", "D", [[]]),
        ("export", "110106", "R", [["110153"], ["110154"]]),
        ("import", "110107", "C", [["110152"], ["110155"]]),
        ("patient", "110110", "U", [[]]),
        ("query", "110112", "E", [["110153"], ["110152"]]),
        ("alert", "110113", "E", [[], []]),
        ("login", "110114", "E", [[], []]),
    ],
)
def test_the_event_and_who_took_part(name: str, event: str, action: str, roles: list[list[str]]) -> None:
    found = tree(MADE[name])
    assert codes_of(found, "EventIdentification/EventID") == [event]
    assert found.find("EventIdentification").get("EventActionCode") == action
    assert [codes_of(each, "RoleIDCode") for each in found.findall("ActiveParticipant")] == roles


def test_a_study_and_its_patient_are_the_objects() -> None:
    study, patient = tree(MADE["received"]).findall("ParticipantObjectIdentification")
    assert (study.get("ParticipantObjectID"), study.get("ParticipantObjectTypeCodeRole")) == ("1.2.3", "3")
    assert codes_of(study, "ParticipantObjectIDTypeCode") == ["110180"]
    classes = study.findall("ParticipantObjectDescription/SOPClass")
    assert [dict(each.attrib) for each in classes] == [
        {"UID": "1.2.840.10008.5.1.4.1.1.2", "NumberOfInstances": "200"}
    ]
    assert (patient.get("ParticipantObjectID"), patient.get("ParticipantObjectTypeCode")) == (
        "P1^^^HOSPITAL",
        "1",
    )
    assert codes_of(patient, "ParticipantObjectIDTypeCode") == ["2"]


def test_a_query_holds_what_was_asked_byte_for_byte() -> None:
    (asked,) = tree(MADE["query"]).findall("ParticipantObjectIdentification")
    assert base64.b64decode(asked.findtext("ParticipantObjectQuery")) == b"\x08\x00\xff"
    assert codes_of(asked, "ParticipantObjectIDTypeCode") == ["110181"]


@pytest.mark.parametrize(("name", "kinds"), [("received", ["2", None]), ("begin sending", [None, "1", "2"])])
def test_addresses_are_told_from_host_names(name: str, kinds: list[str | None]) -> None:
    found = tree(MADE[name]).findall("ActiveParticipant")
    assert [each.get("NetworkAccessPointTypeCode") for each in found] == kinds


def test_ae_titles_are_worded_as_the_standard_has_it() -> None:
    (started,) = tree(MADE["start"]).findall("ActiveParticipant")
    assert started.get("AlternativeUserID") == "AETITLES= ARCHIVE;PACS"


anything = st.text(alphabet=st.characters(), max_size=20)


@given(name=anything, address=anything, title=anything, patient=anything, asked=st.binary(max_size=20))
def test_nothing_that_strangers_choose_breaks_a_message(
    name: str, address: str, title: str, patient: str, asked: bytes
) -> None:
    actor = Actor("DIMSE", address, title, name, name)
    make: Callable[[], list[Message]] = lambda: [  # noqa: E731
        events.accessed(REPORTER, AT, actor, Study("1.2", Patient(patient)), "R"),
        events.query(REPORTER, AT, actor, "1.2", asked),
        events.security_alert(REPORTER, AT, actor, codes.NODE_AUTHENTICATION, name, about=patient),
    ]
    for message in make():
        again = messages.read(messages.kept(message))
        assert again.event == message.event
        tree(again)
        tree(message)


def test_lone_surrogates_are_no_fault() -> None:
    broken = Message(
        codes.QUERY,
        "E",
        AT,
        (Participant("\ud800", True, AlternativeUserID="\udfff"),),
        "ARCHIVE",
        (Subject("\ud800", "1", "1", codes.PATIENT_NUMBER, details=(("a", "\ud800"),)),),
    )
    again = messages.read(messages.kept(broken))
    assert (again.participants[0].UserID, again.subjects[0].ParticipantObjectID) == ("?", "?")
    tree(again)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"event": 1}', "null"])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of orjson, or ours
        messages.read(text)
