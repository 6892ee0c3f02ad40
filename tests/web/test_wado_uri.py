"""WADO-URI (PS3.18 chapter 9): every parameter, its rules, and the choice between DICOM and a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.web.http.exchange import Asked
from archive.web.routes import ROUTES
from objects import ct, mr, multi_frame, part10
from rendered_objects import content, document, presentation_state, report, video, window
from web_door import Door, running, settings_for

JPEG = {"Accept": "image/jpeg"}
ANYTHING = {"Accept": "*/*"}


@pytest.fixture(scope="module")
def strict_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door that goes by the letter."""
    with running(settings_for(tmp_path_factory.mktemp("strict"), http__strict=True)) as shared:
        yield shared


@pytest.fixture(scope="module")
def stored() -> Dataset:
    """An MR slice whose left half is dark and right half bright."""
    pixels = np.zeros((64, 128), np.uint16)
    pixels[:, 64:] = 1000
    return mr(
        Rows=64,
        Columns=128,
        PixelData=pixels.tobytes(),
        WindowCenter="500",
        WindowWidth="1000",
        PixelSpacing=None,
    )


@pytest.fixture(scope="module")
def frames() -> Dataset:
    """Three frames."""
    return multi_frame(3)


@pytest.fixture(autouse=True, scope="module")
def _stored(door: Door, strict_door: Door, stored: Dataset, frames: Dataset) -> None:
    for each in (door, strict_door):
        assert each.store(part10(stored), part10(frames), Accept="application/dicom+json").status_code == 200


def ask(
    door: Door, data_set: Dataset, headers: dict[str, str] | None = None, **parameters: str
) -> httpx.Response:
    """GET /wado of this instance."""
    named = {
        "requestType": "WADO",
        "studyUID": data_set.StudyInstanceUID,
        "seriesUID": data_set.SeriesInstanceUID,
        "objectUID": data_set.SOPInstanceUID,
    }
    return door.client.get("/wado", params=named | parameters, headers=headers or ANYTHING)


def picture(answer: httpx.Response) -> np.ndarray:
    """The grey values of a picture."""
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(BytesIO(answer.content)).convert("L"))


def test_the_default_is_a_jpeg_picture(door: Door, stored: Dataset) -> None:
    """9.3."""
    answer = ask(door, stored)
    assert answer.headers["content-type"] == "image/jpeg"
    shades = picture(answer)
    assert shades.shape == (64, 128)
    assert shades[:, :56].max() < 40
    assert shades[:, 72:].min() > 215


@pytest.mark.parametrize(
    "how", [{"contentType": "application/dicom"}, {"headers": {"Accept": "application/dicom"}}]
)
def test_dicom_by_either_negotiation(door: Door, stored: Dataset, how: dict[str, str]) -> None:
    """9.4.3: a plain application/dicom, as the service knows no parameters of media types (9.1.3)."""
    answer = ask(door, stored, **how)  # type: ignore[arg-type]
    assert answer.headers["content-type"] == "application/dicom"
    found = dcmread(BytesIO(answer.content))
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found == stored
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_the_content_location_leads_to_the_same(door: Door, stored: Dataset, frames: Dataset) -> None:
    for answer in (
        ask(door, stored, contentType="application/dicom"),
        ask(door, stored),
        ask(door, frames, frameNumber="2"),
    ):
        location = answer.headers["content-location"]
        assert location.startswith(f"{door.url}/wado?")
        assert parse_qs(urlsplit(location).query)["requestType"] == ["WADO"]
        again = door.client.get(location)
        assert again.headers["content-type"] == answer.headers["content-type"]
        assert again.content == answer.content


@pytest.mark.parametrize("name", ["requestType", "studyUID", "seriesUID", "objectUID"])
def test_what_is_mandatory(door: Door, stored: Dataset, name: str) -> None:
    """9.4.2.1, 9.4.2.2."""
    assert ask(door, stored, **{name: ""}).status_code == 400
    answer = ask(door, stored, **{name: "1..2"})
    assert answer.status_code == 400
    assert name in answer.text or "UID" in answer.text
    twice = door.client.get(f"/wado?requestType=WADO&{name}=1.2&{name}=1.3", headers=ANYTHING)
    assert twice.status_code == 400


@pytest.mark.parametrize("name", ["studyUID", "seriesUID", "objectUID"])
def test_uids_that_do_not_belong_together(door: Door, stored: Dataset, name: str) -> None:
    for content_type in ("application/dicom", "image/jpeg"):
        for extra in ({}, {"rows": "5", "columns": "5"}):
            answer = ask(door, stored, **{name: "1.2.3"}, contentType=content_type, **extra)
            assert answer.status_code == 404


@pytest.mark.parametrize(
    "parameters",
    [
        {"anonymize": "no"},
        {"anonymize": "yes,yes"},
        {"contentType": "application/dicom;transfer-syntax=1.2.840.10008.1.2.1"},
        {"contentType": "application/dicom;charset=UTF-8"},
        {"contentType": "application/dicom", "transferSyntax": "explicit"},
        {"contentType": "application/dicom", "windowCenter": "1", "windowWidth": "2"},
        {"contentType": "application/dicom", "windowWidth": "2"},
        {"windowCenter": "40"},
        {"windowWidth": "400"},
        {"windowCenter": "a", "windowWidth": "400"},
        {"windowCenter": "nan", "windowWidth": "400"},
        {"windowCenter": "", "windowWidth": ""},
        {"imageQuality": "0"},
        {"imageQuality": "101"},
        {"imageQuality": ""},
        {"imageQuality": "x"},
        {"rows": "0", "columns": "5"},
        {"rows": "-1", "columns": "5"},
        {"rows": "1.5", "columns": "5"},
        {"rows": "999999999", "columns": "999999999"},
        {"region": "0,0,1"},
        {"region": "0,0,1,1,1"},
        {"region": "0,0,1,1.1"},
        {"region": "-0.1,0,1,1"},
        {"region": "0.5,0,0.5,1"},
        {"region": "0.6,0,0.5,1"},
        {"region": "0,0,x,1"},
        {"region": ""},
        {"frameNumber": "0"},
        {"frameNumber": "2"},
        {"frameNumber": "x"},
        {"frameNumber": ""},
        {"annotation": "patient", "imageAnnotation": "patient"},
        {"presentationUID": "1.2"},
        {"presentationSeriesUID": "1.2"},
        {"presentationSeriesUID": "1.2", "presentationUID": "x"},
        {"presentationSeriesUID": "1.2", "presentationUID": "1.3", "windowCenter": "1", "windowWidth": "2"},
        {"presentationSeriesUID": "1.2", "presentationUID": "1.3", "transferSyntax": "1.2"},
    ],
    ids=str,
)
def test_parameters_that_cannot_be(door: Door, stored: Dataset, parameters: dict[str, str]) -> None:
    answer = ask(door, stored, None, **parameters)
    assert answer.status_code == 400, answer.text
    assert answer.text.strip()


def test_nothing_is_returned_as_if_it_were_anonymous(door: Door, stored: Dataset) -> None:
    """9.4.2.3: refused aloud."""
    for content_type in ("application/dicom", "image/jpeg"):
        answer = ask(door, stored, anonymize="yes", contentType=content_type)
        assert answer.status_code == 406
        assert "de-identify" in answer.text


def test_windowing(door: Door, stored: Dataset) -> None:
    """9.5.2.2: a window in which both halves are bright."""
    bright = picture(ask(door, stored, windowCenter="-1000", windowWidth="10"))
    assert bright.min() > 250


def test_viewport_and_region(door: Door, stored: Dataset) -> None:
    """9.5.2.4, 9.5.2.5."""
    shapes = {
        (("rows", "32"), ("columns", "32")): (16, 32),
        (("rows", "16"),): (16, 32),
        (("columns", "16"),): (8, 16),
        (("region", "0.5,0,1,1"),): (64, 64),
        (("region", "0.5,0.5,1,1"), ("rows", "64")): (64, 128),
        (("region", "0,0,0.5,1"), ("columns", "32")): (32, 32),
    }
    for parameters, shape in shapes.items():
        assert picture(ask(door, stored, **dict(parameters))).shape == shape
    assert picture(ask(door, stored, region="0.6,0,1,1")).min() > 215
    assert picture(ask(door, stored, region="0,0,0.4,1")).max() < 40


def test_frames(door: Door, frames: Dataset) -> None:
    """9.5.2.1."""
    pictures = {ask(door, frames, frameNumber=number).content for number in ("1", "2", "3")}
    assert len(pictures) == 3
    assert ask(door, frames, frameNumber="4").status_code == 400
    for accept in ("*/*", "image/*", "text/html,image/avif,*/*;q=0.8"):
        assert ask(door, frames, {"Accept": accept}).headers["content-type"] == "image/jpeg"


def test_media_types_of_pictures(door: Door, stored: Dataset) -> None:
    png = ask(door, stored, contentType="image/png")
    assert png.headers["content-type"] == "image/png"
    by_header = ask(door, stored, {"Accept": "image/png"})
    assert by_header.content == png.content
    # 8.7.8.1: nothing that contentType names is there, so the header counts, here with a wildcard
    assert ask(door, stored, contentType="image/webp").headers["content-type"] == "image/jpeg"
    assert ask(door, stored, JPEG, contentType="image/webp").headers["content-type"] == "image/jpeg"
    assert ask(door, stored, {"Accept": "image/webp"}).status_code == 406
    quality = [len(ask(door, stored, imageQuality=quality).content) for quality in ("5", "100")]
    assert quality[0] < quality[1]


def test_a_picture_through_a_presentation_state(door: Door, strict_door: Door) -> None:
    """9.5.1.2.7, 9.5.2.3, 9.5.2.4: its window is used, and a region is cut after it."""
    pixels = np.zeros((64, 128), np.uint16)
    pixels[:, 64:] = 1000
    image = ct(
        Rows=64,
        Columns=128,
        PixelData=pixels.tobytes(),
        WindowCenter="40",
        WindowWidth="400",
        PixelSpacing=None,
    )
    state = presentation_state([image], SoftcopyVOILUTSequence=window(-500, 500))
    for each in (door, strict_door):
        assert each.store(part10(image), part10(state), Accept="application/dicom+json").status_code == 200
    of_state = {"presentationSeriesUID": state.SeriesInstanceUID, "presentationUID": state.SOPInstanceUID}
    assert picture(ask(door, image))[:, 72:].max() < 100
    shown = ask(door, image, **of_state)
    assert picture(shown)[:, 72:].min() > 215
    assert door.client.get(shown.headers["content-location"]).content == shown.content
    small = picture(ask(door, image, **of_state, rows="32", columns="32"))
    assert small.shape == (16, 32)
    region = picture(ask(door, image, **of_state, region="0.5,0,1,1", rows="32", columns="48"))
    assert region.shape == (32, 32), "the right half is square"
    assert region[:, 4:].min() > 215
    assert picture(ask(door, image, **of_state, region="0,0,0.5,0.5"))[:, :28].max() < 40
    for other in ({"presentationUID": "1.2.3"}, {"presentationSeriesUID": "1.2.3"}):
        assert ask(door, image, **of_state | other).status_code == 404
    assert ask(door, image, **of_state, frameNumber="1").status_code == 200
    assert ask(strict_door, image, **of_state, frameNumber="1").status_code == 400
    assert ask(door, image, **of_state | {"presentationUID": image.SOPInstanceUID}).status_code in (
        400,
        404,
        406,
    )


@pytest.mark.parametrize("name", ["annotation", "imageAnnotation"])
def test_annotation_has_both_names_of_the_standard(door: Door, stored: Dataset, name: str) -> None:
    """9.4.1.2.2 and Table 9.5.1-1 name it differently; 8.3.5.1.1 says what it does."""
    answer = ask(door, stored, **{name: "patient,nonsense"})
    assert answer.status_code == 200
    assert "nonsense" in answer.headers["warning"]


@pytest.mark.parametrize(
    ("make", "default", "other"),
    [
        (lambda: part10(report([content("TEXT", "Finding", TextValue="none")])), "text/html", "text/plain"),
        (lambda: part10(document(b"%PDF-1.4 test")), "application/pdf", "application/pdf"),
        (lambda: video(b"\0\0\0\x18ftypmp42" + bytes(64))[1], "video/mp4", "video/mp4"),
    ],
    ids=["report", "document", "video"],
)
def test_what_is_no_image(door: Door, make: Callable[[], bytes], default: str, other: str) -> None:
    """9.3 names image/jpeg for all; what has no picture comes as Table 8.7.4-1 says."""
    file = make()
    assert door.store(file).status_code == 200
    data_set = dcmread(BytesIO(file))
    for parameters, expected in (({}, default), ({"contentType": other}, other)):
        answer = ask(door, data_set, **parameters)
        assert answer.headers["content-type"].partition(";")[0] == expected
        assert door.client.get(answer.headers["content-location"]).content == answer.content
    assert ask(door, data_set, contentType="application/dicom", transferSyntax="*").content == file


def test_transfer_syntax(door: Door) -> None:
    """9.4.2.4: Explicit VR Little Endian unless another is asked for; 406 names what there is."""
    implicit = mr()
    file = part10(implicit, ImplicitVRLittleEndian)
    assert door.store(file).status_code == 200
    stored = ask(door, implicit, contentType="application/dicom", transferSyntax="*")
    assert stored.content == file
    refused = ask(door, implicit, contentType="application/dicom", transferSyntax="1.2.840.10008.1.2.4.201")
    assert refused.status_code == 406
    assert "1.2.840.10008.1.2" in refused.text
    default = ask(door, implicit, contentType="application/dicom")
    found = dcmread(BytesIO(default.content))
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found == implicit


@pytest.mark.parametrize(
    ("parameters", "headers", "status"),
    [
        ({"rows": "10"}, ANYTHING, 400),
        ({"frameNumber": "1"}, ANYTHING, 400),
        ({"contentType": "application/dicom", "transferSyntax": "*"}, ANYTHING, 400),
        ({"contentType": "application/dicom,image/jpeg"}, ANYTHING, 400),
        ({}, {"Accept": "application/dicom, image/jpeg"}, 400),
        ({"contentType": "*/*"}, ANYTHING, 400),
        ({"contentType": "image/png"}, {"Accept": "image/jpeg"}, 406),
        ({"contentType": "image/png"}, {"Accept": "image/*"}, 200),
        ({"contentType": "application/dicom"}, {"Accept": "application/dicom"}, 200),
    ],
    ids=str,
)
def test_the_letter(
    door: Door,
    strict_door: Door,
    stored: Dataset,
    parameters: dict[str, str],
    headers: dict[str, str],
    status: int,
) -> None:
    """What chapter 9 says twice and differently, or no client keeps to."""
    assert ask(strict_door, stored, headers, **parameters).status_code == status
    assert ask(door, stored, headers, **parameters).status_code == 200


def test_a_missing_accept_header_is_refused_by_the_letter(strict_door: Door, stored: Dataset) -> None:
    """9.5.1.3 wants it, 9.4.1.3 does not."""
    request = httpx.Request("GET", ask(strict_door, stored).request.url)
    assert strict_door.client.send(request).status_code == 406
    dicom = httpx.Request("GET", f"{request.url}&contentType=application%2Fdicom")
    assert strict_door.client.send(dicom).status_code == 200


def test_unknown_parameters_are_ignored(door: Door, stored: Dataset) -> None:
    """8.3.2; viewers add their own."""
    assert ask(door, stored, studyId="7", frameIndex="3").status_code == 200


def test_only_pictures_wait_for_a_place_among_pictures() -> None:
    """Whole objects are read by anybody's thread: making pictures must not hold them up."""
    (route,) = (route for route in ROUTES if route.path == "/wado")
    for query, header, renders in (
        ("", "*/*", True),
        ("contentType=image/png", "application/dicom", True),
        ("contentType=application/dicom", "*/*", False),
        ("", "application/dicom", False),
    ):
        asked = Asked({}, query, {"accept": header}, "http://archive/dicom-web")
        assert route.makes_pictures(asked) == renders


def test_other_methods(door: Door) -> None:
    assert door.client.post("/wado").status_code == 405


@pytest.fixture
def proxied_door(open_door: Callable[..., Door]) -> Door:
    """Behind a proxy that says how it is called."""
    return open_door(http__behind_proxy=True, sign_in__required="never")


def test_the_location_behind_a_proxy(proxied_door: Door, stored: Dataset) -> None:
    assert proxied_door.store(part10(stored)).status_code == 200
    headers = ANYTHING | {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "pacs.example",
        "X-Forwarded-Prefix": "/x",
    }
    answer = ask(proxied_door, stored, headers)
    assert answer.headers["content-location"].startswith("https://pacs.example/x/wado?requestType=WADO&")
