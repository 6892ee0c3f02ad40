"""Searching over HTTP: six resources, parameters as clients write them, paging to the end (Q1-Q11, H11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.dicom.attributes import ATTRIBUTES
from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.query import Key, Range, SingleValue, UIDList, Universal, Wildcard
from archive.web.qido_parameters import parse
from objects import ct, mr, part10, secondary_capture, series
from web_door import Door, running, settings_for

STUDIES = "/dicom-web/studies"
OHIF = "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Two patients, three studies, four series."""
    with running(settings_for(tmp_path_factory.mktemp("archive"))) as door:
        _fill(door)
        yield door


def _fill(door: Door) -> None:
    first = {"PatientName": "Müller^Anna", "PatientID": "A1", "SpecificCharacterSet": "ISO_IR 192"}
    abdomen = series(ct, 2, **first, StudyDate="20240105", AccessionNumber="X1")
    report = secondary_capture(**first, StudyInstanceUID=abdomen[0].StudyInstanceUID, StudyDate="20240105")
    head = series(mr, 2, **first, StudyDate="20240220", StudyTime="101500", AccessionNumber="50%_")
    other = series(mr, 1, PatientName="Smith^Bob", PatientID="B2", StudyDate="20240301")
    answer = door.store(*(part10(one) for one in [*abdomen, report, *head, *other]))
    assert answer.status_code == 200, answer.text


def search(door: Door, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """The matches; none for 204."""
    answer = door.client.get(f"/dicom-web/{path}", params=parameters)
    if answer.status_code == 204:
        assert answer.content == b""
        return []
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    found: list[dict[str, Any]] = answer.json()
    return found


def value(match: dict[str, Any], tag: str) -> Any:
    """The first value of an attribute."""
    return match[tag]["Value"][0]


def test_six_resources(filled: Door) -> None:
    studies = search(filled, "studies")
    assert len(studies) == 3
    assert len(search(filled, "series")) == 4
    assert len(search(filled, "instances")) == 6
    [abdomen] = search(filled, "studies", StudyDate="20240105")
    study = value(abdomen, "0020000D")
    found = search(filled, f"studies/{study}/series")
    assert len(found) == 2
    assert len(search(filled, f"studies/{study}/instances")) == 3
    [axial] = [one for one in found if value(one, "00080060") == "CT"]
    images = search(filled, f"studies/{study}/series/{value(axial, '0020000E')}/instances")
    assert sorted(value(one, "00200013") for one in images) == [1, 2]
    for image in images:
        assert value(image, "00081190") == (
            f"{filled.base}/studies/{study}/series/{value(axial, '0020000E')}/instances/{value(image, '00080018')}"
        )


def test_a_mistyped_keyword_is_told(filled: Door) -> None:
    """Q10: it is ignored (PS3.18 8.3), but who looks for one patient and gets all should hear why."""
    answer = filled.client.get(
        "/dicom-web/studies", params={"PatientNam": "x", "PatientSecs": "y", "nocache": "1"}
    )
    assert answer.status_code == 200
    (warning,) = answer.headers.get_list("warning")
    assert warning.endswith(
        "no keywords of attributes and did not restrict the results: PatientNam, PatientSecs"
    )


def test_a_warning_leaves_room_for_other_headers(filled: Door) -> None:
    """Names may be long and many, and nginx passes on four kilobytes of headers."""
    deep = "RequestAttributesSequence." * 7
    names = [
        f"{deep}{last}"
        for last in ("KVP", "Rows", "Columns", "Modality", "PatientID", "CodeValue", "Manufacturer")
    ]
    answer = filled.client.get("/dicom-web/studies", params=dict.fromkeys(names, "x"))
    (warning,) = answer.headers.get_list("warning")
    assert warning.endswith(" and 2 more")
    assert len(warning) < 1200


def test_an_unknown_study_has_no_series(filled: Door) -> None:
    assert search(filled, "studies/1.2.3/series") == []


def test_required_return_keys_and_counts(filled: Door) -> None:
    [study] = search(filled, "studies", PatientID="A1", StudyDate="20240105")
    assert value(study, "00201206") == 2
    assert value(study, "00201208") == 3
    assert set(study["00080061"]["Value"]) == {"CT", "OT"}
    assert value(study, "00080056") == "ONLINE"
    assert list(study) == sorted(study)
    required = {
        a.tag_hex
        for a in ATTRIBUTES
        if a.returned and a.level <= Level.STUDY and a.keyword != "TimezoneOffsetFromUTC"
    }
    assert required <= set(study)


@pytest.mark.parametrize(
    ("parameters", "number"),
    [
        ({"PatientName": "müller*"}, 2),
        ({"PatientName": "MULLER^ANNA"}, 2),
        ({"00100010": "*bob*"}, 1),
        ({"PatientName": "Sm?th^Bob"}, 1),
        ({"StudyDate": "20240101-20240131"}, 1),
        ({"StudyDate": "20240201-"}, 2),
        ({"StudyDate": "-20240220"}, 2),
        ({"StudyDate": "*"}, 3),
        ({"AccessionNumber": "50%_"}, 1),
        ({"AccessionNumber": "50*"}, 1),
        ({"AccessionNumber": "%"}, 0),
        ({"AccessionNumber": "_1"}, 0),
        ({"ModalitiesInStudy": "MR"}, 2),
        ({"ModalitiesInStudy": "CT,MR"}, 3),
        ({"PatientID": "A1", "ModalitiesInStudy": "CT"}, 1),
        ({"PatientID": ""}, 3),
        ({"PatientID": "'; DROP TABLE study; --"}, 0),
        ({"unknownparameter": "x"}, 3),
        ({"StudyTime": "1014-101515"}, 1),
    ],
)  # fmt: skip
def test_matching(filled: Door, parameters: dict[str, str], number: int) -> None:
    assert len(search(filled, "studies", **parameters)) == number


@pytest.mark.parametrize("separator", [",", "\\"])
def test_uid_lists_with_either_separator(filled: Door, separator: str) -> None:
    uids = [value(study, "0020000D") for study in search(filled, "studies")][:2]
    assert len(search(filled, "studies", StudyInstanceUID=separator.join(uids))) == 2


def test_attributes_above_and_below(filled: Door) -> None:
    assert len(search(filled, "instances", PatientID="B2")) == 1
    [study, *_] = search(filled, "studies", includefield="Modality,00280010")
    assert not {"00080060", "00280010"} & set(study)
    answer = filled.client.get(STUDIES, params={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"})
    assert len(answer.json()) == 3
    assert "SOPClassUID" in answer.headers["warning"]


def test_sequence_keys(filled: Door) -> None:
    path = "RequestAttributesSequence.ScheduledProcedureStepID"
    assert len(search(filled, "series", **{path: "SPS1"})) == 3
    assert search(filled, "series", **{"00400275.00400009": "other"}) == []


def test_includefield(filled: Door) -> None:
    [one, *_] = search(filled, "instances", includefield="00200052")
    assert "00200052" in one
    [everything, *_] = search(filled, "instances", includefield="all", Modality="MR")
    assert {"00180081", "00080008", "00200052"} <= set(everything)


def test_the_query_that_ohif_sends(filled: Door) -> None:
    answer = filled.client.get(f"{STUDIES}?{OHIF}")
    assert len(answer.json()) == 3
    assert "warning" not in answer.headers


def test_paging_to_the_end(filled: Door) -> None:
    seen = []
    for offset in range(0, 10, 2):
        answer = filled.client.get("/dicom-web/instances", params={"limit": 2, "offset": offset})
        if answer.status_code == 204:
            break
        seen += [value(one, "00080018") for one in answer.json()]
        left = 6 - len(seen)
        text = f"299 {filled.base}: There are {left} additional results that can be requested"
        assert answer.headers.get("warning") == (text if left else None)
    assert offset == 6
    assert len(set(seen)) == 6


def test_the_servers_own_maximum(open_door: Callable[..., Door]) -> None:
    door = open_door(limits__maximum_query_results=2)
    assert door.store(*(part10(one) for one in series(mr, 3))).status_code == 200
    answer = door.client.get("/dicom-web/instances", params={"limit": 10**12})
    assert len(answer.json()) == 2
    assert "There are 1 additional results" in answer.headers["warning"]


def test_limit_zero_and_an_offset_beyond_the_end(filled: Door) -> None:
    for parameters in ({"limit": 0}, {"offset": 6}, {"offset": 2**63}, {"offset": 10**29}):
        assert search(filled, "instances", **parameters) == []


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "limit=", "offset=1.5", "limit=1&limit=2", "PatientID=a&PatientID=b",
     "PatientID=a&00100020=b", "StudyDate=2024", "StudyDate=99999999-", "StudyDate=20240101-20240102-20240103",
     "StudyDate=20241301", "StudyTime=2500", "StudyInstanceUID=1..2", "StudyInstanceUID=1.2,x", "fuzzymatching=maybe",
     "includefield=NoSuchKeyword", "PatientName=%FF", "PatientName=a%00b", "PatientName=a%0Ab",
     "&".join(["includefield=00100010"] * 1001)],
)  # fmt: skip
def test_malformed_questions_are_400_with_a_sentence(door: Door, query: str) -> None:
    answer = door.client.get(f"{STUDIES}?{query}")
    assert answer.status_code == 400
    assert 10 < len(answer.text) < 300


@pytest.mark.parametrize(
    "query",
    [
        "",
        "&",
        "?x",
        "&includefield=00081030",
        "=",
        "PatientName=" + "*a" * 20,
        "accept=application/dicom+json",
    ],
)
def test_odd_questions_are_answered(empty_door: Door, query: str) -> None:
    assert empty_door.client.get(f"{STUDIES}?{query}").status_code == 204


def test_what_the_answer_can_be(filled: Door) -> None:
    for accept, status in (
        ("application/json", 200),
        ("text/html", 406),
        ("application/dicom+json;q=0", 406),
    ):
        answer = filled.client.get(STUDIES, headers={"Accept": accept})
        assert answer.status_code == status
    assert "application/dicom+json" in answer.text


_NAMES = st.sampled_from(
    [
        *(attribute.keyword for attribute in ATTRIBUTES),
        "00400275.00400009",
        "OtherPatientIDsSequence.PatientID",
        "KVP",
        "AcquisitionDateTime",
        "00230010",
        "00231001",
        "PriorRecordKey",
        "fuzzymatching",
        "emptyvaluematching",
        "multiplevaluematching",
        "limit",
        "offset",
        "includefield",
        "x",
    ]
)
_TEXTS = st.one_of(
    st.text(max_size=30),
    st.text("0123456789-.,\\\\*?: ", max_size=20),
    st.sampled_from(
        [
            "true",
            '""',
            "+0100",
            "*?",
            "A\\\\B,C",
            "all",
            "20240101-20240102",
            "\ud7ff",
            "%",
            "_",
            "'",
            '"',
            "[a-z]",
            "\U0001f480",
        ]
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["studies", "series", "instances"]), st.lists(st.tuples(_NAMES, _TEXTS), max_size=3))
def test_any_question_is_answered_or_refused(filled: Door, path: str, query: list[tuple[str, str]]) -> None:
    answer = filled.client.get(f"/dicom-web/{path}", params=query)
    assert answer.status_code in (200, 204, 400)


def test_kinds_of_matching() -> None:
    """The translation alone: one row for each kind."""
    rows: dict[tuple[str, str], Any] = {
        ("PatientName", "A*"): Wildcard("A*"),
        ("PatientName", "**"): Universal(),
        ("PatientName", "A,B"): SingleValue("A,B"),
        ("PatientName", ""): Universal(),
        ("StudyDate", "20240101-"): Range("20240101", ""),
        ("StudyDate", "20240101"): SingleValue("20240101"),
        ("StudyInstanceUID", "1.2,1.3"): UIDList(("1.2", "1.3")),
        ("StudyInstanceUID", "1.2"): UIDList(("1.2",)),
    }
    for (name, text), kind in rows.items():
        [key] = parse([(name, text)], Level.STUDY, 10).query.keys
        assert key == Key(key.path, kind)


def test_parameters_of_any_spelling_name_the_same_attribute() -> None:
    with pytest.raises(InvalidQuery):
        parse([("0020000d", "1"), ("StudyInstanceUID", "2")], Level.STUDY, 10)
