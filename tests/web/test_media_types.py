"""Accept headers as clients write them (N2, N6, N8, pains 3 and 4, H13)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import NotAcceptable
from archive.web.media_types import MAXIMUM_RANGES, Offer, choose, parse, parse_list

LITTLE, JPEG, JP2 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"

NATIVE = [Offer("application/octet-stream", kind, frozenset((LITTLE,))) for kind in (True, False)]
COMPRESSED = [
    Offer("image/jpeg", True, frozenset((JPEG,))),
    Offer("image/jpeg", False, frozenset((JPEG,))),
    Offer("application/octet-stream", True, frozenset((JPEG,)), by_name_only=True),
]
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
