"""Character sets of answers (N10; PS3.18 8.3.3.2, 8.8): XML and text transcoded for real, JSON in ASCII, 406."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import InvalidQuery, NotAcceptable
from archive.web.http.charset import SUPPORTED, UTF_8, Charset, applied, chosen, encoded
from archive.web.http.exchange import Answer, Asked
from archive.web.http.weights import by_weight, weighed

TEXT = "Grüße 山田^太郎 Иван 𝄞 김 ก"


def asked(
    query: str = "", accept_charset: str | None = None, accept: str = "*/*", *, strict: bool = False
) -> Asked:
    """A request that names character sets."""
    headers = {"accept": accept}
    if accept_charset is not None:
        headers["accept-charset"] = accept_charset
    return Asked({}, query, headers, "http://here", strict=strict)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (asked(), "UTF-8"),
        (asked(accept_charset="iso-8859-1"), "ISO-8859-1"),
        (asked(accept_charset="iso-8859-1;q=0.5, utf-8;q=0.9"), "UTF-8"),
        (asked(accept_charset="nonsense, *;q=0.1"), "UTF-8"),
        (asked(accept_charset="nonsense"), "UTF-8"),
        (asked(accept_charset="utf-8;q=0, gb18030;q=0.1"), "GB18030"),
        (asked("charset=iso-8859-2,utf-8;q=0.5", "iso-8859-1"), "ISO-8859-2"),
        (asked("charset=nonsense", "iso-8859-1"), "ISO-8859-1"),
        (asked("charset=nonsense&charset=iso-8859-2"), "ISO-8859-2"),
        (asked("charset=ISO_IR%20100"), "ISO-8859-1"),
        (asked("charset=%22ISO_IR%20192%22"), "UTF-8"),
        (asked(accept_charset=r'"ISO 2022 IR 13\ISO 2022 IR 87"'), "ISO-2022-JP"),
        (asked("charset=iso-8859-2", accept="text/html;charset=Shift_JIS, */*"), "Shift_JIS"),
        (asked("charset=iso-8859-2", accept="text/html;charset=nonsense"), "ISO-8859-2"),
        (asked("charset=iso-8859-2", accept="text/plain;charset=Shift_JIS, text/html"), "ISO-8859-2"),
        (asked("charset=iso-8859-2&accept=text/html;charset%3Deuc-jp", accept="*/*"), "EUC-JP"),
    ],
)
def test_which_one(request_: Asked, expected: str) -> None:
    """8.8.5: of the media type, of the parameter, of the header, the default."""
    assert chosen(request_, "text/html").name == expected


@pytest.mark.parametrize("field", ["utf-8;q=0", "*;q=0", "nonsense, *;q=0", "utf-8;q=0, iso-8859-1;q=0"])
def test_who_takes_none_of_ours_is_told_which_there_are(field: str) -> None:
    with pytest.raises(NotAcceptable, match=r"GB18030.*UTF-8"):
        chosen(asked(accept_charset=field), "text/html")


def test_no_wildcard_in_the_parameter_of_strict_mode() -> None:
    assert chosen(asked("charset=*"), "text/html") == UTF_8
    with pytest.raises(InvalidQuery):
        chosen(asked("charset=*", strict=True), "text/html")


@pytest.mark.parametrize("name", SUPPORTED)
def test_markup_keeps_every_character(name: str) -> None:
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<a b="{TEXT}">{TEXT}</a>'
    read = encoded(document, Charset(name), markup=True).decode(name)
    assert html.unescape(read) == document.replace("UTF-8", name)


def test_plain_text_is_406_where_a_character_is_missing() -> None:
    assert encoded("Grüße", Charset("ISO-8859-1"), markup=False) == b"Gr\xfc\xdfe"
    with pytest.raises(NotAcceptable, match="ISO-8859-1"):
        encoded(TEXT, Charset("ISO-8859-1"), markup=False)


@given(st.lists(st.text(max_size=30)), st.sampled_from([1, 2, 3, 7]))
def test_json_means_the_same_in_ascii(values: list[str], step: int) -> None:
    """RFC 8259 8.1, however the bytes come in pieces."""
    text = json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(text), step):
            yield text[start : start + step]

    answer = applied(
        Answer(200, "application/dicom+json", pieces(), etag="x"), asked(accept_charset="iso-8859-5")
    )
    body = b"".join(answer.body)  # type: ignore[arg-type]
    assert body.isascii()
    assert json.loads(body) == json.loads(text)
    assert (answer.media_type, answer.etag == "x") == ("application/dicom+json", False)


def test_text_answers_are_transcoded_and_say_so() -> None:
    answer = Answer(200, "text/html; charset=utf-8", TEXT.encode(), etag="x")
    done = applied(answer, asked(accept_charset="iso-8859-1"))
    assert done.media_type == "text/html; charset=ISO-8859-1"
    assert html.unescape(bytes(done.body).decode("latin-1")) == TEXT  # type: ignore[arg-type]
    assert applied(answer, asked()) == answer
    document = Answer(200, "text/xml", b'<?xml version="1.0" encoding="ISO-8859-2"?><a>\xb1</a>')
    assert applied(document, asked(accept_charset="iso-8859-1")) == document
    image = Answer(200, "image/png", b"\x89", length=1)
    assert applied(image, asked(accept_charset="iso-8859-1")) == image


@given(st.text(max_size=200))
def test_any_list_is_read(text: str) -> None:
    assert all(0 <= weight <= 1 for _, weight in weighed(text))
    assert len(by_weight(text)) <= len(weighed(text))


@pytest.mark.parametrize("text", [",", ";", '"', " ", "a;q=1,", "a;q=", '","', " ;", "a ", "q=;"])
def test_a_huge_list_costs_no_more_than_its_length(text: str) -> None:
    begun = time.perf_counter()
    weighed(text * (100_000 // len(text)) + '"')
    assert time.perf_counter() - begun < 2
