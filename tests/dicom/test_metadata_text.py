"""The metadata text: in order whatever the data set's order, and within limits whatever the data set's size."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from collections.abc import Iterable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import CannotUnderstand
from archive.dicom.reading import metadata_text
from archive.dicom.reading.metadata_text import HELD, MAXIMUM_COMPRESSED, MAXIMUM_TEXT, PLENTY, MetadataText
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from encoded_bytes import SEQUENCE_END, UNDEFINED, explicit, identified, item, metadata, read

Tree = list[tuple[int, "list[Tree] | None"]]


def _tags(number: int) -> Iterable[int]:
    """Ascending tags of private groups after the identity."""
    return ((0x41 + 2 * (n // 50_000) << 16) + 0x1000 + n % 50_000 for n in range(number))


def _nothing() -> None: ...


def _written(tree: Tree, text: MetadataText) -> None:
    for tag, items in tree:
        if items is None:
            text.put(tag, b'"%08X":{"vr":"SH"},' % tag)
            continue
        text.begin_sequence(tag, keep=False)
        for number, inner in enumerate(items):
            text.begin_item(first=number == 0)
            _written(inner, text)
            text.end_item()
        text.end_sequence(empty=not items, longest=0)


def _expected(tree: Tree) -> dict[str, object]:
    made: dict[str, object] = {}
    for tag, items in tree:
        element: dict[str, object] = {"vr": "SH" if items is None else "SQ"}
        if items:
            element["Value"] = [_expected(inner) for inner in items]
        made.setdefault(f"{tag:08X}", element)
    return dict(sorted(made.items()))


_TREES: st.SearchStrategy[Tree] = st.recursive(
    st.just([]),
    lambda trees: st.lists(
        st.tuples(st.integers(0, 20), st.none() | st.lists(trees, max_size=3)),
        max_size=8,
    ),
    max_leaves=12,
)


@given(tree=_TREES, held=st.sampled_from([HELD, 64]))
def test_attributes_come_in_order_and_the_first_counts(tree: Tree, held: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata_text, "HELD", held)
        patch.setattr(metadata_text, "PLENTY", min(held, PLENTY))
        text = MetadataText(_nothing)
        try:
            _written(tree, text)
            compressed = text.finish()
        except CannotUnderstand:
            assert held == 64
            return
    loaded = zstandard.ZstdDecompressor().decompressobj().decompress(compressed)
    assert loaded.decode() == json.dumps(_expected(tree), separators=(",", ":"))


@pytest.mark.parametrize(("step", "number"), [(0, 250_000), (7, 2000), (100_000, 250_000)])
def test_a_long_data_set_is_the_same_text(step: int, number: int) -> None:
    elements = b"".join(explicit(tag, "LO", b"%08X" % tag) for tag in _tags(number))
    found = metadata(read(identified(after=elements), step=step))
    assert found["00411001"] == {"vr": "LO", "Value": ["00411001"]}
    assert list(found) == sorted(found)
    assert len(found) == 4 + number


def test_items_out_of_order_in_a_long_data_set_are_put_in_order() -> None:
    wrong = item(explicit(0x00091002, "SH", b"B ") + explicit(0x00091001, "SH", b"A ")) * 60_000
    found = metadata(read(identified(after=explicit(0x00411000, "SQ", wrong, UNDEFINED) + SEQUENCE_END)))
    items = found["00411000"]["Value"]
    assert len(items) == 60_000
    assert all(list(one) == ["00091001", "00091002"] for one in (items[0], items[30_000], items[-1]))


def test_a_large_data_set_in_wrong_order_costs_what_one_in_order_costs() -> None:
    elements = [explicit(tag, "SH") for tag in _tags(100_000)]
    seconds = []
    for encoded in (b"".join(elements), b"".join(reversed(elements))):
        began = time.process_time()
        instance = read(identified(after=encoded), step=1 << 17)
        seconds.append(time.process_time() - began)
        assert len(metadata(instance)) == 100_004
    assert seconds[1] < 3 * seconds[0] + 1
    peak, reason = _peak([identified(), *reversed(elements[:50_000])])
    assert not reason
    assert peak < 16 << 20


def test_what_is_too_long_to_be_put_in_order_is_refused() -> None:
    elements = [explicit(tag, "SH") for tag in _tags(400_000)]
    with pytest.raises(CannotUnderstand, match="ascending order"):
        read(identified(after=b"".join(reversed(elements))), step=1 << 17)
    with pytest.raises(CannotUnderstand, match="ascending order"):
        read(identified(after=b"".join(elements) + elements[0]), step=1 << 17)


def test_plenty_is_said_once() -> None:
    said: list[int] = []
    text = MetadataText(lambda: said.append(text.length))
    for tag in range(100_000):
        text.put(tag, b'"%08X":{"vr":"LO","Value":["%s"]},' % (tag, b"x" * 200))
    (length,) = said
    assert PLENTY < length < PLENTY + 1000


def _peak(pieces: Iterable[bytes]) -> tuple[int, str]:
    """Most memory that reading these takes, and why it ended."""
    reader = DataSetReader(EXPLICIT_VR_LITTLE_ENDIAN)
    tracemalloc.start()
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.finish()
        return tracemalloc.get_traced_memory()[1], ""
    except CannotUnderstand as refused:
        return tracemalloc.get_traced_memory()[1], refused.reason
    finally:
        tracemalloc.stop()


_VISIBLE = bytes(33 + number % 58 for number in range(256))


def _stream(vr: str, length: int, groups: int, noise: bool) -> Iterable[bytes]:
    """Groups of 64 values that compress well, or do not."""
    chance = random.Random(4)
    yield identified()
    for number in range(groups):
        value = chance.randbytes(length).translate(_VISIBLE)
        for tag in range(0x00411000, 0x00411040):
            made = chance.randbytes(length).translate(_VISIBLE) if noise else value
            yield explicit(tag + (2 * number << 16), vr, made)


@pytest.mark.parametrize(
    ("vr", "length", "groups", "noise", "says"),
    [
        ("UT", 65_000, 60, False, ""),
        ("LT", 60_000, 60, False, ""),
        ("LO", 60_000, 60, False, "64 MiB as DICOM JSON"),
        ("LO", 6_000, 120, True, "16 MiB when compressed"),
    ],
)
def test_memory_has_a_limit(vr: str, length: int, groups: int, noise: bool, says: str) -> None:
    peak, reason = _peak(_stream(vr, length, groups, noise))
    assert says in reason
    assert bool(says) is bool(reason)
    assert peak < 80 << 20


def test_limits_leave_room_for_twenty_thousand_frames() -> None:
    instance = read(identified(after=_functional_groups(500)))
    text = len(json.dumps(metadata(instance), separators=(",", ":")))
    assert text / 500 * 20_000 < MAXIMUM_TEXT
    assert len(instance.metadata) / 500 * 20_000 < MAXIMUM_COMPRESSED


def _functional_groups(frames: int) -> bytes:
    """The Per-frame Functional Groups of an enhanced CT object."""
    chance = random.Random(5)

    def numbers(count: int) -> bytes:
        return "\\".join(f"{chance.uniform(-999, 999):.11f}"[:16] for _ in range(count)).encode()

    def group(tag: int, *inner: bytes) -> bytes:
        return explicit(tag, "SQ", item(b"".join(inner)))

    def frame(number: int) -> bytes:
        instant = explicit(0x00189074, "DT", b"20240101120000.%06d" % number)
        code = explicit(0x00080100, "SH", b"121322") + explicit(
            0x00080104, "LO", b"Source image for processing "
        )
        uid = explicit(0x00081155, "UI", b"2.25.%038d0" % chance.getrandbits(120))
        return item(
            group(0x00089124, group(0x00082112, uid, group(0x0040A170, code)))
            + group(0x00189115, explicit(0x00089007, "CS", b"ORIGINAL\\PRIMARY\\VOLUME\\NONE"), instant)
            + group(0x00189226, explicit(0x00189016, "CS", b"NO"), explicit(0x00189177, "CS", b"YES "))
            + group(0x00189321, explicit(0x00189324, "FD", chance.randbytes(7) + b"?"))
            + group(0x00209071, group(0x00082218, code), explicit(0x00209072, "CS", b"U "))
            + group(0x00209111, instant, explicit(0x00209157, "UL", chance.randbytes(12)))
            + group(0x00209113, explicit(0x00200032, "DS", numbers(3)))
            + group(0x00209116, explicit(0x00200037, "DS", numbers(6)))
            + group(0x00289110, explicit(0x00180050, "DS", b"0.5 "), explicit(0x00280030, "DS", numbers(2)))
            + group(0x00289132, explicit(0x00281050, "DS", b"40"), explicit(0x00281051, "DS", b"400 "))
            + group(0x00289145, explicit(0x00281052, "DS", b"-1024 "), explicit(0x00281053, "DS", b"1 "))
        )

    return explicit(0x52009230, "SQ", b"".join(map(frame, range(frames))))
