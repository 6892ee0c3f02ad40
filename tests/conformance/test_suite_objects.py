"""What the suite sends and reads: its objects, pictures, multipart bodies and metadata models."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagecodecs import ljpeg_decode
from PIL import Image
from pydicom import dcmread

from conformance import collection, native_model, objects, pictures, uids
from conformance.media import MediaType, read_multipart, write_multipart
from conformance.verdicts import Failed

NAMES = tuple(collection.corpus("ABCDE"))


@pytest.mark.parametrize("name", NAMES)
def test_an_object_is_what_its_transfer_syntax_says(name: str) -> None:
    one = collection.corpus("ABCDE")[name]
    ds = dcmread(BytesIO(one.file()))
    assert ds.file_meta.TransferSyntaxUID == one.transfer_syntax
    assert str(ds.PatientID).startswith("CONFABCDE-")
    assert str(ds.PatientName) == str(one.dataset.PatientName)
    assert ds.get("PixelData") == one.dataset.get("PixelData")


def test_no_run_repeats_a_uid() -> None:
    first, second = (
        {one.uid for one in collection.corpus("A").values()}
        | {one.study for one in collection.corpus("A").values()}
        for _ in range(2)
    )
    assert len(first) > len(NAMES)
    assert not first & second


def test_rle_and_native_objects_hold_the_same_pixels() -> None:
    found = collection.corpus("ABCDE")
    for name in ("implicit", "big", "deflated", "rle"):
        assert np.array_equal(dcmread(BytesIO(found[name].file())).pixel_array, objects.ramp()), name


def test_the_checks_meet_every_oddity() -> None:
    kinds = {one.transfer_syntax for one in collection.corpus("ABCDE").values()}
    assert kinds >= {
        uids.IMPLICIT,
        uids.BIG_ENDIAN,
        uids.DEFLATED,
        uids.RLE,
        uids.JPEG_LOSSLESS,
        uids.JPEG_BASELINE,
    }


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 19), st.integers(1, 19), st.sampled_from([np.uint8, np.uint16])
)
def test_lossless_jpeg_decodes_to_what_was_encoded(seed: int, rows: int, columns: int, kind: type) -> None:
    top = np.iinfo(kind).max
    picture = np.random.default_rng(seed).integers(0, top, (rows, columns), kind, endpoint=True)
    assert np.array_equal(ljpeg_decode(pictures.jpeg_lossless(picture)).reshape(rows, columns), picture)


def test_png_and_gif_decode_to_what_was_encoded() -> None:
    picture = objects.ramp8()
    assert np.array_equal(np.array(Image.open(BytesIO(pictures.png(picture)))), picture)
    assert np.array_equal(np.array(Image.open(BytesIO(pictures.gif(picture))).convert("L")), picture // 2 * 2)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_pngs_of_every_kind_are_read(mode: str) -> None:
    grey = Image.fromarray(np.random.default_rng(1).integers(0, 255, (9, 14), np.uint8))
    image = Image.fromarray(np.array(grey, np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    out = BytesIO()
    image.save(out, "PNG")
    wanted = np.array(grey) if mode in ("I;16", "LA") else np.array(image.convert("RGB")).mean(axis=2)
    assert np.allclose(pictures.png_pixels(out.getvalue()), wanted, atol=1)


@pytest.mark.parametrize("body", [b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"garbage"])
def test_what_is_no_png_is_a_failure(body: bytes) -> None:
    with pytest.raises(Failed):
        pictures.png_pixels(body)


@given(st.lists(st.tuples(st.binary(max_size=60), st.booleans()), max_size=5))
def test_multipart_comes_back(contents: list[tuple[bytes, bool]]) -> None:
    parts = [("application/dicom", content, "here" if where else "") for content, where in contents]
    content_type, body = write_multipart(parts, "application/dicom")
    read = (
        read_multipart(b"preamble\r\n" + body + b"epilogue", MediaType.parse(content_type)) if parts else []
    )
    assert [(part.media_type.name, part.body, part.location) for part in read] == parts


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        ("text/plain", b"", "not multipart"),
        ("multipart/related", b"", "no boundary"),
        ("multipart/related; boundary=x", b"--y--", "does not occur"),
        ("multipart/related; boundary=x", b"--x\r\nA: b\r\n\r\n1\r\n", "no closing delimiter"),
        ("multipart/related; boundary=x", b"--xy\r\nA: b\r\n\r\n1\r\n--x--", "CRLF"),
        ("multipart/related; boundary=x", b"--x\r\nA: b\r\n--x--", "empty line"),
    ],
)
def test_wrong_multipart_is_named(kind: str, body: bytes, sentence: str) -> None:
    with pytest.raises(Failed, match=sentence):
        read_multipart(body, MediaType.parse(kind))


def test_a_media_type_is_read() -> None:
    found = MediaType.parse('Multipart/Related; TYPE="a/b" ; boundary="x;y"; transfer-syntax=*')
    assert (found.name, found.parameters["type"], found.parameters["boundary"]) == (
        "multipart/related",
        "a/b",
        "x;y",
    )
    assert found.transfer_syntax == "*"


@pytest.mark.parametrize("name", ["ct1", "jp", "sr", "pr", "seg"])
def test_xml_says_what_json_says(name: str) -> None:
    item = collection.corpus("ABCDE")[name].dataset.to_json_dict()
    xml = native_model.write_xml(item)
    assert native_model.schema_faults(xml) == []
    assert native_model.without_bulk(native_model.read_xml(xml)) == native_model.without_bulk(item)


@pytest.mark.parametrize(
    "body",
    [b"", b"<a/>", b"<!DOCTYPE x><NativeDicomModel/>", b"<NativeDicomModel><x/></NativeDicomModel>"],
)
def test_what_is_no_native_model_is_a_failure(body: bytes) -> None:
    with pytest.raises(Failed):
        native_model.read_xml(body)


def test_departures_from_the_schema_are_found() -> None:
    head = "<NativeDicomModel>"
    sequence = '<DicomAttribute tag="00400275" vr="SQ"><Item number="1"/><Value number="1"/></DicomAttribute>'
    bulk = '<DicomAttribute tag="7FE00010" vr="OW"><BulkData URI="x"/></DicomAttribute>'
    faults = native_model.schema_faults(f"{head}{sequence}{bulk}</NativeDicomModel>".encode())
    assert len(faults) == 3
