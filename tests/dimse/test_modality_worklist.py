"""The modality worklist over C-FIND, as modalities ask for it (PS3.4 annex K; dimse.md 1.5: Modality Worklist SCP)."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import ModalityWorklistInformationFind

from archive.dicom.matching.item_matching import DataSetTest
from archive.dicom.worklist import keyword_form
from archive.network.commands import request_of
from archive.network.requestor import Proposal
from archive.security.operations import ALL_OPERATIONS, Operation
from archive.security.rules import Rules
from door import Door, cancel, context_id, open_door, response
from test_dimse_dcmtk import run, tool
from worklists import written

FIND = str(ModalityWorklistInformationFind)
CONTEXT = (FIND, [ExplicitVRLittleEndian])


def enter(door: Door, **attributes: Any) -> int:
    [key] = door.archive.worklist.add(keyword_form.data_set(written(**attributes)), "test")
    return key


def keys(**attributes: Any) -> Dataset:
    """An Identifier. Keys of the scheduled procedure step begin with `Step_`."""
    step, whole = Dataset(), Dataset()
    for keyword, value in attributes.items():
        setattr(step if keyword.startswith("Step_") else whole, keyword.removeprefix("Step_"), value)
    whole.ScheduledProcedureStepSequence = [step]
    return whole


def find(door: Door, identifier: Dataset, **options: Any) -> tuple[list[Dataset], list[int]]:
    """The answers, and the statuses."""
    with_context = [(FIND, [options.pop("transfer_syntax", ExplicitVRLittleEndian)])]
    association = door.associate(with_context, **options)
    found = list(association.send_c_find(identifier, FIND))
    association.release()
    return [data for _, data in found if data is not None], [status.Status for status, _ in found]


def accessions(door: Door, **attributes: Any) -> list[str]:
    found, statuses = find(door, keys(AccessionNumber="", **attributes))
    assert statuses[-1] == 0
    return [one.AccessionNumber for one in found]


@pytest.fixture
def filled(door: Door) -> Door:
    """Three entries that differ in everything that modalities ask for."""
    enter(door, AccessionNumber="A", PatientID="P1", PatientName="Müller^Jörg", AdmissionID="V1")
    enter(
        door,
        AccessionNumber="B",
        PatientID="P2",
        PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
        Step_Modality="MR",
        Step_ScheduledStationAETitle=["MR1", "MR2"],
        Step_ScheduledProcedureStepStartDate="20261124",
        Step_ScheduledProcedureStepStartTime="083000",
        Step_ScheduledPerformingPhysicianName="House^Gregory",
    )
    enter(
        door,
        AccessionNumber="C",
        PatientID="P3",
        PatientName="Moller^Ann",
        Step_ScheduledProcedureStepStartDate="20261125",
        Step_ScheduledProcedureStepStartTime="1800",
        Step_ScheduledProtocolCodeSequence=[
            {"CodeValue": "HEAD", "CodingSchemeDesignator": "L", "CodeMeaning": "Head protocol"}
        ],
    )
    return door


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, "ABC"),
        ({"Step_ScheduledStationAETitle": "CT1"}, "AC"),
        ({"Step_ScheduledStationAETitle": "MR2"}, "B"),
        ({"Step_ScheduledStationAETitle": "XX"}, ""),
        ({"Step_Modality": "MR"}, "B"),
        ({"Step_Modality": "MR", "PatientID": "P1"}, ""),
        ({"Step_ScheduledProcedureStepStartDate": "20261124"}, "B"),
        ({"Step_ScheduledProcedureStepStartDate": "20261124-"}, "BC"),
        ({"Step_ScheduledProcedureStepStartDate": "20261123-20261124"}, "AB"),
        ({"Step_ScheduledProcedureStepStartTime": "0800-0900"}, "B"),
        ({"Step_ScheduledPerformingPhysicianName": "house*"}, "B"),
        ({"PatientName": "M*"}, "AC"),
        ({"PatientName": "MÜLLER^JÖRG"}, "A"),
        ({"PatientName": "muller^jorg"}, "A"),
        ({"PatientName": "=山田*"}, "B"),
        ({"PatientID": "P3"}, "C"),
        ({"PatientID": "p3"}, ""),
        ({"AccessionNumber": "B"}, "B"),
        ({"RequestedProcedureDescription": "CT of*"}, "ABC"),
        ({"AdmissionID": "V1"}, "A"),
        ({"AdmissionID": "*"}, "ABC"),
        ({"Step_ScheduledProcedureStepID": "none"}, ""),
    ],
)
def test_matching(filled: Door, asked: dict[str, str], found: str) -> None:
    """PS3.4 Table K.6-1 with the kinds of matching of C.2.2.2; an attribute that an entry does not have matches no
    value (K.2.2.1.1.1)."""
    identifier = {"SpecificCharacterSet": "ISO_IR 192", **asked}
    answers, statuses = find(filled, keys(**{"AccessionNumber": "", **identifier}))
    assert "".join(one.AccessionNumber for one in answers) == found
    assert statuses == [0xFF00] * len(found) + [0]


@pytest.mark.parametrize(
    ("dates", "times", "found"),
    [
        ("20261123-20261124", "1000-0900", "AB"),
        ("20261123-20261124", "1100-0900", "B"),
        ("20261123-20261125", "1000-1700", "AB"),
        ("20261123", "1000-1100", "A"),
    ],
)
def test_a_range_of_dates_and_one_of_times_are_one(filled: Door, dates: str, times: str, found: str) -> None:
    """PS3.4 K.6.1.2.2, remark on Scheduled Procedure Step Start Date: from July 5, 10am, until July 7, 6pm."""
    asked = {"Step_ScheduledProcedureStepStartDate": dates, "Step_ScheduledProcedureStepStartTime": times}
    assert "".join(accessions(filled, **asked)) == found


def test_sequences_are_matched_to_the_bottom(filled: Door) -> None:
    code = Dataset()
    code.CodeValue = "HEAD"
    assert accessions(filled, Step_ScheduledProtocolCodeSequence=[code]) == ["C"]
    code.CodingSchemeDesignator = "OTHER"
    assert accessions(filled, Step_ScheduledProtocolCodeSequence=[code]) == []


def test_every_key_comes_back(filled: Door) -> None:
    """Return keys without a value have zero length; a sequence shows what the item asks for, or all of it."""
    code = Dataset()
    code.CodeMeaning = ""
    asked = keys(
        PatientID="P3", PatientWeight="", Step_ScheduledProtocolCodeSequence=[code], Step_Modality=""
    )
    asked.RequestedProcedureCodeSequence = []
    asked.PatientBirthDate = ""
    [answer], _ = find(filled, asked)
    assert answer.PatientID == "P3"
    assert answer["PatientWeight"].is_empty
    assert answer["PatientBirthDate"].is_empty
    assert answer.RequestedProcedureCodeSequence == []
    [step] = answer.ScheduledProcedureStepSequence
    assert [element.keyword for element in step] == ["Modality", "ScheduledProtocolCodeSequence"]
    assert [element.keyword for element in step.ScheduledProtocolCodeSequence[0]] == ["CodeMeaning"]
    assert "PatientName" not in answer
    assert "QueryRetrieveLevel" not in answer


def test_a_whole_sequence_is_asked_for_by_none_of_its_items(filled: Door) -> None:
    asked = Dataset()
    asked.PatientID, asked.ScheduledProcedureStepSequence = "P2", []
    [answer], _ = find(filled, asked)
    [step] = answer.ScheduledProcedureStepSequence
    assert step.ScheduledStationAETitle == ["MR1", "MR2"]
    assert step.ScheduledProcedureStepStatus == "SCHEDULED"


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("ISO_IR 100", "ISO_IR 100"),
        ("ISO_IR 192", "ISO_IR 192"),
        ("ISO_IR 144", "ISO_IR 192"),  # Cyrillic cannot hold it
        (None, "ISO_IR 192"),
    ],
)
def test_answers_come_in_the_character_set_of_the_question(
    filled: Door, asked: str | None, answered: str
) -> None:
    identifier = keys(PatientName="", PatientID="P1")
    if asked:
        identifier.SpecificCharacterSet = asked
    [answer], _ = find(filled, identifier)
    assert answer.SpecificCharacterSet == answered
    assert answer.PatientName == "Müller^Jörg"


def test_japanese_in_iso_2022(filled: Door) -> None:
    identifier = keys(PatientName="", PatientID="P2")
    identifier.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    [answer], _ = find(filled, identifier)
    assert answer.SpecificCharacterSet == ["", "ISO 2022 IR 87"]
    assert answer.PatientName == "Yamada^Tarou=山田^太郎=やまだ^たろう"


def test_the_character_set_of_the_ae(filled: Door) -> None:
    filled.archive.ae_titles.add("OLDCT", "127.0.0.1", 104, Rules(character_set="ISO_IR 100"))
    [answer], _ = find(filled, keys(PatientName="", PatientID="P1"), ae_title="OLDCT")
    assert answer.SpecificCharacterSet == "ISO_IR 100"


def test_names_alike_where_that_is_agreed(filled: Door) -> None:
    """PS3.4 K.5.1, byte 3."""
    fuzzy = SOPClassExtendedNegotiation()
    fuzzy.sop_class_uid, fuzzy.service_class_application_information = FIND, b"\1\1\1\0"
    asked = keys(PatientName="Mueller", AccessionNumber="")
    plain, _ = find(filled, asked)
    association = filled.associate([CONTEXT], ext_neg=[fuzzy])
    answered = association.acceptor.sop_class_extended[FIND]
    found = [data.AccessionNumber for _, data in association.send_c_find(asked, FIND) if data]
    association.release()
    assert answered == b"\1\1\1\0"
    assert (plain, found) == ([], ["A"])


def test_implicit_vr(filled: Door) -> None:
    [answer], statuses = find(
        filled, keys(PatientID="P1", Step_Modality=""), transfer_syntax=ImplicitVRLittleEndian
    )
    assert statuses == [0xFF00, 0]
    assert answer.ScheduledProcedureStepSequence[0].Modality == "CT"


def test_private_keys_are_not_matched_and_that_is_said(filled: Door) -> None:
    """PS3.4 Table K.4-1: FF01."""
    asked = keys(PatientID="P1")
    asked.private_block(0x0009, "SOMEBODY", create=True).add_new(1, "LO", "value")
    found, statuses = find(filled, asked)
    assert len(found) == 1
    assert statuses == [0xFF01, 0]


def test_a_number_that_means_none_does_not_keep_everything_out(filled: Door) -> None:
    """dcmjs-dimse puts PregnancyStatus into each query, and 0 into that."""
    enter(filled, PatientID="P9", PregnancyStatus=3)
    found, statuses = find(filled, keys(PregnancyStatus=0, PatientID="P9"))
    assert [one.PregnancyStatus for one in found] == [3]
    assert statuses == [0xFF01, 0]


@pytest.mark.parametrize(
    ("attributes", "tag"),
    [
        ({"Step_ScheduledProcedureStepStartDate": "tomorrow"}, None),
        ({"PatientID": "two\\ids"}, None),
    ],
)
def test_questions_that_cannot_be_asked(filled: Door, attributes: dict[str, str], tag: int | None) -> None:
    from pydicom import config

    with config.disable_value_validation():
        found, statuses = find(filled, keys(**attributes))
    assert found == []
    assert statuses == [0xA900]


def test_cancel_and_limit(tmp_path: Path) -> None:
    with open_door(tmp_path / "data", limits__maximum_query_results=5) as door:
        for _ in range(8):
            enter(door)
        found, statuses = find(door, keys(AccessionNumber=""))
        assert len(found) == 5
        assert statuses[-1] == 0xA700
        with door.open(Proposal(FIND, (ExplicitVRLittleEndian,))) as association:
            context = context_id(association, FIND)
            data = encode(keys(AccessionNumber=""), False, True)
            association.send(
                context, request_of(C_FIND, MessageID=7, AffectedSOPClassUID=FIND, Priority=0), [data]
            )
            cancel(association, context, 7)
            statuses = []
            while not statuses or statuses[-1] == 0xFF00:
                statuses.append(response(association).command.Status)
        assert statuses[-1] in (0xFE00, 0xA700)


def test_cancel_while_nothing_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long worklist of which nothing is wanted is not read to its end."""
    monkeypatch.setattr("archive.services.worklist.BATCH", 1)
    with open_door(tmp_path / "data") as door:
        for _ in range(40):
            enter(door)
        held = threading.Event()
        test = DataSetTest.passes

        def passes(self: DataSetTest, *asked: Any) -> bool:
            held.wait(20)
            return test(self, *asked)

        monkeypatch.setattr(DataSetTest, "passes", passes)
        with door.open(Proposal(FIND, (ExplicitVRLittleEndian,))) as association:
            context = context_id(association, FIND)
            data = encode(keys(AccessionNumber="NOBODY"), False, True)
            association.send(
                context, request_of(C_FIND, MessageID=7, AffectedSOPClassUID=FIND, Priority=0), [data]
            )
            cancel(association, context, 7)
            held.set()
            assert response(association).command.Status == 0xFE00


def test_a_right_of_its_own(filled: Door) -> None:
    """Rights are per operation: who may find studies need not see the worklist."""
    rules = Rules(operations=ALL_OPERATIONS - {Operation.WORKLIST})
    filled.archive.ae_titles.add("STRANGER", "127.0.0.1", 104, rules)
    from pynetdicom import AE

    ae = AE("STRANGER")
    ae.add_requested_context(FIND)
    association = ae.associate("127.0.0.1", filled.port, ae_title="ARCHIVE")
    assert [context.result for context in association.rejected_contexts] == [1]
    association.abort()


@pytest.mark.skipif(tool("findscu") is None, reason="DCMTK's tools are not installed")
def test_findscu(filled: Door) -> None:
    step = "(0040,0100)[0]"
    options = [
        "-k",
        f"{step}.Modality=MR",
        "-k",
        f"{step}.ScheduledProcedureStepStartDate",
        "-k",
        "PatientName",
    ]
    said = run("findscu", filled, "-W", *options, "-k", "SpecificCharacterSet=ISO_IR 192")
    assert "20261124" in said
    assert "山田" in said
    assert "P1" not in said
    assert "Received Final Find Response (Success)" in said


@pytest.mark.skipif(tool("findscu") is None, reason="DCMTK's tools are not installed")
def test_findscu_with_a_query_file_of_dcmtk(filled: Door, tmp_path: Path) -> None:
    """As `wlistqry.dump` of DCMTK's documentation asks."""
    dump = tmp_path / "query.dump"
    dump.write_text(
        "(0008,0050) SH\n(0010,0010) PN\n(0010,0020) LO\n(0010,0030) DA\n(0010,0040) CS\n(0020,000d) UI\n"
        "(0032,1060) LO\n(0040,1001) SH\n(0040,0100) SQ\n(fffe,e000) -\n(0008,0060) CS\n"
        "(0040,0001) AE CT1\n(0040,0002) DA 20261123-20261130\n(0040,0003) TM\n(0040,0009) SH\n"
        "(fffe,e00d) -\n(fffe,e0dd) -\n"
    )
    query = tmp_path / "query.dcm"
    subprocess.run([str(tool("dump2dcm")), dump, query], check=True, capture_output=True, timeout=60)
    said = run("findscu", filled, "-W", files=[query])
    assert said.count("(Pending)") == 2, "A and C are of CT1"
