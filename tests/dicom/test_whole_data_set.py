"""A small data set as DICOM JSON, in whatever pieces it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.dicom.errors import CannotUnderstand
from archive.dicom.reading import data_set
from objects import encoded


def request() -> Dataset:
    """Action Information as storage commitment has it."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.7"
    asked = Dataset()
    asked.TransactionUID = "2.25.1"
    asked.ReferencedSOPSequence = [item, item]
    return asked


REQUEST = request()


@given(
    st.sampled_from([ImplicitVRLittleEndian, ExplicitVRLittleEndian]), st.integers(min_value=1, max_value=90)
)
def test_what_pydicom_wrote_is_read_as_pydicom_reads_it(transfer_syntax: str, length: int) -> None:
    data = encoded(REQUEST, transfer_syntax)
    pieces = [data[at : at + length] for at in range(0, len(data), length)]
    assert data_set.read(pieces, transfer_syntax) == REQUEST.to_json_dict()


def test_nothing_is_an_empty_data_set() -> None:
    assert data_set.read([], ExplicitVRLittleEndian) == {}


def test_what_is_cut_off_is_refused() -> None:
    data = encoded(REQUEST, ImplicitVRLittleEndian)
    with pytest.raises(CannotUnderstand):
        data_set.read([data[:-3]], ImplicitVRLittleEndian)


@pytest.mark.parametrize(("limit", "most"), [("MAXIMUM_BYTES", 50), ("MAXIMUM_ELEMENTS", 5)])
def test_there_are_limits(monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    monkeypatch.setattr(data_set, limit, most)
    with pytest.raises(CannotUnderstand, match=str(most)):
        data_set.read([encoded(REQUEST)], ExplicitVRLittleEndian)
