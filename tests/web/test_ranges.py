"""Ranges, entity tags and conditions (N14, H12; RFC 9110 13 and 14; PS3.18 8.6.1.2), by a model of the bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.web.http import conditional, ranges
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.multipart_body import Part, SlicedPart, related, related_sliced

BODY = bytes(range(200))
ANSWER = Answer(200, "application/octet-stream", Sliced.of(BODY), etag="state")


def asked(method: str = "GET", **headers: str) -> Asked:
    """A request with these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Asked({}, "", named, "http://here", method=method)


def answered(
    answer: Answer = ANSWER, method: str = "GET", **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Status, bytes and headers that go out."""
    request = asked(method, **headers)
    made = ranges.applied(conditional.applied(answer, request), request)
    body = made.body if isinstance(made.body, bytes) else b"".join(made.body)  # type: ignore[arg-type]
    if method == "GET" and made.length is not None:
        assert made.length == len(body)
    return made.status, body, dict(made.headers)


ETAG = answered()[2]["ETag"]


def test_the_whole_body_says_that_it_has_ranges() -> None:
    status, body, headers = answered()
    assert (status, body, headers["Accept-Ranges"]) == (200, BODY, "bytes")
    assert ETAG.startswith('"')
    assert headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("field", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=190-", 190, 200),
        ("bytes=190-9999", 190, 200),
        ("bytes=-5", 195, 200),
        ("bytes=-9999", 0, 200),
        ("Bytes = 0-1", 0, 2),
        ("bytes=,10-11 ,", 10, 12),
        ("bytes=0-" + "9" * 5000, 0, 200),
        ("bytes=-" + "9" * 5000, 0, 200),
    ],
)
def test_one_range(field: str, start: int, end: int) -> None:
    status, body, headers = answered(range=field)
    assert (status, body) == (206, BODY[start:end])
    assert headers["Content-Range"] == f"bytes {start}-{end - 1}/200"
    assert headers["ETag"] == ETAG


@pytest.mark.parametrize(
    "field",
    ["bytes=200-", "bytes=200-300", "bytes=-0", "bytes=" + "9" * 5000 + "-", "bytes=9-3", "bytes=a-b", "bytes=",
     "bytes=-", "bytes=--1", "bytes=1-2-3", "bytes=0x1-2", "bytes=\u0661-", "bytes=" + "0-0," * 10_000],
)  # fmt: skip
def test_what_cannot_be_had_is_416_with_the_length(field: str) -> None:
    begun = time.perf_counter()
    status, body, headers = answered(range=field)
    assert (status, headers["Content-Range"]) == (416, "bytes */200")
    assert b"range" in body
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("field", ["items=0-1", "bytes", "bytes 0-1", "", "bytes=0-1,5-6", "bytes=0-1, 0-1"])
def test_what_we_need_not_know_gets_the_whole(field: str) -> None:
    assert answered(range=field)[:2] == (200, BODY)


def test_if_range_takes_only_the_strong_tag() -> None:
    assert answered(range="bytes=0-1", if_range=ETAG)[0] == 206
    for other in (f"W/{ETAG}", '"other"', "Sun, 06 Nov 1994 08:49:37 GMT", "*", ""):
        assert answered(range="bytes=0-1", if_range=other)[0] == 200
    without = replace(ANSWER, etag="")
    assert answered(without, range="bytes=0-1", if_range='""')[0] == 200


def test_head_reads_nothing_and_ignores_ranges() -> None:
    def read(_offset: int, _length: int) -> Iterator[bytes]:
        raise AssertionError

    answer = replace(ANSWER, body=Sliced(200, read))
    request = asked("HEAD", range="bytes=0-1")
    made = ranges.applied(conditional.applied(answer, request), request)
    assert (made.status, made.body, made.length) == (200, b"", 200)


@pytest.mark.parametrize("held", ["*", ETAG, f"W/{ETAG}", f'"a", W/"b" ,{ETAG}', f", ,{ETAG}"])
def test_who_has_it_gets_304(held: str) -> None:
    status, body, headers = answered(if_none_match=held, range="bytes=0-1")
    assert (status, body, headers["ETag"]) == (304, b"", ETAG)
    assert answered(method="HEAD", if_none_match=held)[0] == 304


@pytest.mark.parametrize("held", ['"other"', "", "state", ETAG.strip('"'), '"open', '"a' * 20_000])
def test_who_has_something_else_gets_the_body(held: str) -> None:
    begun = time.perf_counter()
    assert answered(if_none_match=held)[0] == 200
    assert time.perf_counter() - begun < 2


def test_if_match() -> None:
    assert answered(if_match=ETAG)[0] == 200
    assert answered(if_match="*")[0] == 200
    assert answered(if_match=f"W/{ETAG}")[0] == 412
    assert answered(if_match='"other"', if_none_match="*")[0] == 412


def test_a_stream_has_a_weak_tag_and_is_closed_when_it_is_not_wanted() -> None:
    closed = []

    def body() -> Iterator[bytes]:
        try:
            yield b"text"
        finally:
            closed.append(True)

    stream = body()
    next(stream)
    answer = Answer(200, "application/dicom+json", stream, etag="state")
    tag = answered(Answer(200, "application/dicom+json", b"", etag="state"))[2]["ETag"]
    assert tag.startswith('W/"')
    assert answered(answer, if_none_match=tag)[0] == 304
    assert closed
    assert answered(Answer(200, "application/dicom+json", b"", etag="state"), if_match=tag)[0] == 412


def test_representations_have_tags_of_their_own() -> None:
    other = answered(replace(ANSWER, media_type="image/jls"))[2]["ETag"]
    assert other != ETAG


def test_a_boundary_by_chance_makes_no_other_state() -> None:
    parts = [Part("image/jls", (b"x",), length=1)]
    first, second = (replace(related("image/jls", parts), etag="state") for _ in range(2))
    assert first.media_type != second.media_type
    tag = answered(first)[2]["ETag"]
    assert tag.startswith('W/"')
    assert answered(second, if_none_match=tag)[0] == 304


def test_errors_and_other_methods_have_no_conditions() -> None:
    assert answered(replace(ANSWER, status=404), if_none_match="*")[0] == 404
    assert answered(method="POST", if_none_match="*")[0] == 200


SLICES = st.tuples(st.lists(st.binary(max_size=20), max_size=5), st.integers(0, 900), st.integers(1, 900))


@given(SLICES)
def test_any_range_of_a_multipart_body_is_that_part_of_the_whole(
    drawn: tuple[list[bytes], int, int],
) -> None:
    bodies, offset, length = drawn
    parts = [SlicedPart("image/jls", Sliced.of(body), f"http://here/{n}") for n, body in enumerate(bodies)]
    answer = related_sliced("image/jls", parts, "state")
    status, whole, _ = answered(answer)
    assert status == 200
    again = related_sliced("image/jls", parts, "state")
    status, part, headers = answered(again, range=f"bytes={offset}-{offset + length - 1}")
    assert part == whole[offset : offset + length] if offset < len(whole) else status == 416
    assert headers["Content-Range"].endswith(f"/{len(whole)}")
    assert whole.count(b"Content-Length") == len(bodies)


@given(st.text(max_size=60), st.integers(0, 50))
def test_any_range_header_is_answered(field: str, total: int) -> None:
    body = bytes(total)
    status, sent, _ = answered(replace(ANSWER, body=Sliced.of(body)), range=f"bytes={field}")
    assert status in (200, 206, 416)
    assert status != 200 or sent == body


@given(st.text(max_size=60))
def test_any_condition_is_answered(field: str) -> None:
    assert answered(if_none_match=field)[0] in (200, 304)
    assert answered(if_match=field)[0] in (200, 412)
    assert answered(range="bytes=0-1", if_range=field)[0] in (200, 206)
