"""Encoded data sets and PS3.10 files through the reader (O1-O3, O6, O7).

The first two bytes of an input say the transfer syntax and the size of the pieces. Whatever the rest is, the reader
says the same of it whole and in pieces, refuses it with one of our errors or gives metadata that are JSON in order, and
says of no value that it lies where there are no bytes.
"""

from __future__ import annotations

from typing import Any

import orjson
import zstandard

from archive.dicom.errors import InvalidObject, OutOfResources
from archive.dicom.instance import Instance
from archive.dicom.part10 import FileMeta, FileMetaReader
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.reading import known, xml_model
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import transfer_syntax
from fuzz import seeds

_MOST_METADATA = 64 << 20
_REFUSED = (InvalidObject, OutOfResources)

Outcome = Instance | tuple[type[Exception], str]


def outcome(encoded: bytes, uid: str, step: int) -> Outcome:
    """What the reader makes of it in pieces of this size: an instance, or the refusal."""
    try:
        reader = DataSetReader(uid)
        for start in range(0, len(encoded), step):
            reader.feed(encoded[start : start + step])
        return reader.finish()
    except _REFUSED as refused:
        assert refused.reason, "refused without a reason"
        return type(refused), refused.reason


def split(data: bytes) -> tuple[str, int, bytes]:
    """Transfer syntax, size of the pieces, data set."""
    uid = seeds.SYNTAXES[data[0] % len(seeds.SYNTAXES)]
    return uid, 1 + data[1] % 64, data[2:]


def data_set(data: bytes) -> None:
    """A data set, whole and in pieces, with nothing known of others and with all that was learnt from it."""
    if len(data) < 2:
        return
    uid, step, encoded = split(data)
    known.forget()
    whole = outcome(encoded, uid, max(1, len(encoded)))
    cut = outcome(encoded, uid, step)
    if transfer_syntax(uid).deflated and isinstance(whole, tuple):
        # how much comes out before a stream breaks depends on the pieces, and so does what is wrong first
        assert isinstance(cut, tuple), "refused only in one piece"
        return
    assert cut == whole, "other pieces, another outcome"
    assert outcome(encoded, uid, max(1, len(encoded))) == whole, "it is not the same the second time"
    if isinstance(whole, Instance):
        check(whole, encoded)


def metadata(instance: Instance) -> dict[str, Any]:
    """Those of an instance, parsed."""
    raw = zstandard.ZstdDecompressor().decompress(instance.metadata, max_output_size=_MOST_METADATA)
    parsed: dict[str, Any] = orjson.loads(raw)
    return parsed


def check(instance: Instance, encoded: bytes) -> None:
    """What holds of every object that is taken."""
    parsed = metadata(instance)
    _check_order(parsed)
    xml_model.document(parsed)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        uid = getattr(instance, keyword)
        assert 0 < len(uid) <= 64
        assert set(uid) <= set("0123456789.")
    if transfer_syntax(instance.transfer_syntax_uid).deflated:
        return  # places count in what was inflated
    for value in instance.bulk_values:
        assert 0 <= value.offset <= value.offset + value.length <= len(encoded), value
    if instance.frames:
        _check_frames(FrameTable.unpack(instance.frames), len(encoded))


def _check_order(data_set: dict[str, Any]) -> None:
    assert list(data_set) == sorted(data_set)
    for element in data_set.values():
        if element["vr"] == "SQ":
            for item in element.get("Value", ()):
                _check_order(item)


def _check_frames(table: FrameTable, length: int) -> None:
    for number in {1, 2, table.number_of_frames}:
        if 0 < number <= table.number_of_frames:
            for offset, size in table.ranges(number):
                assert 0 <= offset <= offset + size <= length, (number, offset, size)


def part10(data: bytes) -> None:
    """A file: the same header whole and in pieces, and none of its bytes lost or made up."""
    if not data:
        return
    step, raw = 1 + data[0] % 64, data[1:]
    whole = _header(raw, max(1, len(raw)))
    assert _header(raw, step) == whole, "other pieces, another outcome"
    if isinstance(whole, FileMeta):
        assert whole.header[128:] == raw[128 : whole.length]
        assert whole.header[:128] == bytes(128)
        outcome(raw[whole.length :], whole.transfer_syntax_uid, max(1, len(raw)))


def _header(raw: bytes, step: int) -> FileMeta | tuple[type[Exception], str]:
    reader, fed = FileMetaReader(), 0
    try:
        while fed < len(raw) and not reader.feed(raw[fed : fed + step]):
            fed += step
        found = reader.meta
    except InvalidObject as refused:
        return type(refused), refused.reason
    rest = raw[found.length : min(len(raw), fed + step)]
    assert reader.rest == rest, "the first bytes of the data set are others"
    return found


# --- seeds ---


def data_set_seeds() -> list[bytes]:
    """Every object, in large and in small pieces."""
    return [
        bytes((seeds.SYNTAXES.index(uid), step)) + seeds.encoded(made, uid)
        for made, uid in seeds.objects()
        for step in (6, 47)
    ]


def part10_seeds() -> list[bytes]:
    """The same as files."""
    return [b"\x13" + seeds.file(made, uid) for made, uid in seeds.objects()]
