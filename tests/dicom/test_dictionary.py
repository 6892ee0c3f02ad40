"""VRs of attributes that come without one."""

from __future__ import annotations

import struct

import pytest
from pydicom.datadict import DicomDictionary

from archive.dicom.dictionary import PLAIN, Choice, private_vr, public_vr
from archive.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from encoded_bytes import SERIES, SOP_CLASS, SOP_INSTANCE, STUDY, implicit, metadata, read


@pytest.mark.parametrize(
    ("tag", "choice", "vr"),
    [
        (0x00100010, Choice(), "PN"),
        (0x00280106, Choice(), "US"),
        (0x00280106, Choice(0), "US"),
        (0x00280106, Choice(1), "SS"),
        (0x00283006, Choice(entries=1), "US"),
        (0x00283006, Choice(entries=256), "OW"),
        (0x7FE00010, Choice(), "OW"),
        (0x60023000, Choice(), "OW"),
        (0x60020010, Choice(), "US"),
        (0x00100000, Choice(), "UL"),
        (0x00102FFF, Choice(), "UN"),
        (0x00281200, Choice(), "OW"),
    ],
)
def test_public_attributes(tag: int, choice: Choice, vr: str) -> None:
    assert public_vr(tag, choice) == vr


def test_every_public_attribute_has_one_vr_in_the_end() -> None:
    assert all(len(public_vr(tag, Choice())) == 2 for tag in DicomDictionary if tag >> 16 != 0xFFFE)
    assert "SQ" not in PLAIN.values()


def test_private_attributes() -> None:
    assert private_vr(0x00191008, "SIEMENS MR HEADER") == "CS"
    assert private_vr(0x00191008, "NOBODY") == "UN"


def _implicit(*between: bytes) -> bytes:
    uids = [SOP_CLASS, SOP_INSTANCE, STUDY, SERIES]
    first, second, third, fourth = (uid[:4] + struct.pack("<I", len(uid) - 8) + uid[8:] for uid in uids)
    return first + second + b"".join(between) + third + fourth


def test_private_blocks_in_implicit_vr() -> None:
    data_set = _implicit(
        implicit(0x00190010, b"SIEMENS MR HEADER "),
        implicit(0x00190011, b"NOBODY"),
        implicit(0x00191008, b"IMAGE NUM 4 "),
        implicit(0x00191108, b"AB"),
        implicit(0x00192208, b"AB"),
    )
    read_back = metadata(read(data_set, IMPLICIT_VR_LITTLE_ENDIAN))
    assert read_back["00190010"] == {"vr": "LO", "Value": ["SIEMENS MR HEADER"]}
    assert read_back["00191008"] == {"vr": "CS", "Value": ["IMAGE NUM 4"]}
    assert read_back["00191108"] == read_back["00192208"] == {"vr": "UN", "InlineBinary": "QUI="}


def test_pixel_representation_decides_and_reaches_into_items() -> None:
    smallest = struct.pack("<h", -5)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 10) + implicit(0x00280106, smallest)
    for stored, vr, value in ((b"\1\0", "SS", -5), (b"\0\0", "US", 65531)):
        data_set = _implicit() + b"".join(
            (
                implicit(0x00280103, stored),
                implicit(0x00280106, smallest),
                implicit(0x00283000, item),
            )
        )
        read_back = metadata(read(data_set, IMPLICIT_VR_LITTLE_ENDIAN))
        assert read_back["00280106"] == {"vr": vr, "Value": [value]}
        assert read_back["00283000"]["Value"][0]["00280106"] == {"vr": vr, "Value": [value]}
