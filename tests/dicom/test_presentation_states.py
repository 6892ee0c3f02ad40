"""What a presentation state does with a picture (PS3.4 annex N, PS3.3 C.10 and C.11): R5. DCMTK's renderer is the other
opinion where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from archive.dicom.pixels.decoder import HERE
from archive.dicom.pixels.pixel_description import describe
from archive.dicom.rendering.appearance import Appearance
from archive.dicom.rendering.lettering import Lettering
from archive.dicom.rendering.pixel_data import StoredFrame, picture
from archive.dicom.rendering.presentation_state import MOST_REFERENCES, presentation, references
from archive.dicom.rendering.viewport import Viewport
from objects import ct, part10, secondary_capture
from pixel_oracle import dicom_json
from rendered_objects import COLOR_STATE, PSEUDO_COLOR_STATE, area, item, presentation_state, window

NATIVE = "1.2.840.10008.1.2.1"
LETTERING = Lettering()


def shown(image: Dataset, state: Dataset, viewport: Viewport | None = None, frame: int = 1) -> np.ndarray:
    metadata: dict[str, Any] = dicom_json(image)
    said = presentation(
        state.SOPClassUID, json.loads(state.to_json()), image.SOPInstanceUID, frame, describe(metadata)
    )
    stored = StoredFrame(image.PixelData, metadata, NATIVE)
    return picture(stored, Appearance(viewport=viewport), LETTERING, HERE, said).pixels


def small(pixels: np.ndarray, **attributes: Any) -> Dataset:
    rows, columns = pixels.shape[:2]
    return secondary_capture(Rows=rows, Columns=columns, PixelData=pixels.tobytes(), **attributes)


def state_of(image: Dataset, **attributes: Any) -> Dataset:
    """A presentation state that changes no grey."""
    plain = {"RescaleIntercept": "0", "RescaleSlope": "1", "RescaleType": "US"}
    return presentation_state([image], **plain | attributes)


RAMP = np.arange(96, dtype=np.uint8).reshape(8, 12)


@pytest.mark.parametrize(
    "attributes",
    [
        {"SoftcopyVOILUTSequence": window(40, 400)},
        {"SoftcopyVOILUTSequence": window(-600, 1600), "PresentationLUTShape": "INVERSE"},
        {"SoftcopyVOILUTSequence": window(40, 400), "ImageRotation": 90, "ImageHorizontalFlip": "N"},
        {"SoftcopyVOILUTSequence": window(40, 400), "ImageRotation": 270, "ImageHorizontalFlip": "Y"},
        {"ImageRotation": 180, "ImageHorizontalFlip": "Y"},
        {"RescaleIntercept": None, "RescaleSlope": None, "RescaleType": None},
    ],
)
def test_dcmtk_sees_the_same(tmp_path: Path, attributes: dict[str, Any]) -> None:
    """R5: the image's own window and rescale do not count; rotation comes before the flip."""
    if shutil.which("dcmp2pgm") is None:
        pytest.skip("dcmp2pgm is not installed (Debian package dcmtk)")
    image = ct()
    attributes = {"DisplayedAreaSelectionSequence": area((1, 1), (512, 512)), **attributes}
    state = presentation_state([image], **attributes)
    for name, data_set in (("image", image), ("state", state)):
        (tmp_path / name).write_bytes(part10(data_set))
    subprocess.run(
        ["dcmp2pgm", "-p", tmp_path / "state", tmp_path / "image", tmp_path / "pgm"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    theirs = np.asarray(Image.open(tmp_path / "pgm")).astype(int)
    assert np.abs(shown(image, state).astype(int) - theirs).max() <= 1


def test_what_is_left_out_is_the_identity() -> None:
    """PS3.4 N.2.1: the image's window, rescale and polarity are not used instead."""
    image = small(RAMP, WindowCenter="5", WindowWidth="2", RescaleSlope="7", RescaleIntercept="9")
    image.PhotometricInterpretation = "MONOCHROME1"
    state = presentation_state([image], RescaleIntercept=None, RescaleSlope=None, RescaleType=None)
    np.testing.assert_array_equal(shown(image, state), RAMP)


def test_inverse() -> None:
    image = small(RAMP)
    np.testing.assert_array_equal(shown(image, state_of(image, PresentationLUTShape="INVERSE")), 255 - RAMP)


def test_a_presentation_lut() -> None:
    """C.11.6: its entries are spread over all that comes out of the VOI LUT."""
    image = small(RAMP)
    entries = np.array([255, 128, 0], "<u2")
    lut = item(LUTDescriptor=[3, 0, 8], LUTData=entries.tobytes())
    lut["LUTDescriptor"].VR, lut["LUTData"].VR = "US", "OW"
    state = state_of(image, PresentationLUTShape=None, PresentationLUTSequence=[lut])
    expected = entries[np.rint(RAMP / 255 * 2).astype(int)].astype(np.uint8)
    np.testing.assert_array_equal(shown(image, state), expected)


def test_items_apply_to_the_images_they_name() -> None:
    """C.11.8: a window for another image or frame is not for this one."""
    image, other = small(RAMP), small(RAMP)
    one = item(ReferencedSOPInstanceUID=image.SOPInstanceUID, ReferencedFrameNumber=[2, 3])
    wrong = item(ReferencedSOPInstanceUID=other.SOPInstanceUID)
    voi = [
        *window(1, 1, ReferencedImageSequence=[wrong]),
        *window(50, 20, ReferencedImageSequence=[one], VOILUTFunction="LINEAR_EXACT"),
    ]
    state = state_of(image, SoftcopyVOILUTSequence=voi)
    np.testing.assert_array_equal(shown(image, state), RAMP)
    expected = np.clip((RAMP.astype(float) - 50) / 20 + 0.5, 0, 1) * 255 + 0.5
    np.testing.assert_array_equal(shown(image, state, frame=3), expected.astype(np.uint8))


def test_a_displayed_area() -> None:
    """C.10.4: from 1, both corners within; either may come first."""
    image = small(RAMP)
    for corners in (((3, 2), (6, 7)), ((6, 7), (3, 2)), ((6, 2), (3, 7))):
        state = state_of(image, DisplayedAreaSelectionSequence=area(*corners))
        np.testing.assert_array_equal(shown(image, state), RAMP[1:7, 2:6])


def test_a_displayed_area_beyond_the_image_has_a_margin() -> None:
    image = small(RAMP)
    found = shown(image, state_of(image, DisplayedAreaSelectionSequence=area((-1, 0), (13, 9))))
    assert found.shape == (10, 15)
    np.testing.assert_array_equal(found[1:9, 2:14], RAMP)
    assert not found[0].any()


@pytest.mark.parametrize(
    "corners", [((-(2**31), -(2**31)), (2**31 - 1, 2**31 - 1)), ((900, 900), (901, 901))]
)
def test_an_absurd_displayed_area_counts_as_none(corners: tuple[Any, Any]) -> None:
    image = small(RAMP)
    state = state_of(image, DisplayedAreaSelectionSequence=area(*corners))
    np.testing.assert_array_equal(shown(image, state), RAMP)


def test_rotation_comes_before_the_flip() -> None:
    """C.10.6."""
    image = small(RAMP)
    state = state_of(image, ImageRotation=90, ImageHorizontalFlip="Y")
    np.testing.assert_array_equal(shown(image, state), np.rot90(RAMP, -1)[:, ::-1])


def test_pixels_that_are_not_square_and_a_viewport() -> None:
    image = small(RAMP)
    wide = area((1, 1), (12, 8), PresentationPixelAspectRatio=[1, 2])
    state = state_of(image, DisplayedAreaSelectionSequence=wide)
    assert shown(image, state).shape == (8, 24)
    assert shown(image, state, Viewport(48, 48)).shape == (16, 48)
    turned = state_of(image, DisplayedAreaSelectionSequence=wide, ImageRotation=270)
    assert shown(image, turned).shape == (24, 8)


def test_magnified_and_cropped_to_the_viewport() -> None:
    """PS3.18 8.3.5.1.6."""
    image = small(RAMP)
    magnified = area(
        (1, 1), (12, 8), PresentationSizeMode="MAGNIFY", PresentationPixelMagnificationRatio=10.0
    )
    state = state_of(image, DisplayedAreaSelectionSequence=magnified)
    assert shown(image, state).shape == (80, 120)
    assert shown(image, state, Viewport(50, 500)).shape == (80, 50)
    magnified[0].PresentationPixelMagnificationRatio = 1e30
    assert shown(image, state).size <= 1 << 26


def test_a_region_is_cut_out_of_what_is_presented() -> None:
    """PS3.18 8.3.5.1: after the presentation state; its place is a part of what is shown."""
    image = small(RAMP)
    state = state_of(image, ImageRotation=180, DisplayedAreaSelectionSequence=area((1, 1), (6, 4)))
    whole = shown(image, state)
    assert whole.shape == (4, 6)
    upper_left = Viewport(3, 2, 0, 0, 6, 4)
    np.testing.assert_array_equal(shown(image, state, upper_left), whole[:2, :3])
    np.testing.assert_array_equal(shown(image, state, Viewport(6, 4, 0, 0, -12, 8)), whole[:, ::-1])


def test_shutters() -> None:
    """C.7.6.11: what lies outside of any of them is covered."""
    image = small(np.full((20, 20), 200, np.uint8))
    state = state_of(
        image,
        ShutterShape=["RECTANGULAR", "CIRCULAR"],
        ShutterLeftVerticalEdge="3",
        ShutterRightVerticalEdge="18",
        ShutterUpperHorizontalEdge="5",
        ShutterLowerHorizontalEdge="20",
        CenterOfCircularShutter=["10", "10"],
        RadiusOfCircularShutter="30",
        ShutterPresentationValue=0x4000,
    )
    found = shown(image, state)
    assert (found[4:, 2:18] == 200).all()
    assert (found[:4] == 0x40).all()
    assert (found[:, 18:] == 0x40).all()
    state = state_of(
        image, ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=["1", "1", "1", "20", "20", "1"]
    )
    found = shown(image, state)
    assert (found[1, 2], found[18, 18]) == (200, 0)


def graphics(units: str, kind: str, points: list[float], **attributes: Any) -> dict[str, Any]:
    graphic = item(
        GraphicAnnotationUnits=units, GraphicDimensions=2, NumberOfGraphicPoints=len(points) // 2,
        GraphicData=points, GraphicType=kind, GraphicFilled="N",
    )  # fmt: skip
    for keyword, value in attributes.items():
        setattr(graphic, keyword, value)
    layer = item(GraphicLayer="ONE", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayGrayscaleValue=0x8000)
    annotation = item(GraphicLayer="ONE", GraphicObjectSequence=[graphic])
    return {"GraphicLayerSequence": [layer], "GraphicAnnotationSequence": [annotation]}


BLACK = np.zeros((100, 100), np.uint8)


def test_graphics_lie_where_they_are_said_to_be() -> None:
    """C.10.5: in pixels of the image they turn with it, in fractions of the display they do not."""
    image = small(BLACK)
    line = [10.5, 20.5, 60.5, 20.5]
    found = shown(image, state_of(image, **graphics("PIXEL", "POLYLINE", line)))
    assert (found[20, 10:60] == 0x80).all()
    assert found.sum() <= 0x80 * 53
    turned = shown(image, state_of(image, ImageRotation=90, **graphics("PIXEL", "POLYLINE", line)))
    assert (turned[11:60, 79] == 0x80).all()
    fixed = graphics("DISPLAY", "POLYLINE", [0.105, 0.205, 0.605, 0.205])
    found = shown(image, state_of(image, ImageRotation=90, **fixed))
    assert (found[20, 10:60] == 0x80).all()


@pytest.mark.parametrize(
    ("kind", "points", "on", "off"),
    [
        ("CIRCLE", [50.0, 50.0, 50.0, 20.0], [(20, 50), (80, 50), (50, 20), (50, 80)], [(50, 50)]),
        ("ELLIPSE", [10.0, 50.0, 90.0, 50.0, 50.0, 30.0, 50.0, 70.0], [(50, 10), (50, 90), (30, 50)], [(50, 50)]),
        ("INTERPOLATED", [10.0, 10.0, 50.0, 50.0, 90.0, 10.0], [(50, 50)], [(90, 90)]),
        ("POINT", [50.0, 50.0], [(50, 50)], [(60, 60)]),
    ],
)  # fmt: skip
def test_kinds_of_graphics(kind: str, points: list[float], on: list[Any], off: list[Any]) -> None:
    image = small(BLACK)
    found = shown(image, state_of(image, **graphics("PIXEL", kind, points)))
    for row, column in on:
        assert found[row - 1 : row + 2, column - 1 : column + 2].any(), (row, column)
    for row, column in off:
        assert not found[row - 1 : row + 2, column - 1 : column + 2].any(), (row, column)


def test_a_filled_graphic() -> None:
    image = small(BLACK)
    box = graphics(
        "PIXEL", "POLYLINE", [10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0, 10.0, 10.0], GraphicFilled="Y"
    )
    assert (shown(image, state_of(image, **box))[11:19, 11:19] == 0x80).all()


def test_text_is_written_in_its_box_or_at_its_anchor() -> None:
    image = small(BLACK)
    words = {"UnformattedTextValue": "Nodule"}
    box = {
        "BoundingBoxAnnotationUnits": "PIXEL",
        "BoundingBoxTopLeftHandCorner": [50.0, 60.0],
        "BoundingBoxBottomRightHandCorner": [95.0, 75.0],
    }
    anchor = {
        "AnchorPointAnnotationUnits": "PIXEL",
        "AnchorPoint": [20.0, 20.0],
        "AnchorPointVisibility": "N",
    }
    for placed, (row, column) in ((box, (60, 50)), (anchor, (20, 20))):
        annotation = item(GraphicLayer="ONE", TextObjectSequence=[item(**words, **placed)])
        found = shown(image, state_of(image, GraphicAnnotationSequence=[annotation]))
        rows, columns = np.nonzero(found)
        assert len(rows) > 20
        assert row <= rows.min() <= row + 12
        assert column <= columns.min() <= column + 12


def test_hostile_graphics_are_left_out() -> None:
    image = small(BLACK)
    for points in ([1e30, 1e30, -1e30, 0.0], [5.0], [], [1.0, 2.0] * 30_000):
        for kind in ("POLYLINE", "ELLIPSE", "CIRCLE", "INTERPOLATED", "POINT", "BEZIER"):
            shown(image, state_of(image, **graphics("PIXEL", kind, points)))


def test_many_graphics_take_a_bounded_time() -> None:
    """Points and texts of all annotations count together."""
    image = small(BLACK)
    state = state_of(image, **graphics("PIXEL", "INTERPOLATED", [5.0, 6.0, 7.0, 9.0] * 500))
    state.GraphicAnnotationSequence = [state.GraphicAnnotationSequence[0]] * 1_000
    begun = time.process_time()
    assert shown(image, state).any()
    assert time.process_time() - begun < 20


def test_colour_goes_through_geometry_only() -> None:
    colour = np.random.default_rng(1).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    image = secondary_capture(
        Rows=6, Columns=9, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
    )
    image.PixelData = colour.tobytes()
    state = presentation_state([image], COLOR_STATE, ImageRotation=180)
    np.testing.assert_array_equal(shown(image, state), colour[::-1, ::-1])


def test_pseudo_colour() -> None:
    """The palette is spread over all that comes out of the grey scale transformations."""
    image = small(RAMP)
    palette: dict[str, Any] = {}
    for colour, entries in (("Red", [0, 255]), ("Green", [255, 0]), ("Blue", [9, 9])):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [2, 0, 8]
        palette[f"{colour}PaletteColorLookupTableData"] = np.array(entries, "u1").tobytes()
    state = presentation_state(
        [image], PSEUDO_COLOR_STATE, RescaleIntercept="0", SoftcopyVOILUTSequence=window(48, 1), **palette
    )
    for colour in ("Red", "Green", "Blue"):
        state[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
    found = shown(image, state)
    assert found[0, 0].tolist() == [0, 255, 9]
    assert found[-1, -1].tolist() == [255, 0, 9]


def test_references() -> None:
    image, other = ct(), ct()
    state = presentation_state([image, other], frames=[2, 1])
    found = list(references(json.loads(state.to_json())))
    assert [(one.instance, one.frames) for one in found] == [
        (image.SOPInstanceUID, (2, 1)), (other.SOPInstanceUID, (2, 1))
    ]  # fmt: skip
    del state.ReferencedSeriesSequence[0].ReferencedImageSequence
    [whole] = references(json.loads(state.to_json()))
    assert (whole.series, whole.instance) == (image.SeriesInstanceUID, "")


def test_no_end_of_references() -> None:
    one = {"00081155": {"vr": "UI", "Value": ["1.2"]}, "00081160": {"vr": "IS", "Value": [1] * 5_000}}
    series = {"0020000E": {"vr": "UI", "Value": ["1"]}, "00081140": {"vr": "SQ", "Value": [one] * 20_000}}
    found = list(references({"00081115": {"vr": "SQ", "Value": [series] * 3}}))
    assert sum(len(reference.frames) for reference in found) == MOST_REFERENCES
    one["00081160"]["Value"] = []
    assert len(list(references({"00081115": {"vr": "SQ", "Value": [series] * 3}}))) == MOST_REFERENCES


@pytest.mark.parametrize("junk", [None, "x", 5, [], [None], [{}], {"Value": "x"}, {"Value": [{"Value": 3}]}])
def test_junk_is_as_good_as_nothing(junk: Any) -> None:
    """Never an error: an odd attribute is done without."""
    image = small(RAMP)
    metadata = json.loads(state_of(image).to_json())
    for tag in (
        "00081115",
        "0070005A",
        "00283110",
        "00700001",
        "00700060",
        "00181600",
        "00700042",
        "20500010",
    ):
        said = presentation(GRAYSCALE, metadata | {tag: junk}, "1.2", 1, describe(dicom_json(image)))
        stored = StoredFrame(image.PixelData, dicom_json(image), NATIVE)
        assert picture(stored, Appearance(), LETTERING, HERE, said).pixels.shape == RAMP.shape
        list(references(metadata | {tag: junk}))


GRAYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"
