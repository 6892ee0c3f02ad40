"""Links to studies over HTTP: opening them, what is recorded, and that they end at once, also in the middle of a
download (reliability.md 3: revocable sharing; H17)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archive.audit import codes
from archive.dicom.instance import Scope
from archive.security.roles import Role
from archive.web import shared_access
from objects import mr, part10
from shared_studies import CODE, House, enter, image, shared_house, sign_in
from web_door import STUDIES, Door, running, settings_for


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with shared_house(tmp_path_factory.mktemp("archive")) as opened:
        yield opened


# --- the link ---


def test_a_link_leads_to_the_viewer(house: House) -> None:
    secret, made = house.make()
    with house.browser() as client:
        page = client.get(f"/share/{secret}", headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "no-store" in page.headers["cache-control"]
        assert "Shared^One" not in page.text
        assert "Dr X" not in page.text
        entered = enter(client, secret)
        uid = house.shared.StudyInstanceUID
        assert entered.json() == {"viewer": f"/viewer?StudyInstanceUIDs={uid}", "recipient": "Dr X"}
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(entered.headers["set-cookie"].split("; "))
        assert client.get(entered.json()["viewer"]).status_code == 200
        (found,) = client.get(STUDIES).json()
        assert found["0020000D"]["Value"] == [uid]
        assert client.get("/api/session").json() == {"name": made.user, "rights": ["see"]}


def test_who_only_looks_at_a_link_uses_nothing_up(house: House) -> None:
    """Scanners of mail do, with GET and HEAD, and some run scripts of the page but press no button."""
    secret, made = house.make(most_uses=1)
    with house.browser() as client:
        for method in ("GET", "HEAD", "OPTIONS", "GET"):
            answer = client.request(method, f"/share/{secret}", headers={"Accept": "text/html"})
            assert "set-cookie" not in answer.headers
        assert house.door.archive.shares.get(made.id).uses == 0
        assert client.get(STUDIES).status_code == 401
        assert enter(client, secret).status_code == 200


def test_after_the_last_use_a_link_is_gone(house: House) -> None:
    secret, _ = house.make(most_uses=1)
    with house.browser() as first, house.browser() as second:
        assert enter(first, secret).status_code == 200
        assert enter(second, secret).status_code == 410
        assert not second.cookies
        page = second.get(f"/share/{secret}", headers={"Accept": "text/html"})
        assert page.status_code == 410
        assert "ask who sent it for another" in page.text
        assert first.get(STUDIES).status_code == 200


def test_what_is_revoked_is_refused_at_once_and_its_link_is_gone(house: House) -> None:
    secret, made = house.make(passcode=CODE)
    with house.browser() as client:
        assert enter(client, secret, CODE).status_code == 200
        assert client.get(STUDIES).status_code == 200
        house.revoke(made)
        refused = client.get(STUDIES)
        assert refused.status_code == 401
        assert "share has ended" in refused.text
        assert enter(client, secret, CODE).status_code == 410  # replayed
        page = client.get(f"/share/{secret}", headers={"Accept": "text/html"})
        assert (page.status_code, "taken back" in page.text) == (410, True)
        assert client.get(f"/share/{secret}").status_code == 410


def test_a_passcode_is_asked_for_and_locks(house: House) -> None:
    secret, _ = house.make(passcode=CODE, most_attempts=3)
    with house.browser() as client:
        assert 'type="password"' in client.get(f"/share/{secret}", headers={"Accept": "text/html"}).text
        statuses = [
            enter(client, secret, wrong).status_code for wrong in (None, "", "wrong1", "wrong2", "wrong3")
        ]
        assert statuses == [401] * 5
        assert enter(client, secret, CODE).status_code == 410
        assert not client.cookies


@pytest.mark.parametrize("secret", ["x", "%00", "..%2f", "A" * 43, "A" * 5000, "é"])
def test_what_is_no_link_is_not_there(house: House, secret: str) -> None:
    with house.browser() as client:
        assert client.get(f"/share/{secret}").status_code == 404
        assert enter(client, secret).status_code == 404


def test_a_page_of_another_origin_opens_none(house: House) -> None:
    secret, made = house.make()
    with house.browser() as client:
        foreign = {"Origin": "https://evil.example"}
        assert client.post("/api/share-session", json={"secret": secret}, headers=foreign).status_code == 403
        assert client.post("/api/share-session", data={"secret": secret}).status_code == 415
    assert house.door.archive.shares.get(made.id).uses == 0


def test_a_share_is_opened_over_tls_alone(tmp_path: Path) -> None:
    with running(settings_for(tmp_path / "data", http__behind_proxy=True)) as door:
        study = image()
        token = _administrator(door)
        assert door.store(part10(study), Authorization=f"Bearer {token}").status_code == 200
        wanted = {"studies": [study.StudyInstanceUID], "recipient": "Dr X"}
        outside = {"Host": "pacs.example", "X-Forwarded-Proto": "https"}
        bearer = {"Authorization": f"Bearer {token}"}
        made = door.client.post("/api/shares", json=wanted, headers=outside | bearer)
        assert made.status_code == 201
        link = made.json()["link"]
        assert link.startswith("https://pacs.example/share/")
        key = {"secret": link.rpartition("/")[2]}
        assert (
            door.client.post("/api/share-session", json=key, headers={"Host": "pacs.example"}).status_code
            == 403
        )
        entered = door.client.post("/api/share-session", json=key, headers=outside)
        assert entered.headers["set-cookie"].startswith("__Host-archive-share=")
        assert "Secure" in entered.headers["set-cookie"].split("; ")


def _administrator(door: Door) -> str:
    door.archive.people.add("ada", "", [Role.ADMINISTRATOR])
    return door.archive.people.issue("ada", "", 1)[0]


# --- what it gives ---


def test_wado_uri_gives_pictures_and_no_dicom(house: House) -> None:
    uids = {
        "studyUID": house.shared.StudyInstanceUID,
        "seriesUID": house.shared.SeriesInstanceUID,
        "objectUID": house.shared.SOPInstanceUID,
    }
    dicom = {"requestType": "WADO", **uids, "contentType": "application/dicom"}
    for may_download, status in ((False, 403), (True, 200)):
        secret, _ = house.make(may_download=may_download)
        with house.browser() as client:
            enter(client, secret)
            assert client.get("/wado", params=dicom).status_code == status
            by_header = {name: value for name, value in dicom.items() if name != "contentType"}
            accept = {"Accept": "application/dicom"}
            assert client.get("/wado", params=by_header, headers=accept).status_code == status


def test_a_zip_is_for_who_may_download(house: House) -> None:
    for may_download, status in ((False, 403), (True, 200)):
        secret, made = house.make(may_download=may_download)
        with house.browser() as client:
            enter(client, secret)
            study = f"{STUDIES}/{house.shared.StudyInstanceUID}"
            assert client.get(study, params={"accept": "application/zip"}).status_code == status
        used = [one.what.value for one in house.door.archive.shares.uses(made.id)]
        assert ("downloaded" in used) == may_download


def test_signing_in_leaves_the_share_and_signing_out_does_so_first(house: House) -> None:
    secret, _ = house.make()
    with house.browser() as client:
        enter(client, secret)
        sign_in(client, "viewer")
        assert client.get("/api/session").json()["name"] == "viewer"
        enter(client, secret)
        assert client.get("/api/session").json()["name"].startswith("share:")
        client.delete("/api/session")
        assert client.get("/api/session").json()["name"] == "viewer"
        client.delete("/api/session")
        assert client.get("/api/session").status_code == 401


def test_a_cookie_of_a_share_is_no_session_and_no_token(house: House) -> None:
    secret, _ = house.make()
    with house.browser() as client:
        enter(client, secret)
        kept = client.cookies["archive-share"]
    for headers in (
        {"Cookie": f"archive-session={kept}"},
        {"Authorization": f"Bearer {kept}"},
        {"Authorization": f"Bearer {secret}"},
        {"Cookie": f"archive-share={secret}"},
        {"Cookie": f"archive-session={secret}"},
    ):
        assert house.door.client.get(STUDIES, headers=headers).status_code == 401


# --- taken back in the middle of a download ---


@pytest.fixture
def large(house: House) -> Iterator[str]:
    """A study of 64 MB."""
    token = house.door.archive.people.issue("uploader", "", 1)[0]
    one = mr(PatientID="P2", Rows=4000, Columns=4000, PixelData=bytes(4000 * 4000 * 2))
    files = []
    for number in range(2):
        one.SOPInstanceUID = f"{one.SeriesInstanceUID}.{number}"
        files.append(part10(one))
    assert house.door.store(*files, Authorization=f"Bearer {token}").status_code == 200
    yield one.StudyInstanceUID
    house.door.archive.deletion.delete(Scope((one.StudyInstanceUID,)))


@pytest.mark.parametrize(
    "accept", ["application/zip", 'multipart/related; type="application/dicom"; transfer-syntax=*']
)
@pytest.mark.parametrize("revoked", [True, False])
def test_a_download_under_way_is_cut(
    house: House, large: str, accept: str, revoked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_access, "CHECK_SECONDS", 0.0)
    secret, made = house.make(studies=(large,), may_download=True)
    with house.browser() as client:
        enter(client, secret)
        cookie = client.cookies["archive-share"]
    with socket.create_connection(("127.0.0.1", house.door.port), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        head = (
            f"GET {STUDIES}/{large} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n"
        )
        connection.sendall(f"{head}Cookie: archive-share={cookie}\r\n\r\n".encode())
        received = len(connection.recv(1 << 16))
        if revoked:
            house.revoke(made)
        try:
            while piece := connection.recv(1 << 20):
                received += len(piece)
        except ConnectionResetError:
            assert revoked
    assert (received < 40_000_000) == revoked, received


# --- the API ---


def test_one_makes_lists_and_revokes_ones_own(house: House) -> None:
    study = house.shared.StudyInstanceUID
    with house.browser() as mine, house.browser() as administrators:
        sign_in(mine, "radiographer")
        sign_in(administrators, "administrator")
        wanted = {
            "studies": [study],
            "recipient": "Dr X",
            "days": 3,
            "passcode": CODE,
            "uses": 2,
            "download": True,
        }
        made = mine.post("/api/shares", json=wanted)
        assert made.status_code == 201
        told = made.json()
        secret = told.pop("link").rpartition("/")[2]
        assert told.pop("left_out") == []
        assert (told["made_by"], told["state"], told["has_passcode"]) == ("radiographer", "open", True)
        assert (told["uses"], told["download"], told["studies"]) == (2, True, [study])
        of = f"/api/shares/{told['id']}"
        assert mine.get(of).json() == told
        assert secret not in mine.get("/api/shares").text
        assert CODE not in mine.get("/api/shares").text
        theirs = administrators.post("/api/shares", json={"studies": [study], "recipient": "Dr Y"}).json()
        assert theirs["id"] not in [one["id"] for one in mine.get("/api/shares").json()]
        assert {told["id"], theirs["id"]} <= {one["id"] for one in administrators.get("/api/shares").json()}
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/uses")):
            assert mine.request(method, f"/api/shares/{theirs['id']}{path}").status_code == 404
        with house.browser() as recipient:
            assert enter(recipient, secret, CODE).status_code == 200
        (used,) = mine.get(f"{of}/uses").json()
        assert (used["what"], used["address"]) == ("opened", "127.0.0.1")
        assert administrators.delete(of).status_code == 204
        assert mine.get(of).json()["state"] == "revoked"
        shown = mine.get("/shares", headers={"Accept": "text/html"})
        assert "revoked" in shown.text
        assert "Dr Y" not in shown.text


def test_markup_in_a_share_is_text(house: House) -> None:
    with house.browser() as client:
        sign_in(client, "radiographer")
        wanted = {
            "studies": [house.shared.StudyInstanceUID],
            "recipient": "<img src=x>",
            "purpose": "<b>x</b>",
        }
        assert client.post("/api/shares", json=wanted).status_code == 201
        shown = client.get("/shares", headers={"Accept": "text/html"}).text
        assert "<img src=x>" not in shown
        assert "<b>" not in shown
        assert "&lt;img src=x&gt;" in shown


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({}, 400),
        ({"recipient": "Dr X"}, 400),
        ({"studies": ["1.2.3"], "recipient": "Dr X"}, 404),
        ({"studies": [1], "recipient": "Dr X"}, 400),
        ({"studies": "1.2.3", "recipient": "Dr X"}, 400),
        ({"studies": ["1.2.3"], "recipient": ""}, 400),
        ({"studies": ["1.2.3"], "recipient": "Dr X", "passcode": "1"}, 400),
        ({"studies": ["1.2.3"], "recipient": "Dr X", "days": 1000}, 400),
        ({"studies": ["1.2.3"], "recipient": "Dr X", "secret": "mine"}, 400),
    ],
)
def test_what_cannot_be_shared(house: House, wanted: dict[str, Any], status: int) -> None:
    with house.browser() as client:
        sign_in(client, "radiographer")
        assert client.post("/api/shares", json=wanted).status_code == status


@pytest.mark.parametrize("number", ["0", "999999", "x", "-1", "1" * 40])
def test_what_is_no_share_is_not_there(house: House, number: str) -> None:
    with house.browser() as client:
        sign_in(client, "administrator")
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/uses")):
            assert client.request(method, f"/api/shares/{number}{path}").status_code == 404


# --- what is recorded, and what is not ---


def test_who_looked_is_recorded_as_the_share(house: House) -> None:
    secret, made = house.make()
    with house.browser() as client:
        enter(client, secret)
        client.get(f"{STUDIES}/{house.shared.StudyInstanceUID}/metadata")
        client.get(STUDIES)
        client.delete("/api/session")
    house.door.archive.auditing.trail.flush()
    told = [
        one.message
        for one in house.door.archive.audit_log.all()
        if made.user in [who.UserID for who in one.message.participants]
    ]
    assert {one.event for one in told} == {codes.USER_AUTHENTICATION, codes.INSTANCES_ACCESSED, codes.QUERY}
    assert {one.requestor.UserName for one in told} == {"Dr X"}
    assert {one.types for one in told if one.event == codes.USER_AUTHENTICATION} == {
        (codes.LOGIN,),
        (codes.LOGOUT,),
    }


def test_no_secret_is_logged_or_recorded(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    secret, _ = house.make(passcode=CODE + "CANARY")
    with house.browser() as client:
        client.get(f"/share/{secret}")
        enter(client, secret, "wrong")
        enter(client, secret, CODE + "CANARY")
        cookie = client.cookies["archive-share"]
        client.get(STUDIES)
    house.door.archive.auditing.trail.flush()
    told = "".join(capfd.readouterr()) + str([one.message for one in house.door.archive.audit_log.all()])
    assert not any(one in told for one in (secret, cookie, "CANARY"))
