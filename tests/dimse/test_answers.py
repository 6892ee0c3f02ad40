"""C-FIND responses hold what was asked for, in the character set that was asked in whenever that can be."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRLittleEndian

from archive.dimse.answers import AnswerForm, encoder, failed_instances
from archive.dimse.identifier import Identifier, RequestElement, read
from identifiers import data_set, encoded, identifier

MATCH = {
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Zoë"}]},
    "00100020": {"vr": "LO", "Value": ["4711"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "00201208": {"vr": "IS", "Value": [12]},
    "00400275": {
        "vr": "SQ",
        "Value": [{"00400009": {"vr": "SH", "Value": ["S1"]}, "00401001": {"vr": "SH", "Value": ["R1"]}}],
    },
}


def answer(*, implicit: bool = False, **keywords: Any) -> Dataset:
    form = AnswerForm(identifier("STUDY", **keywords), "ARCHIVE", implicit)
    raw = encoder(form)(MATCH)
    assert len(raw) % 2 == 0
    return read_dataset(BytesIO(raw), implicit, True)


@pytest.mark.parametrize("implicit", [True, False])
def test_requested_keys_come_back_and_no_others(implicit: bool) -> None:
    found = answer(implicit=implicit, PatientID="*", StudyDate="", NumberOfStudyRelatedInstances="")
    assert found.PatientID == "4711"
    assert found["StudyDate"].is_empty
    assert found.NumberOfStudyRelatedInstances == 12
    assert "PatientName" not in found
    assert "StudyInstanceUID" not in found


def test_every_answer_says_where_it_is() -> None:
    found = answer(PatientID="", RetrieveAETitle="")
    assert found.QueryRetrieveLevel == "STUDY"
    assert found.RetrieveAETitle == "ARCHIVE"
    assert found.InstanceAvailability == "ONLINE"


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("ISO_IR 100", "ISO_IR 100"), ("ISO_IR 192", "ISO_IR 192"), ("GB18030", "GB18030")],
)
def test_the_request_s_character_set_when_it_holds_the_answer(asked: str, answered: str) -> None:
    found = answer(SpecificCharacterSet=asked, PatientName="")
    assert found.SpecificCharacterSet == answered
    assert found.PatientName == "Müller^Zoë"


@pytest.mark.parametrize("asked", [None, "ISO_IR 144", ["", "ISO 2022 IR 87"], "ISO_IR 6"])
def test_utf_8_otherwise(asked: Any) -> None:
    keywords = {"SpecificCharacterSet": asked} if asked is not None else {}
    found = answer(PatientName="", **keywords)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.PatientName == "Müller^Zoë"


def test_utf_8_when_the_request_names_no_known_set() -> None:
    raw = encoded(data_set("STUDY", SpecificCharacterSet="ISO_IR 6", PatientName=""))
    asked = read(raw.replace(b"ISO_IR 6", b"NONSENSE"), ExplicitVRLittleEndian)
    answered = encoder(AnswerForm(asked, "ARCHIVE", implicit=False))(MATCH)
    assert read_dataset(BytesIO(answered), False, True).SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize(
    "name", ["ISO_IR \u0661", "ISO_IR 192" + "_" * 5000, "\\".join(["ISO_IR 100"] * 500)]
)
def test_utf_8_when_the_set_could_not_be_named_in_the_answer(name: str) -> None:
    asked = Identifier("STUDY", tuple(name.split("\\")), {0x00100010: RequestElement("PN")})
    answered = encoder(AnswerForm(asked, "ARCHIVE", implicit=False))(MATCH)
    assert read_dataset(BytesIO(answered), False, True).SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", None])
def test_what_a_sender_got_wrong_does_not_silence_the_answer(charset: str | None) -> None:
    match = {
        "00080060": {"vr": "CS", "Value": ["ÄÖ"]},
        "00101030": {"vr": "DS", "Value": ["not measured, unknown"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "M\ufffdFCller"}]},
    }
    keywords = {} if charset is None else {"SpecificCharacterSet": charset}
    asked = identifier("STUDY", Modality="", PatientWeight="", PatientName="", **keywords)
    raw = encoder(AnswerForm(asked, "ARCHIVE", implicit=True))(match)
    assert b"?? " not in raw
    assert b"??" in raw
    assert b"not measured, unknown " in raw
    assert "M\ufffdFCller".encode() in raw


def test_no_character_set_for_ascii() -> None:
    assert "SpecificCharacterSet" not in answer(PatientID="")


def test_sequences_are_narrowed_to_what_was_asked() -> None:
    item = data_set(None, ScheduledProcedureStepID="", ScheduledProcedureStepDescription="")
    narrow = answer(RequestAttributesSequence=[item]).RequestAttributesSequence[0]
    assert narrow.ScheduledProcedureStepID == "S1"
    assert narrow["ScheduledProcedureStepDescription"].is_empty
    assert "RequestedProcedureID" not in narrow
    whole = answer(RequestAttributesSequence=[]).RequestAttributesSequence[0]
    assert whole.RequestedProcedureID == "R1"


def test_unknown_keys_come_back_empty() -> None:
    asked = data_set("STUDY", InstitutionAddress="")
    asked.add_new(0x00091001, "LO", "private")
    form = AnswerForm(read(encoded(asked), ExplicitVRLittleEndian), "ARCHIVE", implicit=False)
    found = read_dataset(BytesIO(encoder(form)(MATCH)), False, True)
    assert found["InstitutionAddress"].is_empty
    assert not found[0x00091001].value


def test_failed_instances() -> None:
    raw = failed_instances(["1.2.3", "1.2.34"], implicit=True)
    assert read_dataset(BytesIO(raw), True, True).FailedSOPInstanceUIDList == ["1.2.3", "1.2.34"]


@pytest.mark.parametrize(("implicit", "expected"), [(True, 5000), (False, 65534 // 33)])
def test_failed_instances_fit_their_vr(implicit: bool, expected: int) -> None:
    uids = [f"2.25.{10**26 + number}" for number in range(5000)]
    assert {len(uid) for uid in uids} == {32}
    raw = failed_instances(uids, implicit=implicit)
    assert len(read_dataset(BytesIO(raw), implicit, True).FailedSOPInstanceUIDList) == expected
