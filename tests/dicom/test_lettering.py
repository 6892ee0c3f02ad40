"""Text that is burned in (PS3.18 8.3.5.1.1): R3. Names of every script, or none; never half of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from archive.dicom.rendering.annotation import KEYWORDS, lines, supported
from archive.dicom.rendering.lettering import LONGEST, Lettering, cleaned

PLAIN = Lettering()
GREY = np.full((256, 256), 128, np.uint8)


def named(name: str = "", **groups: str) -> dict[str, Any]:
    value = {"Alphabetic": name, **groups}
    return {
        "00100010": {"vr": "PN", "Value": [value]},
        "00100020": {"vr": "LO", "Value": ["P-1"]},
        "00100030": {"vr": "DA", "Value": ["19601231"]},
        "00100040": {"vr": "CS", "Value": ["F"]},
    }


def test_what_the_own_font_can_write() -> None:
    assert PLAIN.can_draw("Smith, John - 12:30 [3] (4)")
    for name in ("山田", "Иванов", "محمد", "\U00010000"):
        assert not PLAIN.can_draw(name)


def test_another_font_is_tried_for_what_it_lacks() -> None:
    try:
        path = ImageFont.truetype("DejaVuSans.ttf").path
    except OSError:
        pytest.skip("DejaVu Sans is not installed (Debian package fonts-dejavu-core)")
    with open(str(path), "rb") as file:
        both = Lettering([file.read()])
    for name in ("Müller", "Иванов", "Łódź", "Ωμέγα", "محمد"):
        assert both.can_draw(name)
        assert (both.burn_in(GREY, [name]) != GREY).any()
    assert not both.can_draw("山田")


def test_patient_lines() -> None:
    assert lines("patient", named("Doe^Jane^Q^Dr.^PhD"), 1, PLAIN) == [
        "Doe, Dr. Jane Q PhD",
        "ID P-1",
        "1960-12-31  F",
    ]


def test_the_first_group_that_can_be_written_is() -> None:
    """Alphabetic, else ideographic, else phonetic."""
    assert lines("patient", named("Yamada^Tarou", Ideographic="山田^太郎"), 1, PLAIN)[0] == "Yamada, Tarou"
    assert lines("patient", named("", Ideographic="山田", Phonetic="yamada"), 1, PLAIN)[0] == "yamada"


@pytest.mark.parametrize(
    "metadata", [named("山田^太郎"), named("A") | {"00100020": {"vr": "LO", "Value": ["番号"]}}]
)
def test_half_an_identification_is_none(metadata: dict[str, Any]) -> None:
    """The name is there and cannot be written, or the ID cannot: the keyword is not supported."""
    assert supported(("patient", "technique"), metadata, PLAIN) == ["technique"]
    assert lines("patient", metadata, 1, PLAIN) == []


def test_no_name_is_no_reason() -> None:
    assert supported(("technique", "patient"), {}, PLAIN) == ["technique", "patient"]
    assert lines("patient", {}, 1, PLAIN) == []


def test_technique_lines() -> None:
    metadata = {
        "00080020": {"vr": "DA", "Value": ["20240102"]},
        "00080030": {"vr": "TM", "Value": ["101530.5"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00180015": {"vr": "CS", "Value": ["CHEST"]},
        "00200011": {"vr": "IS", "Value": [4]},
        "00200013": {"vr": "IS", "Value": ["17"]},
        "00280008": {"vr": "IS", "Value": [9]},
        "00200032": {"vr": "DS", "Value": [-1.25, 2, 3.5]},
        "00180060": {"vr": "DS", "Value": [120]},
    }
    assert lines("technique", metadata, 3, PLAIN) == [
        "2024-01-02 10:15", "CT CHEST", "Se 4  Im 17  Fr 3/9", "Pos -1.2\\2.0\\3.5", "120 kV",
    ]  # fmt: skip


@pytest.mark.parametrize("junk", [None, 5, "x", [], {}, {"Value": [None]}, {"Value": [{}]}, {"Value": [[1]]}])
def test_junk_is_as_good_as_nothing(junk: Any) -> None:
    tags = (
        "00100010",
        "00100020",
        "00100030",
        "00080020",
        "00080030",
        "00200011",
        "00200032",
        "00280008",
        "00180060",
    )
    for keyword in KEYWORDS:
        lines(keyword, {tag: junk for tag in tags}, 1, PLAIN)


@pytest.mark.parametrize("shape", [(1, 1), (5, 400), (400, 5), (16, 16), (64, 64), (2000, 3000), (64, 64, 3)])
def test_any_size_of_picture(shape: tuple[int, ...]) -> None:
    """The picture keeps its shape; the text gets smaller, then it is cut with dots."""
    grey = np.full(shape, 128, np.uint8)
    found = PLAIN.burn_in(grey, ["A long name, with several parts of it", "ID 1"], ["below"] * 5)
    assert (found.shape, found.dtype) == (shape, np.uint8)


def test_it_can_be_read_on_black_and_on_white() -> None:
    """White letters with a black edge."""
    for grey in (0, 255):
        found = PLAIN.burn_in(np.full((256, 256), grey, np.uint8), ["NAME"])
        assert (found[:30].min(), found[:30].max() > 200) == (0, True)


def test_colours_are_kept() -> None:
    colour = np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    found = PLAIN.burn_in(colour, ["NAME"])
    np.testing.assert_array_equal(found[60:], colour[60:])
    assert (found[:30] != colour[:30]).any()


def test_nothing_to_write_changes_nothing() -> None:
    assert PLAIN.burn_in(GREY, [], [""]) is GREY


def test_a_line_cannot_reorder_itself() -> None:
    """No directional overrides, no control characters, no second line."""
    assert cleaned("AB\u202eCD\u2066\x1b[2J\r\nE\x00") == "ABCD[2JE"
    assert len(cleaned("x" * 100_000)) == LONGEST


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    found = PLAIN.burn_in(GREY, [text], [text])
    assert found.shape == GREY.shape


def test_letters_for_private_use_are_not_passed_over() -> None:
    """A name without its gaiji is another name."""
    metadata = named("Yama\ue000da^Taro")
    assert supported(["patient"], metadata, PLAIN) == []
    assert cleaned("a\u200fb\x07") == "ab"


@pytest.mark.parametrize(
    "name",
    ["\u05db\u05d4\u05df^\u05d3\u05d5\u05d3", "\u0639\u0628\u062f^\u0645\u062d\u0645\u062f", "\u0e01\u0e34"],
)
def test_a_name_is_not_written_backwards(name: str, shared_fonts: list[bytes]) -> None:
    """Without FriBiDi Pillow sets the letters of Hebrew and Arabic from left to right."""
    assert not Lettering(shared_fonts, shapes=False).can_draw(name)
    assert Lettering(shared_fonts, shapes=False).can_draw("M\u00fcller, \u0418\u0432\u0430\u043d")


@pytest.fixture
def shared_fonts() -> list[bytes]:
    """DejaVu, which has Hebrew and Arabic."""
    try:
        return [Path(str(ImageFont.truetype("DejaVuSans.ttf").path)).read_bytes()]
    except OSError:
        pytest.skip("DejaVu Sans is not installed")
