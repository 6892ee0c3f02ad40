"""Presentation states of a stranger's making: what they ask for costs bounded time and memory (R5)."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from archive.dicom.rendering.presentation_state import magnification
from archive.dicom.rendering.viewport import MOST_PIXELS
from rendered_objects import area, item
from test_presentation_states import BLACK, graphics, shown, small, state_of


def test_shutters_far_larger_than_the_image_cost_no_time() -> None:
    """The rows of the image are looked at, not those of the circle."""
    image = small(np.full((40, 40), 200, np.uint8))
    begun = time.process_time()
    for radius in (10**7, 2**31 - 1):
        state = state_of(image, ShutterShape="CIRCULAR", CenterOfCircularShutter=[20, 20])
        state.RadiusOfCircularShutter = radius
        state.ShutterPresentationValue = 0
        assert (shown(image, state) == 200).all() or radius > 10**7
    state = state_of(image, ShutterShape="RECTANGULAR", ShutterPresentationValue=0)
    for edge, value in (("Left", -(2**31)), ("Right", 2**31 - 1)):
        setattr(state, f"Shutter{edge}VerticalEdge", value)
    for edge, value in (("Upper", 11), ("Lower", 2**31 - 1)):
        setattr(state, f"Shutter{edge}HorizontalEdge", value)
    found = shown(image, state)
    assert not found[:10].any()
    assert (found[10:] == 200).all()
    assert time.process_time() - begun < 5


def test_a_displayed_area_is_no_larger_than_a_picture_may_be() -> None:
    """Four times as wide and as high would be more pixels than Pillow takes."""
    image = small(np.full((4000, 4000), 9, np.uint8))
    state = state_of(image, DisplayedAreaSelectionSequence=area((-5999, -5999), (8000, 8000)))
    assert shown(image, state).shape == (4000, 4000)
    tall = area((1, 1), (4000, 4000), PresentationPixelAspectRatio=["8", "1"])
    found = shown(image, state_of(image, DisplayedAreaSelectionSequence=tall))
    assert found.size <= MOST_PIXELS * 1.01


def test_every_line_of_text_counts() -> None:
    image = small(BLACK)
    words = {"UnformattedTextValue": "\n".join(["W" * 19] * 50), "AnchorPoint": [1.0, 1.0]}
    words |= {"AnchorPointAnnotationUnits": "PIXEL", "AnchorPointVisibility": "N"}
    state = state_of(
        image, GraphicAnnotationSequence=[item(GraphicLayer="A", TextObjectSequence=[item(**words)])]
    )
    state.GraphicAnnotationSequence = [state.GraphicAnnotationSequence[0]] * 1_000
    begun = time.process_time()
    assert shown(image, state).any()
    assert time.process_time() - begun < 20


def test_the_largest_magnification() -> None:
    def state(*factors: float) -> dict[str, Any]:
        areas = [
            {"00700100": {"vr": "CS", "Value": ["MAGNIFY"]}, "00700103": {"vr": "FL", "Value": [factor]}}
            for factor in factors
        ]
        return {"0070005A": {"vr": "SQ", "Value": areas}}

    assert magnification({}) == 1
    assert magnification(state(2.0, 8.0)) == 8
    assert magnification(state(1e38)) == 1e4


def test_lines_from_far_away_cost_no_time_and_stay_where_they_are() -> None:
    image = small(np.zeros((40, 60), np.uint8))
    far = graphics("PIXEL", "POLYLINE", [-9e6, 20.0, 9e6, 20.0] * 200)
    begun = time.process_time()
    found = shown(image, state_of(image, **far))
    assert time.process_time() - begun < 5
    rows = np.flatnonzero(found.any(axis=1))
    assert rows.size
    assert 18 <= rows.min() <= rows.max() <= 21
    assert found[rows[0]].all()
    away = graphics("PIXEL", "POLYLINE", [-9e6, -200.0, 9e6, -200.0])
    assert not shown(image, state_of(image, **away)).any()
