"""Every kind of matching over HTTP, of whatever attribute (Q2, Q4-Q8, Q12; PS3.4 C.2.2.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom import Dataset, Sequence

from archive.services.search import Search
from objects import ct, mr, part10, series
from web_door import Door, running, settings_for

ACME = ("00230010", "ACME LTD")


def _private(data_set: Dataset, block: int, value: str) -> Dataset:
    """With a private attribute in a block of this number."""
    data_set.add_new(0x00230000 | block, "LO", ACME[1])
    data_set.add_new(0x00230000 | block << 8 | 1, "LO", value)
    return data_set


def _item(**keywords: Any) -> Dataset:
    item = Dataset()
    for keyword, value in keywords.items():
        setattr(item, keyword, value)
    return item


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Three studies of the patients a, b and c."""
    with running(settings_for(tmp_path_factory.mktemp("archive"))) as door:
        utf8 = {"SpecificCharacterSet": "ISO_IR 192"}
        others = [
            _item(PatientID="old1", IssuerOfPatientID="X"),
            _item(PatientID="old2", IssuerOfPatientID="Y"),
        ]
        a = {
            "PatientID": "a",
            "StudyDate": "20240101",
            "StudyTime": "233000",
            "TimezoneOffsetFromUTC": "+0100",
        }
        a |= {
            "PatientName": "Schmidt^Jörg=施密特^約爾格=シュミット^ヨルク",
            "AccessionNumber": "",
            "KVP": 120,
        }
        first = series(ct, 2, **utf8, **a, OtherPatientIDsSequence=Sequence(others))
        b = {"PatientID": "b", "StudyDate": "20240102", "StudyTime": "0015", "PatientName": "Straße^Anna"}
        second = series(ct, 1, **utf8, **b, KVP=100, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
        also = series(mr, 1, **utf8, **b, StudyInstanceUID=second[0].StudyInstanceUID)
        third = series(mr, 1, PatientName="Solo", PatientID="c", StudyDate="20240103", StudyTime="12")
        private = [*(_private(one, 0x10, "7") for one in first), _private(second[0], 0x42, "8")]
        for objects in ([*private, *third], also):  # the first instance of b speaks for its study
            answer = door.store(*(part10(one) for one in objects))
            assert answer.status_code == 200, answer.text
        yield door


def ids(door: Door, path: str = "studies", **parameters: str) -> list[str]:
    """The PatientIDs of what matches."""
    answer = door.client.get(f"/dicom-web/{path}", params=parameters)
    assert answer.status_code in (200, 204), answer.text
    assert "not matched here" not in answer.headers.get("warning", "")
    found = answer.json() if answer.status_code == 200 else []
    return sorted(one["00100020"]["Value"][0] for one in found)


FUZZY = [
    ("schmitd", ["a"]), ("jorg schmidt", ["a"]), ("*schm*", ["a"]), ("施密特約爾格", ["a"]), ("ｼｭﾐｯﾄ", ["a"]),
    ("しゅみっと", ["a"]), ("=施密特", ["a"]), ("施密特=", []), ("strasse", ["b"]), ("Straße^Anna", ["b"]),
    ("stra?e^anna", ["b"]), ("anna strase", ["b"]), ("jones", []), ("solo", ["c"]), ("Solo^*", ["c"]),
    ("*", ["a", "b", "c"]), ("^", ["a", "b", "c"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), FUZZY)
def test_fuzzy_matching(filled: Door, name: str, expected: list[str]) -> None:
    """Q7, Q11: every script and component group; and never less than without it."""
    found = ids(filled, PatientName=name, fuzzymatching="true")
    assert found == expected
    assert set(ids(filled, PatientName=name)) <= set(found)


def test_names_that_one_pattern_does_not_say(filled: Door) -> None:
    assert ids(filled, PatientName="Stra?e*") == ["b"]
    assert ids(filled, PatientName="Solo^*") == ["c"]
    assert ids(filled, PatientName="solo^*^*") == ["c"]
    assert ids(filled, PatientName="schmit*") == []


MOMENTS = [
    ({"StudyDate": "20240101-20240102", "StudyTime": "2300-0020"}, ["a", "b"]),
    ({"StudyDate": "20240101-20240102", "StudyTime": "2345-0020"}, ["b"]),
    ({"StudyDate": "20240102-", "StudyTime": "0010-"}, ["b", "c"]),
    ({"StudyDate": "-20240102", "StudyTime": "-0014"}, ["a"]),
    ({"StudyDate": "20240101-20240103", "StudyTime": "1200"}, ["c"]),
    ({"StudyDate": "20240101-", "StudyTime": "-1159"}, ["b"]),
    ({"StudyDate": "20240101", "TimezoneOffsetFromUTC": "+0100"}, ["a"]),
    ({"StudyDate": "20240102", "TimezoneOffsetFromUTC": "+0900"}, ["a", "b"]),
    ({"StudyTime": "2230", "TimezoneOffsetFromUTC": "+0000"}, ["a"]),
    ({"StudyTime": "0730", "TimezoneOffsetFromUTC": "+0900"}, ["a"]),
    ({"StudyTime": "0700-0759", "TimezoneOffsetFromUTC": " 0900"}, ["a"]),
    ({"StudyDate": "20240102", "StudyTime": "0730", "TimezoneOffsetFromUTC": "+0900"}, ["a"]),
    ({"StudyDate": "20240102-20240102", "StudyTime": "0000-0800", "TimezoneOffsetFromUTC": "+0900"}, ["a", "b"]),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "expected"), MOMENTS)
def test_combined_date_times_and_time_zones(
    filled: Door, parameters: dict[str, str], expected: list[str]
) -> None:
    """Q6; a tells its zone (+0100), b and c do not."""
    assert ids(filled, **parameters) == expected


ANY = [
    ("studies", {"OtherPatientIDsSequence.00100020": "old2"}, ["a"]),
    ("studies", {"00101002.00100020": "old*", "00101002.00100021": "Y"}, ["a"]),
    ("studies", {"00101002.00100020": "old1", "00101002.00100021": "Y"}, []),
    ("studies", {"00230010": "ACME LTD", "00231001": "7"}, ["a"]),
    ("studies", {"00230010": "ACME LTD", "00231001": "*"}, ["a", "b", "c"]),
    ("studies", {"00230010": "ACME LTD", "00231001": "8"}, ["b"]),
    ("studies", {"00230010": "ACME*"}, ["a", "b"]),
    ("studies", {"00230010": "OTHER", "00231001": "7"}, []),
    ("instances", {"KVP": "120.0"}, ["a", "a"]),
    ("instances", {"KVP": "100", "PatientID": "b"}, ["b"]),
    ("instances", {"RequestAttributesSequence.ScheduledProcedureStepID": "SPS1", "KVP": "120"}, ["a", "a"]),
    ("series", {"FrameOfReferenceUID": "1.2.3"}, []),
    ("series", {"00081111.00081150": ""}, ["a", "b", "b", "c"]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "parameters", "expected"), ANY)
def test_any_attribute_of_the_level(
    filled: Door, path: str, parameters: dict[str, str], expected: list[str]
) -> None:
    """Q5, Q6: in sequences, in one item; private ones in whatever block of theirs."""
    assert ids(filled, path, **parameters) == expected


EMPTY = [
    ("studies", {"AccessionNumber": '""'}, ["a"]),
    ("studies", {"PatientComments": '""', "PatientID": "a"}, ["a"]),
    ("studies", {"OtherPatientIDsSequence": '""'}, ["b", "c"]),
    ("studies", {"StudyDate": '""'}, []),
    ("studies", {"ModalitiesInStudy": '""'}, []),
    ("series", {"RequestAttributesSequence": '""'}, []),
    ("studies", {"00101002.00100022": '""'}, ["a"]),
]


@pytest.mark.parametrize(("path", "parameters", "expected"), EMPTY)
def test_empty_value_matching(
    filled: Door, path: str, parameters: dict[str, str], expected: list[str]
) -> None:
    assert ids(filled, path, **parameters, emptyvaluematching="true") == expected


def test_without_empty_value_matching_two_quotation_marks_are_a_value(filled: Door) -> None:
    assert ids(filled, AccessionNumber='""') == []


@pytest.mark.parametrize("separator", [",", "\\"])
def test_multiple_value_matching(filled: Door, separator: str) -> None:
    """Each value has to be there: PS3.4 C.2.2.2.8. Without it, a list of codes means any of them."""
    both = separator.join(("CT", "MR"))
    assert ids(filled, ModalitiesInStudy=both, multiplevaluematching="true") == ["b"]
    assert ids(filled, ModalitiesInStudy=both) == ["a", "b", "c"]
    axial = separator.join(("PRIMARY", "AXIAL"))
    assert "b" in ids(filled, "instances", ImageType=axial, multiplevaluematching="true")
    no = ids(filled, "instances", ImageType=axial + separator + "X", multiplevaluematching="true")
    assert no == []


def test_private_attributes_come_back_in_the_block_that_was_asked_for(filled: Door) -> None:
    """Q8: with their Private Creator Element, whatever block the object has them in."""
    answer = filled.client.get(
        "/dicom-web/studies", params={ACME[0]: ACME[1], "PatientID": "b", "includefield": "00231001"}
    )
    [found] = answer.json()
    assert found["00231001"]["Value"] == ["8"]
    assert found["00230010"]["Value"] == [ACME[1]]
    assert "00234201" not in found


def test_parts_of_sequences_are_returned(filled: Door) -> None:
    parameters = {"PatientID": "a", "includefield": "OtherPatientIDsSequence.PatientID"}
    [found] = filled.client.get("/dicom-web/studies", params=parameters).json()
    assert found["00101002"]["Value"] == [
        {"00100020": {"vr": "LO", "Value": ["old1"]}},
        {"00100020": {"vr": "LO", "Value": ["old2"]}},
    ]


def test_what_belongs_to_a_level_below_is_left_out(filled: Door) -> None:
    """Q4: Slice Thickness of no study, Pixel Spacing of no series, not even with all."""
    for include in ("SliceThickness,00280030,FrameOfReferenceUID", "all"):
        for found in filled.client.get("/dicom-web/studies", params={"includefield": include}).json():
            assert not {"00180050", "00280030", "00200052"} & set(found)
        for found in filled.client.get("/dicom-web/series", params={"includefield": include}).json():
            assert "00200052" in found
            assert not {"00180050", "00280030"} & set(found)


def test_a_key_below_the_level_does_not_restrict_and_is_told(filled: Door) -> None:
    answer = filled.client.get("/dicom-web/studies", params={"KVP": "120"})
    assert len(answer.json()) == 3
    assert "did not restrict the results: KVP" in answer.headers["warning"]


def test_limit_offset_and_remaining_with_keys_that_are_examined(filled: Door) -> None:
    """Q9, whoever did the matching."""
    asked = {"KVP": "120", "limit": "1"}
    first = filled.client.get("/dicom-web/instances", params=asked)
    assert "There are 1 additional results" in first.headers["warning"]
    second = filled.client.get("/dicom-web/instances", params=asked | {"offset": "1"})
    assert "warning" not in second.headers
    assert first.json()[0]["00080018"] != second.json()[0]["00080018"]
    assert filled.client.get("/dicom-web/instances", params=asked | {"offset": "2"}).status_code == 204


def test_too_broad_a_search_is_413_and_says_what_to_add(
    open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q10: refused before anything is examined."""
    door = open_door()
    door.store(*(part10(one) for one in series(mr, 3)))
    monkeypatch.setattr(Search, "maximum_examined", 2)
    answer = door.client.get("/dicom-web/instances", params={"EchoTime": "1"})
    assert answer.status_code == 413
    assert "add a narrower" in answer.text
    assert (
        door.client.get("/dicom-web/instances", params={"EchoTime": "1", "InstanceNumber": "1"}).status_code
        < 300
    )


def test_records_in_pieces(filled: Door) -> None:
    """Q12: each piece after the RecordKey of the last."""
    seen: list[str] = []
    prior = ""
    while len(seen) < 10:
        asked = {"MaximumNumberOfRecords": "2", "includefield": "RecordKey", "PriorRecordKey": prior}
        answer = filled.client.get(
            "/dicom-web/studies", params={key: text for key, text in asked.items() if text}
        )
        if answer.status_code == 204:
            break
        seen += [one["0020000D"]["Value"][0] for one in answer.json()]
        prior = answer.json()[-1]["0008041B"]["InlineBinary"]
    assert len(seen) == len(set(seen)) == 3


REFUSED = [
    "PriorRecordKey=x", "PriorRecordKey=AAAA", "MaximumNumberOfRecords=x", "TimezoneOffsetFromUTC=1",
    "TimezoneOffsetFromUTC=%2B1500",
    "OtherPatientIDsSequence=x", "PatientSize=tall", "multiplevaluematching=true&ModalitiesInStudy=CT,M*",
    "StudyInstanceUID=,", "StudyInstanceUID=%5C%5C", "ModalitiesInStudy=%20,%20",
    "multiplevaluematching=true&ModalitiesInStudy=,",
    "emptyvaluematching=perhaps", "00101002.00100020=a&OtherPatientIDsSequence.PatientID=b", "LastMenstrualDate=soon",
    "&".join(f"0010{number:04X}=x" for number in range(0x2300, 0x2333)),
    "multiplevaluematching=true&ModalitiesInStudy=" + ",".join(f"C{number}" for number in range(101)),
    "PatientComments=" + "*a" * 2100, "00231001=" + "*a" * 2100,
    "fuzzymatching=true&multiplevaluematching=true&PerformingPhysicianName=" + ",".join(
        f"{letter}a {letter}b {letter}c {letter}d" for letter in "abcdefghijklmnopqrstuvwxyz"
    ),
]  # fmt: skip


@pytest.mark.parametrize("query", REFUSED)
def test_malformed_keys_are_400_with_a_sentence(filled: Door, query: str) -> None:
    answer = filled.client.get(f"/dicom-web/series?{query}")
    assert answer.status_code == 400, answer.text
    assert 10 < len(answer.text) < 300


def test_by_the_letter(open_door: Callable[..., Door]) -> None:
    """What http.strict refuses, and the same otherwise not."""
    door = open_door(http__strict=True)
    for query in (
        "includefield=all&includefield=00100010",
        "includefield=00231001",
        "00231001=7",
        "StudyInstanceUID=1.2%5C1.3",
    ):
        answer = door.client.get(f"/dicom-web/studies?{query}", headers={"Accept": "application/dicom+json"})
        assert answer.status_code == 400, query
