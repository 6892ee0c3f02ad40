"""Who came by a de-identified share: whatever they ask for, by whatever route, nothing tells them whose it is."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset

from archive.dicom.deidentifying.actions import Options
from archive.dicom.instance import Scope
from archive.security.actor import operator
from archive.security.shares import Share, Wanted
from archive.services.deidentifying import LeftOut
from archive.web.routes import ROUTES
from objects import ct, part10, secondary_capture
from shared_studies import MAKER, House, asked, enter, shared_house

CANARY = "CANARY"
FOUND = range(200, 300)
NO_OPTIONS = Options()


def telling(**keywords: str) -> Dataset:
    """An image that says in many places whose it is."""
    data_set = ct(
        PatientID=f"{CANARY}-1", PatientName=f"{CANARY}^Carla", PatientBirthDate="19870615",
        AccessionNumber=f"{CANARY}2", StudyDescription=f"head of {CANARY}", InstitutionName=f"{CANARY} Hospital",
        StudyDate="20200615", StudyTime="061504", ReferringPhysicianName=f"{CANARY}^Doc", StudyID="1",
        ImageComments=CANARY, SeriesDescription=CANARY, **keywords,
    )  # fmt: skip
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = data_set.SOPClassUID, data_set.SOPInstanceUID
    item.PatientName = CANARY
    data_set.ReferencedImageSequence = [item]
    data_set.private_block(0x0009, CANARY, create=True).add_new(1, "OB", CANARY.encode() * 1000)
    return data_set


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with shared_house(tmp_path_factory.mktemp("archive")) as opened:
        token = opened.door.archive.people.issue("uploader", "", 1)[0]
        one = telling()
        beside = secondary_capture(
            PatientID=one.PatientID, PatientName=one.PatientName, StudyInstanceUID=one.StudyInstanceUID
        )
        stored = opened.door.store(part10(one), part10(beside), Authorization=f"Bearer {token}")
        assert stored.status_code == 200
        yield replace(opened, shared=one)


def made(house: House, options: Options = NO_OPTIONS, **wanted: object) -> tuple[str, Share, list[LeftOut]]:
    left: list[LeftOut] = []
    archive = house.door.archive
    said = Wanted((house.shared.StudyInstanceUID,), "Dr X", deidentified=options, **wanted)  # type: ignore[arg-type]
    secret, share = archive.shares.make(MAKER, "command line: root", said, archive.retrieve, left.append)
    return secret, share, left


def copied(house: House, share: Share) -> Dataset:
    """The UIDs under which the image is shown."""
    assert share.deidentified is not None
    shown = Dataset()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(shown, keyword, share.deidentified.replacements.uid(getattr(house.shared, keyword)))
    return shown


def told(answer: httpx.Response) -> bytes:
    """All that somebody gets, with what is in a ZIP."""
    said = answer.content + repr(answer.headers).encode()
    if answer.content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
            for name in files.namelist():
                said += name.encode() + files.read(name)
    return said


@pytest.mark.parametrize("may_download", [False, True])
@pytest.mark.parametrize("options", [Options(), Options(True, True, True)], ids=["basic", "all options"])
def test_no_route_tells_whose_it_is(house: House, may_download: bool, options: Options) -> None:
    """Every route of the table, with the UIDs of the archive and those of the share: neither a text of the patient nor
    a UID of the archive comes back but where it was said, and under those of the archive nothing is."""
    secret, share, _ = made(house, options, may_download=may_download)
    shown, seen = copied(house, share), 0
    uids = [
        house.shared[keyword].value for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    ]
    with house.browser() as client:
        entered = enter(client, secret)
        assert entered.status_code == 200
        assert shown.StudyInstanceUID in entered.json()["viewer"]
        assert not any(uid in entered.text for uid in uids)
        for route in ROUTES:
            if route.right is None:
                continue
            answer = asked(client, route, shown)
            seen += answer.status_code in FOUND and len(answer.content) > 0
            for secret_text in (CANARY, "19870615", "20200615", *uids):
                assert secret_text.encode() not in told(answer), (route.name, secret_text)
            original = asked(client, route, house.shared)
            assert original.status_code in (204, 403, 404) or route.path.endswith(
                ("studies", "series", "instances")
            )
            assert CANARY.encode() not in told(original), route.name
    assert seen >= (20 if may_download else 14)


def test_searches_by_what_is_gone_find_nothing(house: House) -> None:
    secret, share, _ = made(house)
    shown = copied(house, share)
    with house.browser() as client:
        enter(client, secret)
        for query in (f"PatientID={CANARY}-1", f"PatientName={CANARY}*", f"AccessionNumber={CANARY}2",
                      "PatientBirthDate=19870615", f"StudyInstanceUID={house.shared.StudyInstanceUID}"):  # fmt: skip
            assert client.get(f"/dicom-web/studies?{query}").status_code in (204, 404), query
        (study,) = client.get("/dicom-web/studies?includefield=all").json()
    assert study["0020000D"]["Value"] == [shown.StudyInstanceUID]
    assert study["00100020"]["Value"][0].startswith("ANON-")


def test_an_object_comes_whole_with_the_pixels_of_the_original(house: House) -> None:
    secret, share, _ = made(house, may_download=True)
    shown = copied(house, share)
    with house.browser() as client:
        enter(client, secret)
        answer = client.get(
            f"/dicom-web/studies/{shown.StudyInstanceUID}", headers={"Accept": "application/zip"}
        )
    with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
        (name,) = [one for one in files.namelist() if "DICOMDIR" not in one and "." not in one]
        found = pydicom.dcmread(io.BytesIO(files.read(name)))
    assert found.PixelData == house.shared.PixelData
    assert found.PatientIdentityRemoved == "YES"
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID == shown.SOPInstanceUID
    assert found.ReferencedImageSequence[0].ReferencedSOPInstanceUID == shown.SOPInstanceUID


def test_the_maker_is_told_what_is_left_out(house: House) -> None:
    _, _, (left,) = made(house)
    assert left.objects == 1
    assert "burned in" in left.reason


def test_over_the_api(house: House) -> None:
    with house.browser() as client:
        token = house.door.archive.people.issue("radiographer", "", 1)[0]
        client.headers["Authorization"] = f"Bearer {token}"
        body = {"studies": [house.shared.StudyInstanceUID], "recipient": "Dr X", "deidentified": True}
        answer = client.post("/api/shares", json={**body, "retained": ["modified_dates"]})
        assert answer.status_code == 201
        said = answer.json()
        assert said["deidentified"] is True
        assert said["retained"] == ["modified_dates"]
        assert said["left_out"][0]["objects"] == 1
        assert client.get(f"/api/shares/{said['id']}").json()["retained"] == ["modified_dates"]
        assert client.post("/api/shares", json={**body, "retained": ["names"]}).status_code == 400
        unasked = {**body, "deidentified": False, "retained": ["modified_dates"]}
        assert client.post("/api/shares", json=unasked).status_code == 400


def test_the_trail_tells_what_was_shared_as_what(house: House) -> None:
    _, share, _ = made(house, Options(device_identity=True))
    house.door.archive.auditing.trail.flush()
    told = [str(one.message) for one in house.door.archive.audit_log.all()]
    texts = [one for one in told if f"share {share.id} made" in one]
    assert len(texts) == 1
    assert house.shared.StudyInstanceUID in texts[0]
    assert share.shown[0] in texts[0]
    assert "device_identity" in texts[0]


def test_revoking_removes_the_copy(house: House) -> None:
    archive = house.door.archive
    secret, share, _ = made(house)
    assert share.deidentified is not None
    room = archive.settings.data / "deidentified" / share.deidentified.room
    with house.browser() as client:
        enter(client, secret)
        assert client.get("/dicom-web/studies").status_code == 200
        house.revoke(share)
        assert client.get("/dicom-web/studies").status_code == 401
    archive.shares.sweep_copies(archive.retrieve)
    assert not room.exists()


def test_a_copy_that_is_lost_is_gone_and_nothing_else_is_shown(house: House) -> None:
    archive = house.door.archive
    secret, share, _ = made(house)
    assert share.deidentified is not None
    archive.rooms.discard(share.deidentified)
    with house.browser() as client:
        enter(client, secret)
        assert client.get("/dicom-web/studies").status_code == 410


def test_what_is_deleted_in_the_archive_goes_from_the_copy(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = house.door.archive
    monkeypatch.setattr("archive.bootstrap.rooms.KEPT_UP_SECONDS", 0.0)
    token = archive.people.issue("uploader", "", 1)[0]
    one, other = telling(), telling()
    other.StudyInstanceUID = one.StudyInstanceUID
    assert house.door.store(part10(one), part10(other), Authorization=f"Bearer {token}").status_code == 200
    within = replace(house, shared=one)
    secret, share, left = made(within)
    assert not left
    with house.browser() as client:
        enter(client, secret)
        assert len(client.get("/dicom-web/instances").json()) == 2
        archive.deletion.delete(
            Scope((one.StudyInstanceUID,), (other.SeriesInstanceUID,), (other.SOPInstanceUID,)), operator()
        )
        assert len(client.get("/dicom-web/instances").json()) == 1
        room = archive.rooms.room(share.deidentified, share.studies, archive.retrieve)
        assert len(list(room.store.keys())) == 1


def test_nothing_that_can_be_de_identified_is_no_share(house: House) -> None:
    archive = house.door.archive
    token = archive.people.issue("uploader", "", 1)[0]
    capture = secondary_capture(PatientID="P9")
    assert house.door.store(part10(capture), Authorization=f"Bearer {token}").status_code == 200
    rooms = Path(archive.settings.data / "deidentified")
    before = set(rooms.glob("*"))
    with pytest.raises(Exception, match="burned in"):
        made(replace(house, shared=capture))
    assert set(rooms.glob("*")) == before
