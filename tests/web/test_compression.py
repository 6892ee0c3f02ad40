"""Content codings of answers (RFC 9110 12.5.3): which, of what, and that the bytes come back the same."""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Callable, Iterator
from functools import partial

import anyio
import pytest
import zstandard
from anyio.to_thread import run_sync
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import NotAcceptable
from archive.web.http import compression, representation
from archive.web.http.crossing import Prepared, close
from archive.web.http.exchange import Answer, Asked, Sliced

LONG = b'{"a": 1}' * 1000


def asked(accept_encoding: str | None, method: str = "GET", **headers: str) -> Asked:
    """A request that takes these codings."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if accept_encoding is not None:
        named["accept-encoding"] = accept_encoding
    return Asked({}, "", named, "http://here", method=method)


def prepared(make: Callable[[], Answer], request: Asked) -> Prepared:
    """In a thread, as the endpoint has it made."""
    return anyio.run(run_sync, partial(representation.prepared, make, request))


def decoded(coding: str, data: bytes) -> bytes:
    """As a client decodes it."""
    if coding == "gzip":
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read() if coding == "zstd" else data


def sent(answer: Answer, request: Asked) -> tuple[str, bytes, dict[str, str]]:
    """Coding, bytes and headers."""
    ready = prepared(lambda: answer, request)
    headers = dict(ready.answer.headers)
    return headers.get("Content-Encoding", "identity"), ready.first + b"".join(ready.rest or ()), headers


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, "identity"),
        ("", "identity"),
        ("br", "identity"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("zstd;q=0, *", "gzip"),
        ("*", "zstd"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=1.0", "gzip"),
        ("gzip;q=0", "identity"),
        ("identity;q=0, gzip", "gzip"),
        ("*;q=0, gzip", "gzip"),
        ("*;q=0, identity", "identity"),
        ("gzip;q=nonsense", "identity"),
    ],
)
def test_which_one(field: str | None, expected: str) -> None:
    assert compression.coding(asked(field)) == expected


@pytest.mark.parametrize(
    "field", ["identity;q=0", "*;q=0", "br, identity;q=0", "identity;q=0, gzip;q=0, zstd;q=0"]
)
def test_who_takes_none_of_ours_gets_406(field: str) -> None:
    with pytest.raises(NotAcceptable, match="gzip"):
        prepared(lambda: Answer(200, "image/jpeg", b""), asked(field))


def test_what_has_no_body_needs_no_coding() -> None:
    """A deletion is not refused, and not carried out and then refused, for the coding of an answer without a body."""
    ready = prepared(lambda: Answer(204), asked("identity;q=0", "DELETE"))
    assert ready.answer.status == 204


@pytest.mark.parametrize("coding", compression.CODINGS)
def test_text_is_encoded_and_has_a_weak_tag(coding: str) -> None:
    plain, body, headers = sent(Answer(200, "application/dicom+json", LONG, etag="x"), asked(None))
    assert (plain, body, headers["Vary"]) == ("identity", LONG, "Accept, Accept-Charset, Accept-Encoding")
    used, small, encoded_headers = sent(Answer(200, "application/dicom+json", LONG, etag="x"), asked(coding))
    assert used == coding
    assert len(small) < len(LONG) // 10
    assert decoded(coding, small) == LONG
    assert encoded_headers["ETag"].startswith("W/")
    assert encoded_headers["ETag"].removeprefix("W/") == headers["ETag"].removeprefix("W/")


@pytest.mark.parametrize(
    ("answer", "encoded"),
    [
        (Answer(200, "application/dicom+json", LONG), True),
        (Answer(200, "application/json", LONG), True),
        (Answer(200, "text/html; charset=utf-8", LONG), True),
        (Answer(200, 'multipart/related; type="application/dicom+xml"; boundary=x', LONG), True),
        (Answer(200, "application/vnd.sun.wadl+xml", LONG), True),
        (Answer(200, "application/dicom+json", LONG[:100]), False),
        (Answer(200, "image/jpeg", LONG), False),
        (Answer(200, "application/dicom", LONG), False),
        (Answer(200, 'multipart/related; type="application/octet-stream"; boundary=x', LONG), False),
        (Answer(200, "application/zip", LONG), False),
        (Answer(404, "text/plain", LONG), False),
        (Answer(200, "application/dicom+json", LONG, (("Content-Encoding", "deflate"),)), False),
    ],
)
def test_what_is_encoded(answer: Answer, encoded: bool) -> None:
    assert (sent(answer, asked("gzip"))[0] == "gzip") is encoded


def test_who_refuses_the_identity_gets_even_pixels_encoded_and_whole() -> None:
    pixels = Answer(200, "application/octet-stream", Sliced.of(LONG), etag="x")
    coding, body, headers = sent(pixels, asked("gzip, identity;q=0", range="bytes=0-9"))
    assert (coding, decoded("gzip", body)) == ("gzip", LONG)
    assert headers["ETag"].startswith("W/")
    assert "Accept-Ranges" not in headers


def test_a_range_is_one_of_the_identity() -> None:
    text = Answer(200, "text/plain", Sliced.of(LONG), etag="x")
    coding, body, headers = sent(text, asked("gzip", range="bytes=0-9"))
    assert (coding, body) == ("identity", LONG[:10])
    assert headers["Content-Range"] == f"bytes 0-9/{len(LONG)}"


def test_head_of_what_is_not_read_says_its_own_length() -> None:
    ready = prepared(lambda: Answer(200, "text/plain", Sliced.of(LONG)), asked("gzip", "HEAD"))
    assert (ready.answer.length, ready.first) == (len(LONG), b"")


def test_a_short_json_answer_has_a_tag_of_its_bytes() -> None:
    found = Answer(200, "application/dicom+json", iter((LONG,)))
    _, _, headers = sent(found, asked("gzip"))
    again = Answer(200, "application/dicom+json", iter((LONG,)))
    ready = prepared(lambda: again, asked("gzip", if_none_match=headers["ETag"]))
    assert (ready.answer.status, ready.first, ready.rest) == (304, b"", None)
    other = Answer(200, "application/dicom+json", iter((LONG + b" ",)))
    assert prepared(lambda: other, asked(None, if_none_match=headers["ETag"])).answer.status == 200


@given(st.lists(st.binary(max_size=2000), max_size=20), st.sampled_from(compression.CODINGS))
def test_a_stream_in_any_pieces_comes_back_the_same(pieces: list[bytes], coding: str) -> None:
    closed: list[bool] = []

    def rest() -> Iterator[bytes]:
        try:
            yield from pieces
        finally:
            closed.append(True)

    ready = compression.applied(Prepared(Answer(200, "text/xml"), b"first", rest()), asked(coding))
    assert ready.rest is not None
    body = ready.first + b"".join(ready.rest)
    assert decoded(coding, body) == b"first" + b"".join(pieces)
    assert closed == [True]


def test_what_is_not_wanted_any_more_is_closed_unread() -> None:
    closed: list[bool] = []

    def rest() -> Iterator[bytes]:
        try:
            yield b"more"
        finally:
            closed.append(True)

    begun = rest()
    next(begun)
    ready = compression.applied(Prepared(Answer(200, "text/xml"), b"first", begun), asked("gzip"))
    close(ready.rest)
    assert closed == [True]


@given(st.text(max_size=100))
def test_any_header_is_read(field: str) -> None:
    try:
        assert compression.coding(asked(field)) in (*compression.CODINGS, compression.IDENTITY)
    except NotAcceptable:
        assert compression.refuses_identity(asked(field))


@pytest.mark.parametrize("text", ["gzip;q=0.1,", "*,", ";q=0", '"', "identity;"])
def test_huge_headers_cost_no_more_than_their_length(text: str) -> None:
    begun = time.perf_counter()
    compression.coding(asked(text * (60_000 // len(text))))
    assert time.perf_counter() - begun < 2
