"""Who may see what, said over HTTP: what administrators and owners of tokens may say, what is refused and why, and that
it is in effect with the next request and recorded with who said it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from archive.audit import codes
from archive.security.roles import Role
from objects import part10, secondary_capture
from shared_studies import House, shared_house, sign_in
from web_door import STUDIES

MARY, CROSS = "institution=St. Mary*; modality=OT", "institution=Holy Cross"
WRONG = [
    ("colour=red", "is no condition: institution, referring, ae, modality, patient, issuer, study"),
    ("", "a condition at least, such as institution=St. Mary*"),
    ("institution=*", "which is everything"),
    ("patient=47*", "a Patient ID as it is"),
    ("study=1.2.x", "a Study Instance UID"),
    ("modality=CT; modality=MR", "divide its values by commas"),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with shared_house(tmp_path_factory.mktemp("archive") / "data") as house:
        yield house


@pytest.fixture(scope="module")
def studies(house: House) -> dict[str, Dataset]:
    """One of each institution."""
    token = house.door.archive.people.issue("uploader", "", 1)[0]
    made = {name: secondary_capture(InstitutionName=name) for name in ("St. Mary's", "Holy Cross")}
    stored = house.door.store(*map(part10, made.values()), Authorization=f"Bearer {token}")
    assert stored.status_code == 200
    return made


@pytest.fixture
def clients(house: House) -> Iterator[Any]:
    """Browsers in which somebody has signed in."""
    with ExitStack() as stack:

        def begun(name: str) -> httpx.Client:
            client = stack.enter_context(house.browser())
            sign_in(client, name)
            return client

        yield begun
    for name in ("viewer", "radiographer"):
        house.door.archive.people.change(name, see=())


def sees(client: httpx.Client, studies: dict[str, Dataset], **headers: str) -> list[str]:
    """The institutions of which somebody finds a study."""
    found = client.get(STUDIES, headers=headers)
    assert found.status_code in (200, 204), found.text
    uids = {one["0020000D"]["Value"][0] for one in found.json()} if found.status_code == 200 else set()
    there = [name for name, one in studies.items() if one.StudyInstanceUID in uids]
    for name, one in studies.items():
        status = client.get(f"{STUDIES}/{one.StudyInstanceUID}/metadata", headers=headers).status_code
        assert status == (200 if name in there else 404)
    return there


def recorded(house: House) -> list[str]:
    kinds = {codes.SECURITY_ROLES_CHANGED, codes.USER_SECURITY_CHANGED, codes.NETWORK_CONFIGURATION}
    return [
        f"{one.message.requestor.UserID}: {one.message.outcome_text}"
        for one in house.door.archive.audit_log.all()
        if kinds & set(one.message.types)
    ]


def test_a_view_is_set_read_and_in_effect_at_once(
    house: House, studies: dict[str, Dataset], clients: Any
) -> None:
    administrator, viewer = clients("administrator"), clients("viewer")
    assert administrator.get("/api/people/viewer").json()["see"] == []
    assert sees(viewer, studies) == ["St. Mary's", "Holy Cross"]
    answer = administrator.patch("/api/people/viewer", json={"see": [MARY, CROSS]})
    assert answer.json()["see"] == [MARY, CROSS]
    assert sees(viewer, studies) == ["St. Mary's", "Holy Cross"]
    administrator.patch("/api/people/viewer", json={"see": [MARY]})
    assert sees(viewer, studies) == ["St. Mary's"]
    administrator.patch("/api/people/viewer", json={"full_name": "V."})
    assert sees(viewer, studies) == ["St. Mary's"], "what is not named stays"
    administrator.patch("/api/people/viewer", json={"see": []})
    assert sees(viewer, studies) == ["St. Mary's", "Holy Cross"]
    assert recorded(house)[-2:] == [
        "administrator: viewer: full name 'V.'",
        f"administrator: viewer sees all studies; before: [{MARY}]",
    ]


def test_who_is_made_known_may_have_one_from_the_beginning(house: House, clients: Any) -> None:
    administrator = clients("administrator")
    new = {"name": "Nina", "roles": ["viewer"], "see": [CROSS]}
    assert administrator.post("/api/people", json=new).json()["see"] == [CROSS]
    assert f"and sees [{CROSS}]" in recorded(house)[-1]
    refused = administrator.post("/api/people", json={**new, "name": "otto", "see": ["x"]})
    assert refused.status_code == 400
    assert administrator.get("/api/people/otto").status_code == 404
    administrator.delete("/api/people/nina")


@pytest.mark.parametrize(("line", "why"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    house: House, clients: Any, line: str, why: str
) -> None:
    administrator = clients("administrator")
    house.door.archive.ae_titles.add("CT1", "192.0.2.1", 104)
    before = recorded(house)
    for refused in (
        administrator.patch("/api/people/viewer", json={"see": [line]}),
        administrator.post("/api/tokens", json={"label": "x", "see": [line]}),
        administrator.patch("/api/ae-titles/CT1", json={"rules": {"see": [line]}}),
        administrator.put(
            "/api/ae-titles/CT1", json={"host": "192.0.2.1", "port": 104, "rules": {"see": [line]}}
        ),
    ):
        assert (refused.status_code, why in refused.text) == (400, True), refused.text
    assert recorded(house) == before
    assert administrator.get("/api/people/viewer").json()["see"] == []


@pytest.mark.parametrize(
    "see", ["institution=x", [1], [None], None, {"institution": "x"}, ["modality=CT"] * 1]
)
def test_a_view_is_an_array_of_texts(house: House, clients: Any, see: Any) -> None:
    administrator = clients("administrator")
    wanted = 200 if see == ["modality=CT"] else 400
    assert administrator.patch("/api/people/viewer", json={"see": see}).status_code == wanted
    many = [f"patient={number}" for number in range(51)]
    assert administrator.patch("/api/people/viewer", json={"see": many}).status_code == 400
    house.door.archive.ae_titles.add("CT1", "192.0.2.1", 104)
    refused = administrator.patch("/api/ae-titles/CT1", json={"rules": {"see": many}})
    assert refused.status_code == 400, "one that could not be read again would shut the AE title out"


def test_the_last_administrator_is_given_none(clients: Any) -> None:
    refused = clients("administrator").patch("/api/people/administrator", json={"see": [MARY]})
    assert refused.status_code == 409
    assert "only administrator" in refused.text


def test_nobody_gives_themselves_a_view_and_a_token_cannot(house: House, clients: Any) -> None:
    house.door.archive.people.change("viewer", see=[MARY])
    viewer = clients("viewer")
    assert viewer.patch("/api/people/viewer", json={"see": []}).status_code == 403
    token = {"Authorization": f"Bearer {house.door.archive.people.issue('viewer', '', 1)[0]}"}
    wider = house.door.client.post("/api/tokens", json={"label": "x", "see": []}, headers=token)
    assert wider.status_code == 403


def test_a_token_narrows_and_never_widens(house: House, studies: dict[str, Dataset], clients: Any) -> None:
    viewer, archive = clients("viewer"), house.door.archive

    def token(*see: str) -> dict[str, str]:
        made = viewer.post("/api/tokens", json={"label": "export", "see": see})
        assert (made.status_code, made.json()["see"]) == (201, list(see))
        return {"Authorization": f"Bearer {made.json()['secret']}"}

    bare, mary, cross = token(), token(MARY), token(CROSS)
    assert f"and shows [{CROSS}]" in recorded(house)[-1]
    client = house.door.client
    assert [sees(client, studies, **one) for one in (mary, cross)] == [["St. Mary's"], ["Holy Cross"]]
    archive.people.change("viewer", see=[MARY])
    wider = token(MARY, CROSS)
    for headers, seen in (
        (bare, ["St. Mary's"]),
        (mary, ["St. Mary's"]),
        (cross, []),
        (wider, ["St. Mary's"]),
    ):
        assert sees(client, studies, **headers) == seen
    assert [MARY, CROSS] in [one["see"] for one in viewer.get("/api/tokens").json()]


def test_the_view_of_an_ae_title(house: House, clients: Any) -> None:
    administrator, titles = clients("administrator"), house.door.archive.ae_titles
    rules = {"see": [MARY], "aliases": ["x"]}
    administrator.put("/api/ae-titles/READER", json={"host": "192.0.2.1", "port": 104, "rules": rules})
    assert str(titles.view_of("READER")) == f"[{MARY}]"
    answer = administrator.patch("/api/ae-titles/READER", json={"rules": {"see": [MARY, CROSS]}})
    assert answer.json()["rules"]["see"] == [MARY, CROSS]
    assert answer.json()["rules"]["aliases"] == ["x"], "what is not named stays"
    assert (answer.json()["host"], answer.json()["port"]) == ("192.0.2.1", 104)
    assert recorded(house)[-1].endswith(f"other rules: see; sees [{MARY}] OR [{CROSS}]; before: [{MARY}]")
    administrator.patch("/api/ae-titles/READER", json={"rules": {"see": []}})
    assert titles.view_of("READER") is None
    assert administrator.patch("/api/ae-titles/NOBODY", json={"rules": {"see": []}}).status_code == 404
    assert administrator.patch("/api/ae-titles/READER", json={"title": "OTHER"}).status_code == 400


def test_a_password_of_an_ae_title_stays_beside_a_view(house: House, clients: Any) -> None:
    administrator = clients("administrator")
    rules = {"identity": "password", "user": "ct", "password": "a secret of theirs"}
    administrator.put("/api/ae-titles/SAFE", json={"host": "192.0.2.1", "port": 104, "rules": rules})
    before = house.door.archive.ae_titles.get("SAFE")
    administrator.patch("/api/ae-titles/SAFE", json={"rules": {"see": [MARY]}, "port": 105})
    after = house.door.archive.ae_titles.get("SAFE")
    assert before is not None
    assert after is not None
    assert (after.rules.password_hash, after.port) == (before.rules.password_hash, 105)
    assert before.rules.password_hash


def test_pages_say_it_in_words_and_markup_is_text(house: House, clients: Any) -> None:
    administrator, html = clients("administrator"), {"Accept": "text/html"}
    line = "institution=<b>x</b>,a\\;b; modality=CT"
    administrator.patch("/api/people/viewer", json={"see": [line, CROSS]})
    house.door.archive.ae_titles.add("A/B", "192.0.2.1", 104)
    administrator.patch("/api/ae-titles/A%2FB", json={"rules": {"see": [line]}})
    for path in ("/people", "/people/viewer", "/ae-titles", "/ae-titles/A%2FB"):
        text = administrator.get(path, headers=html).text
        assert "<b>" not in text
        assert "Institution &lt;b&gt;x&lt;/b&gt; or a;b and Modality CT" in text, path
    assert "All studies" in administrator.get("/people/radiographer", headers=html).text
    assert administrator.get("/ae-titles/NOBODY", headers=html).status_code == 404
    own = clients("viewer").get("/account", headers=html).text
    assert "An administrator has said so" in own
    assert "Institution Holy Cross" in own


@pytest.mark.parametrize(
    "role", [role for role in Role if role is not Role.ADMINISTRATOR], ids=lambda one: one.value
)
def test_others_say_nothing_of_views(clients: Any, role: Role) -> None:
    client = clients(role.value)
    for path, body in (
        ("/api/people/viewer", {"see": []}),
        ("/api/ae-titles/CT1", {"rules": {"see": []}}),
    ):
        assert client.patch(path, json=body).status_code == 403
    assert client.get("/ae-titles/CT1", headers={"Accept": "text/html"}).status_code == 403
