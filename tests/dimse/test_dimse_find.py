"""C-FIND end to end, asked by pynetdicom: levels, matching, character sets, limits, cancel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_FIND

from archive.dicom.errors import AssociationRejected
from archive.network.association import Association, Message
from archive.network.commands import request_of
from archive.network.requestor import Proposal
from door import AE_TITLE, Door, cancel, context_id, keep, open_door, response, store
from identifiers import data_set, encoded
from objects import ct, mr, secondary_capture, series

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"

STUDIES = {
    "A": {"PatientID": "P1", "PatientName": "Doe^Jane", "StudyDate": "20240110", "AccessionNumber": "100%"},
    "B": {"PatientID": "P1", "PatientName": "Doe^Jane", "StudyDate": "20240220", "AccessionNumber": "100x"},
    "C": {"PatientID": "P2", "PatientName": "Roe^Richard", "StudyDate": "20240330", "AccessionNumber": "A_C"},
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Three studies of two patients: A has a CT series of two and an MR series of one instance."""
    with open_door(tmp_path_factory.mktemp("find") / "data") as door:
        for name, attributes in STUDIES.items():
            keywords = {**attributes, "StudyInstanceUID": uid(name), "StudyID": name}
            keep(door, *series(small_ct, 2, **{**keywords, "SeriesInstanceUID": uid(name) + ".1"}))
        only_a = {**STUDIES["A"], "StudyInstanceUID": uid("A"), "StudyID": "A"}
        keep(door, *series(small_mr, 1, **{**only_a, "SeriesInstanceUID": uid("A") + ".2"}))
        yield door


def uid(name: str) -> str:
    return f"1.2.3.{ord(name)}"


def small_ct(**keywords: Any) -> Dataset:
    return ct(Rows=8, Columns=8, PixelData=bytes(128), **keywords)


def small_mr(**keywords: Any) -> Dataset:
    return mr(Rows=8, Columns=8, PixelData=bytes(128), **keywords)


def ask(door: Door, identifier: Dataset, root: str = STUDY_ROOT) -> tuple[list[Dataset], Dataset]:
    """The matches and the final status."""
    association = door.associate([(root, [ExplicitVRLittleEndian])])
    try:
        answers = list(association.send_c_find(identifier, root))
    finally:
        association.release()
    *pending, (final, nothing) = answers
    assert nothing is None
    assert all(status.Status in (0xFF00, 0xFF01) for status, _ in pending)
    return [match for _, match in pending if match is not None], final


def names(matches: list[Dataset]) -> set[str]:
    return {match.StudyID for match in matches}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "ABC"),
        ({"PatientName": "*"}, "ABC"),
        ({"PatientName": "doe^jane"}, "AB"),
        ({"PatientName": "Doe*"}, "AB"),
        ({"PatientName": "?oe*"}, "ABC"),
        ({"PatientID": "P2"}, "C"),
        ({"StudyDate": "20240110"}, "A"),
        ({"StudyDate": "20240201-20240401"}, "BC"),
        ({"StudyDate": "-20240220"}, "AB"),
        ({"StudyDate": "20240221-"}, "C"),
        ({"StudyInstanceUID": [uid("A"), uid("C"), "1.9.9"]}, "AC"),
        ({"ModalitiesInStudy": "MR"}, "A"),
        ({"ModalitiesInStudy": ["MR", "CT"]}, "ABC"),
        ({"AccessionNumber": "100%"}, "A"),
        ({"AccessionNumber": "100?"}, "AB"),
        ({"AccessionNumber": "A_*"}, "C"),
        ({"AccessionNumber": "AxC"}, ""),
        ({"PatientName": "'; DROP TABLE studies; --"}, ""),
        ({"PatientID": "P1", "StudyDate": "20240220"}, "B"),
    ],
)
@pytest.mark.parametrize("root", [PATIENT_ROOT, STUDY_ROOT])
def test_matching(filled: Door, keys: dict[str, Any], expected: str, root: str) -> None:
    matches, final = ask(filled, data_set("STUDY", StudyID="", **keys), root)
    assert final.Status == 0
    assert names(matches) == set(expected)
    assert len(matches) == len(expected)


def test_patient_level(filled: Door) -> None:
    asked = data_set("PATIENT", PatientID="", PatientName="", NumberOfPatientRelatedStudies="")
    matches, _ = ask(filled, asked, PATIENT_ROOT)
    assert {(m.PatientID, str(m.PatientName), m.NumberOfPatientRelatedStudies) for m in matches} == {
        ("P1", "Doe^Jane", 2),
        ("P2", "Roe^Richard", 1),
    }
    assert all(match.QueryRetrieveLevel == "PATIENT" for match in matches)


def test_series_and_image_level(filled: Door) -> None:
    asked = data_set(
        "SERIES",
        StudyInstanceUID=uid("A"),
        Modality="",
        SeriesInstanceUID="",
        NumberOfSeriesRelatedInstances="",
    )
    matches, _ = ask(filled, asked)
    assert {(m.Modality, m.NumberOfSeriesRelatedInstances) for m in matches} == {("CT", 2), ("MR", 1)}
    asked = data_set(
        "IMAGE",
        StudyInstanceUID=uid("A"),
        SeriesInstanceUID=uid("A") + ".1",
        InstanceNumber="",
        SOPInstanceUID="",
        Rows=None,
    )
    matches, _ = ask(filled, asked)
    assert [(m.InstanceNumber, m.Rows) for m in matches] == [(1, 8), (2, 8)]


def test_relational_search_without_upper_keys(filled: Door) -> None:
    matches, final = ask(filled, data_set("SERIES", Modality="MR", SeriesInstanceUID="", PatientName="Doe*"))
    assert final.Status == 0
    assert [match.SeriesInstanceUID for match in matches] == [uid("A") + ".2"]


def test_every_answer_names_the_archive(filled: Door) -> None:
    (match,), _ = ask(filled, data_set("STUDY", StudyID="", StudyInstanceUID=uid("B")))
    assert match.RetrieveAETitle == AE_TITLE
    assert match.InstanceAvailability == "ONLINE"
    assert "PatientName" not in match


def test_attributes_that_are_not_in_the_index_come_from_the_objects(filled: Door) -> None:
    (match,), final = ask(filled, data_set("SERIES", SeriesInstanceUID=uid("B") + ".1", KVP="", Rows=None))
    assert final.Status == 0
    assert match.KVP == 120


def test_unsupported_keys_are_said(filled: Door) -> None:
    asked = data_set("STUDY", StudyID="", KVP="120")
    association = filled.associate([(STUDY_ROOT, [ImplicitVRLittleEndian])])
    statuses = [status.Status for status, _ in association.send_c_find(asked, STUDY_ROOT)]
    association.release()
    assert statuses == [0xFF01, 0xFF01, 0xFF01, 0]


@pytest.mark.parametrize(
    "asked",
    [
        data_set(None, StudyInstanceUID="1.2"),
        data_set("EXAM", StudyInstanceUID="1.2"),
        data_set("PATIENT", PatientID="P1"),
        data_set("STUDY", SOPInstanceUID="1.2"),
        data_set("STUDY", AccessionNumber=["1", "2"]),
        data_set("STUDY", StudyDate="20241301"),
    ],
)
def test_identifiers_that_cannot_be_asked(filled: Door, asked: Dataset) -> None:
    matches, final = ask(filled, asked)
    assert matches == []
    assert final.Status == 0xA900
    assert final.ErrorComment


def find(association: Any, identifier: bytes, message_id: int = 1) -> int:
    """Send a C-FIND-RQ with these bytes; the context."""
    context = context_id(association, STUDY_ROOT)
    request = request_of(C_FIND, MessageID=message_id, AffectedSOPClassUID=STUDY_ROOT, Priority=0)
    association.send(context, request, [identifier])
    return context


@pytest.mark.parametrize("identifier", [b"garbage of some length", b"\x08\x00\x52\x00CS\x06\x00STU"])
def test_identifiers_that_are_no_data_set(filled: Door, identifier: bytes) -> None:
    with filled.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,))) as association:
        find(association, identifier)
        assert response(association).command.Status == 0xC000
        find(association, encoded(data_set("STUDY", StudyInstanceUID=uid("A"))), 2)
        assert response(association).command.Status == 0xFF00
        assert response(association).command.Status == 0


def test_a_long_list_of_uids(filled: Door) -> None:
    many = [f"1.2.999.{number}" for number in range(50_000)]
    raw = encoded(data_set("STUDY", StudyID="", StudyInstanceUID=[*many, uid("B")]), implicit=True)
    with filled.open(Proposal(STUDY_ROOT, (ImplicitVRLittleEndian,))) as association:
        find(association, raw)
        assert response(association).command.Status == 0xFF00
        assert response(association).command.Status == 0


@pytest.mark.parametrize(("keys", "says"), [(2000, "more than 1000 elements"), (1_000_000, "longer than")])
def test_an_identifier_of_countless_keys(filled: Door, keys: int, says: str) -> None:
    empty = b"".join(
        b"\x09\0" + (number & 0xFFFF).to_bytes(2, "little") + bytes(4) for number in range(1, keys)
    )
    raw = encoded(data_set("STUDY"), implicit=True) + empty
    with filled.open(Proposal(STUDY_ROOT, (ImplicitVRLittleEndian,))) as association:
        for number in (1, 2):
            find(association, raw, number)
            answer = response(association).command
            assert (answer.Status, answer.MessageIDBeingRespondedTo) == (0xA900, number)
            assert says in answer.ErrorComment


def test_values_that_their_vr_does_not_allow_are_answered_all_the_same(door: Door) -> None:
    right, wrong = small_ct(BodyPartExamined="HEAD"), small_ct(BodyPartExamined="MARK", PatientWeight="70")
    keep(door, right)
    spoilt = (
        encoded(wrong).replace(b"MARK", b"GES\xc4").replace(b"DS\x02\x0070", b"DS\x14\0not measured, unknow")
    )
    with door.open(Proposal(wrong.SOPClassUID, (ExplicitVRLittleEndian,))) as association:
        assert store(association, spoilt, wrong.SOPClassUID, wrong.SOPInstanceUID).Status == 0
    asked = data_set("IMAGE", SOPInstanceUID="", BodyPartExamined="")
    asked.add_new(0x00101030, "DS", "")
    with door.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,))) as association:
        find(association, encoded(asked))
        answers = [(one.command.Status, b"".join(one.data or ())) for one in _responses(association)]
    assert [status for status, _ in answers] == [0xFF00, 0xFF00, 0]
    said = b"".join(data for _, data in answers)
    assert all(value in said for value in (b"HEAD", b"GES?", b"not measured, unknow"))


def _responses(association: Association) -> Iterator[Message]:
    """Up to the final one."""
    while True:
        yield (one := response(association))
        if one.command.Status != 0xFF00:
            return


def test_more_matches_than_allowed(tmp_path: Path) -> None:
    with open_door(tmp_path / "data", limits__maximum_query_results=2) as door:
        keep(door, secondary_capture(), secondary_capture(), secondary_capture())
        matches, final = ask(door, data_set("STUDY", StudyInstanceUID=""))
    assert len(matches) == 2
    assert final.Status == 0xA700
    assert "narrow" in final.ErrorComment


def test_cancel(tmp_path: Path) -> None:
    with open_door(tmp_path / "data") as door:
        keep(door, *(secondary_capture() for _ in range(60)))
        with door.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,))) as association:
            # the answers are long, so that the archive cannot have sent all before it sees the cancel
            asked = data_set("STUDY", StudyInstanceUID="", PatientName="")
            context = find(association, encoded(asked), 7)
            cancel(association, context, 7)
            statuses = [response(association).command.Status]
            while statuses[-1] == 0xFF00:
                statuses.append(response(association).command.Status)
            assert statuses[-1] == 0xFE00
            assert len(statuses) < 60
            find(association, encoded(asked), 8)
            assert response(association).command.Status == 0xFF00


def test_an_index_that_is_gone_is_a_status_and_not_the_end(tmp_path: Path) -> None:
    with (
        open_door(tmp_path / "data") as door,
        door.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,))) as association,
    ):
        (tmp_path / "data" / "index.sqlite").write_bytes(b"no database " * 10_000)
        for number in (1, 2):
            find(association, encoded(data_set("STUDY", StudyInstanceUID="")), number)
            answer = response(association).command
            assert answer.Status == 0xA700
            assert answer.ErrorComment
            assert answer.MessageIDBeingRespondedTo == number
        with pytest.raises(AssociationRejected) as rejected:
            door.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,)))
        assert (rejected.value.result, rejected.value.source, rejected.value.diagnostic) == (2, 3, 1)


NAMES = [
    ("ISO_IR 192", "Müller^Zoë=張^小東", "Müller^*"),
    ("ISO_IR 100", "Müller^Zoë", "MÜLLER^ZOË"),
    ("GB18030", "Wang^XiaoDong=王^小东", "*王*"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "*山田*"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "*山田*"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "*홍*"),
    ("ISO_IR 144", "Люкceмбypг", "Люк*"),
]


@pytest.mark.parametrize(("charset", "name", "pattern"), NAMES)
def test_names_of_many_countries(door: Door, charset: Any, name: str, pattern: str) -> None:
    keep(door, secondary_capture(SpecificCharacterSet=charset, PatientName=name, PatientID="X"))
    keep(door, secondary_capture(PatientName="Other^Name", PatientID="Y"))
    for asked_in in (charset, "ISO_IR 192"):
        asked = data_set("STUDY", SpecificCharacterSet=asked_in, PatientName=pattern, PatientID="")
        (match,), final = ask(door, asked)
        assert final.Status == 0
        assert match.PatientID == "X"
        assert str(match.PatientName) == name
        expected = asked_in if isinstance(asked_in, str) else [part or "" for part in asked_in]
        assert match.SpecificCharacterSet == expected


def test_a_name_that_the_asked_set_does_not_hold(door: Door) -> None:
    keep(door, secondary_capture(SpecificCharacterSet="ISO_IR 192", PatientName="王^小东"))
    for asked_in in ("ISO_IR 100", None):
        keywords = {} if asked_in is None else {"SpecificCharacterSet": asked_in}
        (match,), _ = ask(door, data_set("STUDY", PatientName="", **keywords))
        assert match.SpecificCharacterSet == "ISO_IR 192"
        assert match.PatientName == "王^小东"
