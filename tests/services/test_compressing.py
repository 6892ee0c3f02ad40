"""Compression of new objects (dimse.md 1.2): every pixel and every attribute comes back, whatever is odd stays as it
came, and other readers than ours agree."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.config import load
from archive.dicom.errors import CannotRender
from archive.dicom.instance import Scope, Source
from archive.dicom.pixels import encoders
from archive.dicom.rules.compressions import TRANSFER_SYNTAXES, compression_rule
from archive.services import compressing
from archive.services.receipts import Receipt
from held import check, files
from objects import ct, encoded, mr, multi_frame, new_uid, secondary_capture
from suites.sqlite import prepare

Open = Callable[..., Archive]
Rule = dict[str, Any]
DECODERS = {JPEGLSLossless: "dcmdjpls", JPEGLosslessSV1: "dcmdjpeg", RLELossless: "dcmdrle"}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """An archive with these rules."""
    with ExitStack() as stack:

        def begin(*rules: Rule) -> Archive:
            overrides = {"data": str(tmp_path / "data"), "compression": list(rules)}
            settings = load(environment={}, overrides=overrides)
            prepare(settings)
            archive = building.build(settings)
            stack.callback(archive.close)
            return archive

        yield begin


def store(
    archive: Archive, data_set: Dataset, syntax: str = ExplicitVRLittleEndian, calling: str = "SCANNER"
) -> Receipt:
    source = Source("DIMSE", "192.0.2.1", calling, "ARCHIVE")
    with archive.ingest.data_set(syntax, data_set.SOPClassUID, data_set.SOPInstanceUID, source) as reception:
        reception.write(encoded(data_set, syntax))
        return reception.finish()


def kept(archive: Archive, data_set: Dataset) -> bytes:
    instance = archive.retrieve.instance(Scope(sop_instance_uids=(data_set.SOPInstanceUID,)))
    with archive.retrieve.open(instance) as blob:
        return blob.read(0, blob.length)


def syntax_of(archive: Archive, data_set: Dataset) -> str:
    return str(dcmread(BytesIO(kept(archive, data_set)), stop_before_pixels=True).file_meta.TransferSyntaxUID)


def pixels(file: bytes, folder: Path) -> Any:
    """Decoded by somebody else: DCMTK, or pydicom with OpenJPEG."""
    tool = DECODERS.get(dcmread(BytesIO(file)).file_meta.TransferSyntaxUID)
    if tool is None:
        return dcmread(BytesIO(file)).pixel_array
    one, other = folder / "compressed.dcm", folder / "plain.dcm"
    one.write_bytes(file)
    subprocess.run([tool, str(one), str(other)], check=True, timeout=60)
    return dcmread(other).pixel_array


def smooth(shape: tuple[int, ...], kind: str, most: int) -> Any:
    """A picture that can be compressed, over the whole range of values."""
    grid = np.indices(shape).sum(axis=0) // 8 % 97
    least = -most - 1 if np.dtype(kind).kind == "i" else 0
    return (least + grid * ((most - least) / 96)).astype(kind)


def picture(values: Any, stored: int, **keywords: Any) -> Dataset:
    """An object of these pixels; of several frames if `NumberOfFrames` says so."""
    frames = "NumberOfFrames" in keywords
    rows, columns = values.shape[frames : frames + 2]
    return secondary_capture(
        Rows=rows,
        Columns=columns,
        BitsAllocated=8 * values.dtype.itemsize,
        BitsStored=stored,
        HighBit=stored - 1,
        PixelRepresentation=int(values.dtype.kind == "i"),
        PixelData=values.tobytes() + b"\0" * (values.nbytes % 2),
        **keywords,
    )


def colour(planar: int, photometric: str = "RGB") -> Dataset:
    values = np.stack(
        [smooth((40, 60), "u1", 255), smooth((40, 60), "u1", 99), smooth((40, 60), "u1", 7)], axis=-1
    )
    plain = values.transpose(2, 0, 1) if planar else values
    made = picture(np.ascontiguousarray(values), 8)
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, photometric, planar
    made.PixelData = plain.tobytes()
    return made


PICTURES: dict[str, Callable[[], Dataset]] = {
    "12 bits": mr,
    "8 bits": lambda: picture(smooth((33, 61), "u1", 255), 8),
    "16 bits": lambda: picture(smooth((64, 64), "u2", 65535), 16),
    "16 bits signed": lambda: picture(smooth((64, 64), "i2", 32767), 16),
    "12 bits signed": lambda: picture(smooth((64, 64), "i2", 2047), 12),
    "inverse": lambda: picture(smooth((64, 64), "u2", 4095), 12, PhotometricInterpretation="MONOCHROME1"),
    "by pixel": lambda: colour(0),
    "by plane": lambda: colour(1),
    "YBR_FULL": lambda: colour(0, "YBR_FULL"),
    "several frames": lambda: picture(smooth((3, 50, 40), "u2", 4095), 12, NumberOfFrames=3),
    "functional groups": multi_frame,
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("keyword", TRANSFER_SYNTAXES)
def test_every_pixel_and_every_attribute_comes_back(
    opened: Open, tmp_path: Path, name: str, keyword: str
) -> None:
    archive, data_set = opened({"transfer_syntax": keyword}), PICTURES[name]()
    receipt = store(archive, data_set)
    assert (receipt.warning, receipt.already_there) == (0, False)
    file = kept(archive, data_set)
    found = dcmread(BytesIO(file))
    assert found.file_meta.TransferSyntaxUID == TRANSFER_SYNTAXES[keyword]
    before = dcmread(BytesIO(encoded(data_set)), force=True)
    before.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert np.array_equal(before.pixel_array, pixels(file, tmp_path))
    of_pixels = {0x7FE00010, 0x00280004, 0x00280006}
    assert [e for e in found if e.tag not in of_pixels] == [e for e in before if e.tag not in of_pixels]
    assert store(archive, data_set).already_there
    check(archive)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings_are_compressed_too(opened: Open, tmp_path: Path, syntax: str) -> None:
    archive, data_set = opened({"transfer_syntax": "JPEG2000Lossless"}), mr()
    store(archive, data_set, syntax)
    file = kept(archive, data_set)
    assert dcmread(BytesIO(file)).file_meta.TransferSyntaxUID == JPEG2000Lossless
    plain = copy.deepcopy(data_set)
    plain.file_meta = copy.deepcopy(dcmread(BytesIO(file)).file_meta)
    plain.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert np.array_equal(plain.pixel_array, pixels(file, tmp_path))
    stored = archive.retrieve.instance(Scope())
    assert (stored.received.transfer_syntax_uid, stored.transfer_syntax_uid) == (syntax, JPEG2000Lossless)
    assert store(archive, data_set, syntax).already_there
    check(archive)


def test_what_is_fetched_and_stored_again_is_the_same_object(opened: Open) -> None:
    archive, data_set = opened({"transfer_syntax": "RLELossless"}), mr()
    store(archive, data_set)
    with archive.ingest.part10(Source("STOW-RS")) as reception:
        reception.write(kept(archive, data_set))
        assert reception.finish().already_there


def overlay_in_high_bits() -> Dataset:
    values = smooth((64, 64), "u2", 4095) | np.uint16(0x8000)
    return picture(values, 12)


def with_surplus() -> Dataset:
    made = mr()
    made.PixelData += b"some more bytes of somebody"
    made.PixelData += b"\0" * (len(made.PixelData) % 2)
    return made


def floats() -> Dataset:
    made = mr(BitsAllocated=32, BitsStored=None, HighBit=None, PixelRepresentation=None, PixelData=None)
    made.FloatPixelData = np.ones((128, 128), "f4").tobytes()
    return made


def palette() -> Dataset:
    made = picture(smooth((64, 64), "u1", 255), 8, PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(made, f"{name}PaletteColorLookupTableData", bytes(range(256)))
    return made


ODD: dict[str, Callable[[], Dataset]] = {
    "overlay in high bits": overlay_in_high_bits,
    "surplus": with_surplus,
    "floats": floats,
    "palette": palette,
    "a frame too few": lambda: picture(smooth((2, 64, 64), "u2", 4095), 12, NumberOfFrames=3),
    "no BitsStored": lambda: mr(BitsStored=None),
    "more BitsStored than BitsAllocated": lambda: mr(BitsStored=19, HighBit=18),
    "no PixelRepresentation": lambda: mr(PixelRepresentation=None),
    "grey of three samples": lambda: colour(0, "MONOCHROME2"),
    "not at bit 0": lambda: mr(HighBit=13),
    "noise": lambda: picture(np.random.default_rng(7).integers(0, 256, (64, 64), "u1"), 8),
    "chroma shared": lambda: colour(0, "YBR_FULL_422"),
    "single bits": lambda: mr(BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=bytes(2048)),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_stays_as_it_came(opened: Open, name: str) -> None:
    archive, data_set = opened({"transfer_syntax": "JPEGLSLossless"}), ODD[name]()
    assert store(archive, data_set).warning == 0
    assert kept(archive, data_set).endswith(encoded(data_set))
    stored = archive.retrieve.instance(Scope())
    assert stored.transfer_syntax_uid == ExplicitVRLittleEndian
    assert stored.received_sha256 in ("", stored.sha256)
    assert len(files(archive)) == 1


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, DeflatedExplicitVRLittleEndian])
def test_what_came_compressed_is_not_touched(opened: Open, syntax: str) -> None:
    archive, data_set = opened({"transfer_syntax": "RLELossless"}), mr()
    if syntax == JPEG2000Lossless:
        data_set.file_meta = dcmread(BytesIO(encoded(data_set)), force=True).file_meta
        data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data_set.compress(JPEG2000Lossless, generate_instance_uid=False)
    store(archive, data_set, syntax)
    assert kept(archive, data_set).endswith(encoded(data_set, syntax))


def test_an_object_without_pixels_is_not_touched(opened: Open) -> None:
    archive = opened({"transfer_syntax": "RLELossless"})
    data_set = mr(Rows=None, Columns=None, BitsAllocated=None, PixelData=None)
    store(archive, data_set)
    assert kept(archive, data_set).endswith(encoded(data_set))


def test_an_encoder_that_errs_costs_nothing(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its frames are compared as they are read from the file, whatever it said of them itself."""
    archive, data_set = opened({"transfer_syntax": "RLELossless"}), mr()
    real = encoders.encode_frame
    lies = encoders.encode_frame(
        encoders.NativeFrame(bytes(2 * 128 * 128), "MONOCHROME2", 0), description_of(data_set), RLELossless
    )
    monkeypatch.setattr(encoders, "encode_frame", lambda *_, **__: lies)
    store(archive, data_set)
    assert kept(archive, data_set).endswith(encoded(data_set))
    monkeypatch.setattr(encoders, "encode_frame", real)

    def fails(*_: Any, **__: Any) -> bytes:
        raise CannotRender("no")

    other = mr()
    monkeypatch.setattr(encoders, "encode_frame", fails)
    store(archive, other)
    assert kept(archive, other).endswith(encoded(other))


def description_of(data_set: Dataset) -> Any:
    from archive.dicom.pixels.pixel_description import describe

    return describe(json.loads(data_set.to_json()))


@pytest.mark.parametrize("keyword", ["PatientName", "RescaleSlope"])
def test_an_attribute_that_would_change_keeps_the_object_as_it_came(
    opened: Open, monkeypatch: pytest.MonkeyPatch, keyword: str
) -> None:
    archive, data_set = opened({"transfer_syntax": "RLELossless"}), ct()
    real = compressing.compression.compressed

    def changed(*given: Any) -> Iterator[bytes]:
        raw = b"".join(real(*given))
        value = str(data_set[keyword].value).encode()
        assert value in raw
        yield raw.replace(value, b"9" * len(value))

    monkeypatch.setattr(compressing.compression, "compressed", changed)
    store(archive, data_set)
    assert kept(archive, data_set).endswith(encoded(data_set))


def test_a_long_value_that_would_change_keeps_the_object_as_it_came(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, data_set = opened({"transfer_syntax": "RLELossless"}), mr()
    block = data_set.private_block(0x0029, "SOMEBODY", create=True)
    block.add_new(0x10, "OB", bytes(70_000))
    real = compressing.compression.compressed

    def changed(*given: Any) -> Iterator[bytes]:
        raw = b"".join(real(*given))
        at = raw.index(bytes(60_000)) + 1000
        yield raw[:at] + b"\1" + raw[at + 1 :]

    store(archive, version := copy.deepcopy(data_set))
    assert syntax_of(archive, version) == RLELossless
    data_set.SOPInstanceUID = new_uid()
    monkeypatch.setattr(compressing.compression, "compressed", changed)
    store(archive, data_set)
    assert kept(archive, data_set).endswith(encoded(data_set))


def test_the_first_rule_that_fits_counts(opened: Open) -> None:
    archive = opened(
        {"transfer_syntax": "none", "calling": "WS*"},
        {"transfer_syntax": "RLELossless", "modality": ["CT", "MR"], "unless": {"StationName": "KEEP"}},
        {"transfer_syntax": "JPEGLSLossless", "sop_class": "SecondaryCaptureImageStorage"},
        {"transfer_syntax": HTJ2KLossless, "when": {"BodyPartExamined": "KNEE"}, "received_as": "*.1.2"},
    )
    cases = [
        (mr(), "WS1", ExplicitVRLittleEndian, ExplicitVRLittleEndian),
        (mr(), "MR1", ExplicitVRLittleEndian, RLELossless),
        (mr(StationName="KEEP"), "MR1", ExplicitVRLittleEndian, ExplicitVRLittleEndian),
        (picture(smooth((64, 64), "u1", 255), 8), "SC", ExplicitVRLittleEndian, JPEGLSLossless),
        (mr(Modality="XX", BodyPartExamined="KNEE"), "X", ImplicitVRLittleEndian, HTJ2KLossless),
        (mr(Modality="XX", BodyPartExamined="KNEE"), "X", ExplicitVRLittleEndian, ExplicitVRLittleEndian),
    ]
    for data_set, calling, syntax, expected in cases:
        store(archive, data_set, syntax, calling)
        assert UID(syntax_of(archive, data_set)) == expected


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "transfer_syntax must be text"),
        ({"transfer_syntax": "JPEG2000"}, "HTJ2KLossless"),
        ({"transfer_syntax": "1.2.840.10008.1.2.4.91"}, "must be one of"),
        ({"transfer_syntax": "none", "modalty": "CT"}, "modalty; the nearest known is modality"),
        ({"transfer_syntax": "none", "modality": 5}, "text or a list"),
        ({"transfer_syntax": "none", "modality": []}, "text or a list"),
        ({"transfer_syntax": "none", "sop_class": "CT Image"}, "CTImageStorage"),
        ({"transfer_syntax": "none", "door": "C-STORE"}, "DIMSE, STOW-RS, IMPORT"),
        ({"transfer_syntax": "none", "when": {"Modalty": "CT"}}, "Modalty is no attribute"),
        ({"transfer_syntax": "none", "when": {"PixelData": "x"}}, "PixelData is no attribute"),
        ({"transfer_syntax": "none", "when": "CT"}, "when must be"),
    ],
)
def test_a_wrong_rule_is_refused(table: Rule, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        compression_rule(table)
