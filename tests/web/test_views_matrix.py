"""Every route, every role, and studies that one sees or does not see: what one may not see does not exist for one.

The cells are made from the route table; a row that no cell is made of is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.instance import Scope
from archive.security.roles import RIGHTS, WITHIN_A_VIEW, Right, Role
from archive.web.routes import ROUTES, Route
from archive.web.xdsi import source as imaging_documents
from objects import new_uid, part10, secondary_capture
from web_door import STUDIES, Door, multipart, running, settings_for

SEES = ["institution=St. Mary*"]
OF_STUDIES = [route for route in ROUTES if "{study}" in route.path]
APART = {
    "StoreInstances", "SearchStudies", "SearchAllSeries", "SearchAllInstances", "RetrieveURI",
    "RetrieveImagingDocumentSet", "Home", "UploadPage",
    "SearchShares", "MakeShare", "RetrieveShare", "RevokeShare", "SearchShareUses", "SharesPage",
    "SearchDeletions", "AskForDeletion", "RetrieveDeletion", "DecideDeletion", "RetrieveDeletionCertificate",
    "SearchDueStudies", "DeletionsPage", "DeletionPage", "DueStudiesPage",
}  # fmt: skip
"""Routes about objects that their path does not name: each has a test of its own below. A page to upload at shows
none, and shares are one's own: what matters is what one may make them of."""
QUALITY = "113001^DCM"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    settings = settings_for(tmp_path_factory.mktemp("archive"), sign_in__required="always")
    with running(settings) as opened:
        for role in Role:
            opened.archive.people.add(role.value, "", [role], see=SEES)
        opened.archive.people.add("all", "", [Role.ADMINISTRATOR])
        yield opened


@pytest.fixture(scope="module")
def token(door: Door) -> Callable[[str], dict[str, str]]:
    made: dict[str, str] = {}

    def of(name: str) -> dict[str, str]:
        if name not in made:
            made[name] = door.archive.people.issue(name, "", 1)[0]
        return {"Authorization": f"Bearer {made[name]}"}

    return of


@pytest.fixture(scope="module")
def hidden(door: Door, token: Callable[[str], dict[str, str]]) -> Dataset:
    return stored(door, token, "Holy Cross")


def stored(door: Door, token: Callable[[str], dict[str, str]], institution: str, **keywords: Any) -> Dataset:
    said = {"PatientID": "7", "PatientName": "Canary^Hidden", "InstitutionName": institution, **keywords}
    made = secondary_capture(**said)
    assert door.store(part10(made), **token("all")).status_code == 200
    return made


def path_of(route: Route, one: Dataset | None) -> str:
    """What the route names, of this object; of None what there never was."""
    study, series, instance = (
        (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
        if one
        else ("1.2", "1.2.3", "1.2.3.4")
    )
    named = {"study": study, "series": series, "instance": instance, "frames": "1", "code": QUALITY}
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: str(named.get(found[1], "7FE00010")), route.path)


def asked(door: Door, route: Route, one: Dataset | None, **headers: str) -> httpx.Response:
    content = b""
    if route.takes_body:
        content = multipart(
            part10(secondary_capture(StudyInstanceUID=one.StudyInstanceUID if one else "1.2"))
        )
        headers["Content-Type"] = 'multipart/related; type="application/dicom"; boundary=BOUNDARY'
    return door.client.request(route.method, path_of(route, one), headers=headers, content=content)


def neutral(answer: httpx.Response, one: Dataset | None) -> tuple[int, str]:
    text = answer.text
    named = (
        (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
        if one
        else ("1.2.3.4", "1.2.3", "1.2")
    )
    for uid in sorted(named, key=len, reverse=True):
        text = text.replace(uid, "UID")
    return answer.status_code, text


def test_no_row_of_the_table_is_without_a_cell() -> None:
    for route in ROUTES:
        kept = route.right in WITHIN_A_VIEW - {Right.ACCOUNT}  # who one is does not tell of studies
        assert not kept or route in OF_STUDIES or route.name in APART, f"{route.name} has no cell"
        assert kept or "{study}" not in route.path, (
            f"{route.name} names a study, and its right shows all of them"
        )


@pytest.mark.parametrize(
    "route", [one for one in ROUTES if one.right not in (None, *WITHIN_A_VIEW)], ids=lambda one: one.name
)
def test_what_cannot_be_kept_within_a_view_is_refused(
    door: Door, token: Callable[[str], dict[str, str]], route: Route
) -> None:
    for role in Role:
        assert asked(door, route, None, **token(role.value)).status_code == 403, role


@pytest.mark.parametrize("route", OF_STUDIES, ids=lambda one: one.name)
def test_hidden_is_as_if_it_had_never_been(
    door: Door, token: Callable[[str], dict[str, str]], hidden: Dataset, route: Route
) -> None:
    for role in Role:
        allowed = route.right in RIGHTS[role]
        of_hidden = asked(door, route, hidden, **token(role.value), **{"If-None-Match": "*"})
        assert "Canary" not in of_hidden.text
        if not allowed:
            assert of_hidden.status_code == 403
        elif route.right is Right.STORE:
            assert of_hidden.status_code == 409
        elif route.name.startswith("Search"):
            assert neutral(of_hidden, hidden) == neutral(asked(door, route, None, **token(role.value)), None)
        else:
            assert of_hidden.status_code == 404, role
            never = asked(door, route, None, **token(role.value))
            assert neutral(of_hidden, hidden) == neutral(never, None)
    with_all = door.archive.retrieve.instances(_scope(hidden))
    assert len(with_all) == 1, "nothing was changed"


@pytest.mark.parametrize("route", OF_STUDIES, ids=lambda one: one.name)
def test_what_one_sees_is_there(door: Door, token: Callable[[str], dict[str, str]], route: Route) -> None:
    for role in Role:
        one = stored(door, token, "St. Mary's")
        answer = asked(door, route, one, **token(role.value))
        if route.right not in RIGHTS[role]:
            assert answer.status_code == 403
        else:
            assert answer.status_code not in (401, 403, 404, 410, 500), (role, answer.text)


def _scope(one: Dataset) -> Scope:
    return Scope((one.StudyInstanceUID,))


def test_what_was_deleted_was_never_there(door: Door, token: Callable[[str], dict[str, str]]) -> None:
    one = stored(door, token, "St. Mary")
    path = f"{STUDIES}/{one.StudyInstanceUID}"
    assert door.client.delete(path, headers=token("all")).status_code == 204
    assert door.client.get(path, headers=token("all")).status_code == 410
    assert door.client.get(path, headers=token("viewer")).status_code == 404


@pytest.mark.parametrize("name", ["studies", "series", "instances"])
def test_searches_neither_find_nor_count_it(
    door: Door, token: Callable[[str], dict[str, str]], hidden: Dataset, name: str
) -> None:
    whose = new_uid()
    stored(door, token, "Holy Cross", PatientID=whose)
    stored(door, token, "St. Mary", PatientID=whose)
    asking = f"/dicom-web/{name}?PatientID={whose}&includefield=NumberOfPatientRelatedStudies"
    found = {who: door.client.get(asking, headers=token(who)).json() for who in ("all", "viewer")}
    assert [len(found["all"]), len(found["viewer"])] == [2, 1]
    tag = BY_KEYWORD["NumberOfPatientRelatedStudies"].tag_hex
    assert found["viewer"][0][tag]["Value"] == [1]
    assert found["all"][0][tag]["Value"] == [2]
    one = f"/dicom-web/{name}?StudyInstanceUID={hidden.StudyInstanceUID}"
    assert door.client.get(one, headers=token("viewer")).status_code in (200, 204)
    assert hidden.StudyInstanceUID not in door.client.get(one, headers=token("viewer")).text
    limited = door.client.get(f"/dicom-web/{name}?PatientID={whose}&limit=1", headers=token("viewer"))
    assert "warning" not in limited.headers, "nothing remains, so nothing is said to"


def test_wado_uri_does_not_show_it(
    door: Door, token: Callable[[str], dict[str, str]], hidden: Dataset
) -> None:
    def got(one: Dataset) -> int:
        asking = (
            f"/wado?requestType=WADO&studyUID={one.StudyInstanceUID}&seriesUID={one.SeriesInstanceUID}"
            f"&objectUID={one.SOPInstanceUID}"
        )
        return door.client.get(asking, headers=token("viewer")).status_code

    assert got(hidden) == got(secondary_capture()) == 404
    assert got(stored(door, token, "St. Mary")) == 200


def test_the_home_page_does_not_list_it(
    door: Door, token: Callable[[str], dict[str, str]], hidden: Dataset
) -> None:
    listed = door.client.get("/", headers=token("viewer"))
    assert listed.status_code == 200
    assert hidden.StudyInstanceUID not in listed.text
    assert hidden.StudyInstanceUID in door.client.get("/", headers=token("all")).text


def test_imaging_documents_are_those_one_sees(
    door: Door, token: Callable[[str], dict[str, str]], hidden: Dataset
) -> None:
    """The door of documents asks the same `retrieve`; that it does shows what it has been given."""
    route = next(one for one in ROUTES if one.path == imaging_documents.PATH)
    assert route.right is Right.SEE
    found = door.archive.seen_by(None).retrieve.instances(_scope(hidden))
    person = door.archive.people.get("viewer")
    assert found
    assert door.archive.seen_by(person.view).retrieve.instances(_scope(hidden)) == []


def test_nobody_makes_a_study_theirs_by_what_they_store_into_it(
    door: Door, token: Callable[[str], dict[str, str]], hidden: Dataset
) -> None:
    mine = secondary_capture(StudyInstanceUID=hidden.StudyInstanceUID, InstitutionName="St. Mary")
    refused = door.store(part10(mine), **token("radiographer"))
    assert refused.status_code == 409
    assert refused.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0124]
    path = f"{STUDIES}/{hidden.StudyInstanceUID}"
    assert door.client.get(path, headers=token("radiographer")).status_code == 404
    new = secondary_capture(InstitutionName="St. Mary")
    assert door.store(part10(new), **token("radiographer")).status_code == 200


def test_nobody_shares_what_they_do_not_see(
    door: Door, token: Callable[[str], dict[str, str]], hidden: Dataset
) -> None:
    made = []
    for uid in (hidden.StudyInstanceUID, new_uid(), stored(door, token, "St. Mary").StudyInstanceUID):
        asking = {"studies": [uid], "recipient": "somebody"}
        answer = door.client.post("/api/shares", json=asking, headers=token("radiographer"))
        made.append((answer.status_code, answer.text.replace(uid, "UID")))
    assert made[0] == made[1]
    assert [status for status, _ in made] == [404, 404, 201]


def test_deletions_of_what_one_does_not_see_are_none(
    door: Door, token: Callable[[str], dict[str, str]], hidden: Dataset
) -> None:
    """Nor are those of others: for who sees some studies there are no other deletions than their own asking."""
    theirs, ours = stored(door, token, "Holy Cross"), stored(door, token, "St. Mary")

    def deleted(who: str, uid: str) -> tuple[int, str]:
        order = {"StudyInstanceUID": uid, "reason": "sent twice"}
        answer = door.client.post("/api/deletions", json=order, headers=token(who))
        return answer.status_code, answer.text.replace(uid, "UID")

    assert deleted("administrator", hidden.StudyInstanceUID) == deleted("administrator", new_uid())
    assert deleted("administrator", hidden.StudyInstanceUID)[0] == 404
    assert deleted("administrator", ours.StudyInstanceUID)[0] == 201
    of_patient = {"PatientID": hidden.PatientID, "reason": "asked to be forgotten"}
    door.client.post("/api/deletions", json=of_patient, headers=token("administrator"))
    assert len(door.archive.retrieve.instances(_scope(hidden))) == 1, "nothing was changed"
    assert deleted("all", theirs.StudyInstanceUID)[0] == 201

    (known, *_) = door.client.get("/api/deletions", headers=token("all")).json()
    assert theirs.StudyInstanceUID in str(known)
    assert door.client.get("/api/deletions", headers=token("administrator")).json() == []
    assert door.client.get("/api/retention/due", headers=token("administrator")).json() == []
    for page in ("/deletions", "/deletions/due"):
        shown = door.client.get(page, headers=token("administrator"))
        assert shown.status_code == 200
        assert theirs.StudyInstanceUID not in shown.text
    assert theirs.StudyInstanceUID in door.client.get("/deletions", headers=token("all")).text
    page = f"/deletions/{known['id']}"
    assert door.client.get(page, headers=token("administrator")).status_code == 404
    path = f"/api/deletions/{known['id']}"
    for method, below, json in (
        ("GET", "", None),
        ("GET", "/certificate", None),
        ("POST", "/decision", {"decision": "approve"}),
    ):
        answer = door.client.request(method, path + below, json=json, headers=token("administrator"))
        assert answer.status_code == 404, below
        assert theirs.StudyInstanceUID not in answer.text
    assert door.client.get(path, headers=token("all")).status_code == 200


def test_a_change_is_in_effect_with_the_next_request(
    door: Door, token: Callable[[str], dict[str, str]], hidden: Dataset
) -> None:
    path = f"{STUDIES}/{hidden.StudyInstanceUID}/metadata"
    people = door.archive.people
    people.add("ada", "", [Role.VIEWER])
    narrowed = {"Authorization": f"Bearer {people.issue('ada', '', 1, see=SEES)[0]}"}
    statuses = [door.client.get(path, headers=headers).status_code for headers in (token("ada"), narrowed)]
    people.change("ada", see=SEES)
    statuses.append(door.client.get(path, headers=token("ada")).status_code)
    people.change("ada", full_name="Ada L.")
    statuses.append(door.client.get(path, headers=token("ada")).status_code)
    people.change("ada", see=())
    statuses += [door.client.get(path, headers=headers).status_code for headers in (token("ada"), narrowed)]
    people.remove("ada")

    assert statuses == [200, 404, 404, 404, 200, 404]
