"""UPS-RS Subscribe, Unsubscribe, Suspend (PS3.18 11.10 to 11.12); what the events are is shown with PS3.4's rules."""

from __future__ import annotations

import pytest

from archive.dicom.workitems.attributes import FILTERED, GLOBAL
from device_headers import new_uid
from web_door import Door
from worklist_service import WORKITEMS, Agent


@pytest.fixture
def agent(empty_door: Door) -> Agent:
    """An archive of its own: subscriptions to the Worklist would hear of other tests."""
    return Agent(empty_door)


def told(agent: Agent, title: str) -> list[tuple[int, str]]:
    """Type and workitem of every event of a subscriber."""
    return [(int(one.type), one.workitem_uid) for one in agent.door.archive.workitems.events_for(title, 0)]


def unsubscribed(agent: Agent, path: str) -> int:
    return agent.door.client.delete(f"{WORKITEMS}{path}").status_code


def test_to_a_workitem(agent: Agent) -> None:
    """CC.2.4.3: the state is told at once; then what changes. 11.10.3.2: where to listen is in Content-Location."""
    uid, other = agent.create(), agent.create()
    answer = agent.post(f"/{uid}/subscribers/VIEWER")
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["content-location"] == (
        f"ws://127.0.0.1:{agent.door.port}/dicom-web/subscribers/VIEWER"
    )
    agent.claim(uid)
    agent.claim(other)
    assert told(agent, "VIEWER") == [(1, uid), (1, uid)]
    assert unsubscribed(agent, f"/{uid}/subscribers/VIEWER") == 200
    assert unsubscribed(agent, f"/{uid}/subscribers/VIEWER") == 404
    agent.post(f"/{uid}/cancelrequest")
    assert told(agent, "VIEWER") == [(1, uid), (1, uid)]


def test_to_the_worklist(agent: Agent) -> None:
    there = agent.create()
    assert agent.post(f"/{GLOBAL}/subscribers/VIEWER").status_code == 201
    uid = agent.create()
    agent.claim(there)
    assert told(agent, "VIEWER") == [(1, uid), (1, there)]
    assert agent.post(f"/{GLOBAL}/subscribers/VIEWER/suspend").status_code == 200
    assert agent.post(f"/{GLOBAL}/subscribers/VIEWER/suspend").status_code == 404
    agent.create()
    agent.claim(uid)
    assert told(agent, "VIEWER") == [(1, uid), (1, there), (1, uid)]
    assert unsubscribed(agent, f"/{GLOBAL}/subscribers/VIEWER") == 200
    agent.post(f"/{there}/cancelrequest")
    assert len(told(agent, "VIEWER")) == 3


@pytest.mark.parametrize(
    "query",
    [
        "filter=ScheduledProcedureStepPriority=HIGH,WorklistLabel=Fusion",
        "filter=00741200%3DHIGH%2C00741202%3DFusion",
        "filter=00741200=HIGH&filter=00741202=Fusion",
        "ScheduledProcedureStepPriority=HIGH&WorklistLabel=Fusion",
        "filter=ScheduledWorkitemCodeSequence.CodeValue=110001,00741200=HIGH,00741202=Fus*",
    ],
)
def test_to_what_matches(agent: Agent, query: str) -> None:
    answer = agent.post(f"/{FILTERED}/subscribers/VIEWER?{query}&deletionlock=false")
    assert answer.status_code == 201, answer.text
    agent.create(ScheduledProcedureStepPriority="LOW")
    agent.create(ScheduledProcedureStepPriority="HIGH", WorklistLabel="Reading")
    wanted = agent.create(ScheduledProcedureStepPriority="HIGH")
    assert told(agent, "VIEWER") == [(1, wanted)]
    assert agent.post(f"/{FILTERED}/subscribers/VIEWER/suspend").status_code == 200
    agent.create(ScheduledProcedureStepPriority="HIGH")
    assert told(agent, "VIEWER") == [(1, wanted)]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?filter=",
        "?filter=PatientID=",
        "?filter=PatientID=*",
        "?filter=High",
        "?filter=NoSuchThing=1",
        "?filter=PatientID=P1,nothing=1",
        "?filter=SOPInstanceUID=1..2",
        "?nothing=1",
        "?PatientID=P1&deletionlock=perhaps",
    ],
)
def test_filters_that_cannot_be_kept(agent: Agent, query: str) -> None:
    """A key that would not restrict subscribes nobody to everything."""
    assert agent.post(f"/{FILTERED}/subscribers/VIEWER{query}").status_code == 400
    agent.create(PatientID="P1")
    assert told(agent, "VIEWER") == []


def test_a_deletion_lock(agent: Agent) -> None:
    """11.10.1.2; with a lock on everything the state of each is told (CC.2.4.3)."""
    uid = agent.create()
    assert agent.post(f"/{GLOBAL}/subscribers/KEEPER?deletionlock=true").status_code == 201
    assert told(agent, "KEEPER") == [(1, uid)]
    [keeper] = agent.door.archive.workitems.subscribers(uid)
    assert (keeper.ae_title, keeper.deletion_lock, keeper.reported) == ("KEEPER", True, False)
    assert agent.post(f"/{uid}/subscribers/KEEPER?deletionlock=false").status_code == 201
    [keeper] = agent.door.archive.workitems.subscribers(uid)
    assert keeper.deletion_lock is False


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/{unknown}/subscribers/VIEWER", 404),
        ("/1..2/subscribers/VIEWER", 400),
        ("/{uid}/subscribers/SEVENTEENLETTERSX", 400),
        ("/{uid}/subscribers/a%5Cb", 400),
        ("/{uid}/subscribers/%20", 400),
        ("/{uid}/subscribers/VIEWER/suspend", 404),
    ],
)
def test_subscriptions_that_cannot_be(agent: Agent, path: str, status: int) -> None:
    uid = agent.create()
    assert agent.post(path.format(uid=uid, unknown=new_uid())).status_code == status


def test_a_title_with_a_slash(agent: Agent) -> None:
    uid = agent.create()
    answer = agent.post(f"/{uid}/subscribers/A%2FB")
    assert answer.status_code == 201
    assert answer.headers["content-location"].endswith("/subscribers/A%2FB")
    assert told(agent, "A/B") == [(1, uid)]


def test_behind_a_proxy_with_tls(open_door) -> None:  # type: ignore[no-untyped-def]
    agent = Agent(open_door(http__public_url="https://pacs.example/archive", sign_in__required="never"))
    answer = agent.post(f"/{GLOBAL}/subscribers/VIEWER", Host="localhost")
    assert answer.headers["content-location"] == "wss://pacs.example/archive/dicom-web/subscribers/VIEWER"
