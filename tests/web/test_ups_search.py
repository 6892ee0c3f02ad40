"""UPS-RS Search (PS3.18 11.9): matching, what comes back, pages, forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from device_headers import new_uid
from web_door import Door, parts
from workitems import code
from worklist_service import XML_PARTS, Agent, warning

_ALWAYS = frozenset(
    {"00080016", "00080018", "0020000D", "00100010", "00100020", "00100021", "00100030", "00100040"}
    | {"00101002", "0040A370", "00380010", "00404005", "00404010", "00404018", "00404021", "00404025"}
    | {"00404026", "00404027", "00404034", "00404041", "00741000", "00741200", "00741202", "00741204"}
)
"""Some of PS3.4 Table CC.2.5-3 with Return Key Type 1 or 2."""


@pytest.fixture(scope="module")
def label() -> str:
    """What tells the workitems of this file from others."""
    return f"L{new_uid()[-8:]}"


@pytest.fixture(scope="module")
def agent(door: Door) -> Agent:
    return Agent(door)


@pytest.fixture(scope="module")
def three(agent: Agent, label: str) -> list[str]:
    """Three workitems of this file, in the order in which they are to begin."""
    return [
        agent.create(
            WorklistLabel=label,
            ProcedureStepLabel=name,
            PatientName=name,
            PatientID=f"P{number}",
            ScheduledProcedureStepStartDateTime=f"2026112{number}0800",
            ScheduledProcedureStepPriority=("LOW", "HIGH", "HIGH")[number],
            ScheduledStationNameCodeSequence=[code(f"ST{number}")],
            CommentsOnTheScheduledProcedureStep="for later",
        )
        for number, name in enumerate(("Müller^Anna", "Maier^Bert", "Huber^Carl"))
    ]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({}, [0, 1, 2]),
        ({"ScheduledProcedureStepPriority": "HIGH"}, [1, 2]),
        ({"00741200": "HIGH"}, [1, 2]),
        ({"PatientName": "M*"}, [0, 1]),
        ({"PatientName": "muller*"}, [0]),
        ({"PatientName": "Meier", "fuzzymatching": "true"}, [1]),
        ({"PatientID": "P2"}, [2]),
        ({"ScheduledProcedureStepStartDateTime": "20261121-20261122"}, [1, 2]),
        ({"ScheduledStationNameCodeSequence.CodeValue": "ST1"}, [1]),
        ({"00404025.00080100": "ST1"}, [1]),
        ({"ScheduledStationNameCodeSequence.CodeValue": "ST7"}, []),
        ({"InputReadinessState": "READY", "ProcedureStepState": "SCHEDULED"}, [0, 1, 2]),
        ({"ProcedureStepState": "CANCELED"}, []),
        ({"AdmissionID": '""', "emptyvaluematching": "true"}, [0, 1, 2]),
        ({"PatientID": '""', "emptyvaluematching": "true"}, []),
    ],
)
def test_matching(agent: Agent, label: str, three: list[str], keys: dict[str, str], found: list[int]) -> None:
    assert agent.found(WorklistLabel=label, **keys) == [three[number] for number in found]


def test_lists_of_uids(agent: Agent, three: list[str]) -> None:
    assert agent.found(SOPInstanceUID=",".join(three[1:])) == three[1:]


def test_nothing_matches(agent: Agent, three: list[str]) -> None:
    answer = agent.search(WorklistLabel="nobody's", SOPInstanceUID=three[0])
    assert (answer.status_code, answer.content) == (204, b"")


def test_what_comes_back(agent: Agent, label: str, three: list[str]) -> None:
    """11.9.2: what has Return Key Type 1 or 2, what is a key, what is included; with `all` everything."""
    [first] = agent.search(WorklistLabel=label, limit=1).json()
    assert set(first) >= _ALWAYS
    assert "00400400" in first, "type 2 at N-CREATE, so it comes back"
    uid = agent.create(WorklistLabel=f"{label}x", ConfidentialityCode="C", PatientComments="deaf")
    [without] = agent.search(WorklistLabel=f"{label}x").json()
    assert "00104000" not in without
    [keyed] = agent.search(WorklistLabel=f"{label}x", PatientComments="deaf").json()
    [asked] = agent.search(WorklistLabel=f"{label}x", includefield="PatientComments").json()
    assert keyed == asked == without | {"00104000": {"vr": "LT", "Value": ["deaf"]}}
    [everything] = agent.search(WorklistLabel=f"{label}x", includefield="all").json()
    assert everything == agent.held(uid)
    assert "00081195" not in everything


def test_pages(agent: Agent, label: str, three: list[str]) -> None:
    """Table 11.9.3-1 and 8.3.4.4: 206 as long as there is more, and how much more."""
    first = agent.search(WorklistLabel=label, limit=2)
    text = "There are 1 additional results that can be requested"
    assert (first.status_code, first.headers["warning"]) == (206, warning(agent.door, text))
    assert [one["00080018"]["Value"][0] for one in first.json()] == three[:2]
    rest = agent.search(WorklistLabel=label, limit=2, offset=2)
    assert (rest.status_code, rest.headers.get("warning")) == (200, None)
    assert [one["00080018"]["Value"][0] for one in rest.json()] == three[2:]
    latin = agent.door.client.get(
        "/dicom-web/workitems", params={"WorklistLabel": label, "limit": 1, "charset": "ISO-8859-1"}
    )
    assert (latin.status_code, b"M\\u00fcller" in latin.content) == (206, True), "as any other answer"
    assert agent.search(WorklistLabel=label, offset=3).status_code == 204
    nothing = agent.search(WorklistLabel=label, limit=0)
    assert (nothing.status_code, "3 additional" in nothing.headers["warning"]) == (204, True)


def test_xml(agent: Agent, label: str, three: list[str]) -> None:
    answer = agent.door.client.get(
        "/dicom-web/workitems", params={"WorklistLabel": label, "limit": "2"}, headers={"Accept": XML_PARTS}
    )
    assert answer.status_code == 206
    bodies = [body.decode() for _, body in parts(answer)]
    assert len(bodies) == 2
    assert all(uid in body for uid, body in zip(three, bodies, strict=False))


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "-1"},
        {"offset": "x"},
        {"fuzzymatching": "maybe"},
        {"SOPInstanceUID": "1..2"},
        {"includefield": "NoSuchThing"},
        {"ScheduledStationNameCodeSequence": "x"},
        {"includefield": "RecordKey"},
        {"ScheduledProcedureStepStartDateTime": "tomorrow"},
    ],
)
def test_questions_that_cannot_be_asked(agent: Agent, parameters: dict[str, str]) -> None:
    assert agent.search(**parameters).status_code == 400


def test_what_is_no_keyword_is_told(agent: Agent, label: str, three: list[str]) -> None:
    """Who mistypes PatientName gets everybody, and a Warning."""
    answer = agent.search(WorklistLabel=label, PatientNane="Huber*")
    assert "PatientNane" in answer.headers["warning"]
    assert len(answer.json()) == 3


def test_a_maximum_of_results(open_door: Callable[..., Door]) -> None:
    agent = Agent(open_door(limits__maximum_query_results=2))
    made = [agent.create() for _ in range(3)]
    answer = agent.search(limit=10)
    assert answer.status_code == 206
    found: list[Any] = [one["00080018"]["Value"][0] for one in answer.json()]
    assert len(set(found) & set(made)) == 2
