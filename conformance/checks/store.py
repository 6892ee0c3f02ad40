"""Storing PS3.10 files, and the answer: S1, S4 to S7 (PS3.18 10.5, Annex I)."""

from __future__ import annotations

from typing import Any

from conformance import native_model, objects, uids
from conformance.client import DICOM, JSON, XML, Answer
from conformance.media import write_multipart
from conformance.native_model import text
from conformance.objects import Object, new_uid
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World

STORED, FAILED, OTHER = "00081199", "00081198", "0008119A"
RETRIEVE_URL, REASON, WARNING = "00081190", "00081197", "00081196"
FILE = "application/dicom"
GARBAGE = b"this is no DICOM file at all" * 20

Module = dict[str, Any]


def module(answer: Answer) -> Module:
    """The Store Instances Response Module, out of JSON. Raises `Failed` when there is none."""
    found = answer.json()
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    expect(isinstance(found, dict), "the body is no Store Instances Response Module")
    return dict(found)


def _references(answer: Module, tag: str) -> dict[str, Module]:
    items = answer.get(tag, {}).get("Value", [])
    return {text(item, "00081155"): item for item in items}


def _is_there(w: World, one: Object) -> bool:
    return w.get(one.instance + "/metadata", JSON).status == 200


def _present(w: World, *many: Object) -> None:
    for one in many:
        expect(_is_there(w, one), f"{one.name} cannot be retrieved")


@check("S1.1", "an instance to /studies", "10.5.1.1.1, 10.5.3.1")
def to_studies(w: World) -> None:
    one = objects.part(w.run, "S11")
    w.store(one).must(200)
    _present(w, one)


@check("S1.2", "an instance to /studies/{study}", "10.5.1.1.1")
def to_study(w: World) -> None:
    one = objects.part(w.run, "S12")
    w.store(one, path=one.study).must(200)
    _present(w, one)


@check("S1.3", "an instance of another study: 409", "10.5.1.1.1, 10.5.3.1")
def to_another_study(w: World) -> None:
    one = objects.part(w.run, "S13")
    w.store(one, path=f"/studies/{new_uid()}").must(409)
    expect(not _is_there(w, one), "it was stored nevertheless")


@check("S1.4", "instances of two studies to /studies", "10.5.1.4")
def two_studies(w: World) -> None:
    many = [objects.part(w.run, tag) for tag in ("S14a", "S14b")]
    w.store(*many).must(200)
    _present(w, *many)


@check("S1.5", "an instance is there as soon as the answer is", "10.5.2, 8.5 (200)")
def at_once(w: World) -> None:
    one = objects.part(w.run, "S15")
    w.store(one).must(200)
    expect(len(w.search("/studies", PatientID=str(one.dataset.PatientID))) == 1, "search does not find it")


@check("S2.1", "type= unquoted", "8.7.1")
def unquoted(w: World) -> None:
    one = objects.part(w.run, "S21")
    w.remember(one)
    content_type, body = write_multipart([(FILE, one.file(), "")], FILE, quoted=False)
    w.post("/studies", body, content_type).must(200)
    _present(w, one)


@check("S2.2", "a quoted boundary, a preamble and an epilogue", "8.6.1.2, RFC 2046 5.1.1")
def quoted_boundary(w: World) -> None:
    one = objects.part(w.run, "S22")
    w.remember(one)
    content_type, body = write_multipart([(FILE, one.file(), "")], FILE)
    head, _, boundary = content_type.rpartition("=")
    w.post("/studies", b"a preamble\r\n" + body + b"an epilogue", f'{head}="{boundary}"').must(200)
    _present(w, one)


@check("S2.3", "part headers in lower case, without a length, with spaces", "8.6.1.2, RFC 7230 3.2")
def part_headers(w: World) -> None:
    one = objects.part(w.run, "S23")
    w.remember(one)
    content_type, body = write_multipart([(FILE, one.file(), "")], FILE)
    changed = body.replace(
        b"Content-Type: application/dicom", b"x-first: 1\r\ncontent-type:application/dicom", 1
    )
    w.post("/studies", changed, content_type).must(200)
    _present(w, one)


@check("S2.4", "a single part application/dicom", "what clients send", Level.EXTENSION)
def single_part(w: World) -> None:
    one = objects.part(w.run, "S24")
    w.remember(one)
    w.offered(w.post("/studies", one.file(), FILE), "storing a single part", (400,)).must(200)
    _present(w, one)


@check("S2.5", "another Content-Type: 415", "10.5.3.1")
def unsupported(w: World) -> None:
    w.post("/studies", b"a,b\r\n1,2\r\n", "text/csv").must(415)


@check("S2.6", "multipart of another type: 415", "10.5.3.1, 10.5.4")
def unsupported_parts(w: World) -> None:
    """Parts of an unknown type may also be taken for instances that cannot be stored: 409."""
    content_type, body = write_multipart([("text/csv", b"a,b\r\n1,2\r\n", "")], "text/csv")
    w.post("/studies", body, content_type).must(415, 409)


@check(
    "S2.7",
    "compressed and deflated files are stored as they are",
    "8.7.3.1",
    Level.OPTIONAL,
    ["rle", "deflated"],
)
def kept_syntax(w: World) -> None:
    back = w.get(w["rle"].instance, DICOM + "; transfer-syntax=*").must(200).datasets()[0]
    if back.file_meta.TransferSyntaxUID != uids.RLE:
        raise Skipped("the server sends something else than it was given")
    expect(back.PixelData == w["rle"].pixels, "the compressed pixels changed")


@check("S4.1", "some stored, some not: 202", "10.5.3.1")
def partly(w: World) -> None:
    """Table 10.5.3-1: 202 when some were stored; 409 is for when none was."""
    good, bad = objects.part(w.run, "S41a"), objects.part(w.run, "S41b")
    answer = w.store(good, bad, path=good.study).must(202)
    _present(w, good)
    expect(not _is_there(w, bad), "the instance of another study was stored nevertheless")
    said = module(answer)
    expect(good.uid in _references(said, STORED), "Referenced SOP Sequence lacks what was stored")
    expect(bad.uid in _references(said, FAILED), "Failed SOP Sequence lacks what was not")


def _bad_request(number: int, title: str, body: bytes, content_type: str, *statuses: int) -> None:
    @check(f"S4.{number}", title, "10.5.1.4, 10.5.3.1, 8.6.1.2")
    def run(w: World) -> None:
        """The payload shall hold one or more representations (10.5.1.4), so 200 for none says that all were stored."""
        w.post("/studies", body, content_type).must(*statuses)


RELATED = 'multipart/related; type="application/dicom"'
_bad_request(2, "multipart without boundary: 400", b"--x\r\n\r\n--x--", RELATED, 400, 415)
_bad_request(3, "a body without the boundary: 400", GARBAGE, f"{RELATED}; boundary=suite", 400)
_bad_request(4, "no payload: 400", b"", f"{RELATED}; boundary=suite", 400)
_bad_request(5, "no parts: 400", b"--suite--\r\n", f"{RELATED}; boundary=suite", 400)


@check(
    "S4.6", "a body that ends before its closing delimiter: 400 or 409, nothing stored", "10.5.3.1, 8.6.1.2"
)
def cut_off(w: World) -> None:
    """No part is complete, so nothing could be stored: 400 or 409 by Table 10.5.3-1. What becomes of complete parts
    before such an end is the server's own."""
    one = objects.part(w.run, "S46")
    w.remember(one)
    content_type, body = write_multipart([(FILE, one.file(), "")], FILE)
    w.post("/studies", body[: len(body) * 2 // 3], content_type).must(400, 409)
    expect(not _is_there(w, one), "half an instance was stored")


@check("S4.7", "a part that is no DICOM file, alone: 400 or 409", "10.5.3.1")
def garbage_alone(w: World) -> None:
    content_type, body = write_multipart([(FILE, GARBAGE, "")], FILE)
    w.post("/studies", body, content_type).must(400, 409)


@check("S4.8", "a file that ends early is not stored", "10.5.2")
def half_file(w: World) -> None:
    one = objects.part(w.run, "S48")
    w.remember(one)
    content_type, body = write_multipart([(FILE, one.file()[:-700], "")], FILE)
    w.post("/studies", body, content_type).must(400, 409)
    expect(not _is_there(w, one), "it was stored")


@check("S4.9", "a malformed study UID in the path: 400, 404 or 409", "10.5.3.1, 8.3.1")
def malformed_study(w: World) -> None:
    w.store(objects.part(w.run, "S49"), path="/studies/not.a.uid").must(400, 404, 409)


@check("S4.10", "chunked Transfer-Encoding", "8.4.3, 10.5.1.3")
def chunked(w: World) -> None:
    one = objects.part(w.run, "S410")
    w.remember(one)
    content_type, body = write_multipart([(FILE, one.file(), "")], FILE)
    pieces = (body[n : n + 1000] for n in range(0, len(body), 1000))
    w.client.send("POST", "/studies", JSON, {"Content-Type": content_type}, pieces).must(200)
    _present(w, one)


@check("S5.1", "the answer as JSON names what was stored", "10.5.3.3, Table I.1-1")
def module_json(w: World) -> None:
    one = objects.part(w.run, "S51")
    answer = w.store(one).must(200).must_be(JSON)
    item = _references(module(answer), STORED).get(one.uid)
    expect(item, "Referenced SOP Sequence does not name it")
    expect(
        text(item or {}, "00081150") == str(one.dataset.SOPClassUID), "Referenced SOP Class UID is another"
    )
    expect(FAILED not in module(answer), "there is a Failed SOP Sequence")


@check("S5.2", "the answer as XML says the same", "10.5.3.3, I.3", Level.OPTIONAL)
def module_xml(w: World) -> None:
    """10.5.4 lists what is sent to the server and not plainly what it answers with, hence optional; XML as in I.3."""
    one = objects.part(w.run, "S52")
    answer = w.store(one, accept=f"application/dicom+xml, {XML};q=0.5").must(200, 406)
    if answer.status == 406 or answer.media_type.name == JSON:
        raise Skipped("the answer comes as JSON only")
    found = native_model.read_xml(answer.one_or_more_parts()[0].body)
    expect(one.uid in _references(found, STORED), "Referenced SOP Sequence does not name it")


@check("S5.3", "Retrieve URL of the study and of the instance work", "Table I.1-1 (type 2)")
def urls(w: World) -> None:
    one = objects.part(w.run, "S53")
    answer = w.store(one).must(200)
    said = module(answer)
    item = _references(said, STORED).get(one.uid, {})
    expect(RETRIEVE_URL in said and RETRIEVE_URL in item, "(0008,1190) is missing")
    for url in (text(said, RETRIEVE_URL), text(item, RETRIEVE_URL)):
        if url:
            expect(w.get(answer.resolve(url), DICOM).must(200).datasets()[0].SOPInstanceUID == one.uid, url)


@check("S5.4", "a failure has a reason, out of the table or of the server's own", "Table I.2-2")
def reasons(w: World) -> None:
    one = objects.part(w.run, "S54")
    answer = w.store(one, path=f"/studies/{new_uid()}").must(409)
    if JSON not in answer.headers.get("content-type", ""):
        raise Skipped("409 comes without a Store Instances Response Module, as 10.5.3.3 allows")
    reason = native_model.first(_references(module(answer), FAILED).get(one.uid, {}), REASON)
    expect(isinstance(reason, int) and 0 < reason < 0x10000, f"Failure Reason {reason!r}")


@check("S5.5", "a part that is no DICOM file is counted in Other Failures Sequence", "Table I.1-1")
def other_failures(w: World) -> None:
    one = objects.part(w.run, "S55")
    answer = _with_garbage(w, one)
    if answer.status != 202:
        raise Skipped("a bad part fails the others, which S7.1 says already")
    items = module(answer).get(OTHER, {}).get("Value", [])
    expect(len(items) == 1, f"{len(items)} items in Other Failures Sequence")
    expect(isinstance(native_model.first(items[0], REASON), int), "its item has no Failure Reason")


@check("S5.6", "a warning has a reason", "Table I.2-1")
def warning_reasons(w: World) -> None:
    """Only an answer with warnings can be wrong here: 202 without a failure has to say why."""
    answer = w.store(objects.part(w.run, "S56", PatientSex="X")).must(200, 202, 409)
    said = module(answer)
    if answer.status == 202 and FAILED not in said:
        items = _references(said, STORED).values()
        expect(all(native_model.first(item, WARNING) for item in items), "202 without Warning Reason")


@check("S5.7", "Location and Content-Location of what was created", "Table 10.5.3-2", Level.OPTIONAL)
def locations(w: World) -> None:
    """Asked for when a resource was created; with several created the clause does not say which, hence optional."""
    answer = w.store(objects.part(w.run, "S57")).must(200)
    missing = [name for name in ("location", "content-location") if name not in answer.headers]
    expect(not missing, f"no {' and no '.join(missing)}")


@check("S6.1", "what comes back is what was stored, or says what was changed", "10.5.2 (Original Attributes)")
def coerced(w: World) -> None:
    one = objects.part(w.run, "S61", PatientName="plover^lower^^^", PatientComments=" spaces ")
    answer = w.store(one).must(200, 202)
    back = w.get(one.instance, DICOM).must(200).datasets()[0]
    compared = [e for e in one.dataset if e.keyword not in ("PixelData", "SpecificCharacterSet")]
    changed = [
        e.keyword for e in compared if e.tag not in back or _shown(back[e.tag].value) != _shown(e.value)
    ]
    expect(not changed or "OriginalAttributesSequence" in back, f"{changed[:3]} changed without a trace")
    item = _references(module(answer), STORED).get(one.uid, {})
    said = native_model.first(item, WARNING) == 0xB000
    expect(not said or "OriginalAttributesSequence" in back, "B000 without Original Attributes Sequence")


def _shown(value: object) -> str:
    return str(value).rstrip()


@check("S6.2", "private attributes and unknown VRs survive", "10.5.2, PS3.4 B.4.1")
def private_kept(w: World) -> None:
    one = objects.part(w.run, "S62")
    objects.private_block(one.dataset, "kept", b"\1\2\3\4")
    one.dataset.add_new(0x00091001, "UN", b"\5\6")
    one.dataset.add_new(0x00090010, "LO", "SUITE UNKNOWN")
    w.store(one).must(200, 202)
    back = w.get(one.instance, DICOM).must(200).datasets()[0]
    expect(0x00291002 in back and back[0x00291002].value == b"\1\2\3\4", "(0029,1002) is not what it was")
    expect(0x00091001 in back and bytes(back[0x00091001].value) == b"\5\6", "(0009,1001) is not what it was")


def _with_garbage(w: World, one: Object, first: bool = False) -> Answer:
    w.remember(one)
    parts = [(FILE, one.file(), ""), (FILE, GARBAGE, "")]
    content_type, body = write_multipart(reversed(parts) if first else parts, FILE)
    return w.post("/studies", body, content_type)


def _bad_part(number: int, title: str, first: bool) -> None:
    @check(f"S7.{number}", f"{title} does not fail the others: 202", "10.5.3.1, Table I.1-1 (Other Failures)")
    def run(w: World) -> None:
        """400 is for requests of which nothing could be stored; Other Failures exists for parts such as this."""
        one = objects.part(w.run, f"S7{number}")
        _with_garbage(w, one, first).must(202)
        _present(w, one)


_bad_part(1, "a bad part at the end", first=False)
_bad_part(2, "a bad part at the start", first=True)


@check("S7.3", "the same instance twice in one request is one instance", "10.5.2", Level.OPTIONAL)
def twice(w: World) -> None:
    one = objects.part(w.run, "S73")
    w.store(one, one).must(200, 202)
    expect(len(w.search(one.study + "/instances")) == 1, "there are two of it")


@check("S7.4", "an instance stored again stays one instance", "10.5.2", Level.OPTIONAL)
def again(w: World) -> None:
    one = objects.part(w.run, "S74")
    w.store(one).must(200)
    w.store(one).must(200, 202, 409)
    expect(len(w.search(one.study + "/instances")) == 1, "there are two of it")
    _present(w, one)


@check("S7.5", "a private SOP class: stored, or 0122 and 409", "Table I.2-2, 10.5.3.1")
def private_class(w: World) -> None:
    one = objects.part(w.run, "S75")
    one.dataset.SOPClassUID = "2.25.91234567890123456789"
    answer = w.store(one).must(200, 202, 409)
    if answer.status == 409 and JSON in answer.headers.get("content-type", ""):
        reason = native_model.first(_references(module(answer), FAILED).get(one.uid, {}), REASON)
        expect(reason == 0x0122, f"Failure Reason {reason!r}, not 0122H")
