"""The study list and the page of a study: what is found, in which order, and that all of it stays text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.dataelem import DataElement

from archive.security.roles import Role
from objects import mr, new_uid, part10
from web_door import Door, running, settings_for

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = """"><img src=x onerror=alert(1)><script>alert(1)</script>'{{7*7}}"""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Three studies of two patients."""
    with running(settings_for(tmp_path_factory.mktemp("list"))) as opened:
        store(opened, PatientName="Doe^John", PatientID="A-17", StudyDate="20260102", AccessionNumber="ACC1")
        store(opened, PatientName="Doe^Jane^^Dr.", PatientID="b42", StudyDate="20260103", StudyTime="140500")
        store(
            opened,
            PatientName="Øster^Åse",
            PatientID="C 9",
            StudyDate="20251231",
            PatientBirthDate="19560312",
        )
        yield opened


def store(door: Door, **values: Any) -> str:
    values.setdefault("StudyInstanceUID", new_uid())
    values.setdefault("SeriesInstanceUID", new_uid())
    assert door.store(part10(mr(SOPInstanceUID=new_uid(), **values))).status_code == 200
    return str(values["StudyInstanceUID"])


def listed(answer: httpx.Response) -> list[str]:
    """The names, as they are read, in their order."""
    assert answer.status_code == 200, answer.text
    found = re.findall(r'class="patient"><a href="[^"]*"><bdi>(.*?)</bdi>', answer.text)
    return [html.unescape(one) for one in found]


def search(door: Door, text: str, **more: str) -> list[str]:
    return listed(door.client.get("/", params={"q": text, **more}, headers=BROWSER))


def test_all_of_them_the_newest_first(door: Door) -> None:
    assert search(door, "") == ["Doe, Dr. Jane", "Doe, John", "Øster, Åse"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("doe", 2),
        ("doe john", 1),
        ("John Doe", 1),
        ("doe^john", 1),
        ("doe, joh", 1),
        ("jo d", 1),
        ("åse", 1),
        ("a-17", 1),
        ("A-1", 0),
        ("A-1*", 1),
        ("B42", 1),
        ("b42", 1),
        ("acc1", 1),
        ("2026-01-03", 1),
        ("3.1.2026", 1),
        ("12.03.1956", 1),
        ("doe mr", 2),
        ("doe ct", 0),
        ("doe 2026-01-02", 1),
        ("doe a-17", 1),
        ("nobody", 0),
        ("1.2.3.4.5", 0),
    ],
)
def test_what_people_type(door: Door, text: str, found: int) -> None:
    assert len(search(door, text)) == found


def test_names_that_are_spelt_otherwise(door: Door) -> None:
    none = door.client.get("/", params={"q": "oster"}, headers=BROWSER)
    assert listed(none) == []
    assert "/?q=oster&amp;similar=1" in none.text
    assert search(door, "oster", similar="1") == search(door, "öster ase", similar="1") == ["Øster, Åse"]


def test_filters(door: Door) -> None:
    assert search(door, "", **{"from": "2026-01-03"}) == ["Doe, Dr. Jane"]
    assert search(door, "", to="2025-12-31") == ["Øster, Åse"]
    assert search(door, "doe", modality="CT") == []
    assert len(search(door, "doe", modality="MR")) == 2


def test_a_study_by_its_uid(door: Door) -> None:
    uid = store(door, PatientName="By^Uid", StudyDate="20200101")
    assert search(door, uid) == ["By, Uid"]
    door.client.delete(f"/dicom-web/studies/{uid}")


def test_pages(tmp_path: Path) -> None:
    with running(settings_for(tmp_path / "data")) as door:
        for number in range(27):
            store(
                door,
                PatientName=f"Many^N{number}",
                StudyDate=f"202601{number + 1:02}",
                PatientID=f"MANY{number}",
            )
        for text in ("many", ""):  # alternatives that are merged, and one question
            first, second = search(door, text), search(door, text, page="2")
            assert first + second == [f"Many, N{number}" for number in range(26, -1, -1)]
            assert len(first) == 25
            assert search(door, text, page="3") == []


@pytest.mark.parametrize("number", ["0", "41", "x", "-1", "1e3"])
def test_no_such_page(door: Door, number: str) -> None:
    assert door.client.get("/", params={"page": number}, headers=BROWSER).status_code == 400


def test_htmx_gets_the_part_that_changes(door: Door) -> None:
    part = door.client.get("/?q=john", headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith('<section id="found"')
    assert listed(part) == ["Doe, John"]
    assert part.headers["cache-control"] == "no-store"


def test_a_study_that_is_named_is_in_the_viewer(door: Door) -> None:
    answer = door.client.get("/?StudyInstanceUIDs=1.2.3", headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (302, "/viewer?StudyInstanceUIDs=1.2.3")


def test_the_page_of_a_study(door: Door) -> None:
    uid = store(
        door, PatientName="Page^Of", PatientID="P1", SeriesDescription="T2 axial", StudyDate="20260101"
    )
    said = door.client.get(f"/study/{uid}", headers=BROWSER)
    assert said.status_code == 200
    assert "Page, Of" in said.text
    assert "T2 axial" in said.text
    assert f"/viewer?StudyInstanceUIDs={uid}" in said.text
    assert "accept=application/zip" in said.text
    picture = re.search(r'<img src="([^"]*/thumbnail[^"]*)"', said.text)
    assert picture is not None
    assert door.client.get(html.unescape(picture[1])).headers["content-type"] == "image/jpeg"
    door.client.delete(f"/dicom-web/studies/{uid}")
    assert door.client.get(f"/study/{uid}", headers=BROWSER).status_code == 410


def test_errors_are_pages_for_browsers_alone(door: Door) -> None:
    for path, status in (("/study/1.2.3", 404), ("/study/x", 400), ("/?page=0", 400)):
        page = door.client.get(path, headers=BROWSER)
        assert page.status_code == status
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "script-src 'self';" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        plain = door.client.get(path)
        assert (plain.status_code, plain.headers["content-type"]) == (status, "text/plain; charset=utf-8")


def test_everything_stored_is_text(door: Door) -> None:
    texts = (
        "PatientName", "PatientID", "PatientSex", "StudyDescription", "SeriesDescription", "AccessionNumber", "StudyID",
        "ReferringPhysicianName", "BodyPartExamined", "PatientBirthDate", "StudyTime", "InstitutionName", "Modality",
    )  # fmt: skip
    made = mr(StudyInstanceUID=new_uid(), SeriesInstanceUID=new_uid(), SOPInstanceUID=new_uid())
    made.StudyDate = "20260601"
    for keyword in texts:
        tag = pydicom.datadict.tag_for_keyword(keyword)
        made.add(DataElement(tag, pydicom.datadict.dictionary_VR(tag), EVIL, validation_mode=0))
    assert door.store(part10(made)).status_code in (200, 202)
    pages = [
        door.client.get("/", params={"q": "2026-06-01"}, headers=BROWSER),
        door.client.get("/", params={"q": EVIL}, headers=BROWSER),
        door.client.get(f"/study/{made.StudyInstanceUID}", headers=BROWSER),
    ]
    door.client.delete(f"/dicom-web/studies/{made.StudyInstanceUID}")
    for page in pages:
        assert page.status_code == 200
        for markup in ("<img src=x", "<script>alert"):
            assert markup not in page.text, markup
    for page in (pages[0], pages[2]):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#39;{{7*7}}" in page.text


def test_who_gets_what(tmp_path: Path) -> None:
    """A browser is led to signing in; a program gets a status; who may see no studies is not shown any."""
    with running(settings_for(tmp_path / "data", sign_in__required="always")) as door:
        for role in (Role.VIEWER, Role.AUDITOR):
            door.archive.people.add(role.value, "", [role], "correct horse battery")
        tokens = {
            role: door.archive.people.issue(role.value, "", 1)[0] for role in (Role.VIEWER, Role.AUDITOR)
        }
        sent = door.client.get("/?q=doe&page=2", headers=BROWSER)
        assert sent.status_code == 303
        assert sent.headers["location"] == "/sign-in?next=%2F%3Fq%3Ddoe%26page%3D2"
        assert door.client.get("/").status_code == 401
        ended = door.client.get("/?q=doe", headers={"HX-Request": "true"})
        assert (ended.status_code, ended.headers["hx-refresh"]) == (401, "true")
        viewer = BROWSER | {"Authorization": f"Bearer {tokens[Role.VIEWER]}"}
        seen = door.client.get("/", headers=viewer)
        assert seen.status_code == 200
        assert "Signed in as" in seen.text
        assert "data-sign-out" in seen.text
        auditor = BROWSER | {"Authorization": f"Bearer {tokens[Role.AUDITOR]}"}
        refused = door.client.get("/study/1.2.3", headers=auditor)
        assert refused.status_code == 403
        assert "auditor has no right to see" in refused.text
        assert door.client.get("/", headers=auditor).status_code in (303, 403)


def test_nothing_to_delete_with_for_who_may_not(tmp_path: Path) -> None:
    with running(settings_for(tmp_path / "data", sign_in__required="always")) as door:
        for role in (Role.VIEWER, Role.ADMINISTRATOR):
            door.archive.people.add(role.value, "", [role], "correct horse battery")
        bearer = {role: BROWSER | {"Authorization": f"Bearer {door.archive.people.issue(role.value, '', 1)[0]}"}
                  for role in (Role.VIEWER, Role.ADMINISTRATOR)}  # fmt: skip
        made = mr(StudyInstanceUID=new_uid())
        stored = door.store(part10(made), **{"Authorization": bearer[Role.ADMINISTRATOR]["Authorization"]})
        assert stored.status_code == 200
        path = f"/study/{made.StudyInstanceUID}"
        assert "data-delete" not in door.client.get(path, headers=bearer[Role.VIEWER]).text
        assert "data-delete" in door.client.get(path, headers=bearer[Role.ADMINISTRATOR]).text
