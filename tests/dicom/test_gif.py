"""GIF, and animations written frame by frame; Pillow reads them: R4."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from archive.dicom.errors import CannotRender
from archive.dicom.rendering.gif import animate, encode, frame_times


def frames(data: bytes) -> list[np.ndarray]:
    return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(BytesIO(data)))]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (64, 48), (1, 300), (300, 1)])
def test_grey_is_kept_exactly(shape: tuple[int, int]) -> None:
    """Every level: GIF has room for 256."""
    pictures = [np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8) for seed in range(3)]
    found = frames(b"".join(animate(pictures, [100.0] * 3)))
    assert len(found) == 3
    for picture, seen in zip(pictures, found, strict=True):
        np.testing.assert_array_equal(seen, np.repeat(picture[..., np.newaxis], 3, 2))
    np.testing.assert_array_equal(
        np.asarray(Image.open(BytesIO(encode(pictures[0]))).convert("L")), pictures[0]
    )


def test_each_frame_has_a_palette_of_its_own() -> None:
    pictures = [np.full((4, 6, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 200, 0), (9, 8, 7))]
    for picture, seen in zip(pictures, frames(b"".join(animate(pictures, [100.0] * 3))), strict=True):
        assert np.abs(seen.astype(int) - picture).max() <= 8


def test_a_frame_is_made_when_it_is_its_turn() -> None:
    """The memory of one frame, however many there are."""
    made = []

    def pictures() -> Iterator[np.ndarray]:
        for number in range(1000):
            made.append(number)
            yield np.zeros((8, 8), np.uint8)

    pieces = animate(pictures(), itertools.repeat(100.0))
    for _ in range(4):
        next(pieces)
    assert len(made) <= 3


def test_a_picture_that_is_too_wide() -> None:
    wide = np.zeros((1, 65536), np.uint8)
    with pytest.raises(CannotRender):
        encode(wide)
    with pytest.raises(CannotRender):
        next(animate([wide], [100.0]))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, [100.0, 100.0]),
        ({"00181063": {"vr": "DS", "Value": [40]}}, [40.0, 40.0]),
        ({"00180040": {"vr": "IS", "Value": [25]}}, [40.0, 40.0]),
        ({"00082144": {"vr": "IS", "Value": [10]}, "00180040": {"vr": "IS", "Value": [25]}}, [100.0, 100.0]),
        ({"00181065": {"vr": "DS", "Value": [0, 30, 70]}}, [30.0, 70.0, 100.0]),
        ({"00181063": {"vr": "DS", "Value": [0.001]}}, [20.0]),
        ({"00181063": {"vr": "DS", "Value": [-5]}}, [20.0]),
        ({"00181063": {"vr": "DS", "Value": [1e12]}}, [60000.0]),
        ({"00181063": {"vr": "DS", "Value": ["x"]}}, [100.0]),
        ({"00082144": {"vr": "IS", "Value": [0]}}, [100.0]),
    ],
)
def test_frame_times(metadata: dict[str, Any], expected: list[float]) -> None:
    assert list(itertools.islice(frame_times(metadata), len(expected))) == expected
