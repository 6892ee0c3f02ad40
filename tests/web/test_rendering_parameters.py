"""The rendering parameters of PS3.18 8.3.5 over HTTP: R3, R5, N16."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom.pixels import apply_rescale, apply_windowing

from archive.dicom.rendering import colour_profiles
from objects import ct, multi_frame, part10, secondary_capture
from test_store_and_fetch import instance_path
from web_door import Door, parts

PNG = {"Accept": "image/png"}


@pytest.fixture(scope="module")
def slice_path(door: Door) -> str:
    """A CT slice of 512 x 512."""
    data_set = ct(InstanceNumber=7)
    assert door.store(part10(data_set)).status_code == 200
    return f"{instance_path(data_set)}/rendered"


@pytest.fixture(scope="module")
def colour_path(door: Door) -> str:
    """A colour picture of 16 x 8 pixels."""
    pixels = np.random.default_rng(3).integers(0, 256, (8, 16, 3)).astype(np.uint8)
    data_set = secondary_capture(
        Rows=8, Columns=16, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
    )
    data_set.PixelData = pixels.tobytes()
    assert door.store(part10(data_set)).status_code == 200
    return f"{instance_path(data_set)}/rendered"


def picture(door: Door, url: str) -> np.ndarray:
    answer = door.client.get(url, headers=PNG)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(BytesIO(answer.content)))


@pytest.mark.parametrize(
    "query",
    [
        "quality=", "quality=0", "quality=101", "quality=x", "quality=50.5", "quality=-1", "quality=%2B5",
        "quality=1&quality=1", "quality=٥",
        "window=", "window=1", "window=40,400", "window=a,b,linear", "window=40,400,curved", "window=40,400,LINEAR",
        "window=40,0.5,linear", "window=40,0,sigmoid", "window=40,-1,linear-exact", "window=nan,1,linear",
        "window=1e99,1e99e9,linear", "window=40,400,linear,", "window=40,,linear", "window=,,",
        "viewport=", "viewport=1", "viewport=0,5", "viewport=5,0", "viewport=-5,5", "viewport=5.5,5", "viewport=a,b",
        "viewport=99999999,99999999", "viewport=10,10,a", "viewport=10,10,0,0,0,5", "viewport=10,10,0,0,5,5,5",
        "viewport=10,10,512,0", "viewport=10,10,0,600,5,5", "viewport=10,10&viewport=10,10", "viewport=,10",
        "viewport=10,10,1e400",
        "annotation=", "annotation=,", "annotation=patient,", "annotation=pat ient", "annotation=%3Cscript%3E",
        "annotation=patient&annotation=technique", "annotation=1",
        "iccprofile=", "iccprofile=maybe", "iccprofile=yes,no", "iccprofile=SRGB", "iccprofile=yes&iccprofile=yes",
    ],
)  # fmt: skip
def test_malformed_values_are_400(door: Door, slice_path: str, query: str) -> None:
    answer = door.client.get(f"{slice_path}?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")


def test_unknown_parameters_are_ignored(door: Door, slice_path: str) -> None:
    assert door.client.get(f"{slice_path}?unheard=of&windowCenter=5").status_code == 200


def test_quality_is_for_jpeg(door: Door, slice_path: str) -> None:
    small, large = (len(door.client.get(f"{slice_path}?quality={value}").content) for value in (1, 100))
    assert small * 4 < large
    one, other = (door.client.get(f"{slice_path}?quality={value}", headers=PNG).content for value in (1, 100))
    assert one == other


@pytest.mark.parametrize(
    ("parameter", "function"),
    [("linear", "LINEAR"), ("linear-exact", "LINEAR_EXACT"), ("sigmoid", "SIGMOID")],
)
@pytest.mark.parametrize(("center", "width"), [(40.0, 400.0), (-600.5, 1600.25), (300, 20)])
def test_windows_are_those_of_pydicom(
    door: Door, slice_path: str, parameter: str, function: str, center: float, width: float
) -> None:
    """C.11.2.1.2 and C.11.2.1.3, by another implementation."""
    data_set = ct(InstanceNumber=7, WindowCenter=str(center), WindowWidth=str(width), VOILUTFunction=function)
    data_set.file_meta = None
    values = np.frombuffer(data_set.PixelData, "<u2").reshape(512, 512)
    wanted = apply_windowing(apply_rescale(values, data_set), data_set)
    # pydicom answers in the range of what BitsStored can hold, through the rescale
    expected = (wanted + 1024.0) / 4095.0 * 255
    found = picture(door, f"{slice_path}?window={center},{width},{parameter}").astype(float)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize(
    ("viewport", "shape"),
    [
        ("64,64", (64, 64)),
        ("64,100", (64, 64)),
        ("1024,1024", (1024, 1024)),
        ("100,100,0,0,200,100", (50, 100)),
        ("100,100,,,200,100", (50, 100)),
        ("100,100,,,200", (100, 39)),
        ("100,100,256", (100, 50)),
        ("100,100,256,256", (100, 100)),
        ("100,100,,,,", (100, 100)),
        ("1,1", (1, 1)),
        ("100,100,500,500,100,100", (100, 100)),
    ],
)
def test_viewports(door: Door, slice_path: str, viewport: str, shape: tuple[int, int]) -> None:
    """As large as fits, the aspect kept; what is left out has its default."""
    assert picture(door, f"{slice_path}?viewport={viewport}").shape == shape


def test_without_a_viewport_the_matrix_is_that_of_the_frame(door: Door, colour_path: str) -> None:
    assert picture(door, colour_path).shape == (8, 16, 3)


def test_a_viewport_cuts_and_flips(door: Door, colour_path: str) -> None:
    whole = picture(door, colour_path)
    cut = picture(door, f"{colour_path}?viewport=4,2,3,5,4,2")
    np.testing.assert_array_equal(cut, whole[5:7, 3:7])
    np.testing.assert_array_equal(picture(door, f"{colour_path}?viewport=4,2,-3,-5,4,2"), cut)
    np.testing.assert_array_equal(picture(door, f"{colour_path}?viewport=4,2,3,5,-4,2"), cut[:, ::-1])
    np.testing.assert_array_equal(picture(door, f"{colour_path}?viewport=4,2,3,5,4,-2"), cut[::-1])
    np.testing.assert_array_equal(picture(door, f"{colour_path}?viewport=16,8,,,-16,-8"), whole[::-1, ::-1])


def test_a_viewport_with_trailing_commas_in_strict_mode(open_door: Callable[..., Door]) -> None:
    door = open_door(http__strict=True)
    data_set = ct()
    assert door.store(part10(data_set)).status_code == 200
    path = f"{instance_path(data_set)}/rendered"
    assert door.client.get(f"{path}?viewport=64,64,,,,").status_code == 400
    assert door.client.get(f"{path}?viewport=64,64,,,64,64").status_code == 200


def test_annotations_are_burned_in(door: Door, slice_path: str) -> None:
    """R3: patient above, technique below, the rest of the picture as it was."""
    plain = picture(door, slice_path).astype(int)
    changed = {}
    for value in ("patient", "technique", "patient,technique", "technique,patient"):
        answer = door.client.get(f"{slice_path}?annotation={value}", headers=PNG)
        assert "warning" not in answer.headers
        changed[value] = np.asarray(Image.open(BytesIO(answer.content))).astype(int) != plain
    assert changed["patient"][:100].any()
    assert not changed["patient"][100:].any()
    assert changed["technique"][400:].any()
    assert not changed["technique"][:350].any()
    both = changed["patient"] | changed["technique"]
    assert (changed["patient,technique"] == both).all()
    assert (changed["technique,patient"] == both).all()


def test_unsupported_annotations_are_ignored_with_a_warning(door: Door, slice_path: str) -> None:
    """R3: the sentence is the standard's."""
    answer = door.client.get(f"{slice_path}?annotation=patient,height,weight", headers=PNG)
    assert answer.headers["warning"] == (
        f"299 {door.base}: The following annotation values are not supported: height,weight"
    )
    np.testing.assert_array_equal(
        np.asarray(Image.open(BytesIO(answer.content))), picture(door, f"{slice_path}?annotation=patient")
    )


def test_a_name_that_no_font_can_write_is_said(door: Door) -> None:
    """Linear B is in none of the fonts that are tried."""
    data_set = ct(PatientName="𐀀𐀁", SpecificCharacterSet="ISO_IR 192")
    assert door.store(part10(data_set)).status_code == 200
    path = f"{instance_path(data_set)}/rendered"
    answer = door.client.get(f"{path}?annotation=patient,technique", headers=PNG)
    assert answer.headers["warning"].endswith("The following annotation values are not supported: patient")
    np.testing.assert_array_equal(
        np.asarray(Image.open(BytesIO(answer.content))), picture(door, f"{path}?annotation=technique")
    )


def test_annotations_at_study_level(door: Door, slice_path: str) -> None:
    study = slice_path.partition("/series")[0]
    answer = door.client.get(
        f"{study}/rendered?annotation=patient,foo", headers={"Accept": "multipart/related; type=image/png"}
    )
    assert answer.headers["warning"].endswith("not supported: foo")
    [(_, body)] = parts(answer)
    assert body == door.client.get(f"{slice_path}?annotation=patient", headers=PNG).content


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
@pytest.mark.parametrize("value", ["yes", "srgb", "adobergb", "rommrgb"])
def test_profiles(door: Door, colour_path: str, media_type: str, value: str) -> None:
    """R3: the picture holds the profile of the colour space that is asked for."""
    answer = door.client.get(f"{colour_path}?iccprofile={value}", headers={"Accept": media_type})
    profile = Image.open(BytesIO(answer.content)).info["icc_profile"]
    assert profile == colour_profiles.PROFILES["srgb" if value == "yes" else value]()


def test_colours_are_transformed(door: Door, colour_path: str) -> None:
    """Through both profiles and back to sRGB they are what they were, within the gamut's rounding."""
    srgb = picture(door, f"{colour_path}?iccprofile=srgb").astype(int)
    np.testing.assert_array_equal(srgb, picture(door, colour_path))
    for value in ("adobergb", "rommrgb"):
        answer = door.client.get(f"{colour_path}?iccprofile={value}", headers=PNG)
        image = Image.open(BytesIO(answer.content))
        assert np.abs(np.asarray(image).astype(int) - srgb).max() > 5
        source = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        back = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
        assert np.abs(np.asarray(back).astype(int) - srgb).mean() < 2


def test_no_profile(door: Door, colour_path: str) -> None:
    for query in ("", "?iccprofile=no"):
        answer = door.client.get(f"{colour_path}{query}", headers=PNG)
        assert "icc_profile" not in Image.open(BytesIO(answer.content)).info


def test_a_profile_in_a_type_that_holds_none_is_400(door: Door, colour_path: str) -> None:
    """R3."""
    gif = {"Accept": "image/gif"}
    assert door.client.get(f"{colour_path}?iccprofile=yes", headers=gif).status_code == 400
    assert door.client.get(f"{colour_path}?iccprofile=no", headers=gif).status_code == 200
    data_set = multi_frame(2)
    assert door.store(part10(data_set)).status_code == 200
    path = f"{instance_path(data_set)}/rendered?iccprofile=yes"
    assert door.client.get(path, headers=gif).status_code == 400
    assert door.client.get(path).headers["content-type"] == "image/jpeg"


def test_the_object_s_own_profile(door: Door) -> None:
    """Short in the metadata, long by BulkDataURI; a broken one is as good as none."""
    own = colour_profiles.PROFILES["adobergb"]()
    for profile, expected in (
        (own, own),
        (own + bytes(2000), own + bytes(2000)),
        (b"acsp" * 200, colour_profiles.PROFILES["srgb"]()),
    ):
        data_set = secondary_capture(Rows=2, Columns=2, SamplesPerPixel=3, PhotometricInterpretation="RGB")
        data_set.PlanarConfiguration, data_set.PixelData, data_set.ICCProfile = 0, bytes(12), profile
        assert door.store(part10(data_set)).status_code == 200
        answer = door.client.get(f"{instance_path(data_set)}/rendered?iccprofile=yes", headers=PNG)
        assert Image.open(BytesIO(answer.content)).info["icc_profile"] == expected


def test_a_transfer_syntax_is_not_for_rendered_types(door: Door, slice_path: str) -> None:
    """N16: ignored, as what is not valid in an Accept header is (8.7.7); never in the answer."""
    accept = {"Accept": "image/png; transfer-syntax=1.2.840.10008.1.2.4.70, image/jpeg"}
    answer = door.client.get(slice_path, headers=accept)
    assert answer.status_code == 200
    assert "transfer-syntax" not in answer.headers["content-type"]
