"""What becomes of orders (IHE RAD TF-2 4.4, 4.13 and appendix B), sent by python-hl7's own client over MLLP."""

from __future__ import annotations

import subprocess
import sys
import time as clock
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import ArchiveError
from archive.hl7.message import Message
from archive.hl7.orders import orders
from hl7_door import PID, PV1, ZDS, Door, obr, orc, order, segment

OpenDoor = Callable[..., Door]


def test_an_order_becomes_an_entry(door: Door) -> None:
    assert door.send(order()) == ("AA", "M1", "")
    [entry] = door.entries()
    assert entry == {
        "AccessionNumber": "ACC1",
        "Modality": "CT",
        "ReferringPhysicianName": "House^Gregory",
        "PatientName": "Doe^Jane^M^Dr^Jr",
        "PatientID": "4711",
        "IssuerOfPatientID": "HOSP",
        "PatientBirthDate": "19700131",
        "PatientSex": "F",
        "MedicalAlerts": "allergic to nuts",
        "PregnancyStatus": 3,
        "StudyInstanceUID": "1.2.3.4",
        "RequestingPhysician": "Wilson^James",
        "RequestedProcedureDescription": "CT head",
        "RequestedProcedureCodeSequence": [
            {"CodeValue": "CTH", "CodingSchemeDesignator": "L", "CodeMeaning": "CT head"}
        ],
        "AdmissionID": "V99",
        "CurrentPatientLocation": "WARD/12/B",
        "PatientState": "fragile",
        "ScheduledStationAETitle": "CT1",
        "ScheduledProcedureStepStartDate": "20261123",
        "ScheduledProcedureStepStartTime": "101500",
        "ScheduledPerformingPhysicianName": "Operator^Olga",
        "ScheduledProcedureStepDescription": "Head protocol",
        "ScheduledProtocolCodeSequence": [
            {"CodeValue": "P1", "CodingSchemeDesignator": "LP", "CodeMeaning": "Head protocol"}
        ],
        "ScheduledProcedureStepID": "SPS1",
        "RequestedProcedureID": "RP1",
        "ReasonForTheRequestedProcedure": "headache",
        "RequestedProcedurePriority": "STAT",
        "PatientTransportArrangements": "WALK",
        "PlacerOrderNumberImagingServiceRequest": "PL1",
        "FillerOrderNumberImagingServiceRequest": "F1",
        "ConfidentialityConstraintOnPatientDataDescription": "VIP",
        "state": "SCHEDULED",
    }
    assert door.archive.worklist.all()[0].source == "HL7 RIS 127.0.0.1"


def test_the_same_message_again(door: Door) -> None:
    for _ in range(2):
        assert door.send(order())[0] == "AA"
    assert len(door.entries()) == 1


def test_change_and_cancel(door: Door) -> None:
    door.send(order())
    assert door.send(order(orc("XO"), obr(f24="MR", f4="N^Neck^L")))[0] == "AA"
    [entry] = door.entries()
    assert (entry["Modality"], entry["RequestedProcedureDescription"]) == ("MR", "Neck")
    assert entry["StudyInstanceUID"] == "1.2.3.4"
    assert door.send(order(orc("CA")))[0] == "AA", "without OBR"
    assert [one["state"] for one in door.entries()] == ["CANCELED"]


@pytest.mark.parametrize(
    ("control", "status", "state"),
    [
        ("SC", "CM", "COMPLETED"),
        ("SC", "IP", "STARTED"),
        ("XO", "CM", "COMPLETED"),
        ("DC", "", "DISCONTINUED"),
    ],
)
def test_states(door: Door, control: str, status: str, state: str) -> None:
    door.send(order())
    assert door.send(order(orc(control, f5=status), obr()))[0] == "AA"
    assert [one["state"] for one in door.entries()] == [state]


def test_two_protocols_of_one_step_and_another_step(door: Door) -> None:
    second = obr(f4="CTH^CT head^L^P2^Contrast^LP")
    third = obr(f20="SPS2", f4="CTN^CT neck^L^P3^Neck^LP")
    assert door.send(order(orc(), obr(), second, orc(f3="F1"), third, ZDS))[0] == "AA"
    one, other = door.entries()
    assert [code["CodeValue"] for code in one["ScheduledProtocolCodeSequence"]] == ["P1", "P2"]
    assert other["ScheduledProcedureStepID"] == "SPS2"
    assert {one["StudyInstanceUID"], other["StudyInstanceUID"]} == {"1.2.3.4"}


def test_omi_with_imaging_procedure_control(door: Door) -> None:
    """HL7 v2.5.1: IPC names IDs, modality and stations; TQ1 when and how urgent."""
    timing = segment("TQ1", f7="202612010800", f9="R")
    imaging = segment(
        "IPC",
        f1="ACC9",
        f2="RP9",
        f3="1.2.3.9",
        f4="SPS9",
        f5="MR",
        f6="P9^Knee^LP",
        f7="ROOM",
        f8="2ND",
        f9="MRA~MRB",
    )
    bare = obr(f18="", f19="", f20="", f24="", f34="")
    assert door.send(order(orc(f7=""), timing, bare, imaging, kind="OMI^O23^OMI_O23", f12="2.5.1"))[0] == "AA"
    [entry] = door.entries()
    expected = {
        "AccessionNumber": "ACC9",
        "RequestedProcedureID": "RP9",
        "StudyInstanceUID": "1.2.3.9",
        "ScheduledProcedureStepID": "SPS9",
        "Modality": "MR",
        "ScheduledStationAETitle": ["MRA", "MRB"],
        "ScheduledStationName": "ROOM",
        "ScheduledProcedureStepLocation": "2ND",
        "ScheduledProcedureStepStartDate": "20261201",
        "RequestedProcedurePriority": "ROUTINE",
        "ScheduledProcedureStepDescription": "Knee",
    }
    assert {keyword: entry[keyword] for keyword in expected} == expected


@pytest.mark.parametrize(
    ("names", "charset", "encoding", "expected"),
    [
        ("Müller^Jörg", "8859/1", "latin-1", "Müller^Jörg"),
        ("Müller^Jörg", "", "utf-8", "Müller^Jörg"),
        ("Иванов^Иван", "8859/5", "iso8859_5", "Иванов^Иван"),
        ("王^小東", "GB 18030-2000", "gb18030", "王^小東"),
        ("김^희중", "KS X 1001", "euc_kr", "김^희중"),
        (
            "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P",
            "~ISO IR87",
            "iso2022_jp",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        ("山田^太郎^^^^^L^I", "UNICODE UTF-8", "utf-8", "=山田^太郎"),
    ],
)
def test_names_in_every_script(door: Door, names: str, charset: str, encoding: str, expected: str) -> None:
    message = order(charset=charset).replace("Doe^Jane^M^Jr^Dr", names)
    assert door.send(message, encoding)[0] == "AA"
    assert door.entries()[0]["PatientName"] == expected


def test_escape_sequences(door: Door) -> None:
    message = order(
        orc(), obr(f13=r"a\T\b \S\ c\.br\d \X4A\ \H\e\N\ ", f4="C^2\\F\\3 of\\.sp99999999\\it^L"), ZDS
    )
    assert door.send(message)[0] == "AA"
    [entry] = door.entries()
    assert entry["MedicalAlerts"] == "a&b ^ c d J e"
    assert entry["RequestedProcedureDescription"] == "2|3 of it"


def test_hex_is_in_the_character_set_of_the_message(door: Door) -> None:
    assert door.send(order().replace("Doe^Jane^M^Jr^Dr", "M\\XC3BC\\ller^J"))[0] == "AA"
    assert door.entries()[0]["PatientName"] == "Müller^J"


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (order(kind="ORU^R01"), "AR", "MSH-9"),
        (order(f11="T"), "AR", "MSH-11"),
        (order(control_id=""), "AE", "MSH-10"),
        (order(charset="KLINGON"), "AE", "MSH-18"),
        (order().replace(PID, ""), "AE", "PID"),
        (order().replace("4711", ""), "AE", "PatientID"),
        (order(obr()), "AE", "ORC"),
        (order(orc()), "AE", "OBR"),
        (order(orc("ZZ"), obr()), "AE", "ORC-1"),
        (order(orc("SC", f5="??"), obr()), "AE", "ORC-5"),
        (order(orc("CA"), obr()), "AE", "no entry of this order"),
        (order(orc(), obr(f24="US")), "AE", "worklist.stations"),
        (order(orc(), obr(f18="LONGER THAN SIXTEEN")), "AE", "AccessionNumber"),
        (order(orc(), obr(f13="bad\\C2842\\")), "AE", "character set"),
        (order().replace("1.2.3.4", "one"), "AE", "StudyInstanceUID"),
    ],
)
def test_what_is_refused_says_why(door: Door, message: str, code: str, words: str) -> None:
    answered, _, text = door.send(message)
    assert answered == code
    assert words in text
    assert "Doe" not in text
    assert door.entries() == []


def test_another_patient_under_the_same_order(door: Door) -> None:
    door.send(order())
    code, _, text = door.send(order().replace("4711", "4712"))
    assert code == "AE"
    assert "another patient" in text
    assert [one["PatientID"] for one in door.entries()] == ["4711"]


def test_bytes_that_the_character_set_does_not_have(door: Door) -> None:
    code, _, text = door.send(order().replace("Doe", "M\xfcller"), "latin-1")
    assert (code, door.entries()) == ("AE", [])
    assert "hl7.character_set" in text


def test_the_character_set_of_a_site(open_door: OpenDoor) -> None:
    door = open_door(hl7__character_set="8859/1")
    assert door.send(order(charset="").replace("Doe", "Müller"), "latin-1")[0] == "AA"
    assert door.entries()[0]["PatientName"].startswith("Müller")


@pytest.mark.parametrize(
    ("said", "day", "time"),
    [
        ("202607011000", "20260701", "100000"),
        ("202607011000+0000", "20260701", "120000"),
        ("202612312330-0500", "20270101", "053000"),
        ("20260701+0900", "20260701", None),
    ],
)
def test_an_appointment_in_another_time_zone(
    door: Door, monkeypatch: pytest.MonkeyPatch, said: str, day: str, time: str | None
) -> None:
    """HL7 v2.5.1 2.A.22: modalities ask by the clock on the wall."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        clock.tzset()
        assert door.send(order(orc(f7=f"^^^{said}"), obr(), ZDS))[0] == "AA"
    clock.tzset()
    [entry] = door.entries()
    assert entry["ScheduledProcedureStepStartDate"] == day
    assert time in (None, entry["ScheduledProcedureStepStartTime"])


def test_a_time_zone_that_is_none(door: Door) -> None:
    code, _, text = door.send(order(orc(f7="^^^202607011000+9900"), obr(), ZDS))
    assert (code, "YYYYMMDD" in text) == ("AE", True)


def test_training_messages_where_they_are_wanted(open_door: OpenDoor) -> None:
    assert open_door(hl7__processing_ids=["P", "T"]).send(order(f11="T"))[0] == "AA"


def test_an_index_that_is_away_is_no_fault_of_the_message(door: Door, tmp_path: Path) -> None:
    index = tmp_path / "data" / "index.sqlite"
    index.rename(index.with_suffix(".away"))
    assert door.send(order())[0] == "AR"
    index.with_suffix(".away").rename(index)
    assert door.send(order())[0] == "AA"


def test_mllp_send(door: Door, tmp_path: Path) -> None:
    """The command of python-hl7, as an administrator would try."""
    path = tmp_path / "order.hl7"
    path.write_text(order())
    program = Path(sys.prefix) / "bin" / "mllp_send"
    command = [str(program), "--loose", "--file", str(path), "--port", str(door.port), "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert b"MSA|AA|M1" in done.stdout
    assert len(door.entries()) == 1


MARKS = st.sampled_from(
    ["|", "^", "~", "\\", "&", "\r", "\n", "ORC", "OBR", "PID", "NW", "CT", '""', "\\X41\\", "x", "ü"]
)


@given(st.lists(MARKS, max_size=60).map("".join))
def test_whatever_follows_the_header_it_is_orders_or_an_error_of_ours(rest: str) -> None:
    raw = (order().split("\r")[0] + "\r" + PID + "\r" + PV1 + "\r" + rest).encode()
    try:
        read: list[Any] = orders(Message(raw, "UNICODE UTF-8"))
    except ArchiveError:
        read = []
    assert isinstance(read, list)


@given(st.binary(max_size=80))
def test_whatever_bytes_come_it_is_a_message_or_an_error_of_ours(raw: bytes) -> None:
    for whole in (raw, b"MSH" + raw, b"MSH|^~\\&|" + raw):
        try:
            Message(whole, "UNICODE UTF-8")
        except ArchiveError:
            continue
