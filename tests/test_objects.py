"""The builders of synthetic objects give what pydicom reads back unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from objects import (
    LargeObject,
    ct,
    data_set_bytes,
    encoded,
    mr,
    multi_frame,
    part10,
    secondary_capture,
    series,
)

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


@pytest.mark.parametrize("make", [ct, mr, multi_frame, secondary_capture])
@pytest.mark.parametrize("transfer_syntax_uid", NATIVE, ids=lambda uid: uid.name)
def test_reads_back_as_it_was_built(make: Callable[..., Dataset], transfer_syntax_uid: str) -> None:
    built = make(PatientID="7")
    read = dcmread(BytesIO(part10(built, transfer_syntax_uid)))
    assert read.file_meta.TransferSyntaxUID == transfer_syntax_uid
    assert read.PatientID == "7"
    assert (read.pixel_array == dcmread(BytesIO(part10(built))).pixel_array).all()
    assert {element.tag for element in read} == {element.tag for element in built}


def test_sizes_are_those_of_real_devices() -> None:
    assert (ct().Rows, ct().Columns, len(ct().PixelData)) == (512, 512, 524288)
    assert (mr().Rows, mr().Columns, len(mr().PixelData)) == (128, 128, 32768)
    assert len(ct()) > 90
    assert multi_frame(7).NumberOfFrames == len(multi_frame(7).PerFrameFunctionalGroupsSequence) == 7


def test_none_takes_an_attribute_out() -> None:
    assert "StudyInstanceUID" not in secondary_capture(StudyInstanceUID=None)


def test_every_instance_has_its_own_uids_and_a_series_shares_them() -> None:
    assert ct().StudyInstanceUID != ct().StudyInstanceUID
    three = series(mr, 3)
    assert len({one.SeriesInstanceUID for one in three}) == 1
    assert len({one.SOPInstanceUID for one in three}) == 3
    assert [one.InstanceNumber for one in three] == [1, 2, 3]


def test_encoded_is_the_file_without_its_meta_information() -> None:
    built = mr()
    assert data_set_bytes(part10(built)) == encoded(built)
    assert encoded(built)[:4] == b"\x08\x00\x05\x00"


def test_a_large_object_is_a_valid_file_of_the_length_it_says() -> None:
    large = LargeObject(pixel_bytes=5 << 20, rows=1000, columns=1000)
    file = b"".join(large.pieces())
    read = dcmread(BytesIO(file))
    assert len(file) == large.length
    assert read.NumberOfFrames == 2
    assert read.pixel_array.shape == (2, 1000, 1000)
    assert read.SOPInstanceUID == large.SOPInstanceUID
    assert max(map(len, large.pieces())) <= 1 << 20
    assert hashlib.sha256(data_set_bytes(file)).hexdigest() == large.data_set_sha256()
    assert len(data_set_bytes(file)) == large.data_set_length
