"""The structure walk: what is broken is refused, what devices do wrong without harm is read."""

from __future__ import annotations

import struct
import time
import tracemalloc

import pytest

from archive.dicom.errors import CannotUnderstand
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.reading.structure import MAXIMUM_DEPTH
from archive.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from encoded_bytes import (
    ITEM_END,
    SEQUENCE_END,
    SOP_CLASS,
    SOP_INSTANCE,
    UNDEFINED,
    explicit,
    fragment,
    identified,
    implicit,
    item,
    metadata,
    read,
)

REFERENCED = 0x00081140
UID = explicit(0x00081155, "UI", b"1.2\0")
READ_UID = {"00081155": {"vr": "UI", "Value": ["1.2"]}}


def _sequence(content: bytes, *, undefined: bool = False, vr: str = "SQ") -> bytes:
    if undefined:
        return explicit(REFERENCED, vr, content + SEQUENCE_END, UNDEFINED)
    return explicit(REFERENCED, vr, content)


@pytest.mark.parametrize("undefined_sequence", [False, True])
@pytest.mark.parametrize("undefined_item", [False, True])
def test_sequences_and_items_of_defined_and_undefined_length(
    undefined_sequence: bool, undefined_item: bool
) -> None:
    content = item(UID, UNDEFINED if undefined_item else None) + item(b"") + item(UID)
    read_back = metadata(read(identified(_sequence(content, undefined=undefined_sequence))))
    assert read_back["00081140"] == {"vr": "SQ", "Value": [READ_UID, {}, READ_UID]}


def test_a_sequence_without_items_has_no_value() -> None:
    for data_set in (identified(_sequence(b"")), identified(_sequence(b"", undefined=True))):
        assert metadata(read(data_set))["00081140"] == {"vr": "SQ"}


@pytest.mark.parametrize(
    "broken",
    [
        _sequence(item(UID, 400)),
        _sequence(item(UID)[:-3]),
        _sequence(item(UID), undefined=True)[:-8],
        _sequence(item(UID, UNDEFINED)[:-8]),
        _sequence(item(UID, UNDEFINED)[:-8], undefined=True),
        _sequence(UID),
        _sequence(item(explicit(0x00081155, "UI", b"1.2\0", 400))),
        _sequence(item(UID + b"\x08\x00")),
        _sequence(item(UID) + b"\xfe\xff\x00\xe0"),
        _sequence(SEQUENCE_END + item(UID)),
        item(UID),
        ITEM_END,
        SEQUENCE_END,
        explicit(0x00080050, "SH", b"AB", UNDEFINED & 0xFFFF),
        explicit(0x00080119, "UC", b"AB", UNDEFINED),
        explicit(0x00020010, "UI", b"1.2\0"),
        explicit(0x00000002, "UI", b"1.2\0"),
        b"\0" * 16,
    ],
    ids=str,
)
def test_a_broken_structure_is_refused(broken: bytes) -> None:
    with pytest.raises(CannotUnderstand):
        read(identified(broken))
    with pytest.raises(CannotUnderstand):
        read(identified(after=broken))


def test_the_reason_says_what_and_where() -> None:
    pixel_data = explicit(0x7FE00010, "OW", bytes(31072), 131072)
    with pytest.raises(CannotUnderstand) as refused:
        read(identified(after=pixel_data))
    assert refused.value.reason == "the value of (7FE0,0010) declares 131072 bytes, 31072 are there"
    with pytest.raises(CannotUnderstand) as refused:
        read(identified(after=explicit(0x40080114, "PN", b"ABC", 9)))
    assert refused.value.reason == "the value of (4008,0114) declares 9 bytes, 3 are there"


def test_a_failure_is_told_again() -> None:
    reader = DataSetReader(EXPLICIT_VR_LITTLE_ENDIAN)
    for _ in range(2):
        with pytest.raises(CannotUnderstand):
            reader.feed(ITEM_END)
    with pytest.raises(CannotUnderstand):
        reader.finish()


@pytest.mark.parametrize(
    ("odd", "vr", "value"),
    [
        (explicit(0x00080050, "SH", b"ABC"), "SH", ["ABC"]),  # odd length
        (implicit(0x00080050, b"ABCD"), "SH", ["ABCD"]),  # without VR, in the middle of explicit VR
        (explicit(0x00080050, "UN", b"ABCD"), "SH", ["ABCD"]),  # UN for what PS3.6 knows
        (struct.pack("<HH2sHI", 8, 0x50, b"UN", 0, 4) + b"ABCD", "SH", ["ABCD"]),
    ],
)
def test_what_devices_do_wrong_without_harm(odd: bytes, vr: str, value: list[str]) -> None:
    assert metadata(read(identified(odd)))["00080050"] == {"vr": vr, "Value": value}


def test_a_vr_of_another_edition_is_un() -> None:
    long_form = struct.pack("<HH2sHI", 9, 0x1001, b"ZZ", 0, 2) + b"AB"
    short_form = struct.pack("<HH2sH", 9, 0x1002, b"ZZ", 2) + b"AB"
    read_back = metadata(read(identified(long_form + short_form)))
    assert read_back["00091001"] == read_back["00091002"] == {"vr": "UN", "InlineBinary": "QUI="}


def test_superfluous_delimiters_at_the_end_of_defined_lengths() -> None:
    content = item(UID + ITEM_END) + SEQUENCE_END
    assert metadata(read(identified(_sequence(content))))["00081140"]["Value"] == [READ_UID]


def test_un_of_undefined_length_is_a_sequence_in_implicit_vr() -> None:
    inside = item(implicit(0x00081155, b"1.2\0"), UNDEFINED)
    nested = item(implicit(0x00089999, inside + SEQUENCE_END, UNDEFINED))
    read_back = metadata(read(identified(_sequence(nested, undefined=True, vr="UN"))))
    assert read_back["00081140"]["Value"] == [{"00089999": {"vr": "SQ", "Value": [READ_UID]}}]


def test_un_of_undefined_length_in_big_endian_is_little_endian() -> None:
    def big(tag: int, vr: bytes, value: bytes) -> bytes:
        return struct.pack(">HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value

    private = item(implicit(0x00081155, b"1.2\0")) + SEQUENCE_END
    data_set = (
        big(0x00080016, b"UI", b"1.2\0")
        + big(0x00080018, b"UI", b"1.3\0")
        + struct.pack(">HH2sHI", 9, 0x1001, b"UN", 0, UNDEFINED)
        + private
        + big(0x0020000D, b"UI", b"1.4\0")
        + big(0x0020000E, b"UI", b"1.5\0")
        + big(0x00280010, b"US", b"\x02\x00")
    )
    read_back = metadata(read(data_set, EXPLICIT_VR_BIG_ENDIAN))
    assert read_back["00091001"] == {"vr": "SQ", "Value": [READ_UID]}
    assert read_back["00280010"] == {"vr": "US", "Value": [512]}


def test_un_that_holds_no_items_stays_un() -> None:
    read_back = metadata(read(identified(explicit(REFERENCED, "UN", b"\xfe\xff\x00\xe0\x08\x00\x00\x00"))))
    assert read_back["00081140"] == {"vr": "UN", "InlineBinary": "/v8A4AgAAAA="}


def test_un_that_holds_items_is_a_sequence() -> None:
    read_back = metadata(read(identified(explicit(REFERENCED, "UN", item(implicit(0x00081155, b"1.2\0"))))))
    assert read_back["00081140"] == {"vr": "SQ", "Value": [READ_UID]}


def _nested(depth: int) -> bytes:
    begin = explicit(REFERENCED, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)[:-8]
    return begin * depth + (ITEM_END + SEQUENCE_END) * depth


def test_depth_up_to_the_limit() -> None:
    read(identified(_nested(MAXIMUM_DEPTH)))


@pytest.mark.parametrize("depth", [MAXIMUM_DEPTH + 1, 300, 50_000])
def test_a_depth_bomb_is_refused_at_once(depth: int) -> None:
    """Reliability: O2."""
    bomb = identified(_nested(depth))
    start = time.process_time()
    with pytest.raises(CannotUnderstand, match="nested sequences"):
        read(bomb)
    assert time.process_time() - start < 1


def test_un_inside_un_is_not_looked_at_again_and_again() -> None:
    inside = b""
    for _ in range(60):
        inside = item(explicit(REFERENCED, "UN", inside))
    start = time.process_time()
    metadata(read(identified(explicit(REFERENCED, "UN", inside))))
    assert time.process_time() - start < 1


def test_elements_out_of_order_are_put_in_order_and_the_first_of_two_counts() -> None:
    """Reliability: O7."""
    data_set = identified(
        explicit(0x00081140, "SQ", item(UID + explicit(0x00081150, "UI", b"1.1\0"))),
        explicit(0x00100020, "LO", b"FIRST "),
        explicit(0x00080060, "CS", b"CT"),
        explicit(0x00100020, "LO", b"SECOND"),
        explicit(0x00101030, "DS", b"70.10 "),
        after=explicit(0x00080050, "SH", b'\xc3\xa4 \\"'),
    )
    instance = read(data_set)
    read_back = metadata(instance)
    assert list(read_back) == sorted(read_back)
    assert list(read_back["00081140"]["Value"][0]) == ["00081150", "00081155"]
    assert read_back["00100020"]["Value"] == ["FIRST"]
    assert read_back["00080050"]["Value"] == ["ä", '"']
    assert read_back["00101030"]["Value"] == [70.1]
    assert instance.attributes[0x00100020].values == ("FIRST",)


def test_explicit_vr_in_an_object_that_says_implicit_and_the_other_way_round() -> None:
    read(identified(), IMPLICIT_VR_LITTLE_ENDIAN)
    uids = ((0x00080016, b"1.2\0"), (0x00080018, b"1.3\0"), (0x0020000D, b"1.4\0"), (0x0020000E, b"1.5\0"))
    read(b"".join(implicit(tag, value) for tag, value in uids), EXPLICIT_VR_LITTLE_ENDIAN)


def test_memory_does_not_grow_with_a_long_value() -> None:
    reader = DataSetReader(EXPLICIT_VR_LITTLE_ENDIAN)
    piece = bytes(1 << 20)
    tracemalloc.start()
    reader.feed(identified(after=explicit(0x7FE00010, "OW", b"", 256 << 20)))
    for _ in range(256):
        reader.feed(piece)
    instance = reader.finish()
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert instance.bulk_values[0].length == 256 << 20


def test_memory_does_not_grow_with_many_elements() -> None:
    reader = DataSetReader(EXPLICIT_VR_LITTLE_ENDIAN)
    one = item(explicit(0x00081155, "UI", b"1.2.840.10008\0") + explicit(0x00081150, "UI", b"1.2\0"))
    tracemalloc.start()
    reader.feed(SOP_CLASS + SOP_INSTANCE + explicit(REFERENCED, "SQ", b"", UNDEFINED))
    for _ in range(10):
        reader.feed(one * 500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 20


def test_an_unfinished_fragment_is_refused() -> None:
    pixel_data = explicit(0x7FE00010, "OB", fragment(b"") + fragment(b"ABCD") + SEQUENCE_END, UNDEFINED)
    read(identified(after=pixel_data))
    for cut in range(1, len(pixel_data)):
        with pytest.raises(CannotUnderstand):
            read(identified(after=pixel_data[:cut]))


def test_trailing_padding_is_read_and_left_out() -> None:
    padded = read(identified(after=explicit(0xFFFCFFFC, "OB", bytes(300))))
    assert "FFFCFFFC" not in metadata(padded)
    assert padded.bulk_values == ()
