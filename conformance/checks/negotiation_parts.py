"""What surrounds the bytes: part headers (N11), ranges and validators (N14), statuses (N15); PS3.18 8.4 to 8.6."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from conformance.client import DICOM, JSON, OCTETS, XML, Answer
from conformance.objects import new_uid
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World

PRIVATE_BULK = "00291002"
PIXEL_DATA = "7FE00010"


def bulk_uri(w: World, name: str, tag: str) -> str:
    """The BulkDataURI of an attribute. Raises `Skipped` when the server puts it inline."""
    answer = w.get(w[name].instance + "/metadata", JSON).must(200)
    attribute: dict[str, Any] = answer.items()[0].get(tag, {})
    if "BulkDataURI" not in attribute:
        raise Skipped(f"the server gives no BulkDataURI for {tag}")
    return answer.resolve(str(attribute["BulkDataURI"]))


def _same_resource(one: str, other: str) -> bool:
    left, right = urlsplit(one), urlsplit(other)
    return left.path.rstrip("/") == right.path.rstrip("/") and left.query == right.query


@check(
    "N11.1", "Content-Type of multipart has type and boundary, type as in the parts", "8.7.1", needs=["ct1"]
)
def root_type(w: World) -> None:
    answer = w.get(w["ct1"].study, DICOM).must(200).must_be("multipart/related")
    root = answer.media_type.parameters.get("type", "").lower()
    kinds = {part.media_type.name for part in answer.parts()}
    expect(kinds == {root}, f"type={root or 'is absent'}, the parts are {kinds}")


@check("N11.2", "Content-Length in every part when nothing is chunked", "Table 8.6.1-1", needs=["ct1"])
def part_length(w: World) -> None:
    answer = w.get(w["ct1"].series, DICOM).must(200)
    for part in answer.parts():
        length = part.headers.get("content-length")
        expect(length or "transfer-encoding" in answer.headers, "a part has no Content-Length")
        expect(
            length in (None, str(len(part.body))),
            f"Content-Length {length} of a part of {len(part.body)} bytes",
        )


@check("N11.3", "Content-Location in every part names the instance", "8.6.1.2, Table 8.6.1-1", needs=["ct1"])
def instance_location(w: World) -> None:
    """8.4.2 and Table 8.6.1-1: shall be present if the payload represents a resource, and an instance is one."""
    answer = w.get(w["ct1"].series, DICOM).must(200)
    for part, ds in zip(answer.parts(), answer.datasets(), strict=True):
        expect(part.location, "a part has no Content-Location")
        path = urlsplit(answer.resolve(part.location)).path.rstrip("/")
        expect(path.endswith(f"/instances/{ds.SOPInstanceUID}"), f"Content-Location is {part.location}")


@check("N11.4", "the Content-Location of a part can be retrieved", "8.4.2, 8.6.1.2", needs=["ct1"])
def location_works(w: World) -> None:
    answer = w.get(w["ct1"].instance, DICOM).must(200)
    location = answer.parts()[0].location
    if not location:
        raise Skipped("no Content-Location, which N11.3 says already")
    again = w.get(answer.resolve(location), DICOM).must(200).datasets()
    expect([ds.SOPInstanceUID for ds in again] == [w["ct1"].uid], "another instance is there")


@check("N11.5", "Content-Location of a frame", "8.6.1.2", needs=["mf"])
def frame_location(w: World) -> None:
    answer = w.get(w["mf"].instance + "/frames/2", OCTETS).must(200).must_be("multipart/related")
    expect(answer.parts()[0].location, "the part has no Content-Location")


@check("N11.6", "Content-Location of bulk data is its BulkDataURI", "8.6.1.2, 10.4.3.3.5", needs=["ct3"])
def bulk_location(w: World) -> None:
    """8.6.1.2 and 10.4.3.3.5 both say shall, the first with a reason: it tells the parts apart."""
    uri = bulk_uri(w, "ct3", PRIVATE_BULK)
    answer = w.get(uri, OCTETS).must(200).must_be("multipart/related")
    location = answer.parts()[0].location
    expect(location, "the part has no Content-Location")
    expect(_same_resource(answer.resolve(location), uri), f"Content-Location {location}, BulkDataURI {uri}")


@check("N11.7", "Content-Location in parts of XML metadata", "Table 8.6.1-1", Level.OPTIONAL, ["ct1"])
def metadata_location(w: World) -> None:
    """Metadata represents a resource, so Content-Location belongs there; few servers think so, hence optional."""
    parts = w.get(w["ct1"].instance + "/metadata", XML).must(200).parts()
    expect(parts[0].location, "the part has no Content-Location")


@check("N11.8", "part headers are spelled Content-Type", "what viewers look for", Level.EXTENSION, ["ct1"])
def spelling(w: World) -> None:
    """Header names have no case (RFC 7230 3.2); a viewer in wide use looks for this spelling alone."""
    expect(b"\r\nContent-Type:" in w.get(w["ct1"].instance, DICOM).must(200).body, "another spelling came")


@check(
    "N11.9",
    "transfer-syntax in the header of every frame",
    "8.7.9, what viewers need",
    Level.EXTENSION,
    ["ct1"],
)
def frame_label(w: World) -> None:
    """Without it the default is meant (8.7.3); a viewer in wide use takes it for Implicit VR."""
    parts = w.get(w["ct1"].instance + "/frames/1", OCTETS).must(200).one_or_more_parts()
    expect(parts[0].media_type.transfer_syntax, "the part does not say its transfer syntax")


@check("N11.10", "every answer with a payload has a Content-Type", "8.4.2", needs=["ct1"])
def content_types(w: World) -> None:
    for path, accept in (
        (w["ct1"].instance, DICOM),
        ("/studies/1.2.3/metadata", JSON),
        ("/studies?limit=x", JSON),
    ):
        answer = w.get(path, accept)
        expect(not answer.raw or "content-type" in answer.headers, f"none with status {answer.status}")


def _ranged(w: World, path: str, accept: str, value: str) -> Answer:
    answer = w.get(path, accept, Range=value)
    if answer.status == 200:
        raise Skipped("Range is not supported here (200 came)")
    return w.offered(answer, "this type or Range", (400,))


def _frame_path(w: World) -> tuple[str, str]:
    path = w["ct1"].instance + "/frames/1"
    single = w.get(path, "application/octet-stream").status == 200
    return path, "application/octet-stream" if single else OCTETS


def _whole_and_piece(w: World, value: str, first: int, last: int) -> None:
    path, accept = _frame_path(w)
    piece = _ranged(w, path, accept, value).must(206)
    whole = w.get(path, accept).must(200).raw
    last = min(last, len(whole) - 1) if last >= 0 else len(whole) - 1
    first = first if first >= 0 else len(whole) + first
    expect(piece.raw == whole[first : last + 1], "the bytes are not those of the range")
    wanted = f"bytes {first}-{last}/{len(whole)}"
    said = piece.headers.get("content-range")
    expect(said in (wanted, f"bytes {first}-{last}/*"), f"Content-Range {said}, not {wanted}")


@check("N14.1", "a range of a frame", "8.6.1.1, RFC 7233", Level.OPTIONAL, ["ct1"])
def byte_range(w: World) -> None:
    _whole_and_piece(w, "bytes=10-99", 10, 99)


@check("N14.2", "the end of a frame by a suffix range", "8.6.1.1, RFC 7233 2.1", Level.OPTIONAL, ["ct1"])
def suffix_range(w: World) -> None:
    _whole_and_piece(w, "bytes=-50", -50, -1)


@check("N14.3", "an open range of a frame", "8.6.1.1, RFC 7233 2.1", Level.OPTIONAL, ["ct1"])
def open_range(w: World) -> None:
    _whole_and_piece(w, "bytes=100-", 100, -1)


@check(
    "N14.4", "a range beyond the end: 416 with Content-Range", "8.4.3, RFC 7233 4.4", Level.OPTIONAL, ["ct1"]
)
def impossible_range(w: World) -> None:
    path, accept = _frame_path(w)
    answer = _ranged(w, path, accept, "bytes=99999999-").must(416)
    expect(answer.headers.get("content-range", "").startswith("bytes */"), "no Content-Range: bytes */LENGTH")


@check("N14.5", "a range of a multipart body: same boundary, same order", "8.6.1.2", Level.OPTIONAL, ["ct1"])
def multipart_range(w: World) -> None:
    path = w["ct1"].instance + "/frames/1"
    halves = [_ranged(w, path, OCTETS, value).must(206).raw for value in ("bytes=0-199", "bytes=200-")]
    expect(w.get(path, OCTETS).must(200).raw == b"".join(halves), "the two halves are not the whole")


@check("N14.6", "a range of bulk data", "8.6.1.1", Level.OPTIONAL, ["ct3"])
def bulk_range(w: World) -> None:
    piece = _ranged(w, bulk_uri(w, "ct3", PRIVATE_BULK), "application/octet-stream", "bytes=256-511").must(
        206
    )
    expect(piece.raw == bytes(range(256)), "the bytes are not those of the range")


@check("N14.7", "no 206 without Range", "8.5", needs=["ct1"])
def no_partial(w: World) -> None:
    """Table 10.4.3-1 still lists 206 for incomplete answers; 8.5 says it is for ranges alone and explains why."""
    w.get(w["ct1"].study, DICOM).must(200)


@check("N14.8", "If-None-Match gives 304", "8.5 (304)", Level.EXTENSION, ["ct1"])
def not_modified(w: World) -> None:
    path = w["ct1"].instance + "/metadata"
    tag = w.get(path, JSON).must(200).headers.get("etag")
    if not tag:
        raise Skipped("the server gives no ETag")
    answer = w.get(path, JSON, If_None_Match=tag).must(304)
    expect(not answer.raw, "304 has a body")


MISSING = {
    1: ("a study", "/studies/{uid}", DICOM),
    2: ("metadata of a study", "/studies/{uid}/metadata", JSON),
    3: ("a series", "{ct.study}/series/{uid}", DICOM),
    4: ("an instance", "{ct.series}/instances/{uid}", DICOM),
    5: ("metadata of an instance", "{ct.series}/instances/{uid}/metadata", JSON),
    6: ("a frame of an instance", "{ct.series}/instances/{uid}/frames/1", OCTETS),
    7: ("a rendered instance", "{ct.series}/instances/{uid}/rendered", "image/jpeg"),
    8: (
        "an instance under another study",
        "/studies/{uid}/series/{ct.dataset.SeriesInstanceUID}/instances/{ct.uid}",
        DICOM,
    ),
}


def _missing(number: int, title: str, path: str, accept: str) -> None:
    @check(f"N15.{number}", f"{title} that is not there: 404", "8.5, 10.4.3.1", needs=["ct1"])
    def run(w: World) -> None:
        w.get(path.format(uid=new_uid(), ct=w["ct1"]), accept).must(404, 410)


for _number, (_title, _path, _accept) in MISSING.items():
    _missing(_number, _title, _path, _accept)


@check("N15.9", "a method that is not supported: 405 with Allow", "8.5", needs=["ct1"])
def method_not_allowed(w: World) -> None:
    answer = w.client.send("PUT", "/studies", JSON, {"Content-Type": "text/plain"}, b"x").must(405)
    expect("GET" in answer.headers.get("allow", ""), "405 has no Allow that names GET")


@check("N15.10", "an unknown method: 405 or 501", "8.5, RFC 7231 4.1", Level.OPTIONAL)
def unknown_method(w: World) -> None:
    w.client.send("FETCHALL", "/studies", JSON).must(400, 405, 501)


@check("N15.11", "404 explains itself", "8.5 (should)", Level.OPTIONAL)
def explained(w: World) -> None:
    expect(w.get(f"/studies/{new_uid()}/metadata", JSON).must(404, 410).raw, "the answer has no payload")


@check("N15.12", "a malformed UID: 400 or 404", "8.5, 10.4.3.1")
def malformed_uid(w: World) -> None:
    """Whatever a path names that is no UID does not exist; 200 for it is never right."""
    for uid in ("not-a-uid", "1..2", "1." * 60 + "1", "%00"):
        w.get(f"/studies/{uid}/metadata", JSON).must(400, 404)
