"""When something among many cannot be rendered: the answer is whole, and says it (R5; PS3.18 10.4.3.3.3)."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image
from pydicom.dataset import Dataset

from objects import ct, multi_frame, part10, secondary_capture, series
from rendered_objects import content, document, presentation_state, report
from test_rendered import multipart, series_of, stored, study_of
from test_store_and_fetch import instance_path
from web_door import Door, parts


def sizes(found: list[tuple[dict[str, str], bytes]]) -> list[tuple[int, int]]:
    return [Image.open(BytesIO(body)).size for _, body in found]


def without_bytes(door: Door, data_set: Dataset) -> None:
    """Take away what is stored of it, behind the archive's back."""
    for stored_file in (door.archive.settings.data).rglob("*"):
        if not stored_file.is_file() or "sqlite" in stored_file.name:
            continue
        if data_set.SOPInstanceUID.encode() in stored_file.read_bytes()[:2000]:
            stored_file.unlink()


def test_a_region_outside_of_one_of_the_pictures(door: Door) -> None:
    """400 for the one alone, a notice among others."""
    large, small = series(secondary_capture, 2)
    large.Rows = large.Columns = 64
    large.PixelData = bytes(64 * 64)
    path = stored(door, large, small)
    query = "viewport=10,10,32,32,10,10"
    found = parts(door.client.get(f"{study_of(path)}/rendered?{query}", headers=multipart("image/png")))
    assert sizes(found) == [(10, 10), (480, 270)]
    assert door.client.get(f"{instance_path(small)}/rendered?{query}").status_code == 400


def test_a_profile_in_a_type_that_holds_none_among_others(door: Door) -> None:
    """R3: 400 before the first byte, wherever in the study the picture is."""
    text = report([content("TEXT", "A", TextValue="b")], SeriesNumber=1)
    path = stored(door, text, ct(StudyInstanceUID=text.StudyInstanceUID, SeriesNumber=2))
    accept = multipart("image/gif", "text/html")
    assert door.client.get(f"{study_of(path)}/rendered?iccprofile=yes", headers=accept).status_code == 400
    assert door.client.get(f"{study_of(path)}/rendered?iccprofile=no", headers=accept).status_code == 200


def test_a_presentation_state_whose_images_are_elsewhere_is_left_out(door: Door) -> None:
    image = ct()
    state = presentation_state([ct()], SeriesNumber=1)
    state.StudyInstanceUID = image.StudyInstanceUID
    path = study_of(stored(door, image, state))
    answer = door.client.get(f"{path}/rendered")
    assert len(parts(answer)) == 1
    assert "1 of 2 instances" in answer.headers["warning"]


@pytest.mark.parametrize(
    "make", [lambda **same: document(b"%PDF" * 999, **same), lambda **same: multi_frame(3, **same)]
)
def test_bytes_that_have_gone(open_door: Callable[..., Door], make: Callable[..., Dataset]) -> None:
    """The index knows it, the disk does not: a sentence in place of a document, notices in place of pictures."""
    door = open_door()
    first, second = series(ct, 2, SeriesNumber=1)
    lost = make(StudyInstanceUID=first.StudyInstanceUID, SeriesNumber=0)
    path = stored(door, first, second, lost)
    without_bytes(door, lost)
    found = parts(door.client.get(f"{study_of(path)}/rendered"))
    types = [headers["Content-Type"].partition(";")[0] for headers, _ in found]
    assert sorted(types)[1:] in (["image/jpeg", "image/jpeg"], ["image/jpeg", "text/plain"])
    assert len(found) == 3
    assert door.client.get(f"{instance_path(lost)}/rendered").status_code in (404, 406)
    assert door.client.get(f"{instance_path(lost)}/rendered", headers=multipart("*/*")).status_code in (
        200,
        404,
        406,
    )
    assert door.client.get(f"{series_of(instance_path(lost))}/thumbnail").status_code == 200


def test_a_text_that_its_character_set_cannot_hold(door: Door) -> None:
    """N10: among others in a sentence, alone 406."""
    text = report([content("TEXT", "A", TextValue="漢字")])
    path = stored(door, text, ct(StudyInstanceUID=text.StudyInstanceUID))
    accept = multipart("text/plain", "image/png")
    found = parts(door.client.get(f"{study_of(path)}/rendered?charset=ISO-8859-1", headers=accept))
    assert sorted(headers["Content-Type"] for headers, _ in found) == [
        "image/png",
        "text/plain; charset=UTF-8",
    ]
    alone = door.client.get(f"{path}/rendered?charset=ISO-8859-1", headers={"Accept": "text/plain"})
    assert alone.status_code == 406


def test_every_answer_is_whole(door: Door) -> None:
    """Whatever is in a study, the last boundary comes."""
    data_sets = series(ct, 2)
    data_sets[0].PixelData = data_sets[0].PixelData[:1000]
    path = stored(door, *data_sets)
    assert part10(data_sets[0])
    for accept in ("*/*", *multipart("image/gif").values()):
        assert len(parts(door.client.get(f"{study_of(path)}/rendered", headers={"Accept": accept}))) == 2
