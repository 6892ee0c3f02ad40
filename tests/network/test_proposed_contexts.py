"""The quick reading of proposed presentation contexts against the plain one, item by item (PS3.8 9.3.2.2)."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archive.dicom.errors import AssociationAborted
from archive.network.negotiation import ProposedContext, decode_request

ABSTRACT, TRANSFER = 0x30, 0x40
MOST = 128
HEAD = b"\0\1\0\0" + b"ARCHIVE".ljust(16) + b"TEST".ljust(16) + bytes(32)
Item = tuple[int, int, bytes, int]
"""Type, reserved byte, value, and by how much the length is a lie."""

values = st.sampled_from(
    [
        b"1.2.840.10008.1.2",
        b"1.2.840.10008.1.2.1",
        b"1.2.840.10008.1.2.1\0",
        b" 1.2.840.10008.1.2.4.50 ",
        b"1" * 64,
        b"1" * 65,
        b"",
        b"\0",
        "1.2.ä".encode("latin-1"),
        b"@\0\0",
        b"1.2@\0\0\x031.3",
        b"7" * 300,
    ]
) | st.binary(max_size=20)
transfers = st.tuples(st.just(TRANSFER), st.just(0), values, st.just(0))
odd = st.tuples(
    st.sampled_from([ABSTRACT, TRANSFER, 0x41, 0x99]),
    st.sampled_from([0, 0, 0, 1, 0x40]),
    values,
    st.sampled_from([0, 0, 0, -1, 1, 4, 256]),
)
first = st.tuples(st.just(ABSTRACT), st.just(0), values, st.just(0))
lists = st.lists(transfers, max_size=8) | st.lists(transfers | odd, max_size=8)
contexts = st.builds(lambda head, rest: [head, *rest], first, lists) | lists


def encoded(one: Item) -> bytes:
    kind, reserved, value, lie = one
    return struct.pack(">BBH", kind, reserved, max(0, len(value) + lie)) + value


def context(number: int, items: bytes) -> bytes:
    return encoded((0x20, 0, bytes((number % 256, 0, 0, 0)) + items, 0))


def plainly(number: int, items: bytes) -> ProposedContext | None:
    """Read one after the other; None where a length does not fit."""
    abstract_syntax, syntaxes, position = "", [], 0
    while position < len(items):
        if len(items) - position < 4:
            return None
        kind, length = struct.unpack_from(">BxH", items, position)
        value = items[position + 4 : position + 4 + length]
        position += 4 + length
        if len(value) < length:
            return None
        uid = value.decode("latin-1").strip(" \0")
        if not re.fullmatch("[0-9.]{1,64}", uid):
            uid = ""
        if kind == ABSTRACT:
            abstract_syntax = uid
        elif kind == TRANSFER and uid and uid not in syntaxes:
            syntaxes.append(uid)
    return ProposedContext(number % 256, abstract_syntax, tuple(syntaxes))


@given(st.lists(st.tuples(contexts, st.integers(0, 3)), max_size=6), st.booleans())
@example([([(ABSTRACT, 0, b"1.2", 0), (TRANSFER, 0, b"1.2@\0\0\x031.3", 0)], 0)], True)
@example([([(ABSTRACT, 0, b"1.2", 1)], 0)], False)
@example([([(ABSTRACT, 0, b"1.2", 0), (TRANSFER, 0, b"1.2", 0)], 1)], True)
def test_quickly_and_plainly_is_the_same(cut_lists: list[tuple[list[Item], int]], again: bool) -> None:
    """Each list as a whole or without its last bytes, and all of them once more, as requests repeat theirs."""
    bodies = [b"".join(map(encoded, items)) for items, _ in cut_lists]
    bodies = [body[: len(body) - cut] for body, (_, cut) in zip(bodies, cut_lists, strict=True)]
    bodies = bodies * 2 if again else bodies
    expected = [plainly(number, body) for number, body in enumerate(bodies)]
    request = memoryview(HEAD + b"".join(context(number, body) for number, body in enumerate(bodies)))
    if None in expected:
        with pytest.raises(AssociationAborted):
            decode_request(request)
    else:
        assert list(decode_request(request).contexts) == expected


@pytest.mark.parametrize("reserved", [0, 1])
@pytest.mark.parametrize("many", [MOST - 1, MOST, MOST + 1, 4000])
def test_a_context_is_read_so_far_and_no_further(many: int, reserved: int) -> None:
    """Twice as many transfer syntaxes as the standard has are read, in either way."""
    uids = [f"1.2.{number}" for number in range(many)]
    body = b"".join(
        encoded(one)
        for one in [(ABSTRACT, 0, b"1.1", 0), *((TRANSFER, reserved, uid.encode(), 0) for uid in uids)]
    )
    (read,) = decode_request(memoryview(HEAD + context(1, body))).contexts
    assert read == ProposedContext(1, "1.1", tuple(uids[:MOST]))


def test_two_contexts_with_the_same_transfer_syntaxes_keep_their_abstract_syntaxes() -> None:
    syntaxes = encoded((TRANSFER, 0, b"1.2.840.10008.1.2", 0))
    request = HEAD + b"".join(
        context(number, encoded((ABSTRACT, 0, uid, 0)) + syntaxes)
        for number, uid in ((1, b"1.3"), (3, b"1.4"))
    )
    assert [each.abstract_syntax for each in decode_request(memoryview(request)).contexts] == ["1.3", "1.4"]
