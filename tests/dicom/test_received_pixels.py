"""What parts with pixel data tell, whatever is in them: what can be encoded, or one of our own errors (S3)."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from archive.dicom.errors import ArchiveError, CannotUnderstand, ObjectTooLarge
from archive.dicom.receiving import assembly, received_pixels
from archive.dicom.receiving.assembly import Bulk
from archive.dicom.receiving.codestream_kinds import recognise
from archive.dicom.receiving.pictures import decode
from archive.dicom.receiving.received_pixels import MEDIA_TYPES, Part, completed, pixels

_GREY = np.random.default_rng(3).integers(0, 255, (20, 30), dtype=np.uint8)
_COLOUR = np.dstack([_GREY] * 3)


def _gif() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_COLOUR).save(buffer, "GIF")
    return buffer.getvalue()


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


SEEDS = [
    imagecodecs.jpeg8_encode(_COLOUR),
    imagecodecs.jpeg8_encode(_GREY, lossless=True),
    imagecodecs.jpegls_encode(_COLOUR),
    imagecodecs.jpeg2k_encode(_COLOUR, codecformat="jp2", reversible=True),
    imagecodecs.jpeg2k_encode(_GREY, codecformat="j2k", reversible=False, level=30),
    imagecodecs.htj2k_encode(_GREY, reversible=True),
    imagecodecs.jpegxl_encode(_COLOUR, lossless=True),
    imagecodecs.jpegxl_encode(_GREY, lossless=False, level=50),
    imagecodecs.png_encode(_COLOUR),
    _gif(),
    b"\0\0\1\xb3\x2d\x02\x40" + bytes(5) + b"\0\0\1\xb5\x14\x80" + b"\0\0\1\0" * 3,
    _box(b"ftyp", b"isom") + _box(b"moov", _box(b"trak", _box(b"mdia", bytes(60)))),
]


def kept(pieces: Iterator[bytes]) -> Bulk:
    """Puts them into memory."""
    return Bulk.of(b"".join(pieces))


@given(
    st.sampled_from(SEEDS),
    st.sampled_from(sorted(MEDIA_TYPES)),
    st.integers(0, 2**32),
    st.sampled_from(
        [{}, {"00280010": {"vr": "US", "Value": [20]}}, {"00280008": {"vr": "IS", "Value": ["1"]}}]
    ),
)
def test_bent_pixel_data(seed: bytes, media_type: str, chance: int, more: dict[str, Any]) -> None:
    raw, dice = bytearray(seed), random.Random(chance)
    for _ in range(dice.randrange(6)):
        raw[dice.randrange(min(len(raw), 120))] = dice.choice([0, 1, 0x7F, 0xFF, dice.randrange(256)])
    if dice.random() < 0.3:
        del raw[dice.randrange(len(raw)) :]
    data_set = {"7FE00010": {"vr": "OW", "BulkDataURI": "a"}, **more}
    try:
        found = pixels(data_set, [Part(media_type, "", Bulk.of(bytes(raw)))], kept)
    except ArchiveError as error:
        assert error.reason  # noqa: PT017
        return
    whole, _ = completed(data_set, found)
    encoded = b"".join(assembly.encoded(whole, {"a": found.value}, assembly.character_set(whole)))
    assert b"\xe0\x7f\x10\0" in encoded


@pytest.mark.parametrize(
    ("columns", "rows"), [(0, 20), (70_000, 20), (20, 0xFFFFFFFF), (2**32 - 1, 2**32 - 1)]
)
def test_sizes_that_rows_and_columns_cannot_say(columns: int, rows: int) -> None:
    coded = bytearray(imagecodecs.jpeg2k_encode(_GREY, codecformat="j2k", reversible=True))
    coded[8:16] = columns.to_bytes(4, "big") + rows.to_bytes(4, "big")
    with pytest.raises(ValueError, match="size"):
        recognise(Bulk.of(bytes(coded)))
    picture = bytearray(imagecodecs.png_encode(_GREY))
    picture[16:24] = columns.to_bytes(4, "big") + rows.to_bytes(4, "big")
    part = Part("image/png", "", Bulk.of(bytes(picture)))
    with pytest.raises((CannotUnderstand, ObjectTooLarge)):
        received_pixels.pixels({"7FE00010": {"vr": "OW", "BulkDataURI": "a"}}, [part], kept)


def test_a_jpeg_2000_in_a_long_box_far_behind() -> None:
    """Boxes with 64-bit lengths, and one without a length, which goes to the end."""
    coded = imagecodecs.jpeg2k_encode(_GREY, codecformat="j2k", reversible=True)
    signature = b"\0\0\0\x0cjP  \r\n\x87\n"
    padding = (1).to_bytes(4, "big") + b"uuid" + (16 + 1000).to_bytes(8, "big") + bytes(1000)
    kind = recognise(Bulk.of(signature + padding + b"\0\0\0\0jp2c" + coded))
    assert kind.codestream.head(1 << 20) == coded
    assert (kind.rows, kind.columns, kind.transfer_syntax_uid[-3:]) == (20, 30, ".90")


def test_a_frame_is_read_no_further_than_its_headers() -> None:
    """However long it is."""
    coded = imagecodecs.jpegls_encode(_GREY)
    asked = []

    def read(offset: int, length: int) -> Iterator[bytes]:
        asked.append(length)
        yield coded[offset : offset + length]

    assert recognise(Bulk(1 << 40, read)).rows == 20
    assert max(asked) <= 1 << 20


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("side", "refused"),
    [
        (6_000, ObjectTooLarge),
        (13_000, ObjectTooLarge),
        (30_000, CannotUnderstand),
        (65_535, CannotUnderstand),
    ],
)
def test_a_frame_of_a_gif_reaches_past_its_screen(side: int, refused: type[ArchiveError]) -> None:
    """O4, O10: its header claims little, so the frames are held against the budget as well."""
    whole = bytearray(_gif())
    descriptor = whole.index(b",\0\0\0\0" + whole[6:10])
    whole[descriptor + 5 : descriptor + 9] = side.to_bytes(2, "little") * 2
    with pytest.raises(refused):
        decode("image/gif", Bulk.of(bytes(whole)))
