"""Deflated data sets: read whatever the pieces, and bombs stopped early in bounded memory."""

from __future__ import annotations

import contextlib
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from archive.dicom.errors import CannotUnderstand
from archive.dicom.reading.inflate import FREE, RATIO, Inflater
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
from encoded_bytes import explicit, identified, metadata, read

DATA_SET = identified(explicit(0x00080060, "CS", b"OT"), after=explicit(0x7FE00010, "OW", bytes(100_000)))


def deflated(raw: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(raw) + compressor.flush()


@pytest.mark.parametrize("step", [0, 1, 3, 50])
def test_pieces_of_any_size(step: int) -> None:
    instance = read(deflated(DATA_SET), DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, step)
    assert instance.length == len(deflated(DATA_SET))
    assert instance.bulk_values[0].offset == len(DATA_SET) - 100_000
    assert metadata(instance)["00080060"]["Value"] == ["OT"]


@pytest.mark.parametrize("step", [0, 1])
def test_what_may_follow_the_stream(step: int) -> None:
    stream = deflated(DATA_SET)
    trailer = zlib.crc32(DATA_SET).to_bytes(4, "little") + len(DATA_SET).to_bytes(4, "little")
    for after in (b"", b"\0", trailer, trailer + b"\0"):
        read(stream + after, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, step)
    for after in (b"A", b"\0\0", trailer[:-1], trailer[::-1], trailer * 2, bytes(1000)):
        with pytest.raises(CannotUnderstand):
            read(stream + after, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, step)


def test_a_stream_that_is_cut_off_or_none_is_refused() -> None:
    stream = deflated(DATA_SET)
    for broken in (stream[:-1], stream[: len(stream) // 2], b"", b"\xff" * 100, DATA_SET):
        with pytest.raises(CannotUnderstand):
            read(broken, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_bomb_is_stopped_early_and_in_bounded_memory() -> None:
    """Reliability: O3."""
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = [
        compressor.compress(DATA_SET[:-100_012]),
        compressor.compress(explicit(0x7FE00010, "OW", b"", 1 << 30)),
    ]
    bomb += [compressor.compress(bytes(1 << 20)) for _ in range(64)]
    reader = DataSetReader(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    tracemalloc.start()
    with pytest.raises(CannotUnderstand, match="inflates to more than"):
        reader.feed(b"".join(bomb))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_bomb_gives_no_more_than_is_allowed() -> None:
    bomb = deflated(bytes(1 << 26))
    given = 0
    for piece in _until_refused(bomb):
        given += len(piece)
    assert 0 < given <= max(FREE, RATIO * len(bomb)) + (1 << 20)


def _until_refused(bomb: bytes) -> Iterator[bytes]:
    with contextlib.suppress(CannotUnderstand):
        yield from Inflater().feed(bomb)
