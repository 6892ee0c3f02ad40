"""C-FIND end to end beyond the baseline: the other information models, extended negotiation, the hierarchy, any
attribute, records in portions, time zones (dimse.md 1.3 rows)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from archive.network.commands import request_of
from archive.network.requestor import Proposal
from archive.security.rules import Rules
from door import AE_TITLE, Door, cancel, context_id, keep, open_door, response
from identifiers import data_set, encoded
from objects import mr, secondary_capture

PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_STUDY_ONLY, REPOSITORY_QUERY = "1.2.840.10008.5.1.4.1.2.3.1", "1.2.840.10008.5.1.4.1.1.201.6"
STUDIES = 5


def made(number: int) -> Dataset:
    """One of a few studies of two patients."""
    one = mr(
        Rows=8, Columns=8, PixelData=bytes(128),
        PatientID=f"P{number % 2}", PatientName=f"Schmidt^{'JX'[number % 2]}",
        StudyInstanceUID=f"1.2.{number}", SeriesInstanceUID=f"1.2.{number}.1", SOPInstanceUID=f"1.2.{number}.1.1",
        StudyDate=f"2024010{number + 1}", StudyTime=f"{number + 8:02}0000",
        AccessionNumber="" if number == 2 else f"A{number}", StudyID=str(number),
        TimezoneOffsetFromUTC="+0100" if number == 1 else None, OtherPatientIDs=["X", f"Y{number}"],
        RequestAttributesSequence=Sequence([
            data_set(None, ScheduledProcedureStepID=f"S{number}", RequestedProcedureID="R"),
            data_set(None, ScheduledProcedureStepID="S9", RequestedProcedureID=f"R{number}"),
        ]),
    )  # fmt: skip
    one.add_new(0x00230011, "LO", "ACME LTD")
    one.add_new(0x00231101, "LO", f"secret {number}")
    return one


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Five studies, each of one instance."""
    with open_door(tmp_path_factory.mktemp("models") / "data") as door:
        for number in range(STUDIES):
            keep(door, made(number))
        yield door


@dataclass
class Answered:
    """The pending answers with their statuses, and the final response."""

    statuses: set[int]
    matches: list[Dataset]
    final: Dataset

    @property
    def ids(self) -> str:
        return "".join(sorted(str(match.StudyID) for match in self.matches))


def ask(
    door: Door, asked: Dataset, root: str = STUDY_ROOT, options: tuple[int, ...] = (), **others: Any
) -> Answered:
    """As a workstation that offers these bytes of extended negotiation."""
    ae = AE(others.get("ae_title", "WORKSTATION"))
    ae.add_requested_context(root, others.get("syntax", ExplicitVRLittleEndian))
    items = []
    if options:
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid, item.service_class_application_information = root, bytes(options)
        items = [item]
    association = ae.associate("127.0.0.1", door.port, ae_title=AE_TITLE, ext_neg=items)
    assert association.is_established
    if options:
        answered = association.acceptor.sop_class_extended[root]
        assert answered == bytes(one if at != 4 else 0 for at, one in enumerate(options))
    try:
        *pending, (final, nothing) = association.send_c_find(asked, root)
    finally:
        association.release()
    assert nothing is None
    return Answered({status.Status for status, _ in pending}, [match for _, match in pending], final)


def keyed(level: str = "STUDY", **keys: Any) -> Dataset:
    return data_set(level, **{"StudyID": "", **keys})


# --- information models ---


def test_patient_study_only(filled: Door) -> None:
    """Retired, and still asked for: two levels of the Patient Root (C.6.3)."""
    patients = ask(filled, data_set("PATIENT", PatientID="", PatientName=""), PATIENT_STUDY_ONLY)
    assert sorted(match.PatientID for match in patients.matches) == ["P0", "P1"]
    studies = ask(filled, keyed(PatientID="P1"), PATIENT_STUDY_ONLY)
    assert (studies.ids, studies.final.Status) == ("13", 0)
    for level in ("SERIES", "IMAGE"):
        refused = ask(filled, data_set(level, StudyInstanceUID="1.2.1"), PATIENT_STUDY_ONLY)
        assert (refused.matches, refused.final.Status) == ([], 0xA900)
        assert level in refused.final.ErrorComment


# --- extended negotiation (C.5.1.1) ---


@pytest.mark.parametrize(
    ("options", "keys", "expected"),
    [
        ((0, 0, 0), {"PatientName": "J Schmidt"}, ""),
        ((0, 0, 1), {"PatientName": "J Schmidt"}, "024"),
        ((), {"PatientName": "schmitd"}, ""),
        ((1, 1, 1, 1), {"PatientName": "schmitd"}, "01234"),
        ((0, 0), {"StudyDate": "20240102-20240104", "StudyTime": "093000-100000"}, "2"),
        ((0, 1), {"StudyDate": "20240102-20240104", "StudyTime": "093000-100000"}, "2"),
        ((0, 1), {"StudyDate": "20240102-20240104", "StudyTime": "0930-0900"}, "2"),
        ((0, 1), {"StudyDate": "20240102-20240104", "StudyTime": "0930-1130"}, "23"),
        ((0, 0), {"StudyDate": "20240101-20240104", "StudyTime": "1000-0900"}, ""),
        ((0, 1), {"StudyDate": "20240101-20240104", "StudyTime": "1000-0900"}, "12"),
        ((0, 0, 0, 0, 0, 0, 0), {"AccessionNumber": '""'}, ""),
        ((0, 0, 0, 0, 0, 1, 0), {"AccessionNumber": '""'}, "2"),
        ((0, 0, 0, 0, 1, 0, 1), {"OtherPatientIDs": ["X", "Y3"]}, "3"),
        ((0, 0, 0, 1), {"StudyTime": "0800", "TimezoneOffsetFromUTC": "+0000"}, "01"),
    ],
)
def test_what_was_agreed_upon_is_done(
    filled: Door, options: tuple[int, ...], keys: dict[str, Any], expected: str
) -> None:
    answered = ask(filled, keyed(**keys), options=options)
    assert (answered.ids, answered.final.Status) == (expected, 0)


def test_several_values_without_agreement(filled: Door) -> None:
    refused = ask(filled, keyed(OtherPatientIDs=["X", "Y3"]))
    assert refused.final.Status == 0xA900
    assert refused.final.OffendingElement == 0x00101000


def test_fuzzy_names_of_patients(filled: Door) -> None:
    asked = data_set("PATIENT", PatientID="", PatientName="schmitt j")
    assert ask(filled, asked, PATIENT_ROOT).matches == []
    found = ask(filled, asked, PATIENT_ROOT, (0, 0, 1)).matches
    assert [match.PatientID for match in found] == ["P0"]


# --- the hierarchy (C.4.1.2.1) ---


def test_who_is_held_to_the_hierarchy(tmp_path: Path) -> None:
    """`relational` of the AE's rules, unless it was negotiated."""
    with open_door(tmp_path / "data") as door:
        keep(door, made(1))
        door.archive.ae_titles.add("STRICT", "127.0.0.1", 104, Rules(relational=False))
        loose, sound = (
            data_set("SERIES", Modality=""),
            data_set("SERIES", Modality="", StudyInstanceUID="1.2.1"),
        )
        refused = ask(door, loose, ae_title="STRICT")
        assert (refused.final.Status, refused.final.OffendingElement) == (0xA900, 0x0020000D)
        assert "relational" in refused.final.ErrorComment
        assert len(ask(door, sound, ae_title="STRICT").matches) == 1
        assert len(ask(door, loose, ae_title="STRICT", options=(1,)).matches) == 1
        assert len(ask(door, loose).matches) == 1


# --- any attribute ---


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(("value", "expected"), [("secret 3", "3"), ("secret ?", "01234"), ("other", "")])
@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_private_attributes(filled: Door, syntax: str, value: str, expected: str, level: str) -> None:
    """Matched and returned in the block that the asker numbers, whatever its number is in the object."""
    asked = keyed(level)
    asked.add_new(0x00230010, "LO", "ACME LTD")
    asked.add_new(0x00231001, "LO", value)
    answered = ask(filled, asked, syntax=syntax)
    assert answered.ids == expected
    assert answered.statuses <= {0xFF00}
    for match in answered.matches:
        assert match[0x00230010].value == "ACME LTD"
        shown = match[0x00231001].value
        assert (shown.decode() if isinstance(shown, bytes) else shown).strip() == f"secret {match.StudyID}"


def test_private_attributes_of_patients(filled: Door) -> None:
    asked = data_set("PATIENT", PatientID="")
    asked.add_new(0x00230010, "LO", "ACME LTD")
    asked.add_new(0x00231001, "LO", "secret 3")
    found = ask(filled, asked, PATIENT_ROOT)
    assert ([match.PatientID for match in found.matches], found.statuses) == (["P1"], {0xFF00})


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"ScheduledProcedureStepID": "S3"}, "3"),
        ({"ScheduledProcedureStepID": "S9"}, "01234"),
        ({"ScheduledProcedureStepID": "S9", "RequestedProcedureID": "R3"}, "3"),
        ({"ScheduledProcedureStepID": "S3", "RequestedProcedureID": "R3"}, ""),
        ({"RequestedProcedureID": "R?"}, "01234"),
    ],
)
def test_keys_in_a_sequence_match_in_one_item(filled: Door, item: dict[str, str], expected: str) -> None:
    asked = keyed("SERIES", RequestAttributesSequence=[data_set(None, **item)])
    answered = ask(filled, asked)
    assert (answered.ids, answered.statuses <= {0xFF00}) == (expected, True)
    for match in answered.matches:
        assert all(
            {element.keyword for element in one} == set(item) for one in match.RequestAttributesSequence
        )


def test_a_sequence_with_two_items_is_refused(filled: Door) -> None:
    items = [data_set(None, ScheduledProcedureStepID=value) for value in ("S1", "S2")]
    refused = ask(filled, keyed("SERIES", RequestAttributesSequence=items))
    assert (refused.final.Status, refused.final.OffendingElement) == (0xA900, 0x00400275)


@pytest.mark.parametrize(
    ("level", "keys", "status"),
    [
        ("STUDY", {"PatientComments": "*"}, 0xFF00),
        ("STUDY", {"KVP": "", "Modality": ""}, 0xFF00),
        ("STUDY", {"Modality": "CT"}, 0xFF01),
        ("STUDY", {"RetrieveAETitle": AE_TITLE, "InstanceAvailability": "ONLINE"}, 0xFF00),
        ("STUDY", {"RetrieveAETitle": "ELSEWHERE"}, 0xFF01),
        ("STUDY", {"NumberOfStudyRelatedInstances": "7"}, 0xFF01),
        ("IMAGE", {"EchoTime": "", "Manufacturer": "*"}, 0xFF00),
    ],
)
def test_warnings_are_of_keys_that_did_not_restrict(
    filled: Door, level: str, keys: dict[str, str], status: int
) -> None:
    """C.4.1.1.4: FF01 for optional keys that were not matched, and for nothing else."""
    answered = ask(filled, keyed(level, **keys))
    assert (answered.ids, answered.statuses) == ("01234", {status})


def test_times_are_answered_with_their_zone(filled: Door) -> None:
    """C.4.1.1.3.2: never with zero length."""
    answered = ask(filled, keyed(StudyTime="", TimezoneOffsetFromUTC=""))
    zones = {match.StudyID: match.get("TimezoneOffsetFromUTC") for match in answered.matches}
    assert zones == {"0": None, "1": "+0100", "2": None, "3": None, "4": None}
    assert all("TimezoneOffsetFromUTC" not in match for match in ask(filled, keyed()).matches)


# --- Repository Query (C.6.4) ---


def test_records_in_portions(filled: Door) -> None:
    """Each record once, in the order of its key, with B001 for as long as there are more."""
    seen: list[str] = []
    prior, statuses = b"", []
    while not statuses or statuses[-1] == 0xB001:
        asked = keyed(RecordKey=b"", MaximumNumberOfRecords=2)
        if prior:
            asked.PriorRecordKey = prior
        status, matches = _records(filled, asked)
        statuses.append(status)
        assert [match.RecordKey for match in matches] == sorted(match.RecordKey for match in matches)
        seen += [match.StudyID for match in matches]
        prior = matches[-1].RecordKey
    assert statuses == [0xB001, 0xB001, 0]
    assert seen == list("01234")


def test_a_record_key_from_elsewhere(filled: Door) -> None:
    status, matches = _records(filled, keyed(RecordKey=b"", PriorRecordKey=b"abc"))
    assert (status, matches) == (0xA710, [])


def _records(door: Door, asked: Dataset) -> tuple[int, list[Dataset]]:
    """Over our own requestor: pynetdicom waits for another response after B001."""
    from io import BytesIO

    from pydicom.filereader import read_dataset

    with door.open(Proposal(REPOSITORY_QUERY, (ExplicitVRLittleEndian,))) as association:
        request = request_of(C_FIND, MessageID=1, AffectedSOPClassUID=REPOSITORY_QUERY, Priority=0)
        association.send(context_id(association, REPOSITORY_QUERY), request, [encoded(asked)])
        found = []
        while (message := response(association)).command.Status == 0xFF00:
            found.append(read_dataset(BytesIO(b"".join(message.data or ())), False, True))
        return message.command.Status, found


def test_too_broad_a_question_says_what_to_add(filled: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Error Comment has 64 characters: the next step comes first."""
    monkeypatch.setattr("archive.services.search.Search.maximum_examined", 2)
    refused = ask(filled, keyed("IMAGE", EchoTime="1"))
    assert (refused.matches, refused.final.Status) == ([], 0xA700)
    assert refused.final.ErrorComment.startswith("too broad: add a narrower PatientID, StudyDate")
    assert ask(filled, keyed("IMAGE", EchoTime="1", PatientID="P1")).final.Status == 0


# --- C-CANCEL ---


def test_cancel_while_nothing_is_found(tmp_path: Path) -> None:
    """The key has to be looked for in each object, and is in none of them."""
    with open_door(tmp_path / "data") as door:
        keep(door, *(secondary_capture() for _ in range(40)))
        with door.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,))) as association:
            context = context_id(association, STUDY_ROOT)
            request = request_of(C_FIND, MessageID=3, AffectedSOPClassUID=STUDY_ROOT, Priority=0)
            asked = data_set("IMAGE", SOPInstanceUID="", DerivationDescription="none")
            association.send(context, request, [encoded(asked)])
            cancel(association, context, 3)
            assert response(association).command.Status == 0xFE00
