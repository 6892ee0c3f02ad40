"""Rejection over HTTP (dimse.md 1.5 IOCM; dicomweb.md 6, OHIF's delete): what is rejected is gone from every resource,
what STOW-RS says of notes and of what was rejected, POST …/reject/…, and /api/rejections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO

from objects import ct, data_set_bytes, new_uid, part10
from rejection_notes import PATIENT_SAFETY, QUALITY, rejection_note
from web_door import Door

OpenDoor = Callable[..., Door]


@pytest.fixture
def door(open_door: OpenDoor) -> Door:
    """Of an archive that has nothing else."""
    return open_door()


def stored(door: Door, number: int = 2) -> list[Dataset]:
    first = ct()
    more = {"StudyInstanceUID": first.StudyInstanceUID, "SeriesInstanceUID": first.SeriesInstanceUID}
    made = [first, *(ct(**more) for _ in range(number - 1))]
    assert door.store(*map(part10, made)).status_code == 200
    return made


def urls(data_set: Dataset) -> tuple[str, str, str]:
    """Of the study, the series and the instance."""
    study = f"/dicom-web/studies/{data_set.StudyInstanceUID}"
    series = f"{study}/series/{data_set.SeriesInstanceUID}"
    return study, series, f"{series}/instances/{data_set.SOPInstanceUID}"


def found(door: Door, path: str = "/dicom-web/instances") -> list[str]:
    answer = door.client.get(path)
    return [one["00080018"]["Value"][0] for one in answer.json()] if answer.status_code == 200 else []


def test_what_a_note_rejects_is_gone_from_every_resource(door: Door) -> None:
    series = stored(door, 1)
    assert door.store(part10(rejection_note(PATIENT_SAFETY, series))).status_code == 200
    study, of_series, instance = urls(series[0])
    resources = [study, of_series, instance, f"{instance}/frames/1", f"{instance}/frames/1/rendered"]
    resources += [
        f"{one}/{below}" for one in (study, of_series, instance) for below in ("metadata", "rendered")
    ]
    assert {url: door.client.get(url).status_code for url in resources} == dict.fromkeys(resources, 410)
    wado = f"/wado?requestType=WADO&studyUID={series[0].StudyInstanceUID}"
    wado += f"&seriesUID={series[0].SeriesInstanceUID}&objectUID={series[0].SOPInstanceUID}"
    assert door.client.get(wado).status_code == 410
    assert [
        door.client.get(f"/dicom-web/{what}").status_code for what in ("studies", "series", "instances")
    ] == [204] * 3


def test_counts_follow(door: Door) -> None:
    series = stored(door, 3)
    door.store(part10(rejection_note(QUALITY, series[:1])))
    (study,) = door.client.get("/dicom-web/studies").json()
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([1], [2])
    assert study["00080061"]["Value"] == ["CT"]  # and no KO


def test_stow_says_success_of_a_note_and_gives_no_url(door: Door) -> None:
    answer = door.store(part10(rejection_note(QUALITY, stored(door))))
    assert answer.status_code == 200
    (item,) = answer.json()["00081199"]["Value"]
    assert "Value" not in item["00081190"]
    assert "Value" not in answer.json()["00081190"]
    assert "Location" not in answer.headers


def test_stow_refuses_what_was_rejected_and_holds_what_is_awaited(door: Door) -> None:
    early, late = stored(door, 1)[0], ct()
    late.StudyInstanceUID, late.SeriesInstanceUID = early.StudyInstanceUID, early.SeriesInstanceUID
    door.store(part10(rejection_note(PATIENT_SAFETY, [early, late])))
    again = door.store(part10(early))
    assert again.status_code == 409
    assert again.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0111]
    assert "rejected" in again.headers["Warning"]
    held = door.store(part10(late))
    assert held.status_code == 202
    (item,) = held.json()["00081199"]["Value"]
    assert item["00081196"]["Value"] == [0xB000]
    assert "Value" not in item["00081190"]
    assert "rejection note 1" in held.headers["Warning"]
    assert found(door) == []


def test_stow_refuses_a_note_for_another_patient(door: Door) -> None:
    series = stored(door)
    answer = door.store(part10(rejection_note(PATIENT_SAFETY, series, PatientID="OTHER")))
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
    assert "patient" in answer.headers["Warning"]
    assert len(found(door)) == 2


@pytest.mark.parametrize("level", [0, 1, 2])
def test_reject_as_ohif_does(door: Door, level: int) -> None:
    """`xhr.open('POST', …/reject/113001%5EDCM)`, no body; 204 is success, and 404 "not supported"."""
    series = stored(door)
    url = urls(series[0])[level]
    answer = door.client.post(f"{url}/reject/113001%5EDCM")
    assert (answer.status_code, answer.content) == (204, b"")
    assert found(door) == ([series[1].SOPInstanceUID] if level == 2 else [])
    assert door.client.get(urls(series[0])[2]).status_code == 410
    assert door.client.post(f"{url}/reject/113001^DCM").status_code == 410
    (note,) = door.client.get("/api/rejections").json()
    assert (note["reason"], note["door"]) == (QUALITY, "REJECT-RS")
    assert note["counts"] == {"held": 1 if level == 2 else 2}


def test_the_note_that_reject_makes_is_a_key_object_selection(door: Door) -> None:
    """PS3.3 A.35.4, TID 2010: what it says of patient and study is what they say."""
    first = ct(PatientName="Müller^Jörg=山田^太郎", SpecificCharacterSet="ISO_IR 192")
    assert door.store(part10(first)).status_code == 200
    door.client.post(f"{urls(first)[0]}/reject/113037^DCM")
    (listed,) = door.client.get("/api/rejections").json()
    answer = door.client.get(f"/api/rejections/{listed['id']}/note")
    assert answer.headers["Content-Type"] == "application/dicom"
    note = dcmread(DicomBytesIO(answer.content))
    assert str(note.PatientName) == "Müller^Jörg=山田^太郎"
    assert (note.PatientID, note.StudyInstanceUID) == (first.PatientID, first.StudyInstanceUID)
    assert note.ConceptNameCodeSequence[0].CodeValue == PATIENT_SAFETY
    (study,) = note.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    (sop,) = series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == (
        first.StudyInstanceUID,
        first.SeriesInstanceUID,
    )
    assert sop.ReferencedSOPInstanceUID == first.SOPInstanceUID
    (item,) = note.ContentSequence
    assert (item.ValueType, item.ReferencedSOPSequence[0]) == ("IMAGE", sop)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/reject/113000^DCM", 404),
        ("/reject/113001^99LOCAL", 404),
        ("/reject/113001", 404),
        ("/reject/%00", 404),
        ("/series/1.2/reject/113001^DCM", 404),
        ("/series/1.2x/reject/113001^DCM", 400),
    ],
)
def test_what_cannot_be_rejected(door: Door, path: str, status: int) -> None:
    series = stored(door)
    assert door.client.post(f"{urls(series[0])[0]}{path}").status_code == status
    assert len(found(door)) == 2


def test_who_may_not_delete_may_not_reject(open_door: OpenDoor) -> None:
    door = open_door(http__deletion=False)
    answer = door.client.post(f"{urls(stored(door)[0])[0]}/reject/113001^DCM")
    assert (answer.status_code, "http.deletion" in answer.text) == (403, True)
    assert len(found(door)) == 2


@pytest.mark.parametrize("origins", [[], ["*"]])
def test_a_page_of_another_origin_may_not_reject(open_door: OpenDoor, origins: list[str]) -> None:
    """A browser sends such a POST without asking first."""
    door = open_door(http__cors_origins=origins)
    url = f"{urls(stored(door)[0])[0]}/reject/113001^DCM"
    foreign = {"Origin": "https://evil.example"}
    assert door.client.post(url, headers=foreign).status_code == 403
    assert len(found(door)) == 2


def test_the_viewer_s_origin_may(open_door: OpenDoor) -> None:
    door = open_door(http__cors_origins=["https://viewer.example"])
    url = f"{urls(stored(door)[0])[0]}/reject/113001^DCM"
    answer = door.client.post(url, headers={"Origin": "https://viewer.example"})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://viewer.example"


def test_reject_where_quality_hides_nothing(open_door: OpenDoor) -> None:
    door = open_door(rejection__quality="show")
    url = urls(stored(door)[0])[0]
    assert door.client.post(f"{url}/reject/113001^DCM").status_code == 409
    assert len(found(door)) == 2
    assert door.client.post(f"{url}/reject/113037^DCM").status_code == 204
    assert found(door) == []


def decide(door: Door, number: int, decision: str, **members: str) -> Any:
    return door.client.post(f"/api/rejections/{number}/decision", json={"decision": decision, **members})


def rejected(door: Door, number: int = 2) -> list[Dataset]:
    series = stored(door, number)
    door.store(part10(rejection_note(PATIENT_SAFETY, series)))
    return series


def test_the_api_lists_and_shows(door: Door) -> None:
    series = rejected(door)
    (listed,) = door.client.get("/api/rejections").json()
    assert (listed["state"], listed["counts"]) == ("active", {"held": 2})
    assert listed["meaning"] == "Rejected for Patient Safety Reasons"
    assert listed["settled_at"] is None
    assert "blob_key" not in str(listed)
    one = door.client.get("/api/rejections/1").json()
    assert {each["SOPInstanceUID"]: each["fate"] for each in one["instances"]} == {
        each.SOPInstanceUID: "held" for each in series
    }
    study = series[0].StudyInstanceUID
    assert len(door.client.get("/api/rejections", params={"study": study}).json()) == 1
    assert door.client.get("/api/rejections", params={"study": new_uid()}).json() == []
    assert door.client.get("/api/rejections", params={"state": "restored"}).json() == []


def test_what_is_held_is_served_to_the_administrator(door: Door) -> None:
    series = rejected(door)
    url = f"/api/rejections/1/instances/{series[0].SOPInstanceUID}"
    answer = door.client.get(url)
    assert (answer.status_code, data_set_bytes(answer.content)) == (200, data_set_bytes(part10(series[0])))
    assert door.client.get(url, headers={"Range": "bytes=128-131"}).content == b"DICM"
    assert door.client.get(f"/api/rejections/1/instances/{new_uid()}").status_code == 404


def test_the_api_takes_back(door: Door) -> None:
    series = rejected(door)
    done = decide(door, 1, "restore", instance=series[0].SOPInstanceUID)
    assert (done.status_code, done.json()) == (200, {"decided": 1, "failed": []})
    assert found(door) == [series[0].SOPInstanceUID]
    assert decide(door, 1, "restore").json()["decided"] == 1
    assert len(found(door)) == 2
    assert decide(door, 1, "restore").status_code == 409
    (note,) = door.client.get("/api/rejections", params={"state": "restored"}).json()
    assert note["settled_by"].startswith("api ")


def test_the_api_drops(door: Door) -> None:
    series = rejected(door)
    assert decide(door, 1, "drop", instance=series[0].SOPInstanceUID).json()["decided"] == 1
    assert decide(door, 1, "drop").json()["decided"] == 1
    assert door.client.get("/api/rejections").json()[0]["counts"] == {"dropped": 2}


@pytest.mark.parametrize(
    ("url", "body", "status"),
    [
        ("/api/rejections/1/decision", {"decision": "burn"}, 400),
        ("/api/rejections/1/decision", {}, 400),
        ("/api/rejections/1/decision", {"decision": "drop", "instance": "x"}, 400),
        ("/api/rejections/1/decision", {"decision": "drop", "instance": "1.2.3"}, 404),
        ("/api/rejections/1/decision", {"decision": "drop", "series": "1.2.3"}, 400),
        ("/api/rejections/7/decision", {"decision": "drop"}, 404),
        ("/api/rejections/x/decision", {"decision": "drop"}, 404),
    ],
)
def test_what_the_api_does_not_take(door: Door, url: str, body: dict[str, str], status: int) -> None:
    rejected(door)
    assert door.client.post(url, json=body).status_code == status
    assert door.client.get("/api/rejections").json()[0]["counts"] == {"held": 2}


def test_the_api_is_guarded(open_door: OpenDoor) -> None:
    door = open_door(http__administration="off")
    rejected(door)
    for path in ("", "/1", "/1/note"):
        assert door.client.get(f"/api/rejections{path}").status_code == 403
    assert decide(door, 1, "restore").status_code == 403


def test_rules_for_what_others_send_do_not_change_our_own_note(open_door: OpenDoor) -> None:
    """Else it would be another patient's than what it rejects, and nothing could be rejected."""
    door = open_door(coercion_rules=[{"replace": {"PatientID": ["^0", ""]}}])
    one = ct(PatientID="00123")
    assert door.store(part10(one)).status_code == 202  # coerced
    assert door.client.post(f"{urls(one)[0]}/reject/113001^DCM").status_code == 204
    assert found(door) == []
