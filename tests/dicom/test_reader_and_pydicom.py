"""Every file there is: what we make of it equals what pydicom makes of it, or it is refused for a known reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive.dicom.errors import InvalidObject
from archive.dicom.instance import Instance
from archive.dicom.reading.reader import DataSetReader
from dicom_files import every_file, identify, split
from encoded_bytes import metadata
from metadata_oracle import differences
from refused_files import REFUSED

FILES = every_file()
ACCEPTED = [path for path in FILES if path.name not in REFUSED]


def _read(path: Path, step: int = 65536) -> Instance:
    meta, data_set = split(path.read_bytes())
    reader = DataSetReader(meta.transfer_syntax_uid)
    for start in range(0, len(data_set), step):
        reader.feed(data_set[start : start + step])
    return reader.finish()


@pytest.mark.parametrize("path", ACCEPTED, ids=identify)
def test_the_metadata_equals_what_pydicom_makes(path: Path) -> None:
    assert differences(path, metadata(_read(path))) == []


@pytest.mark.parametrize("path", [path for path in FILES if path.name in REFUSED], ids=identify)
def test_what_is_refused_is_refused_for_its_reason(path: Path) -> None:
    error, reason = REFUSED[path.name]
    with pytest.raises(InvalidObject) as refused:
        _read(path)
    assert type(refused.value) is error
    assert reason in refused.value.reason


@pytest.mark.parametrize("path", [path for path in ACCEPTED if path.stat().st_size < 20_000], ids=identify)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_pieces_of_any_size_make_the_same_instance(path: Path, step: int) -> None:
    assert _read(path, step) == _read(path)


@pytest.mark.parametrize("path", ACCEPTED, ids=identify)
def test_every_bulk_value_lies_where_it_is_said_to_lie(path: Path) -> None:
    instance = _read(path)
    limit = instance.length if "1.2.1.99" not in instance.transfer_syntax_uid else 1 << 30
    for value in instance.bulk_values:
        assert 0 < value.offset <= value.offset + value.length <= limit
    assert len({value.path for value in instance.bulk_values}) == len(instance.bulk_values)
