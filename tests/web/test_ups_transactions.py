"""UPS-RS (dicomweb.md 2.6; dimse.md 1.5 UPS): Create, Retrieve, Update, Change State, Request Cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

from archive.dicom.reading import xml_model
from device_headers import new_uid
from web_door import Door, multipart, parts
from workitems import performed, state, workitem
from worklist_service import JSON, WORKITEMS, XML_PARTS, Agent, warning

CLAIMED = "The target URI did not reference a claimed Workitem."
INCONSISTENT = "The submitted request is inconsistent with the current state of the Workitem."
INCONSISTENT_STATE = "The submitted request is inconsistent with the state of the UPS Instance."


@pytest.fixture
def agent(door: Door) -> Agent:
    return Agent(door)


def value(data_set: dict[str, Any], tag: str) -> Any:
    return data_set[tag].get("Value", [None])[0]


# --- Create (11.4) ---


@pytest.mark.parametrize("query", ["?{uid}", "?workitem={uid}", "?AffectedSOPInstanceUID={uid}", "?{uid}="])
def test_a_workitem_is_created_under_the_uid_of_the_query(agent: Agent, query: str) -> None:
    uid = new_uid()
    answer = agent.post(query.format(uid=uid), [workitem(ProcedureStepLabel="Segment")])
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["location"] == f"{agent.door.base}/workitems/{uid}"
    held = agent.held(uid)
    assert value(held, "00741204") == "Segment"
    assert value(held, "00741000") == "SCHEDULED"
    assert value(held, "00080018") == uid


def test_a_workitem_is_created_under_the_uid_of_its_data_set(agent: Agent) -> None:
    """Table 11.4.1-1: the target is the Worklist."""
    uid = new_uid()
    assert agent.post("", workitem(SOPInstanceUID=uid)).headers["location"].endswith(uid)
    assert agent.post(f"?{new_uid()}", workitem(SOPInstanceUID=new_uid())).status_code == 400


def test_who_gives_no_uid_gets_one(agent: Agent, open_door: Callable[..., Door]) -> None:
    answer = agent.post("", workitem())
    assert answer.status_code == 201
    assert agent.door.client.get(answer.headers["location"]).status_code == 200
    strict = Agent(open_door(http__strict=True))
    assert strict.post("", workitem(), Accept="application/dicom+json").status_code == 400


@pytest.mark.parametrize(
    "content_type", ["application/dicom+xml", XML_PARTS, "application/json", "parts of JSON"]
)
def test_every_form_of_a_payload(agent: Agent, content_type: str) -> None:
    uid, data_set = new_uid(), workitem(PatientName="Grün^Jürgen")
    document = xml_model.text(data_set).encode()
    if content_type == "application/dicom+xml":
        body, said = document, content_type
    elif content_type == XML_PARTS:
        body = multipart(document, content_type="application/dicom+xml")
        said = f"{XML_PARTS}; boundary=BOUNDARY"
    else:
        body = agent.door.client.build_request("POST", "/", json=[data_set]).content
        said = content_type
        if content_type == "parts of JSON":
            body = multipart(body, content_type="application/dicom+json")
            said = 'multipart/related; type="application/dicom+json"; boundary=BOUNDARY'
    answer = agent.door.client.post(f"{WORKITEMS}?{uid}", content=body, headers={"Content-Type": said})
    assert answer.status_code == 201, answer.text
    assert value(agent.held(uid), "00100010") == {"Alphabetic": "Grün^Jürgen"}


def test_what_the_archive_adds_is_told(agent: Agent) -> None:
    """11.4.3.2: shall be present if the Workitem was modified; 3.11 of the statement: an empty label is filled in."""
    text = warning(agent.door, "The Workitem was created with modifications.")
    for label in (None, ""):
        answer = agent.post(f"?{new_uid()}", workitem(WorklistLabel=label))
        assert (answer.status_code, answer.headers["warning"]) == (201, text)
    assert "warning" not in agent.post(f"?{new_uid()}", workitem()).headers


def test_a_workitem_is_created_once(agent: Agent) -> None:
    uid = agent.create(ProcedureStepLabel="First")
    assert agent.post(f"?{uid}", workitem(ProcedureStepLabel="Second")).status_code == 409
    assert value(agent.held(uid), "00741204") == "First"


@pytest.mark.parametrize(
    ("keywords", "query"),
    [
        ({"ProcedureStepState": "IN PROGRESS"}, ""),
        ({"ProcedureStepLabel": None}, ""),
        ({"ScheduledProcedureStepPriority": ""}, ""),
        ({"ScheduledProcedureStepPriority": "URGENT"}, ""),
        ({"InputReadinessState": None}, ""),
        ({}, "?1.2.3&1.2.4"),
        ({}, "?1..2"),
        ({}, "?workitem=1.2.x"),
    ],
)
def test_what_cannot_be_created(agent: Agent, keywords: dict[str, Any], query: str) -> None:
    """Table 11.4.3-1: 400, and the body says what is wrong."""
    answer = agent.post(query or f"?{new_uid()}", workitem(**keywords))
    assert answer.status_code == 400
    assert answer.text.strip()


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"[]", JSON, 400),
        (b"[{},{}]", JSON, 400),
        (b"[" + b"{}," * 1_000_000 + b"{}]", JSON, 400),
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b"{}", JSON | {"Content-Encoding": "gzip"}, 415),
        (b"<!DOCTYPE x><NativeDicomModel/>", {"Content-Type": "application/dicom+xml"}, 400),
        (b'[{"00741204":{"vr":"LO","Value":["' + b"a" * (5 << 20) + b'"]}}]', JSON, 413),
    ],
)
def test_bodies_that_are_none(agent: Agent, content: bytes, headers: dict[str, str], status: int) -> None:
    """reliability.md H4, H5: among them what no parser may follow."""
    answer = agent.door.client.post(f"{WORKITEMS}?{new_uid()}", content=content, headers=headers)
    assert answer.status_code == status


# --- Retrieve (11.5) ---


def test_the_transaction_uid_is_told_to_nobody(agent: Agent) -> None:
    """11.5.2: it is the lock of who performs the workitem. Asking for it finds nothing out either."""
    uid = agent.create()
    transaction_uid = agent.claim(uid)
    for accept in ("application/dicom+json", XML_PARTS, "application/dicom+xml"):
        answer = agent.get(uid, Accept=accept)
        assert answer.status_code == 200
        assert transaction_uid not in answer.text
    asked = agent.search(SOPInstanceUID=uid, includefield="all", TransactionUID=transaction_uid)
    assert transaction_uid not in asked.text
    wrong = agent.search(SOPInstanceUID=uid, includefield="all", TransactionUID="1.2.3")
    assert wrong.status_code == asked.status_code
    assert wrong.content == asked.content


def test_the_forms_of_a_workitem(agent: Agent) -> None:
    """Table 11.1.3-1: JSON is an array; XML comes in a part, and alone to who wants it so."""
    uid = agent.create(PatientName="Grün^Jürgen")
    default = agent.get(uid)
    assert default.headers["content-type"] == "application/dicom+json"
    assert default.headers["content-location"] == f"{agent.door.base}/workitems/{uid}"
    [held] = default.json()
    [(headers, body)] = parts(agent.get(uid, Accept=XML_PARTS))
    assert headers["Content-Type"] == "application/dicom+xml"
    alone = agent.get(uid, Accept="application/dicom+xml")
    assert alone.headers["content-type"] == "application/dicom+xml"
    assert body == alone.content == xml_model.text(held).encode()
    assert Dataset.from_json(held).PatientName == "Grün^Jürgen"
    assert agent.get(uid, Accept="image/png").status_code == 406


def test_who_is_not_there(agent: Agent) -> None:
    assert agent.get(new_uid()).status_code == 404
    assert agent.get("1..2").status_code == 400


# --- Update (11.6) ---


def test_a_scheduled_workitem_is_updated_by_anybody(agent: Agent) -> None:
    uid = agent.create()
    answer = agent.post(f"/{uid}", [{"00741204": {"vr": "LO", "Value": ["Other"]}}])
    assert (answer.status_code, answer.content) == (200, b"")
    assert value(agent.held(uid), "00741204") == "Other"


@pytest.mark.parametrize(
    "place", ["?{uid}", "?transaction={uid}", "?transaction-uid={uid}", "?Transaction-uid={uid}", "body"]
)
def test_its_performer_updates_a_claimed_workitem(agent: Agent, place: str) -> None:
    """Editions of PS3.18 name the parameter differently, and clients put it into the body."""
    uid = agent.create()
    transaction_uid = agent.claim(uid)
    body = {"00741204": {"vr": "LO", "Value": ["Other"]}}
    if place == "body":
        body["00081195"] = {"vr": "UI", "Value": [transaction_uid]}
    query = "" if place == "body" else place.format(uid=transaction_uid)
    answer = agent.post(f"/{uid}{query}", body)
    assert answer.status_code == 200, answer.text
    assert value(agent.held(uid), "00741204") == "Other"


def test_nobody_else_updates_it(agent: Agent) -> None:
    """Table 11.6.3-1, 11.6.3.2."""
    uid, change = agent.create(), {"00741204": {"vr": "LO", "Value": ["Mine"]}}
    unclaimed = agent.post(f"/{uid}?{new_uid()}", change)
    assert (unclaimed.status_code, unclaimed.headers["warning"]) == (409, warning(agent.door, CLAIMED))
    transaction_uid = agent.claim(uid)
    for query in ("", f"?{new_uid()}"):
        answer = agent.post(f"/{uid}{query}", change)
        assert (answer.status_code, answer.headers["warning"]) == (400, warning(agent.door, INCONSISTENT))
    twice = agent.post(f"/{uid}?{transaction_uid}", change | state("IN PROGRESS", new_uid()))
    assert twice.status_code == 400
    assert value(agent.held(uid), "00741204") != "Mine"
    assert agent.post(f"/{new_uid()}", change).status_code == 404


def test_what_has_ended_is_not_updated(agent: Agent) -> None:
    """11.6.2: shall be 400."""
    uid = agent.create()
    transaction_uid = agent.complete(uid)
    answer = agent.post(f"/{uid}?{transaction_uid}", {"00741204": {"vr": "LO", "Value": ["Late"]}})
    assert (answer.status_code, answer.headers["warning"]) == (400, warning(agent.door, INCONSISTENT))


def test_what_may_not_be_changed(agent: Agent) -> None:
    uid = agent.create()
    assert agent.post(f"/{uid}", {"00100020": {"vr": "LO", "Value": ["P2"]}}).status_code == 400
    assert value(agent.held(uid), "00100020") == "P1"


# --- Change State (11.7) ---


def test_from_scheduled_to_completed(agent: Agent) -> None:
    uid = agent.create()
    transaction_uid = agent.claim(uid)
    assert value(agent.held(uid), "00741000") == "IN PROGRESS"
    early = agent.put_state(uid, "COMPLETED", transaction_uid)
    assert (early.status_code, early.headers["warning"]) == (409, warning(agent.door, INCONSISTENT_STATE))
    assert agent.post(f"/{uid}?{transaction_uid}", performed()).status_code == 200
    done = agent.put_state(uid, "COMPLETED", transaction_uid)
    assert (done.status_code, done.content, done.headers.get("warning")) == (200, b"", None)
    assert value(agent.held(uid), "00741000") == "COMPLETED"


@pytest.mark.parametrize("wanted", ["COMPLETED", "CANCELED"])
def test_already_in_the_requested_state(agent: Agent, wanted: str) -> None:
    """11.7.3.2: a success with a Warning."""
    uid = agent.create()
    if wanted == "COMPLETED":
        transaction_uid = agent.complete(uid)
    else:
        transaction_uid = agent.claim(uid)
        assert agent.put_state(uid, wanted, transaction_uid).status_code == 200
    answer = agent.put_state(uid, wanted, transaction_uid)
    text = f"The UPS is already in the requested state of {wanted}."
    assert (answer.status_code, answer.headers["warning"]) == (200, warning(agent.door, text))


def test_transaction_uids_that_are_missing_or_incorrect(agent: Agent) -> None:
    """Table 11.7.3-1: 400, and the two are told apart."""
    uid = agent.create()
    for wanted in ("IN PROGRESS", "COMPLETED", "CANCELED"):
        answer = agent.put_state(uid, wanted)
        assert answer.status_code == 400
        assert answer.headers["warning"] == warning(agent.door, "The Transaction UID is missing.")
    agent.claim(uid)
    answer = agent.put_state(uid, "CANCELED", new_uid())
    assert answer.status_code == 400
    assert answer.headers["warning"] == warning(agent.door, "The Transaction UID is incorrect.")
    assert value(agent.held(uid), "00741000") == "IN PROGRESS"


def test_transitions_that_are_none(agent: Agent) -> None:
    """PS3.4 Table CC.1.1-2."""
    uid = agent.create()
    for wanted in ("COMPLETED", "CANCELED"):
        answer = agent.put_state(uid, wanted, new_uid())
        assert answer.status_code == 409
        assert answer.headers["warning"] == warning(agent.door, INCONSISTENT_STATE)
    transaction_uid = agent.claim(uid)
    assert agent.put_state(uid, "IN PROGRESS", transaction_uid).status_code == 409
    assert agent.put_state(uid, "SCHEDULED", transaction_uid).status_code == 400
    assert agent.put_state(uid, "PAUSED", transaction_uid).status_code == 400
    nothing = agent.door.client.put(f"{WORKITEMS}/{uid}/state", json=[{}], headers=JSON)
    assert nothing.status_code == 400
    assert agent.put_state(new_uid(), "IN PROGRESS", new_uid()).status_code == 404


# --- Request Cancellation (11.8) ---


def test_a_scheduled_workitem_is_canceled_at_once(agent: Agent) -> None:
    uid = agent.create()
    reason = {"00741238": {"vr": "LT", "Value": ["Wrong patient"]}}
    answer = agent.post(f"/{uid}/cancelrequest", reason)
    assert (answer.status_code, answer.content) == (202, b"")
    held = agent.held(uid)
    assert value(held, "00741000") == "CANCELED"
    assert value(value(held, "00741002"), "00741238") == "Wrong patient"
    again = agent.post(f"/{uid}/cancelrequest")
    text = "The UPS is already in the requested state of CANCELED."
    assert (again.status_code, again.headers["warning"]) == (202, warning(agent.door, text))


def test_its_performer_is_asked_to_cancel_a_claimed_workitem(agent: Agent) -> None:
    uid = agent.create()
    agent.claim(uid)
    assert agent.post(f"/{uid}/cancelrequest").status_code == 409, "nobody could be told"
    assert agent.post(f"/{uid}/subscribers/CANCELS").status_code == 201
    assert agent.post(f"/{uid}/cancelrequest?requester=WARD1").status_code == 202
    assert value(agent.held(uid), "00741000") == "IN PROGRESS"
    told = agent.door.archive.workitems.events_for("CANCELS", 0)[-1]
    assert told.data_set["00741236"]["Value"] == ["WARD1"]


def test_cancellations_that_are_refused(agent: Agent) -> None:
    uid = agent.create()
    agent.complete(uid)
    assert agent.post(f"/{uid}/cancelrequest").status_code == 409
    assert agent.post(f"/{new_uid()}/cancelrequest").status_code == 404
    assert agent.post(f"/{uid}/cancelrequest?requester=a%5Cb").status_code == 400
    plain = agent.door.client.post(f"{WORKITEMS}/{uid}/cancelrequest", content=b"{}")
    assert plain.status_code == 415


# --- whose pages may ---


def test_no_page_of_another_origin_changes_a_workitem(agent: Agent) -> None:
    """reliability.md H15: several of these requests have no body, so a browser sends them without asking first."""
    uid = agent.create()
    for path in (f"/{uid}/cancelrequest", f"/{uid}/subscribers/EVIL"):
        assert agent.post(path, Origin="http://evil.example").status_code == 403
    assert value(agent.held(uid), "00741000") == "SCHEDULED"
    assert agent.post(f"/{uid}/cancelrequest", Origin=agent.door.url).status_code == 202
