"""Real files with damaged bytes: refused in our words or read to the end, never anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive.dicom.errors import InvalidObject
from archive.dicom.instance import Instance
from archive.dicom.pixels.frames import FrameTable
from dicom_files import split
from encoded_bytes import metadata, read

FILES = [
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "rtplan.dcm",
    "reportsi.dcm",
]


def _outcome(data_set: bytes, uid: str, step: int = 0) -> Instance | tuple[type, str]:
    try:
        return read(data_set, uid, step)
    except InvalidObject as refused:
        return type(refused), refused.reason


def _check_order(data_set: dict[str, Any]) -> None:
    assert list(data_set) == sorted(data_set)
    for element in data_set.values():
        if element["vr"] == "SQ":
            for item in element.get("Value", []):
                _check_order(item)


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[float, bytes, int]]:
    """A few places (as a part of the length), what is put there, and how many bytes are taken away."""
    place = st.floats(0, 1, exclude_max=True) | st.floats(0, 0.1)
    what = st.binary(max_size=8) | st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\x00\xe0"])
    return draw(st.lists(st.tuples(place, what, st.integers(0, 8)), min_size=1, max_size=6))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), damage=damages(), step=st.sampled_from([1, 13, 500]))
def test_damaged_bytes(
    name: str, damage: list[tuple[float, bytes, int]], step: int, pydicom_data: Path
) -> None:
    meta, data_set = split((pydicom_data / "test_files" / name).read_bytes())
    broken = bytearray(data_set)
    for place, what, taken in damage:
        at = int(place * len(broken))
        broken[at : at + taken] = what
    outcome = _outcome(bytes(broken), meta.transfer_syntax_uid)
    assert _outcome(bytes(broken), meta.transfer_syntax_uid, step) == outcome
    if isinstance(outcome, Instance):
        _check_order(metadata(outcome))
        if outcome.frames and (table := FrameTable.unpack(outcome.frames)).number_of_frames:
            assert table.ranges(table.number_of_frames) is not None


@pytest.mark.parametrize("name", FILES)
def test_the_same_bytes_make_the_same_instance(name: str, pydicom_data: Path) -> None:
    meta, data_set = split((pydicom_data / "test_files" / name).read_bytes())
    assert read(data_set, meta.transfer_syntax_uid) == read(data_set, meta.transfer_syntax_uid, 100)
