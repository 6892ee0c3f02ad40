"""Pictures and text for people over HTTP (PS3.18 10.4.1.1.3, 8.7.4): R4, R5, N8, N11, N16."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageSequence
from pydicom.dataset import Dataset

from objects import ct, mr, multi_frame, part10, secondary_capture, series
from rendered_objects import (
    CDA_STORAGE,
    GRAYSCALE_STATE,
    area,
    code,
    content,
    document,
    item,
    presentation_state,
    raw_data,
    report,
    video,
    window,
)
from test_store_and_fetch import instance_path
from web_door import Door, parts

PNG = {"Accept": "image/png"}


def stored(door: Door, *data_sets: Dataset) -> str:
    """The resource of the first of these."""
    assert door.store(*(part10(data_set) for data_set in data_sets)).status_code == 200
    return instance_path(data_sets[0])


def study_of(path: str) -> str:
    return path.partition("/series")[0]


def series_of(path: str) -> str:
    return path.partition("/instances")[0]


def multipart(*media_types: str) -> dict[str, str]:
    return {"Accept": ", ".join(f'multipart/related; type="{name}"' for name in media_types)}


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF"), ("*/*", "JPEG")],
)
def test_a_single_frame(door: Door, media_type: str, kind: str) -> None:
    """R4: JPEG is the default, PNG and GIF are required."""
    path = stored(door, ct())
    answer = door.client.get(f"{path}/rendered", headers={"Accept": media_type})
    assert answer.headers["content-type"] == f"image/{kind.lower()}"
    assert answer.headers["content-location"] == f"{door.url}{path}/rendered"
    image = opened(answer.content)
    assert (image.format, image.size) == (kind, (512, 512))


def test_a_jpeg_is_baseline(door: Door) -> None:
    """PS3.18 8.7.4: baseline, Huffman, sequential: SOF0 and no other."""
    data = door.client.get(f"{stored(door, ct())}/rendered").content
    assert b"\xff\xc0\x00\x0b\x08" in data
    assert b"\xff\xc2" not in data


def test_all_media_types_show_the_same(door: Door) -> None:
    path = stored(door, ct())
    png, gif = (
        np.asarray(opened(door.client.get(f"{path}/rendered", headers={"Accept": name}).content).convert("L"))
        for name in ("image/png", "image/gif")
    )
    np.testing.assert_array_equal(png, gif)


def test_a_study_and_a_series_are_multipart(door: Door) -> None:
    """R5, N8, N11: in the order of the retrieve, each part with its length and its resource."""
    data_sets = series(mr, 3)
    path = stored(door, *data_sets)
    expected = [f"{door.url}{instance_path(data_set)}/rendered" for data_set in data_sets]
    for target in (study_of(path), series_of(path)):
        found = parts(door.client.get(f"{target}/rendered"))
        assert [headers["Content-Location"] for headers, _ in found] == expected
        assert {headers["Content-Type"] for headers, _ in found} == {"image/jpeg"}
        assert {opened(body).size for _, body in found} == {(128, 128)}


def test_a_study_of_one_instance_is_multipart_too(door: Door) -> None:
    """N8: a single part type is ignored for a study even if it holds one single frame instance (10.4.4 note 3)."""
    path = study_of(stored(door, ct()))
    assert len(parts(door.client.get(f"{path}/rendered", headers=multipart("image/png")))) == 1
    assert door.client.get(f"{path}/rendered", headers={"Accept": "image/png"}).status_code == 406
    assert door.client.get(f"{path}/rendered", headers={"Accept": "image/*"}).status_code == 200


def test_each_part_has_the_media_type_of_its_category(door: Door) -> None:
    """R5, 8.7.8.1."""
    image = ct()
    same = {"StudyInstanceUID": image.StudyInstanceUID}
    data_sets = [
        image,
        multi_frame(3, **same),
        report([content("TEXT", "Finding", TextValue="None")], **same),
    ]
    data_sets.append(document(b"%PDF-1.4 nothing", StudyInstanceUID=image.StudyInstanceUID))
    path = study_of(stored(door, *data_sets))
    answer = door.client.get(f"{path}/rendered")
    assert "warning" not in answer.headers
    found = {headers["Content-Type"] for headers, _ in parts(answer)}
    assert found == {"image/jpeg", "image/gif", "text/html; charset=UTF-8", "application/pdf"}


def test_what_cannot_be_rendered_is_left_out_and_said(door: Door) -> None:
    image = ct()
    raw = raw_data(StudyInstanceUID=image.StudyInstanceUID)
    text = report([], StudyInstanceUID=image.StudyInstanceUID)
    path = study_of(stored(door, image, raw, text))
    answer = door.client.get(f"{path}/rendered", headers=multipart("image/png"))
    assert len(parts(answer)) == 1
    assert answer.headers["warning"] == (
        f"299 {door.base}: 2 of 3 instances cannot be had in an acceptable media type: left out"
    )


def test_in_strict_mode_no_instance_is_left_out_for_its_media_type(open_door: Callable[..., Door]) -> None:
    door = open_door(http__strict=True)
    image = ct()
    path = study_of(stored(door, image, report([], StudyInstanceUID=image.StudyInstanceUID)))
    assert door.client.get(f"{path}/rendered", headers=multipart("image/png")).status_code == 406
    assert len(parts(door.client.get(f"{path}/rendered", headers=multipart("image/png", "text/plain")))) == 2


def test_nothing_that_can_be_rendered(door: Door) -> None:
    path = stored(door, raw_data())
    for target in (path, series_of(path), study_of(path)):
        answer = door.client.get(f"{target}/rendered")
        assert answer.status_code == 406
        assert "cannot be rendered" in answer.text or "nothing here" in answer.text


def test_another_media_type_is_406_and_says_what_there_is(door: Door) -> None:
    path = stored(door, ct())
    for target in (path, study_of(path), f"{path}/frames/1"):
        answer = door.client.get(f"{target}/rendered", headers={"Accept": "image/webp"})
        assert answer.status_code == 406
        assert "image/jpeg" in answer.text
        assert "image/gif" in answer.text


def test_a_multi_frame_image_is_an_animation(door: Door) -> None:
    """R4: without a default any type of the category is acceptable (8.7.7)."""
    path = stored(door, multi_frame(5, FrameTime="40"))
    for accept in ("*/*", "image/*", "image/gif"):
        answer = door.client.get(f"{path}/rendered", headers={"Accept": accept})
        assert answer.headers["content-type"] == "image/gif"
    image = opened(answer.content)
    assert (image.n_frames, image.info["duration"], image.info["loop"]) == (5, 40, 0)
    shown = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(image)]
    for number, pixels in enumerate(shown, 1):
        alone = door.client.get(f"{path}/frames/{number}/rendered", headers=PNG)
        np.testing.assert_array_equal(np.asarray(opened(alone.content)), pixels)


def test_a_multi_frame_image_as_stills(door: Door) -> None:
    """One for all, or every frame."""
    path = stored(door, multi_frame(5))
    one = door.client.get(f"{path}/rendered", headers=PNG).content
    assert one == door.client.get(f"{path}/frames/3/rendered", headers=PNG).content
    every = parts(door.client.get(f"{path}/rendered", headers=multipart("image/png")))
    expected = [f"{door.url}{path}/frames/{number}/rendered" for number in range(1, 6)]
    assert [headers["Content-Location"] for headers, _ in every] == expected
    assert every[2][1] == one


def test_frames_in_the_order_asked_for(door: Door) -> None:
    """R2, N8."""
    path = stored(door, multi_frame(4))
    found = parts(door.client.get(f"{path}/frames/4,1,4/rendered", headers=multipart("image/png")))
    assert [headers["Content-Location"].split("/")[-2] for headers, _ in found] == ["4", "1", "4"]
    assert found[0][1] == found[2][1] != found[1][1]
    assert door.client.get(f"{path}/frames/1,2/rendered", headers=PNG).status_code == 406
    assert door.client.get(f"{path}/frames/5/rendered").status_code == 404
    assert door.client.get(f"{path}/frames/1,5/rendered").status_code == 404
    assert door.client.get(f"{path}/frames/0/rendered").status_code == 400


def broken(data_set: Dataset) -> Dataset:
    """Its pixel data end early."""
    data_set.PixelData = data_set.PixelData[: len(data_set.PixelData) // 2]
    return data_set


def test_a_broken_frame_alone_is_406_and_among_others_a_notice(door: Door) -> None:
    """An answer of many that has begun is never cut, and leaves nothing out unseen."""
    data_sets = series(mr, 3)
    broken(data_sets[1])
    path = stored(door, *data_sets)
    for resource in ("rendered", "frames/1/rendered", "frames/1,1/rendered"):
        assert door.client.get(f"{instance_path(data_sets[1])}/{resource}").status_code in (404, 406)
    found = parts(door.client.get(f"{study_of(path)}/rendered", headers=multipart("image/png")))
    assert [opened(body).size for _, body in found] == [(128, 128), (480, 270), (128, 128)]


def test_a_report_is_html_by_default(door: Door) -> None:
    """R4."""
    measured = content("NUM", "Diameter", MeasuredValueSequence=[
        item(NumericValue="12.5", MeasurementUnitsCodeSequence=code("millimeter", "mm", "UCUM"))
    ])  # fmt: skip
    path = stored(door, report([content("TEXT", "Befund", TextValue="Größe: unauffällig"), measured]))
    html = door.client.get(f"{path}/rendered")
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src" not in html.headers["content-security-policy"]
    assert html.headers["content-security-policy"].startswith("default-src 'none'")
    assert "sandbox" in html.headers["content-security-policy"]
    assert "<h1>Imaging Report</h1>" in html.text
    assert "<b>Befund:</b> Größe: unauffällig" in html.text
    plain = door.client.get(f"{path}/rendered", headers={"Accept": "text/plain"})
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Diameter: 12.5 mm\n" in plain.text
    xml = door.client.get(f"{path}/rendered", headers={"Accept": "text/xml"})
    values = [value.text for value in ElementTree.fromstring(xml.content).iter("value")]
    assert values == ["Größe: unauffällig", "12.5 mm"]


def test_a_report_in_another_character_set(door: Door) -> None:
    """N10."""
    path = stored(door, report([content("TEXT", "Befund", TextValue="Größe")]))
    answer = door.client.get(f"{path}/rendered?charset=ISO-8859-1", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"] == "text/plain; charset=ISO-8859-1"
    assert "Größe".encode("latin-1") in answer.content


def test_a_document_goes_out_as_it_is(door: Door) -> None:
    """R4. Without the padding byte, and in ranges."""
    data = b"%PDF-1.4\n" + bytes(range(256)) * 20
    path = stored(door, document(data))
    answer = door.client.get(f"{path}/rendered")
    assert (answer.headers["content-type"], answer.content) == ("application/pdf", data)
    ranged = door.client.get(f"{path}/rendered", headers={"Range": "bytes=9-18"})
    assert (ranged.status_code, ranged.content) == (206, data[9:19])
    refused = door.client.get(f"{path}/rendered", headers={"Accept": "text/html"})
    assert refused.status_code == 406
    assert "application/pdf" in refused.text
    [(headers, body)] = parts(door.client.get(f"{study_of(path)}/rendered"))
    assert (headers["Content-Type"], body) == ("application/pdf", data)


def test_a_clinical_document_cannot_act_as_a_page_of_ours(door: Door) -> None:
    data = b'<?xml version="1.0"?><x xmlns:h="http://www.w3.org/1999/xhtml"><h:script>alert(1)</h:script></x>'
    answer = door.client.get(f"{stored(door, document(data, 'text/xml', CDA_STORAGE))}/rendered")
    assert answer.headers["content-type"] == "text/xml"
    assert answer.content == data
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_document_of_a_type_that_browsers_run_does_not_go_out(door: Door) -> None:
    for media_type in ("text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript", "x"):
        path = stored(door, document(b"<script>alert(1)</script>", media_type))
        assert door.client.get(f"{path}/rendered").status_code == 406


@pytest.mark.parametrize(
    ("begin", "media_type"),
    [
        (b"\x00\x00\x00\x18ftypmp42", "video/mp4"),
        (b"\x47" + bytes(187) + b"\x47", "video/mp2t"),
        (b"\x00\x00\x01\xba", "video/mpeg"),
        (b"\x00\x00\x00\x01\x67", "video/H264"),
    ],
)
def test_a_video_goes_out_as_what_it_is(door: Door, begin: bytes, media_type: str) -> None:
    """R4: without the fragments around it, in ranges, as players want it."""
    stream = begin + bytes(range(256)) * 40
    data_set, file = video(stream)
    assert door.store(file).status_code == 200
    path = instance_path(data_set)
    answer = door.client.get(f"{path}/rendered")
    assert answer.headers["content-type"] == media_type
    assert answer.content[: len(stream)] == stream
    ranged = door.client.get(f"{path}/rendered", headers={"Range": "bytes=100-199"})
    assert (ranged.status_code, ranged.content) == (206, stream[100:200])
    assert door.client.get(f"{path}/rendered?viewport=10,10").status_code == 400
    assert door.client.get(f"{path}/frames/1/rendered").status_code == 406
    assert "annotation" in door.client.get(f"{path}/rendered?annotation=patient").headers["warning"]


def test_a_presentation_state_is_its_images(door: Door) -> None:
    """R5, 8.3.5.1.6: in the order of their position."""
    images = series(ct, 3)
    state = presentation_state(images[::-1], SoftcopyVOILUTSequence=window(-600, 1600))
    stored(door, *images)
    path = stored(door, state)
    found = parts(door.client.get(f"{path}/rendered", headers=multipart("image/png")))
    by_position = sorted(images, key=lambda image: [float(value) for value in image.ImagePositionPatient])
    for (headers, body), image in zip(found, by_position, strict=True):
        assert headers["Content-Location"] == f"{door.url}{instance_path(image)}/frames/1/rendered"
        alone = door.client.get(f"{instance_path(image)}/rendered?window=-600,1600,linear", headers=PNG)
        np.testing.assert_array_equal(np.asarray(opened(body)), np.asarray(opened(alone.content)))


def test_a_presentation_state_of_one_image_is_a_single_part(door: Door) -> None:
    image = ct()
    stored(door, image)
    path = stored(door, presentation_state([image], SoftcopyVOILUTSequence=window(40, 400)))
    answer = door.client.get(f"{path}/rendered", headers=PNG)
    assert answer.headers["content-location"] == f"{door.url}{path}/rendered"
    assert opened(answer.content).size == (512, 512)


def test_what_a_presentation_state_does_not_take(door: Door) -> None:
    """R5: 400 for a window, for the region of a viewport, and for frames."""
    image = ct()
    stored(door, image)
    path = stored(door, presentation_state([image]))
    for query in ("rendered?window=1,2,linear", "rendered?viewport=5,5,1,1,1,1", "frames/1/rendered"):
        assert door.client.get(f"{path}/{query}").status_code == 400


def test_an_image_that_is_referred_to_often_is_shown_once(door: Door) -> None:
    image = multi_frame(4)
    stored(door, image)
    state = presentation_state([image] * 50, frames=[3, 1, 3], RescaleIntercept="0")
    path = stored(door, state)
    found = parts(door.client.get(f"{path}/rendered"))
    assert sorted(headers["Content-Location"].split("/")[-2] for headers, _ in found) == ["1", "3"]


def test_a_presentation_state_without_its_images(door: Door) -> None:
    state = presentation_state([ct()])
    path = stored(door, state)
    assert door.client.get(f"{path}/rendered").status_code == 404
    assert state.SOPClassUID == GRAYSCALE_STATE


def test_an_entity_tag_spares_the_decoder(door: Door) -> None:
    path = stored(door, ct())
    first = door.client.get(f"{path}/rendered")
    again = door.client.get(f"{path}/rendered", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = door.client.get(f"{path}/rendered?quality=10", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_too_many_pictures_are_413(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    from archive.web import renditions

    path = stored(door, *series(secondary_capture, 3))
    monkeypatch.setattr(renditions, "MAXIMUM_PICTURES", 2)
    assert door.client.get(f"{study_of(path)}/rendered").status_code == 413
    assert door.client.get(f"{path}/rendered").status_code == 200


def test_nothing_is_stored_there(door: Door) -> None:
    for path in ("studies/1.2.3", "studies/1.2.3/series/4", "studies/1.2.3/series/4/instances/5"):
        for resource in ("rendered", "thumbnail"):
            assert door.client.get(f"/dicom-web/{path}/{resource}").status_code == 404


def test_what_is_sent_counts_too(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large viewport makes small frames dear, and a presentation state those that it magnifies."""
    from archive.web import renditions

    images = series(secondary_capture, 3)
    path = stored(door, *images)
    study = f"{study_of(path)}/rendered"
    monkeypatch.setattr(renditions, "MAXIMUM_SAMPLES", 3 * 200 * 200)
    assert door.client.get(study).status_code == 200
    assert door.client.get(f"{study}?viewport=200,200").status_code == 200
    assert door.client.get(f"{study}?viewport=201,200").status_code == 413
    whole = area((1, 1), (images[0].Columns, images[0].Rows))
    whole[0].PresentationSizeMode = "MAGNIFY"
    whole[0].PresentationPixelMagnificationRatio = 1000.0
    state = stored(door, presentation_state(images, DisplayedAreaSelectionSequence=whole))
    assert door.client.get(f"{state}/rendered").status_code == 413
