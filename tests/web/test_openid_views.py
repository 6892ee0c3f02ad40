"""People and programs of an issuer that says what they see: in sessions, with access tokens, in tokens and shares that
they make, and with nothing at all where it does not say it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from archive.security.roles import Role
from objects import part10, secondary_capture
from openid_issuer import Issuing, issuing
from openid_keys import CLIENT
from test_openid_pages import came_back
from web_door import STUDIES, Door, running, settings_for

VIEWS = ("st-marys -> institution=St. Mary*", "cross -> institution=Holy Cross", "all -> *")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuing]:
    with issuing() as begun:
        yield begun


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, issuer: Issuing) -> Iterator[Door]:
    told = {
        "openid__issuer": issuer.url,
        "openid__client_id": CLIENT,
        "openid__roles": ["doctors=radiographer", "chiefs=administrator"],
        "openid__view_claim": "pacs.sees",
        "openid__views": list(VIEWS),
    }
    folder = tmp_path_factory.mktemp("archive") / "data"
    with running(settings_for(folder, sign_in__required="always", **told)) as door:
        door.archive.people.add("local", "", [Role.ADMINISTRATOR])
        yield door


@pytest.fixture(scope="module")
def studies(door: Door) -> dict[str, Dataset]:
    made = {name: secondary_capture(InstitutionName=name) for name in ("St. Mary's", "Holy Cross")}
    token = door.archive.people.issue("local", "", 1)[0]
    assert door.store(*map(part10, made.values()), Authorization=f"Bearer {token}").status_code == 200
    return made


@contextmanager
def entered(
    door: Door, issuer: Issuing, sees: Any, role: str = "doctors", **said: Any
) -> Iterator[httpx.Client]:
    """A browser in which Ada has come back from the issuer, which says this of what she sees."""
    issuer.changes.clear()
    issuer.changes.update({"roles": [role], "pacs": {"sees": sees}, **said})
    with httpx.Client(base_url=door.url, timeout=60) as client:
        client.headers["X-Answer"] = str(came_back(client, issuer).status_code)
        yield client


def found(client: httpx.Client, studies: dict[str, Dataset], **headers: str) -> list[str] | int:
    """The institutions of which somebody finds a study; the status where they may not look."""
    answer = client.get(STUDIES, headers=headers)
    if answer.status_code not in (200, 204):
        return answer.status_code
    there = [name for name, one in studies.items() if one.StudyInstanceUID in answer.text]
    for name, one in studies.items():
        status = client.get(f"{STUDIES}/{one.StudyInstanceUID}/metadata", headers=headers).status_code
        assert status == (200 if name in there else 404)
    return there


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("sees", "there"),
    [
        ("st-marys", ["St. Mary's"]),
        (["cross", "staff"], ["Holy Cross"]),
        (["cross", "st-marys"], ["St. Mary's", "Holy Cross"]),
        ("all", ["St. Mary's", "Holy Cross"]),
        (None, 401),
        ([], 401),
        ("staff", 401),
        ("institution=Holy Cross", 401),
        ("*", 401),
        ({"cross": True}, 401),
        ([["all"]], 401),
    ],
    ids=str,
)
def test_one_sees_what_the_issuer_says(
    door: Door, issuer: Issuing, studies: dict[str, Dataset], sees: Any, there: list[str] | int
) -> None:
    with entered(door, issuer, sees) as client:
        assert client.headers["X-Answer"] == ("401" if there == 401 else "200")
        assert found(client, studies) == there
    token = issuer.token(roles=["doctors"], pacs={"sees": sees})
    assert found(door.client, studies, **bearing(token)) == there


def test_who_is_not_let_in_reads_why(door: Door, issuer: Issuing) -> None:
    for sees, why in (
        (None, "it does not say which studies you see"),
        ("staff", "it names no studies that are known here"),
        ([1], "cannot be read"),
    ):
        issuer.changes.update({"roles": ["doctors"], "pacs": {"sees": sees}, "sub": f"of {why}"})
        with httpx.Client(base_url=door.url) as client:
            answer = came_back(client, issuer)
        assert (answer.status_code, why in answer.text, "ask who runs the archive" in answer.text) == (
            401,
            True,
            True,
        )
        assert not any("archive-session=" in one for one in answer.headers.get_list("set-cookie"))
    assert not [one for one in door.archive.people.all() if "of " in one.subject], "nobody was made known"


def test_userinfo_is_asked_for_what_the_id_token_leaves_out(
    door: Door, issuer: Issuing, studies: dict[str, Dataset]
) -> None:
    issuer.userinfo = {"sub": "248289761001", "pacs": {"sees": "cross"}}
    try:
        with entered(door, issuer, None, pacs=None) as client:
            assert found(client, studies) == ["Holy Cross"]
    finally:
        issuer.userinfo = {}


def test_the_next_sign_in_changes_all_that_one_has(
    door: Door, issuer: Issuing, studies: dict[str, Dataset]
) -> None:
    """Sessions, tokens made here and shares; it is recorded, and an administrator here cannot say otherwise."""
    with entered(door, issuer, "all") as client:
        made = client.post("/api/tokens", json={"label": "export"})
        token = bearing(made.json()["secret"])
        uids = [one.StudyInstanceUID for one in studies.values()]
        link = client.post("/api/shares", json={"studies": uids, "recipient": "Dr X"}).json()["link"]
        assert found(door.client, studies, **token) == list(studies)
        with httpx.Client(base_url=door.url) as recipient:
            recipient.post("/api/share-session", json={"secret": link.rpartition("/")[2]})
            assert found(recipient, studies) == list(studies)
            with entered(door, issuer, "cross") as again:
                for one in (client, again, recipient):
                    assert found(one, studies) == ["Holy Cross"]
            assert found(door.client, studies, **token) == ["Holy Cross"]
    door.archive.auditing.trail.flush()
    told = [one.message.outcome_text for one in door.archive.audit_log.all()]
    assert f"{issuer.url} made ada known as radiographer, and sees [institution=Holy Cross]" in told
    local = bearing(door.archive.people.issue("local", "", 1)[0])
    refused = door.client.patch("/api/people/ada", json={"see": []}, headers=local)
    assert refused.status_code == 400
    assert "change it there" in refused.text
    assert door.client.patch("/api/people/ada", json={"full_name": "A."}, headers=local).status_code == 200
    page = door.client.get("/people/ada", headers={**local, "Accept": "text/html"}).text
    assert "Institution Holy Cross" in page
    assert "openid.view_claim" in page
    assert "data-condition" not in page


def test_an_administrator_of_the_issuer_is_one_who_sees_everything(door: Door, issuer: Issuing) -> None:
    for sees, status in (("all", 200), ("cross", 403)):
        with entered(door, issuer, sees, "chiefs") as client:
            assert client.get("/api/people").status_code == status
    token = issuer.token(roles=["chiefs"], pacs={"sees": "cross"})
    assert door.client.get("/api/people", headers=bearing(token)).status_code == 403


def test_a_program_that_acts_for_nobody_is_told_what_it_sees_too(
    door: Door, issuer: Issuing, studies: dict[str, Dataset]
) -> None:
    said = {
        "sub": "research",
        "client_id": "research",
        "preferred_username": "research",
        "scope": "archive.see",
    }
    assert found(door.client, studies, **bearing(issuer.token(**said))) == 401
    token = issuer.token(**said, pacs={"sees": "st-marys"})
    assert found(door.client, studies, **bearing(token)) == ["St. Mary's"]
    wide = issuer.token(**{**said, "scope": "archive.see archive.administer"}, pacs={"sees": "st-marys"})
    assert door.client.get("/api/people", headers=bearing(wide)).status_code == 403
