"""RFC 2046 bodies in any pieces; what is malformed; what must stay linear (H3)."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.web.http.multipart import (
    MAXIMUM_HEADER_BYTES,
    MAXIMUM_OUTSIDE_BYTES,
    MultipartError,
    Parser,
    PartBegin,
    PartData,
    PartEnd,
)

Parts = list[tuple[dict[str, str], bytes]]

_TOKENS = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
_VALUES = st.text('abcXYZ019 /;=.+*"', max_size=30).map(str.strip)
_BOUNDARIES = st.text("0123456789abcXYZ'()+_,-./:=?", min_size=1, max_size=70)


def encoded(boundary: str, parts: Parts, preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    """A body as RFC 2046 writes it."""
    delimiter = b"--" + boundary.encode()
    body = preamble + b"\r\n" if preamble else b""
    for headers, data in parts:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        body += delimiter + b"\r\n" + head + b"\r\n" + data + b"\r\n"
    return body + delimiter + b"--" + epilogue


def parse(boundary: str, pieces: list[bytes]) -> Parts:
    """All whole parts. Raises MultipartError."""
    parser = Parser(boundary)
    parts: Parts = []
    headers: dict[str, str] = {}
    data = b""
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, PartBegin):
                headers, data = dict(event.headers), b""
            elif isinstance(event, PartData):
                data += event.data
            else:
                assert isinstance(event, PartEnd)
                parts.append((headers, data))
    parser.finish()
    return parts


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """The body in pieces, cut at these places."""
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, Parts, bytes]:
    """Parts whose data are full of line ends, hyphens and near-boundaries, but hold no delimiter."""
    boundary = draw(_BOUNDARIES)
    teasers = [
        b"\r\n",
        b"\r",
        b"\n",
        b"--",
        b"-",
        b"\r\n--",
        f"\r\n--{boundary[:-1]}".encode(),
        boundary.encode(),
    ]
    chunks = st.one_of(st.sampled_from(teasers), st.binary(max_size=40))
    data = st.lists(chunks, max_size=8).map(b"".join)
    delimiter = f"\r\n--{boundary}".encode()
    data = data.filter(lambda raw: delimiter not in b"\r\n" + raw + b"\r\n")
    headers = st.dictionaries(_TOKENS, _VALUES, max_size=4)
    parts = draw(st.lists(st.tuples(headers, data), min_size=1, max_size=5))
    preamble = draw(st.sampled_from([b"", b"preamble", b"two\r\nlines", b"-"]))
    epilogue = draw(st.sampled_from([b"", b"\r\n", b"\r\nepilogue\r\n--"]))
    return boundary, parts, encoded(boundary, parts, preamble, epilogue)


@given(bodies(), st.lists(st.integers(0, 1 << 20), max_size=12))
def test_parts_come_back_whatever_the_pieces(body: tuple[str, Parts, bytes], places: list[int]) -> None:
    boundary, parts, raw = body
    assert parse(boundary, cut(raw, places)) == parts


@given(bodies())
def test_byte_by_byte(body: tuple[str, Parts, bytes]) -> None:
    boundary, parts, raw = body
    assert parse(boundary, [raw[at : at + 1] for at in range(len(raw))]) == parts


@given(bodies(), st.integers(1, 1 << 20))
def test_a_truncated_body_never_ends_a_part_that_was_cut(
    body: tuple[str, Parts, bytes], cut_off: int
) -> None:
    boundary, parts, _ = body
    whole = encoded(boundary, parts)
    short = whole[: len(whole) - 1 - cut_off % (len(whole) - 1)]
    parser = Parser(boundary)
    ended = sum(isinstance(event, PartEnd) for event in parser.feed(short))
    with pytest.raises(MultipartError):
        parser.finish()
    assert ended <= len(parts)
    assert ended < len(parts) or short.endswith((f"--{boundary}".encode(), f"--{boundary}-".encode()))


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_nothing_but_multipart_errors_from_any_bytes(raw: bytes, places: list[int]) -> None:
    outcomes = set()
    for pieces in ([raw], cut(raw, places)):
        try:
            outcomes.add(repr(parse("b", pieces)))
        except MultipartError as error:
            outcomes.add(str(error))
    assert len(outcomes) == 1


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a b ", "a\r\nb", "é", "a;b", 'a"b'])
def test_boundaries_that_are_none(boundary: str) -> None:
    with pytest.raises(MultipartError):
        Parser(boundary)


def test_white_space_may_follow_a_boundary() -> None:
    assert parse("b", [b"--b \t\r\nA: 1\r\n\r\nx\r\n--b  \r\n\r\ny\r\n--b--"]) == [
        ({"a": "1"}, b"x"),
        ({}, b"y"),
    ]


def test_a_longer_boundary_in_the_data_is_data() -> None:
    assert parse("b", [b"--b\r\n\r\nx\r\n--bc\r\ny\r\n--b--"]) == [({}, b"x\r\n--bc\r\ny")]


def test_a_part_without_a_body_may_share_its_last_line_end() -> None:
    assert parse("b", [b"--b\r\nA: 1\r\n\r\n--b\r\n\r\n--b--"]) == [({"a": "1"}, b""), ({}, b"")]


def test_folded_headers_are_joined() -> None:
    assert parse("b", [b"--b\r\nA: 1;\r\n b=2\r\n\r\n\r\n--b--"]) == [({"a": "1; b=2"}, b"")]


@pytest.mark.parametrize(
    "body",
    [
        b"--b\nA: 1\n\nx\n--b--\n",  # bare LF: no delimiter is seen
        b"no boundary at all",
        b"x" * (MAXIMUM_OUTSIDE_BYTES + 1) + b"\r\n--b\r\n\r\n\r\n--b--",
        b"--b\r\n\r\n\r\n--b--" + b"x" * (MAXIMUM_OUTSIDE_BYTES + 1),
    ],
    ids=["LF", "none", "preamble", "epilogue"],
)
def test_malformed_bodies(body: bytes) -> None:
    with pytest.raises(MultipartError):
        parse("b", [body])


@pytest.mark.parametrize(
    "headers",
    [
        b"no colon\r\n\r\nx",
        b": no name\r\n\r\nx",
        b"A: " + b"x" * MAXIMUM_HEADER_BYTES + b"\r\n\r\nx",
        b"A: 1\r\n" * 100_000 + b"\r\nx",
        b"A: 1",
    ],
    ids=["colon", "name", "long header", "many headers", "no end"],
)
@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_a_part_with_malformed_headers_is_a_part_at_fault(headers: bytes, piece: int) -> None:
    body = b"--a:b\r\n\r\none\r\n--a:b\r\n" + headers + b"\r\n--a:b\r\nB: 2\r\n\r\nthree\r\n--a:b--"
    parser = Parser("a:b")
    events = [
        event
        for start in range(0, len(body), piece)
        for event in parser.feed(body[start : start + piece])
        if not isinstance(event, PartData)
    ]
    parser.finish()
    assert [bool(begin.fault) for begin in events if isinstance(begin, PartBegin)] == [False, True, False]
    assert [type(event) for event in events] == [PartBegin, PartEnd] * 3


@pytest.mark.parametrize("teaser", [b"\r\n--", b"\r\n--b" * 3 + b"!", b"\r", b"\r\n--b \t"])
def test_teasing_data_costs_no_more_than_its_length(teaser: bytes) -> None:
    """10 MB of near-boundaries; the bound is generous, as a quadratic parser would take hours."""
    data = teaser * (10_000_000 // len(teaser))
    begun = time.perf_counter()
    pieces = [b"--boundary\r\n\r\n", *cut(data, list(range(0, len(data), 65536))), b"\r\n--boundary--"]
    assert parse("boundary", pieces) == [({}, data)]
    assert time.perf_counter() - begun < 20
