"""Accept headers and parameters as clients write them, and as PS3.18 asks (N1-N3, N6, N8, N16, pains 3 and 4, H13)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import InvalidQuery, NotAcceptable
from archive.web.http.media_types import (
    DICOM,
    LONGEST_REMEMBERED,
    MAXIMUM_RANGES,
    Accept,
    Offer,
    charsets,
    choose,
    parse,
    parse_list,
)

LITTLE, JPEG, JP2 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"

NATIVE = [Offer("application/octet-stream", kind, frozenset((LITTLE,))) for kind in (True, False)]
COMPRESSED = [
    Offer("image/jpeg", True, frozenset((JPEG,))),
    Offer("image/jpeg", False, frozenset((JPEG,))),
    Offer("application/octet-stream", True, frozenset((JPEG,)), by_name_only=True),
]
STORED = [
    Offer("application/octet-stream", True, frozenset((LITTLE,))),
    Offer("image/jpeg", True, frozenset((JPEG,)), as_stored=True),
    Offer("application/octet-stream", True, frozenset((JPEG,)), by_name_only=True, as_stored=True),
]
PICTURES = [Offer("image/jpeg"), Offer("image/png"), Offer("image/jpeg", True), Offer("image/png", True)]
DATA_SETS = [Offer("application/dicom+json"), Offer("application/json"), Offer("application/dicom+xml", True)]


def test_parameters_quoted_or_not_in_any_order() -> None:
    plain = parse("multipart/related; type=application/dicom; transfer-syntax=*")
    quoted = parse('Multipart/Related;TRANSFER-SYNTAX="*" ;  type="application/dicom"')
    assert plain.name == quoted.name == "multipart/related"
    assert dict(plain.parameters) == dict(quoted.parameters)


def test_quoted_strings_hold_commas_semicolons_and_escapes() -> None:
    first, second = parse_list(r'multipart/related; boundary="a,b;c\"d", text/plain')
    assert first.parameters["boundary"] == 'a,b;c"d'
    assert second.name == "text/plain"


def test_what_cannot_be_read_is_ignored() -> None:
    assert [one.name for one in parse_list('nonsense, text/html level=1, */*;q=, a/b;x="open')] == ["*/*"]


@pytest.mark.parametrize(
    ("accept", "offers", "expected"),
    [
        (None, DATA_SETS, DATA_SETS[0]),
        ("", DATA_SETS, DATA_SETS[0]),
        ("*/*", DATA_SETS, DATA_SETS[0]),
        ("application/json", DATA_SETS, DATA_SETS[1]),
        ('multipart/related; type="application/dicom+xml"', DATA_SETS, DATA_SETS[2]),
        (
            "application/dicom+json;q=0.2, multipart/related;type=application/dicom+xml;q=0.9",
            DATA_SETS,
            DATA_SETS[2],
        ),
        # OHIF
        ("application/dicom+json, multipart/related; type=application/octet-stream", DATA_SETS, DATA_SETS[0]),
        # Cornerstone3D
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", NATIVE, NATIVE[0]),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", COMPRESSED, COMPRESSED[2]),
        ('multipart/related; type="image/jpeg"; transfer-syntax="*"', COMPRESSED, COMPRESSED[0]),
        # dicomweb-client
        ('multipart/related; type="*/*"', COMPRESSED, COMPRESSED[0]),
        ("image/jpeg", COMPRESSED, COMPRESSED[1]),
        ("image/*", COMPRESSED, COMPRESSED[0]),
        ("application/octet-stream", NATIVE, NATIVE[1]),
        (
            f"multipart/related;type=application/octet-stream;transfer-syntax={JPEG}",
            COMPRESSED,
            COMPRESSED[2],
        ),
        ("multipart/related", COMPRESSED, COMPRESSED[0]),
        # among equals the one that is named first
        ("image/png, image/jpeg", [Offer("image/jpeg"), Offer("image/png")], Offer("image/png")),
        # a browser's <img>
        (
            "image/avif,image/webp,image/*,*/*;q=0.8",
            [Offer("image/jpeg"), Offer("image/png")],
            Offer("image/jpeg"),
        ),
        ("image/jpeg;q=0, */*", [Offer("image/jpeg"), Offer("image/png")], Offer("image/png")),
        # what is no weight makes the whole value count as nothing (8.7.7)
        ("image/jpeg;q=high, image/*;q=0.1", PICTURES, PICTURES[0]),
        ("image/png;q=1.5, image/jpeg;q=.2", PICTURES, PICTURES[0]),
        # the example of RFC 9110 and 8.7.8.1: the closest range has the say
        ("image/*;q=0.5, image/jpeg;q=0.4, */*;q=0.4", PICTURES, PICTURES[1]),
        # of a type that is named with several transfer syntaxes, each has its own weight
        (
            f"image/jpeg;transfer-syntax=*;q=0.9, image/jpeg;transfer-syntax={JPEG};q=0",
            [*COMPRESSED, Offer("image/jpeg", False, frozenset((JP2,)))],
            Offer("image/jpeg", False, frozenset((JP2,))),
        ),
        # any transfer syntax: as stored, unless something else is named or liked better
        ('multipart/related; type="application/octet-stream"; transfer-syntax=*', STORED, STORED[2]),
        ("*/*; transfer-syntax=*", STORED, STORED[1]),
        ("*/*", STORED, STORED[0]),
        ('multipart/related; type="*/*"', STORED, STORED[0]),
        ("multipart/*", STORED, STORED[0]),
        ('multipart/related; type="image/*"', STORED, STORED[1]),
        ("image/*", STORED, STORED[1]),
        # spellings
        ("multipart/related; type='image/jpeg'", STORED, STORED[1]),
        ('multipart/related; type="application/octet-stream; transfer-syntax=*"', STORED, STORED[2]),
        ('MULTIPART/Related ;Type=IMAGE/JPEG;boundary="a,b"', STORED, STORED[1]),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", PICTURES, PICTURES[0]),
        ("image/png; transfer-syntax=*", PICTURES, PICTURES[1]),
    ],
)
def test_choice(accept: str | None, offers: list[Offer], expected: Offer) -> None:
    assert choose(accept, offers) == expected


@pytest.mark.parametrize(
    ("accept", "offers"),
    [
        ("text/html", DATA_SETS),
        ("application/dicom+xml", DATA_SETS),
        ("application/octet-stream", COMPRESSED),
        ("multipart/related; type=application/octet-stream", COMPRESSED),
        (f"multipart/related; type=image/jpeg; transfer-syntax={JP2}", COMPRESSED),
        ("image/jpeg", COMPRESSED[:1]),
        ("*/*;q=0", DATA_SETS),
        ("application/dicom+json;q=abc", DATA_SETS),
        ("nonsense", DATA_SETS),
        ("multipart/mixed", STORED),
        ('multipart/related; type="text/html"', STORED),
        (f"*/*; transfer-syntax={JP2}", STORED),
    ],
)
def test_406_says_what_there_is(accept: str, offers: list[Offer]) -> None:
    with pytest.raises(NotAcceptable) as caught:
        choose(accept, offers)
    assert all(str(offer) in caught.value.reason for offer in offers)


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert len(parse_list(text)) <= MAXIMUM_RANGES


@pytest.mark.parametrize("text", [",", ";", 'a/b;x="', 'a/b;x="\\', "a/b;q=1,", " ", "a/b ;", '"', "a/b;x=,"])
def test_a_huge_header_costs_no_more_than_its_length(text: str) -> None:
    begun = time.perf_counter()
    parse_list(text * (100_000 // len(text)))
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    ("parameter", "header", "expected"),
    [
        ("image/png", "*/*", PICTURES[1]),
        ("image/png", None, PICTURES[1]),
        ("image/png;q=0.1, image/gif", "image/jpeg", PICTURES[1]),
        ("image/gif", "image/jpeg", PICTURES[0]),
        ("image/gif", "image/*", PICTURES[0]),
        ("image/gif", None, PICTURES[0]),
        ("image/*", "image/png", PICTURES[0]),
        ("", "image/png", PICTURES[1]),
        ("text/html", "image/png;q=0, image/jpeg;q=0.1", PICTURES[0]),
    ],
)
def test_the_parameter_comes_first_and_the_header_after_all_of_it(
    parameter: str, header: str | None, expected: Offer
) -> None:
    """N1, PS3.18 8.7.8.1."""
    assert choose(Accept(header, parameter), PICTURES) == expected


@pytest.mark.parametrize(
    ("header", "parameter", "offers", "expected"),
    [
        ("*/*", None, DATA_SETS, DATA_SETS[0]),
        ("application/dicom+json, application/json;q=0.9", None, DATA_SETS, DATA_SETS[0]),
        ("image/*", "image/png", PICTURES, PICTURES[1]),
        ("image/png, image/jpeg", "image/jpeg", PICTURES, PICTURES[0]),
        ("text/html, image/png", None, PICTURES, PICTURES[1]),
        ("image/jpeg, application/octet-stream", None, STORED[:1], None),
        ("image/jpeg; transfer-syntax=*, image/png", None, PICTURES, PICTURES[1]),
        ("application/dicom+json; transfer-syntax=*", None, DATA_SETS, DATA_SETS[0]),
    ],
)
def test_what_strict_mode_takes(
    header: str, parameter: str | None, offers: list[Offer], expected: Offer | None
) -> None:
    """N1, N3, N16. Bulk data and metadata types may name a transfer syntax (8.7.3.5), rendered ones not (8.7.4)."""
    accept = Accept(header, parameter, strict=True)
    if expected is None:
        with pytest.raises(NotAcceptable):
            choose(accept, offers)
    else:
        assert choose(accept, offers) == expected


@pytest.mark.parametrize(
    ("header", "parameter", "offers", "error"),
    [
        (None, None, DATA_SETS, NotAcceptable),
        (" ", None, DATA_SETS, NotAcceptable),
        (None, "application/dicom+json", DATA_SETS, NotAcceptable),
        ("multipart/related", None, STORED, NotAcceptable),
        ("image/jpeg; transfer-syntax=*", None, PICTURES, NotAcceptable),
        ("application/dicom+json, image/png", None, DATA_SETS, InvalidQuery),
        ("image/jpeg, application/dicom", None, PICTURES, InvalidQuery),
        ("multipart/related;type=image/jpeg, image/png", None, STORED, InvalidQuery),
        ("*/*, image/png", 'multipart/related;type="application/octet-stream"', STORED, InvalidQuery),
        ("*/*", "application/dicom+json, text/html", DATA_SETS, InvalidQuery),
        ("*/*", "image/*", PICTURES, InvalidQuery),
        ("*/*", "*/*", PICTURES, InvalidQuery),
        ("*/*", "multipart/*", STORED, InvalidQuery),
        ("image/png", "image/jpeg", PICTURES, InvalidQuery),
        ('multipart/related; type="image/jpeg"', "image/jpeg", PICTURES, InvalidQuery),
    ],
)
def test_what_strict_mode_refuses(
    header: str | None, parameter: str | None, offers: list[Offer], error: type[Exception]
) -> None:
    """N1, N3, N16: PS3.18 8.3.3.1, 8.7.1, 8.7.4, 8.7.5."""
    with pytest.raises(error):
        choose(Accept(header, parameter, strict=True), offers)
    assert choose(Accept(header, parameter), offers) in offers


def test_charsets_are_those_of_the_types_that_fit() -> None:
    text = Offer("text/html")
    header = 'text/html;charset=iso-8859-1;q=0.5, image/png;charset=big5, text/*;charset="ISO_IR 100"'
    assert charsets(header, text) == ["ISO_IR 100", "iso-8859-1"]
    assert charsets(Accept(header, "text/html; charset=gb18030"), text) == ["gb18030"]
    assert charsets("text/html", text) == []
    assert charsets(None, text) == []


NAMES = st.sampled_from(
    [
        "image/jpeg",
        "image/png",
        "application/octet-stream",
        "application/dicom+json",
        "*/*",
        "image/*",
        "text/html",
        "x",
    ]
)
RANGES = st.builds(
    lambda name, alone, quality, syntax, quote: (
        (name if alone else f"multipart/related; type={quote}{name}{quote}")
        + (f";transfer-syntax={syntax}" if syntax else "")
        + (f";q={quality}" if quality else "")
    ),
    NAMES,
    st.booleans(),
    st.sampled_from(["", "0", "0.5", "1", "2", "x"]),
    st.sampled_from(["", "*", JPEG, LITTLE]),
    st.sampled_from(["", '"']),
)
HEADERS = st.lists(RANGES, max_size=5).map(", ".join)
OFFERS = st.sampled_from([DATA_SETS, STORED, PICTURES, COMPRESSED, NATIVE])


@given(HEADERS, OFFERS)
def test_quotes_and_order_of_parameters_change_nothing(header: str, offers: list[Offer]) -> None:
    """N2."""

    def outcome(text: str) -> Offer | None:
        try:
            return choose(text, offers)
        except NotAcceptable:
            return None

    turned = ", ".join(
        ";".join([part.split(";")[0], *reversed(part.split(";")[1:])]) for part in header.split(", ")
    )
    assert outcome(header) == outcome(header.replace('"', "")) == outcome(turned) == outcome(header.upper())


@given(st.none() | HEADERS, st.none() | HEADERS, OFFERS)
def test_strict_mode_chooses_what_the_lenient_one_chooses_or_refuses(
    header: str | None, parameter: str | None, offers: list[Offer]
) -> None:
    try:
        chosen = choose(Accept(header, parameter, strict=True), offers)
    except (NotAcceptable, InvalidQuery):
        return
    assert header
    named = [
        one for one in parse_list(header) + parse_list(parameter or "") if one.is_weighed and one.quality
    ]
    roots = [one.parameters.get("type", one.name) for one in named]
    assert any(
        root in (chosen.media_type, "*/*") or chosen.media_type.startswith(root.rstrip("*")) for root in roots
    )


RENDERINGS = [Offer(name) for name in ("image/jpeg", "image/png", "image/gif", "text/html", "text/plain")]
WEIGHED = st.tuples(
    st.sampled_from(["image/jpeg", "image/png", "text/html", "image/*", "text/*", "*/*", "a/b"]),
    st.sampled_from([0.0, 0.001, 0.25, 0.5, 0.999, 1.0]),
)


@given(st.lists(WEIGHED, min_size=1, max_size=8))
def test_the_choice_is_that_of_rfc_9110(ranges: list[tuple[str, float]]) -> None:
    """N2: told again in the words of 12.5.1: the most specific range has the say, then the highest weight wins."""

    def weight(name: str) -> float:
        for span in (name, name.partition("/")[0] + "/*", "*/*"):
            if found := [quality for range_, quality in ranges if range_ == span]:
                return max(found)
        return 0.0

    header = ",".join(f"{name};q={quality:.3f}" for name, quality in ranges)
    best = max(weight(offer.media_type) for offer in RENDERINGS)
    try:
        chosen = choose(header, RENDERINGS)
    except NotAcceptable:
        assert best == 0.0
    else:
        assert best == weight(chosen.media_type) > 0.0


def test_what_is_remembered_is_what_was_read() -> None:
    """A client says the same with every request; strictness is another question, and so is a longer text."""
    offers = [Offer(DICOM, True, frozenset(("1.2.3",))), Offer(DICOM)]
    for _ in range(2):
        assert choose(DICOM, offers) is offers[1]
        assert choose(f'multipart/related; type="{DICOM}"; transfer-syntax=*', offers) is offers[0]
        assert choose(" " * LONGEST_REMEMBERED + DICOM, offers) is offers[1]
        assert parse(f"{DICOM}; q=0.5").quality == 0.5
        assert parse(" " * LONGEST_REMEMBERED + f"{DICOM}; q=0.5").quality == 0.5
