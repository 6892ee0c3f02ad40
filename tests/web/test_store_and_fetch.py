"""The whole way over HTTP: store, find, fetch, with the same bytes at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from objects import ct, data_set_bytes, mr, multi_frame, part10, series
from web_door import Door, parts

IMPLICIT = str(ImplicitVRLittleEndian)


def instance_path(data_set: object) -> str:
    """The resource of a data set that was stored."""
    uids = [getattr(data_set, f"{level}InstanceUID") for level in ("Study", "Series", "SOP")]
    return "/dicom-web/studies/{}/series/{}/instances/{}".format(*uids)


def test_a_stored_file_is_found_and_comes_back_with_the_same_bytes(door: Door) -> None:
    data_set = mr(PatientName="Fetched^Head", PatientID="F1")
    file = part10(data_set)
    stored = door.store(file)
    assert stored.status_code == 200, stored.text
    url = f"{door.url}{instance_path(data_set)}"
    item = stored.json()["00081199"]["Value"][0]
    assert item["00081155"]["Value"] == [data_set.SOPInstanceUID]
    assert item["00081190"]["Value"] == [url]
    [study] = door.client.get("/dicom-web/studies", params={"PatientName": "fetched*"}).json()
    assert study["0020000D"]["Value"] == [data_set.StudyInstanceUID]
    assert study["00081190"]["Value"] == [f"{door.base}/studies/{data_set.StudyInstanceUID}"]
    answer = door.client.get(url)
    [(headers, body)] = parts(answer)
    assert answer.headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert headers["Content-Type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert headers["Content-Location"] == url
    assert body == file


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_native_transfer_syntax_passes_through(door: Door, syntax: str) -> None:
    data_set = ct(Rows=512)
    file = part10(data_set, syntax)
    assert door.store(file).status_code == 200
    answer = door.client.get(
        instance_path(data_set), headers={"Accept": "application/dicom; transfer-syntax=*"}
    )
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={syntax}"
    assert int(answer.headers["content-length"]) == len(file)
    assert answer.content == file


def test_series_and_study_bring_every_instance(door: Door) -> None:
    data_sets = series(mr, 5)
    files = {part10(data_set) for data_set in data_sets}
    assert door.store(*files).status_code == 200
    study = f"/dicom-web/studies/{data_sets[0].StudyInstanceUID}"
    for path in (study, f"{study}/series/{data_sets[0].SeriesInstanceUID}"):
        bodies = [body for _, body in parts(door.client.get(path))]
        assert len(bodies) == 5
        assert set(bodies) == files


def test_another_transfer_syntax_is_406_and_nothing_is_left_out(door: Door) -> None:
    first, second = series(mr, 2)
    assert door.store(part10(first), part10(second, IMPLICIT)).status_code == 200
    path = f"/dicom-web/studies/{first.StudyInstanceUID}"
    explicit = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'
    answer = door.client.get(path, headers={"Accept": explicit})
    assert len(parts(answer)) == 2
    lossless = explicit.replace("2.1", "2.4.90")
    refused = door.client.get(path, headers={"Accept": lossless})
    assert refused.status_code == 406
    assert "1.2.840.10008.1.2.1" in refused.text
    assert len(parts(door.client.get(path, headers={"Accept": f"{lossless}, {explicit}"}))) == 2


def test_the_same_file_again_and_a_file_alone(door: Door) -> None:
    file = part10(mr())
    alone = {"Content-Type": "application/dicom"}
    assert door.client.post("/dicom-web/studies", content=file, headers=alone).status_code == 200
    again = door.client.post("/dicom-web/studies", content=file, headers=alone)
    assert again.status_code == 200
    assert len(again.json()["00081199"]["Value"]) == 1


def test_metadata_at_three_levels(door: Door) -> None:
    data_sets = series(mr, 3, PatientName="Ünïcode^Name=漢字", SpecificCharacterSet="ISO_IR 192")
    assert door.store(*(part10(data_set) for data_set in data_sets)).status_code == 200
    instance = instance_path(data_sets[0])
    study = instance.partition("/series/")[0]
    wanted = {data_set.SOPInstanceUID for data_set in data_sets}
    for path in (study, instance.partition("/instances/")[0]):
        answer = door.client.get(f"{path}/metadata", headers={"Accept": "application/dicom+json"})
        assert answer.headers["content-type"] == "application/dicom+json"
        assert {one["00080018"]["Value"][0] for one in answer.json()} == wanted
    [one] = door.client.get(f"{instance}/metadata").json()
    assert one["7FE00010"]["BulkDataURI"] == f"{door.url}{instance}/bulkdata/7FE00010"
    assert one["00100010"]["Value"] == [{"Alphabetic": "Ünïcode^Name", "Ideographic": "漢字"}]
    bulk = door.client.get(one["7FE00010"]["BulkDataURI"])
    assert bulk.headers["content-type"] == "application/octet-stream"
    assert bulk.content == data_sets[0].PixelData
    [(headers, body)] = parts(
        door.client.get(
            one["7FE00010"]["BulkDataURI"],
            headers={"Accept": 'multipart/related; type="application/octet-stream"'},
        )
    )
    assert headers["Content-Location"] == one["7FE00010"]["BulkDataURI"]
    assert body == data_sets[0].PixelData


def test_metadata_in_xml(door: Door) -> None:
    data_set = mr(PatientName="Fämily^<Given>", SpecificCharacterSet="ISO_IR 192")
    assert door.store(part10(data_set)).status_code == 200
    accept = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    [(headers, body)] = parts(door.client.get(f"{instance_path(data_set)}/metadata", headers=accept))
    assert headers["Content-Type"] == "application/dicom+xml"
    assert "<FamilyName>Fämily</FamilyName><GivenName>&lt;Given&gt;</GivenName>".encode() in body
    query = {"StudyInstanceUID": data_set.StudyInstanceUID}
    [(_, study)] = parts(door.client.get("/dicom-web/studies", headers=accept, params=query))
    assert data_set.StudyInstanceUID.encode() in study


def test_frames_as_stored(door: Door) -> None:
    data_set = multi_frame(frames=4)
    assert door.store(part10(data_set)).status_code == 200
    path = instance_path(data_set)
    size = len(data_set.PixelData) // 4
    frames = [data_set.PixelData[start : start + size] for start in range(0, 4 * size, size)]
    ohif = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'}
    found = parts(door.client.get(f"{path}/frames/3,1", headers=ohif))
    assert [body for _, body in found] == [frames[2], frames[0]]
    assert found[0][0]["Content-Type"] == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert found[0][0]["Content-Location"] == f"{door.url}{path}/frames/3"
    alone = door.client.get(f"{path}/frames/2", headers={"Accept": "application/octet-stream"})
    assert alone.content == frames[1]
    assert door.client.get(f"{path}/frames/5").status_code == 404
    single_for_two = door.client.get(f"{path}/frames/1,2", headers={"Accept": "application/octet-stream"})
    assert single_for_two.status_code == 406


@pytest.mark.parametrize("frames", ["0", "a", "1,,2", "-1", "1,", "1" * 11, "1%2C0"])
def test_malformed_frame_lists(door: Door, frames: str) -> None:
    assert door.client.get(f"/dicom-web/studies/1/series/2/instances/3/frames/{frames}").status_code in (
        400,
        404,
    )


def test_compressed_frames_have_the_type_of_their_transfer_syntax(door: Door, pydicom_data: object) -> None:
    file = (pydicom_data / "test_files" / "SC_rgb_jpeg_dcmtk.dcm").read_bytes()  # type: ignore[operator]
    stored = door.store(file)
    assert stored.status_code == 200, stored.text
    url = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    [(headers, jpeg)] = parts(
        door.client.get(f"{url}/frames/1", headers={"Accept": "multipart/related; type=image/jpeg"})
    )
    assert headers["Content-Type"].startswith("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.")
    assert jpeg.startswith(b"\xff\xd8")
    trick = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
    [(headers, same)] = parts(door.client.get(f"{url}/frames/1", headers=trick))
    assert headers["Content-Type"].startswith(
        "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4."
    )
    assert same == jpeg
    [bulk] = parts(
        door.client.get(f"{url}/bulkdata/7FE00010", headers={"Accept": 'multipart/related; type="image/*"'})
    )
    assert bulk[1] == jpeg
    assert bulk[0]["Content-Location"] == f"{url}/bulkdata/7FE00010"


def test_rendered_and_thumbnail(door: Door) -> None:
    data_set = ct()
    assert door.store(part10(data_set)).status_code == 200
    path = instance_path(data_set)
    jpeg = door.client.get(f"{path}/rendered")
    assert jpeg.headers["content-type"] == "image/jpeg"
    assert jpeg.content.startswith(b"\xff\xd8")
    png = door.client.get(f"{path}/frames/1/rendered", params={"accept": "image/png", "viewport": "64,64"})
    assert png.headers["content-type"] == "image/png"
    assert png.content[16:24] == (64).to_bytes(4, "big") * 2
    assert (
        door.client.get(
            f"{path}/rendered?window=40,400,linear&quality=50&viewport=128,128,,,200,200"
        ).status_code
        == 200
    )
    for level in (path, path.partition("/instances")[0], path.partition("/series")[0], f"{path}/frames/1"):
        small = door.client.get(f"{level}/thumbnail", params={"viewport": "256,256"})
        assert small.status_code == 200
        assert len(small.content) < len(jpeg.content)
    [(headers, body)] = parts(
        door.client.get(f"{path}/frames/1/rendered", headers={"Accept": "multipart/related"})
    )
    assert headers["Content-Type"] == "image/jpeg"
    assert body == jpeg.content
    assert door.client.get(f"{path}/rendered", headers={"Accept": "image/webp"}).status_code == 406


@pytest.mark.parametrize(
    "query",
    ["quality=0", "quality=101", "quality=x", "window=1", "window=a,b", "window=1,1,curved", "window=1,nan,linear",
     "viewport=1", "viewport=0,5", "viewport=99999999,99999999", "viewport=a,b", "quality=1&quality=2",
     "window=40,400"],
)  # fmt: skip
def test_malformed_rendering_parameters(door: Door, query: str) -> None:
    data_set = mr()
    assert door.store(part10(data_set)).status_code == 200
    assert door.client.get(f"{instance_path(data_set)}/rendered?{query}").status_code == 400


def test_what_is_not_there(door: Door) -> None:
    for path in ("", "/series/2", "/series/2/instances/3"):
        for suffix in ("", "/metadata"):
            assert door.client.get(f"/dicom-web/studies/1{path}{suffix}").status_code == 404
    for suffix in ("frames/1", "rendered", "thumbnail", "bulkdata/7FE00010"):
        assert door.client.get(f"/dicom-web/studies/1/series/2/instances/3/{suffix}").status_code == 404


@pytest.mark.parametrize("uid", ["1..2", ".1", "a", "1" * 65, "%00", "1%2E%2E%2F", "%C0%AE", "1;x"])
def test_malformed_uids_in_the_path(door: Door, uid: str) -> None:
    for path in (
        f"/studies/{uid}",
        f"/studies/{uid}/metadata",
        f"/studies/{uid}/series",
        f"/studies/1/series/{uid}",
    ):
        answer = door.client.get(f"/dicom-web{path}")
        assert answer.status_code in (400, 404), path
        assert uid not in answer.text or len(uid) < 3


def test_an_object_without_pixel_data_has_no_frames(door: Door) -> None:
    data_set = mr(PixelData=None, Rows=None, Columns=None, BitsAllocated=None)
    assert door.store(part10(data_set)).status_code == 200
    assert door.client.get(f"{instance_path(data_set)}/frames/1").status_code == 404
    assert door.client.get(f"{instance_path(data_set)}/rendered").status_code in (404, 406)


def test_urls_behind_a_proxy(open_door: Callable[..., Door]) -> None:
    door = open_door(http__behind_proxy=True, sign_in__required="never")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pacs.example", "X-Forwarded-Prefix": "/x"}
    data_set = mr()
    stored = door.store(part10(data_set), **headers)
    base = "https://pacs.example/x/dicom-web"
    assert stored.json()["00081190"]["Value"] == [f"{base}/studies/{data_set.StudyInstanceUID}"]
    [found] = door.client.get("/dicom-web/instances", headers=headers).json()
    assert found["00081190"]["Value"][0].startswith(f"{base}/studies/")
    [one] = door.client.get(f"{instance_path(data_set)}/metadata", headers=headers).json()
    assert one["7FE00010"]["BulkDataURI"].startswith(f"{base}/studies/")


def test_the_data_set_keeps_its_bytes_whatever_the_preamble(door: Door) -> None:
    """An executable in the preamble is not passed on (O5); the data set is untouched."""
    data_set = mr()
    file = part10(data_set)
    assert door.store(b"MZ" + b"\x90" * 126 + file[128:]).status_code == 200
    [(_, body)] = parts(door.client.get(instance_path(data_set)))
    assert body == file
    assert data_set_bytes(body) == data_set_bytes(file)
