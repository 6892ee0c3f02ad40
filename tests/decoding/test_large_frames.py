"""A large frame of every codec is decoded within the memory that a frame may take, with half of that to spare: what
the decoders were measured to take (20 million samples and more: RLE 8, JPEG and JPEG-LS 7, HTJ2K 9, JPEG 2000 10, JPEG
XL 8 bytes a sample at 16 bits)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import imagecodecs
import numpy as np
import pytest

from archive.decoding import pool
from archive.decoding.pool import Decoders
from archive.dicom.pixels import encoders
from archive.dicom.pixels.pixel_description import describe
from pixel_oracle import image

_PREFIX = "1.2.840.10008.1.2"
ENCODED: Mapping[str, tuple[str, str, Callable[[np.ndarray], bytes]]] = {
    "rle": (f"{_PREFIX}.5", "u2", lambda made: encoders._rle(made, describe(image(made)))),
    "jpeg": (f"{_PREFIX}.4.50", "u1", lambda made: imagecodecs.jpeg8_encode(made, 90)),
    "lossless jpeg": (f"{_PREFIX}.4.70", "u2", lambda made: imagecodecs.jpeg8_encode(made, lossless=True)),
    "jpeg-ls": (f"{_PREFIX}.4.80", "u2", imagecodecs.jpegls_encode),
    "jpeg 2000": (
        f"{_PREFIX}.4.90",
        "u2",
        lambda made: imagecodecs.jpeg2k_encode(made, codecformat="j2k", reversible=True),
    ),
    "htj2k": (f"{_PREFIX}.4.201", "u2", lambda made: imagecodecs.htj2k_encode(made, reversible=True)),
    "jpeg xl": (
        f"{_PREFIX}.4.110",
        "u2",
        lambda made: imagecodecs.jpegxl_encode(made, lossless=True, usecontainer=False, effort=3),
    ),
}
SIDE = 1400


def picture(samples: int, kind: str) -> np.ndarray:
    """Grey, or of three colours that differ, with some noise in it."""
    most = np.iinfo(kind).max
    slope = np.linspace(0, most * 0.9, SIDE)
    plane = (slope[:, None] + slope[None, :]) / 2 + np.random.default_rng(1).integers(0, 9, (SIDE, SIDE))
    planes = [plane, plane[::-1], plane[:, ::-1]][:samples]
    return np.ascontiguousarray(np.stack(planes, -1).squeeze().astype(kind))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("codec", ENCODED)
def test_an_honest_frame_takes_less_than_half_of_what_it_may(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch, codec: str, samples: int
) -> None:
    uid, kind, encode = ENCODED[codec]
    made = picture(samples, kind)
    frame, description = bytes(encode(made)), describe(image(made))
    monkeypatch.setattr(pool, "_SPARE_BYTES", 8 << 20)
    monkeypatch.setattr(pool, "_BYTES_PER_SAMPLE", pool._BYTES_PER_SAMPLE // 2)
    assert len(decoders.native(frame, description, uid).value) == made.nbytes
    np.testing.assert_array_equal(decoders.values(frame, description, uid).values.shape, made.shape)


def test_the_limit_is_felt(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would show nothing."""
    uid, kind, encode = ENCODED["jpeg 2000"]
    made = picture(3, kind)
    monkeypatch.setattr(pool, "_SPARE_BYTES", 1 << 20)
    monkeypatch.setattr(pool, "_BYTES_PER_SAMPLE", 2)
    monkeypatch.setattr(pool, "_BYTES_OF_FRAME", 0)
    with pytest.raises(pool.CannotRender, match=r"memory|cannot be decoded"):
        decoders.values(bytes(encode(made)), describe(image(made)), uid)
