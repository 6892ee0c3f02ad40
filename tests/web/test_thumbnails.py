"""Thumbnails at four levels (PS3.18 10.4.1.1.4, 10.4.3.3.4, 8.3.5.2): R6."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from device_headers import with_attributes
from objects import ct, mr, multi_frame, part10, secondary_capture, series
from rendered_objects import document, presentation_state, raw_data, report, video
from test_store_and_fetch import instance_path
from web_door import Door

PNG = {"Accept": "image/png"}


def stored(door: Door, *data_sets: Dataset) -> str:
    assert door.store(*(part10(data_set) for data_set in data_sets)).status_code in (200, 202)
    return instance_path(data_sets[0])


def levels(path: str) -> tuple[str, str, str, str]:
    return path.partition("/series")[0], path.partition("/instances")[0], path, f"{path}/frames/1"


def thumbnail(door: Door, path: str, query: str = "") -> np.ndarray:
    answer = door.client.get(f"{path}/thumbnail{query}", headers=PNG)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(BytesIO(answer.content)))


def test_four_levels(door: Door) -> None:
    """R6: the same small picture at each of them, JPEG by default."""
    path = stored(door, ct())
    for level in levels(path):
        answer = door.client.get(f"{level}/thumbnail")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-location"] == f"{door.url}{level}/thumbnail"
        assert Image.open(BytesIO(answer.content)).size == (128, 128)


@pytest.mark.parametrize(
    ("query", "shape"), [("256,256", (256, 256)), ("64,100", (64, 64)), ("1024,1024", (1024, 1024))]
)
def test_the_size_is_the_client_s(door: Door, query: str, shape: tuple[int, int]) -> None:
    assert thumbnail(door, stored(door, ct()), f"?viewport={query}").shape == shape


@pytest.mark.parametrize("viewport", ["", "5", "0,5", "2000,10", "10,10,1,1,5,5", "10,10,,,-5", "a,b"])
def test_sizes_that_cannot_be(door: Door, viewport: str) -> None:
    """8.3.5.1.3: nothing but width and height."""
    assert door.client.get(f"{stored(door, ct())}/thumbnail?viewport={viewport}").status_code == 400


def test_parameters_of_rendered_resources_do_not_count(door: Door) -> None:
    """R6: nothing is ever written on a thumbnail."""
    path = stored(door, ct())
    expected = thumbnail(door, path)
    for query in ("?annotation=patient", "?window=1,2,linear", "?quality=0", "?iccprofile=x"):
        np.testing.assert_array_equal(thumbnail(door, path, query), expected)


def test_the_middle_stands_for_a_series(door: Door) -> None:
    data_sets = series(ct, 5)
    path = stored(door, *data_sets)
    expected = thumbnail(door, instance_path(data_sets[2]))
    np.testing.assert_array_equal(thumbnail(door, path.partition("/instances")[0]), expected)
    assert not np.array_equal(thumbnail(door, path), expected)


def test_the_series_with_most_images_stands_for_a_study(door: Door) -> None:
    """Not the scout, and not the report, however early or many they are."""
    scout = ct(SeriesNumber=1)
    same = {"StudyInstanceUID": scout.StudyInstanceUID}
    reports = [report([], SeriesNumber=0, **same) for _ in range(4)]
    for one in reports:
        one.SeriesInstanceUID = reports[0].SeriesInstanceUID
    slices = series(ct, 3, SeriesNumber=2, **same)
    path = stored(door, scout, *slices, *reports)
    expected = thumbnail(door, instance_path(slices[1]))
    np.testing.assert_array_equal(thumbnail(door, path.partition("/series")[0]), expected)


def test_the_frame_that_the_object_names(door: Door) -> None:
    path = stored(door, multi_frame(6, RepresentativeFrameNumber=2))
    np.testing.assert_array_equal(thumbnail(door, path), thumbnail(door, f"{path}/frames/2"))
    path = stored(door, multi_frame(6))
    np.testing.assert_array_equal(thumbnail(door, path), thumbnail(door, f"{path}/frames/3"))
    assert door.client.get(f"{path}/frames/7/thumbnail").status_code == 404


@pytest.mark.parametrize(
    "attribute", ["BurnedInAnnotation", "RecognizableVisualFeatures", "SpecimenLabelInImage"]
)
def test_pixels_that_say_whose_they_are_are_not_shown(door: Door, attribute: str) -> None:
    """R6: no Patient Identifying Information, at no level and in no size."""
    data_set = secondary_capture(Rows=64, Columns=64, PixelData=bytes([255]) * 4096)
    path = stored(door, with_attributes(data_set, {attribute: "YES"}))
    for level in levels(path):
        for query in ("", "?viewport=1024,1024"):
            assert (thumbnail(door, level, query) < 200).all()


def test_a_label_of_a_slide_is_not_shown(door: Door) -> None:
    data_set = secondary_capture(Rows=64, Columns=64, PixelData=bytes([255]) * 4096)
    path = stored(door, with_attributes(data_set, ImageType=["ORIGINAL", "PRIMARY", "LABEL", "NONE"]))
    assert (thumbnail(door, path) < 200).all()


def test_the_overview_stands_for_a_whole_slide(door: Door) -> None:
    """The smallest level, and never the label."""
    slide = "1.2.840.10008.5.1.4.1.1.77.1.6"
    kinds = (("VOLUME", 64, 40), ("THUMBNAIL", 8, 90), ("LABEL", 2, 255))
    data_sets = []
    for kind, side, grey in kinds:
        one = secondary_capture(SOPClassUID=slide, Rows=8, Columns=8, PixelData=bytes([grey]) * 64)
        with_attributes(one, ImageType=["ORIGINAL", "PRIMARY", kind, "NONE"], TotalPixelMatrixColumns=side)
        data_sets.append(with_attributes(one, TotalPixelMatrixRows=side, Modality="SM"))
    for one in data_sets:
        one.StudyInstanceUID, one.SeriesInstanceUID = (
            data_sets[0].StudyInstanceUID,
            data_sets[0].SeriesInstanceUID,
        )
    path = stored(door, *data_sets)
    assert (thumbnail(door, path.partition("/instances")[0]) == 90).all()


def test_what_is_no_picture_has_a_symbol(door: Door) -> None:
    """R6: whatever is stored has a thumbnail, without a word of what it says."""
    shown = set()
    for one in (report([]), document(b"%PDF-1.4"), raw_data(), presentation_state([ct()])):
        path = stored(door, one)
        for level in levels(path)[:3]:
            shown.add(thumbnail(door, level).tobytes())
    data_set, file = video(b"\x00\x00\x00\x18ftypmp42")
    assert door.store(file).status_code == 200
    shown.add(thumbnail(door, instance_path(data_set)).tobytes())
    assert len(shown) == 5


def test_a_symbol_is_the_same_for_every_patient(door: Door) -> None:
    """R6."""
    one, other = (stored(door, report([], PatientName=name, PatientID=name)) for name in ("A^B", "C^D"))
    np.testing.assert_array_equal(thumbnail(door, one), thumbnail(door, other))


def test_a_broken_instance_has_a_symbol_and_the_study_another_picture(door: Door) -> None:
    bad = mr(SeriesNumber=1)
    bad.PixelData = bad.PixelData[:100]
    good = mr(StudyInstanceUID=bad.StudyInstanceUID, SeriesNumber=2)
    path = stored(door, bad, good)
    np.testing.assert_array_equal(
        thumbnail(door, path.partition("/series")[0]), thumbnail(door, instance_path(good))
    )
    assert thumbnail(door, path).max() < 200


def test_a_thumbnail_is_remembered(door: Door) -> None:
    path = stored(door, ct()).partition("/series")[0]
    tag = door.client.get(f"{path}/thumbnail").headers["etag"]
    assert door.client.get(f"{path}/thumbnail", headers={"If-None-Match": tag}).status_code == 304


def test_several_frames_have_one_thumbnail(door: Door) -> None:
    """Only a single image shall be returned (10.4.3.3.4)."""
    path = stored(door, multi_frame(3))
    np.testing.assert_array_equal(thumbnail(door, f"{path}/frames/3,1"), thumbnail(door, f"{path}/frames/3"))
