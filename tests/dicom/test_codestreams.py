"""Headers of compressed frames against what their encoders were given."""

from __future__ import annotations

import contextlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.pixels import codestreams


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (8, 16), (256, 256), (300, 200), (8, 9), (12, 10), (40, 30), (600, 40), (16, 2), (5000, 3)],
)
@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl_sizes(shape: tuple[int, int], container: bool) -> None:
    data = imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8), lossless=True, usecontainer=container)
    header = codestreams.read_jpeg_xl(bytes(data))
    assert (header.rows, header.columns) == shape


def test_jpeg_2000_header() -> None:
    array = np.zeros((33, 21, 3), np.uint8)
    for kind in ("j2k", "jp2"):
        data = bytes(imagecodecs.jpeg2k_encode(array, codecformat=kind))
        header = codestreams.read_jpeg_2000(codestreams.jpeg_2000_codestream(data))
        assert (header.rows, header.columns, header.samples, header.precision) == (33, 21, 3, 8)
        assert not header.signed


def test_jpeg_header_and_its_colours() -> None:
    data = bytes(imagecodecs.jpeg8_encode(np.zeros((33, 21, 3), np.uint8)))
    assert codestreams.read_jpeg(data) == codestreams.Codestream(33, 21, 3, 8, colour="YBR_FULL")


def test_jpeg_with_fill_bytes_before_a_marker() -> None:
    data = bytes(imagecodecs.jpeg8_encode(np.zeros((33, 21), np.uint8)))
    assert codestreams.read_jpeg(data[:2] + b"\xff\xff" + data[2:]).rows == 33


@pytest.mark.parametrize(
    "read", [codestreams.read_jpeg, codestreams.read_jpeg_xl, codestreams.jpeg_2000_codestream]
)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cjP  "]),
)
def test_garbage_is_a_value_error(read, garbage: bytes, start: bytes) -> None:
    with contextlib.suppress(ValueError):
        read(start + garbage)
