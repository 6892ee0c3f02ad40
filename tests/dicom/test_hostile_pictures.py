"""Objects whose attributes are nonsense: a picture, or CannotRender, and neither an error of ours nor an hour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archive.dicom.errors import CannotRender, InvalidQuery
from archive.dicom.pixels.decoder import HERE
from archive.dicom.rendering.annotation import KEYWORDS
from archive.dicom.rendering.appearance import Appearance
from archive.dicom.rendering.lettering import Lettering
from archive.dicom.rendering.pictogram import notice, pictogram
from archive.dicom.rendering.pixel_data import PICTURES, StoredFrame, encode, picture
from archive.dicom.rendering.rendition import (
    Category,
    category,
    extent,
    may_identify,
    order_of_frame,
    representative_frame,
)
from archive.dicom.rendering.viewport import Viewport
from pixel_oracle import image

NATIVE = "1.2.840.10008.1.2.1"
LETTERING = Lettering()
RAMP = np.arange(240, dtype=np.uint8).reshape(12, 20)
TAGS = (
    "00080008", "00080060", "00100010", "00100020", "00180060", "00181063", "00181065", "00200032", "00280002",
    "00280004", "00280006", "00280008", "00280010", "00280011", "00280034", "00280100", "00280101", "00280102",
    "00280103", "00280120", "00280121", "00280301", "00281050", "00281051", "00281052", "00281053", "00281056",
    "00281101", "00281201", "00282000", "00282002", "00283000", "00283010", "00286010", "00480006", "00480105",
    "20500010", "20500020", "52009229", "52009230", "7FE00008",
)  # fmt: skip
JUNK = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["MONOCHROME1", "PALETTE COLOR", "YBR_FULL_422", "YES", "LABEL", "1e400", "nan", "-0", ""]
    ),
    st.lists(st.integers(-5, 70_000), max_size=4),
)
VALUES = st.lists(st.one_of(JUNK, st.dictionaries(st.sampled_from(TAGS), JUNK, max_size=3)), max_size=4)
ELEMENTS = st.one_of(
    JUNK,
    VALUES.map(lambda values: {"vr": "UN", "Value": values}),
    st.binary(max_size=20).map(lambda data: {"vr": "OB", "InlineBinary": data.hex()}),
    st.just({"vr": "OB", "BulkDataURI": "bulkdata/1"}),
)


@given(
    st.dictionaries(st.sampled_from(TAGS), ELEMENTS, min_size=1, max_size=4),
    st.sampled_from([None, Viewport(7, 5), Viewport(9, 9, 3, 3, -5, 4)]),
    st.sampled_from(["", "yes", "adobergb"]),
    st.integers(1, 3),
)
@example(
    {"00280010": {"vr": "US", "Value": [65535]}, "00280011": {"vr": "US", "Value": [65535]}}, None, "", 1
)
@example({"00280034": {"vr": "IS", "Value": [1, 2**60]}}, Viewport(7, 5), "", 1)
def test_odd_attributes(odd: dict[str, Any], viewport: Viewport | None, profile: str, frame: int) -> None:
    metadata = image(RAMP) | odd
    appearance = Appearance(viewport=viewport, annotation=tuple(KEYWORDS), icc_profile=profile)
    try:
        made = picture(StoredFrame(RAMP.tobytes(), metadata, NATIVE, frame), appearance, LETTERING, HERE)
    except (CannotRender, InvalidQuery):
        return
    for media_type in PICTURES:
        assert encode(made, media_type)


@given(st.dictionaries(st.sampled_from(TAGS), ELEMENTS, max_size=6))
def test_what_is_asked_of_any_object(metadata: dict[str, Any]) -> None:
    """Planning an answer never fails for what is in an object."""
    assert category("1.2", NATIVE, metadata) in Category
    assert may_identify(metadata) in (True, False)
    assert 1 <= representative_frame(metadata, 5) <= 5
    assert extent(metadata) is not None
    order_of_frame(metadata, 2)


@pytest.mark.parametrize("size", [(1, 1), (1, 1024), (16, 16), (128, 128), (1024, 700)])
@pytest.mark.parametrize("kind", Category)
def test_symbols_and_notices_of_any_size(kind: Category, size: tuple[int, int]) -> None:
    for label in ("CT", "", "x" * 100, "\u202e\x00", "漢"):
        drawn = pictogram(kind, label, *size, LETTERING)
        assert drawn.shape[0] == drawn.shape[1] == min(size)
    assert notice("The frame cannot be decoded. " * 5, *size, LETTERING).shape == size[::-1]
