"""Negotiation by a real server: what a client over a socket sees of ranges, conditions, codings and strict mode."""

from __future__ import annotations

import gzip
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archive.web import app
from archive.web.description.route import Route
from archive.web.http import conditional
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.multipart_body import SlicedPart, related_sliced
from archive.web.routes import ROUTES
from objects import mr, part10, series
from web_door import Door, parts, running, settings_for

FRAME = bytes(range(256)) * 4096
MULTI = 'multipart/related; type="application/octet-stream"'
XML = {"Accept": 'multipart/related; type="application/dicom+xml"'}
JSON = {"Accept": "application/dicom+json"}


def _frame(_archive: Any, _asked: Asked) -> Answer:
    return Answer(200, "application/octet-stream", Sliced.of(FRAME), etag=conditional.tag("digest"))


def _frames(_archive: Any, asked: Asked) -> Answer:
    part = SlicedPart("application/octet-stream", Sliced.of(FRAME), f"{asked.base_url}/frames/1")
    return related_sliced("application/octet-stream", [part, part], conditional.tag("digest"))


def _short(_archive: Any, _asked: Asked) -> Answer:
    """Breaks its promise: the store lost the end of the bytes."""

    def read(_offset: int, _length: int) -> Iterator[bytes]:
        yield b"short"

    return Answer(200, "application/octet-stream", Sliced(1000, read))


@pytest.fixture(scope="module")
def sliced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door with resources that can be sliced."""
    with pytest.MonkeyPatch.context() as patched:
        more = [
            Route("GET", f"/{name}", name, "10.4", handler, right=None)
            for name, handler in (("frame", _frame), ("frames", _frames), ("short", _short))
        ]
        patched.setattr(app, "ROUTES", (*ROUTES, *more))
        with running(settings_for(tmp_path_factory.mktemp("archive"))) as door:
            yield door


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, str]]:
    """A door with a series behind it, and the path of its study."""
    with running(settings_for(tmp_path_factory.mktemp("archive"))) as door:
        data_sets = series(mr, 30, PatientName="Müller^Žofia=山田^太郎", SpecificCharacterSet="ISO_IR 192")
        assert door.store(*map(part10, data_sets)).status_code == 200
        yield door, f"/dicom-web/studies/{data_sets[0].StudyInstanceUID}"


def test_a_viewer_reads_a_frame_by_and_by(sliced: Door) -> None:
    """N14: Cornerstone's streaming: the first part, then the rest, put together by the client."""
    whole = sliced.client.get("/frames")
    first = sliced.client.get("/frames", headers={"Range": "bytes=0-65535"})
    assert (first.status_code, len(first.content)) == (206, 65536)
    assert first.headers["content-range"] == f"bytes 0-65535/{len(whole.content)}"
    assert first.headers["content-length"] == "65536"
    rest = {"Range": "bytes=65536-", "If-Range": first.headers["etag"]}
    second = sliced.client.get("/frames", headers=rest)
    assert second.status_code == 206
    assert first.headers["content-type"] == second.headers["content-type"] == whole.headers["content-type"]
    assert first.content + second.content == whole.content
    assert [body for _, body in parts(whole)] == [FRAME, FRAME]


def test_head_says_the_length_and_304_and_416_what_they_must(sliced: Door) -> None:
    head = sliced.client.head("/frame", headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(FRAME))
    assert head.headers["accept-ranges"] == "bytes"
    held = sliced.client.get("/frame", headers={"If-None-Match": head.headers["etag"]})
    assert (held.status_code, held.content) == (304, b"")
    assert not {"content-length", "content-type", "transfer-encoding"} & set(held.headers)
    assert held.headers["etag"] == head.headers["etag"]
    assert "Accept-Encoding" in held.headers["vary"]
    behind = sliced.client.get("/frame", headers={"Range": f"bytes={len(FRAME)}-"})
    assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{len(FRAME)}")
    other = sliced.client.get("/frame", headers={"If-Match": '"other"'})
    assert other.status_code == 412
    # The connection goes on after each of them.
    assert sliced.client.get("/frame").content == FRAME


@pytest.mark.parametrize("ranges", ["0-0," * 10_000, "5-1", "x", "9" * 60_000 + "-", "-" * 60_000])
def test_hostile_ranges(sliced: Door, ranges: str) -> None:
    """H12."""
    answer = sliced.client.get("/frame", headers={"Range": f"bytes={ranges}"})
    assert answer.status_code == 416
    assert "range" in answer.text


def test_an_answer_that_is_cut_short_cuts_the_connection(sliced: Door) -> None:
    import httpx

    with pytest.raises(httpx.RemoteProtocolError):
        sliced.client.get("/short")
    assert sliced.client.get("/health/live").status_code == 200


@pytest.mark.parametrize("headers", [JSON, XML])
def test_metadata_are_sent_once_and_encoded(stored: tuple[Door, str], headers: dict[str, str]) -> None:
    door, study = stored
    plain = door.client.get(f"{study}/metadata", headers=headers | {"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for coding in ("gzip", "zstd"):
        answer = door.client.get(f"{study}/metadata", headers=headers | {"Accept-Encoding": coding})
        assert answer.headers["content-encoding"] == coding
        assert answer.content == plain.content
        assert int(answer.num_bytes_downloaded) < len(plain.content) / 4
        held = door.client.get(
            f"{study}/metadata",
            headers=headers | {"Accept-Encoding": coding, "If-None-Match": answer.headers["etag"]},
        )
        assert (held.status_code, held.content) == (304, b"")
    other = door.client.get(f"{study}/metadata", headers=headers | {"If-None-Match": '"x"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("{instance}", "application/dicom"),
        ("{instance}", 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        ("{study}", 'multipart/related; type="application/dicom"'),
        ("{instance}/frames/1", MULTI + "; transfer-syntax=*"),
        ("{instance}/frames/1", "application/octet-stream"),
        ("{instance}/bulkdata/7FE00010", "*/*"),
        ("{instance}/bulkdata/7FE00010", MULTI),
    ],
)
def test_what_is_stored_can_be_had_in_pieces(stored: tuple[Door, str], path: str, accept: str) -> None:
    """N14: of instances, frames and bulk data, alone and in parts."""
    door, study = stored
    [found, *_] = door.client.get(f"{study}/instances").json()
    url = path.format(study=study, instance=found["00081190"]["Value"][0].removeprefix(door.url))
    headers = {"Accept": accept}
    whole = door.client.get(url, headers=headers)
    head = door.client.head(url, headers=headers)
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.headers["etag"] == whole.headers["etag"]
    assert head.headers["content-type"] == whole.headers["content-type"]
    middle = len(whole.content) // 2
    asked = [f"bytes=0-{middle - 1}", f"bytes={middle}-"]
    pieces = [door.client.get(url, headers=headers | {"Range": one}) for one in asked]
    assert [piece.status_code for piece in pieces] == [206, 206]
    assert b"".join(piece.content for piece in pieces) == whole.content
    assert {piece.headers["content-type"] for piece in pieces} == {whole.headers["content-type"]}
    held = door.client.get(url, headers=headers | {"If-None-Match": whole.headers["etag"]})
    assert held.status_code == 304


def test_one_more_instance_makes_other_metadata(empty_door: Door) -> None:
    first, second = series(mr, 2)
    assert empty_door.store(part10(first)).status_code == 200
    path = f"/dicom-web/studies/{first.StudyInstanceUID}/metadata"
    etag = empty_door.client.get(path).headers["etag"]
    assert empty_door.client.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert empty_door.store(part10(second)).status_code == 200
    answer = empty_door.client.get(path, headers={"If-None-Match": etag})
    assert (answer.status_code, len(answer.json())) == (200, 2)


def test_a_search_that_finds_the_same_is_304(stored: tuple[Door, str]) -> None:
    door, study = stored
    path = f"{study}/instances"
    etag = door.client.get(path).headers["etag"]
    assert door.client.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert door.client.get(f"{path}?limit=3", headers={"If-None-Match": etag}).status_code == 200


def test_xml_metadata_in_latin_1_and_where_each_part_is(stored: tuple[Door, str]) -> None:
    """N10, N11."""
    door, study = stored
    answer = door.client.get(f"{study}/metadata", headers=XML | {"Accept-Charset": "iso-8859-1"})
    found = parts(answer)
    assert len(found) == 30
    for headers, body in found:
        assert headers["Content-Type"] == "application/dicom+xml; charset=ISO-8859-1"
        assert headers["Content-Location"].startswith(f"{door.url}{study}/series/")
        assert headers["Content-Location"].endswith("/metadata")
        assert b"<FamilyName>M\xfcller</FamilyName>" in body
        document = ET.fromstring(body)
        names = {element.text for element in document.iter() if element.tag.endswith("FamilyName")}
        assert names >= {"Müller", "山田"}


def test_a_search_in_xml_and_latin_1(stored: tuple[Door, str]) -> None:
    door, study = stored
    answer = door.client.get(f"{study}/series?includefield=00100010&charset=iso-8859-2", headers=XML)
    for headers, body in parts(answer):
        assert headers["Content-Type"] == "application/dicom+xml; charset=ISO-8859-2"
        assert body.startswith(b'<?xml version="1.0" encoding="ISO-8859-2"?>')
        assert "Žofia".encode("iso-8859-2") in body


def test_json_in_ascii_for_who_takes_no_utf_8(stored: tuple[Door, str]) -> None:
    door, study = stored
    plain = door.client.get(f"{study}/metadata")
    answer = door.client.get(f"{study}/metadata?charset=iso-8859-1")
    assert answer.content.isascii()
    assert not plain.content.isascii()
    assert answer.json() == plain.json()
    assert answer.headers["content-type"] == "application/dicom+json"
    none = door.client.get(f"{study}/metadata", headers={"Accept-Charset": "utf-8;q=0"})
    assert none.status_code == 406
    assert "UTF-8" in none.text


def test_gzip_is_gzip(stored: tuple[Door, str]) -> None:
    door, study = stored
    with door.client.stream("GET", f"{study}/metadata", headers=JSON | {"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert gzip.decompress(raw) == door.client.get(f"{study}/metadata", headers=JSON).content


@pytest.mark.parametrize(
    "header",
    [
        ("Accept", "a/b;" * 15_000),
        ("Accept", 'multipart/related;type="' * 2_500),
        ("Accept-Encoding", "gzip;q=0.1," * 5_000),
        ("Accept-Charset", '"' * 60_001),
        ("Accept-Charset", "utf-8;" * 10_000),
        ("If-None-Match", '"a",' * 15_000),
        ("If-None-Match", '"' * 60_001),
        ("If-Range", "W/" * 30_000),
        ("Range", "bytes=" * 10_000),
    ],
)
def test_hostile_headers_are_answered(stored: tuple[Door, str], header: tuple[str, str]) -> None:
    """H13."""
    door, study = stored
    answer = door.client.get(f"{study}/metadata", headers=dict([header]))
    assert answer.status_code in (200, 406)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, str]]:
    """A door by the letter."""
    data: Path = tmp_path_factory.mktemp("archive")
    with running(settings_for(data, http__strict=True)) as door:
        data_set = mr()
        assert door.store(part10(data_set), Accept="application/dicom+json").status_code == 200
        yield door, f"/dicom-web/studies/{data_set.StudyInstanceUID}"


@pytest.mark.parametrize("path", ["/dicom-web/studies", "{study}", "{study}/metadata", "{study}/instances"])
def test_strict_mode_wants_an_accept_header(strict: tuple[Door, str], path: str) -> None:
    """N1."""
    door, study = strict
    url = path.format(study=study)
    for query in ("", "?accept=application/dicom%2Bjson"):
        request = door.client.build_request("GET", url + query)
        del request.headers["accept"]
        answer = door.client.send(request)
        assert answer.status_code == 406
        assert re.search(r"Accept header.*available: ", answer.text)
    assert door.client.get(url, headers={"Accept": "*/*"}).status_code == 200


def test_strict_and_lenient_mixtures(strict: tuple[Door, str], stored: tuple[Door, str]) -> None:
    """N3, N16."""
    mixed = {"Accept": "application/dicom+json, image/png"}
    for (door, study), status in ((strict, 400), (stored, 200)):
        assert door.client.get(f"{study}/metadata", headers=mixed).status_code == status
        wildcard = door.client.get(f"{study}/metadata?accept=*/*")
        assert wildcard.status_code == status
        uncovered = door.client.get(f"{study}/metadata?accept=application/dicom%2Bjson", headers=XML)
        assert uncovered.status_code == status


def test_the_parameter_may_come_in_pieces_and_with_plain_plus_signs(stored: tuple[Door, str]) -> None:
    """N1: the last is the example of PS3.18 B.16."""
    door, study = stored
    for query in ("accept=text/csv&accept=application/json", "accept=text/csv,application/json"):
        answer = door.client.get(f"{study}/metadata?{query}")
        assert answer.headers["content-type"] == "application/json"
    answer = door.client.get(
        f"{study}/metadata?charset=UTF-8&accept=multipart/related;type=%22application/dicom+xml%22"
    )
    assert answer.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')


def test_errors_say_what_there_is(stored: tuple[Door, str]) -> None:
    door, study = stored
    answer = door.client.get(f"{study}/metadata", headers={"Accept": "text/html"})
    assert answer.status_code == 406
    types = ("application/dicom+json", "application/json", 'multipart/related; type="application/dicom+xml"')
    assert f"available: {' or '.join(types)}" in answer.text


def test_head_costs_no_body(open_door: Callable[..., Door]) -> None:
    door = open_door()
    data_set = mr()
    assert door.store(part10(data_set)).status_code == 200
    head = door.client.head(f"/dicom-web/studies/{data_set.StudyInstanceUID}/metadata")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == "application/dicom+json"
    assert head.headers["etag"].startswith('W/"')
