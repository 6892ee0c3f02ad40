"""Which media type is chosen: N1 to N3, N8 to N10 and N16 (PS3.18 8.3.3, 8.4.1, 8.7.4 to 8.8)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from conformance import client, native_model
from conformance.client import DICOM, JSON, OCTETS, XML
from conformance.collection import CYRILLIC, JAPANESE
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World, query

ACCEPT_XML = "accept=" + quote(XML, safe="")
RESOURCES: dict[int, tuple[str, Callable[[World], str]]] = {
    1: ("search", lambda w: query("/studies", PatientID=str(w["ct1"].dataset.PatientID))),
    2: ("metadata", lambda w: w["ct1"].instance + "/metadata"),
    3: ("an instance", lambda w: w["ct1"].instance),
    4: ("a rendered instance", lambda w: w["ct1"].instance + "/rendered"),
}


def _no_accept(number: int, name: str) -> None:
    path = RESOURCES[number][1]

    @check(f"N1.{number}", f"{name} without Accept: 406, or its default type", "8.7.5, 8.7.7", needs=["ct1"])
    def run(w: World) -> None:
        """Only --strict insists on 406: nearly all servers answer with the default, and every browser relies on it."""
        answer = w.get(path(w), None)
        answer.must(406) if w.strict else answer.must(200, 406)


for _number, (_name, _) in RESOURCES.items():
    _no_accept(_number, _name)


@check("N1.5", "accept= in the query selects XML", "8.3.3.1, 8.7.8.1", needs=["ct1"])
def accept_parameter(w: World) -> None:
    """Tables 10.4.1-5 and 10.1.2-1 make `accept` mandatory for the server, and step 2 of 8.7.8.1 puts it first."""
    answer = w.get(f"{w['ct1'].instance}/metadata?{ACCEPT_XML}", "*/*").must(200)
    answer.must_be("multipart/related")
    expect(answer.parts()[0].media_type.name == "application/dicom+xml", "the part is not XML")


@check("N1.6", "accept= in the query goes before the Accept header", "8.7.8.1 step 2", needs=["ct1"])
def accept_parameter_first(w: World) -> None:
    """Both types are acceptable; step 2 of 8.7.8.1 decides by the parameter before the header is looked at."""
    answer = w.get(f"{w['ct1'].instance}/metadata?accept=application/dicom%2Bjson", f"{XML}, {JSON};q=0.1")
    answer.must(200).must_be(JSON)


@check("N1.7", "accept= selects the type of a rendered image", "8.3.5.1, 10.4.1.2", needs=["ct1"])
def accept_parameter_rendered(w: World) -> None:
    """PNG is required of every server (Table 8.7.4-1) and */* admits it, so the parameter decides."""
    answer = w.get(f"{w['ct1'].instance}/rendered?accept=image/png", "*/*")
    answer.must(200).must_be("image/png")


@check("N1.8", "accept= naming nothing supported gives the default type", "8.3.3.1", needs=["ct1"])
def accept_parameter_unknown(w: World) -> None:
    """8.3.3.1 says default type, 8.7.8.1 goes on to the header: with */* there both give the default."""
    w.get(f"{w['ct1'].instance}/rendered?accept=image/x-nothing", "*/*").must(200).must_be("image/jpeg")


@check("N1.9", "accept= with a wildcard does no harm", "8.3.3.1", Level.OPTIONAL, needs=["ct1"])
def accept_parameter_wildcard(w: World) -> None:
    """The parameter has no wildcards; whether such a value is ignored (8.7.7) or refused (8.3) is left open."""
    w.get(f"{w['ct1'].instance}/metadata?accept=*/*", JSON).must(200, 400, 406)


@check("N1.10", "406 says what is available", "8.5 (should)", Level.OPTIONAL, needs=["ct1"])
def not_acceptable_says(w: World) -> None:
    answer = w.get(f"{w['ct1'].instance}/metadata", "text/csv")
    if answer.status == 406:
        expect(
            b"application/dicom+json" in answer.body, "the body of 406 does not name application/dicom+json"
        )


CHOICES = {
    1: ("the higher q wins: XML", f"{JSON};q=0.1, {XML};q=0.9", "xml"),
    2: ("the higher q wins: JSON", f"{XML};q=0.1, {JSON};q=0.9", "json"),
    3: ("*/* gives the default, JSON", "*/*", "json"),
    4: ("invalid members are ignored", f"nonsense, ;;;, {JSON}", "json"),
    5: ("unquoted type= is the same as quoted", "multipart/related; type=application/dicom+xml", "xml"),
    6: ("names of types do not depend on case", "Application/DICOM+JSON", "json"),
    7: ("q=0 excludes a type", f"{JSON};q=0, {XML}", "xml"),
    8: ("a type named goes before a wildcard of lower q", f"*/*;q=0.1, {XML}", "xml"),
    9: (
        "spaces around parameters do not matter",
        'multipart/related ; type = "application/dicom+xml"',
        "any",
    ),
    10: ("a supported type is found behind others", f"text/csv, image/x-nothing, {JSON};q=0.5", "json"),
    11: ("a charset parameter is understood", f"{JSON}; charset=utf-8", "json"),
    12: ("application/* matches JSON", "application/*", "json"),
}


def _choice(number: int, title: str, accept: str, kind: str) -> None:
    level = Level.OPTIONAL if kind == "any" else Level.MANDATORY

    @check(f"N2.{number}", title, "8.7, 8.7.7, 8.7.8.1, RFC 7231 5.3.2", level, needs=["ct1"])
    def run(w: World) -> None:
        """Type, subtype and parameter names have no case (8.7); what is not valid or supported is ignored (8.7.7)."""
        answer = w.get(f"{w['ct1'].instance}/metadata", accept).must(200)
        wanted = {"xml": ["multipart/related"], "json": [JSON], "any": [JSON, "multipart/related"]}[kind]
        answer.must_be(*wanted)


for _number, (_title, _accept, _kind) in CHOICES.items():
    _choice(_number, _title, _accept, _kind)


@check("N2.13", "*/* on search gives JSON", "10.6.4", needs=["ct1"])
def wildcard_search(w: World) -> None:
    w.get(RESOURCES[1][1](w), "*/*").must(200).must_be(JSON)


@check("N2.14", "*/* on an instance gives multipart application/dicom", "10.4.4", needs=["ct1"])
def wildcard_instance(w: World) -> None:
    answer = w.get(w["ct1"].instance, "*/*").must(200).must_be("multipart/related")
    expect(answer.media_type.parameters.get("type", "").lower() == "application/dicom", "type= is another")


@check("N2.15", "*/* on a rendered image gives image/jpeg", "8.7.4, 8.7.7", needs=["ct1"])
def wildcard_rendered(w: World) -> None:
    w.get(w["ct1"].instance + "/rendered", "*/*").must(200).must_be("image/jpeg")


@check("N2.16", "image/* on a rendered image gives an image", "8.7.7", needs=["ct1"])
def wildcard_image(w: World) -> None:
    """8.7.7 takes image/* as its example of a range that matches image/jpeg."""
    answer = w.get(w["ct1"].instance + "/rendered", "image/*").must(200)
    expect(answer.media_type.name.startswith("image/"), f"{answer.media_type.name} came")


@check("N2.17", "several types for an instance: what can be given is given", "8.7.8.1", needs=["ct1"])
def several_for_instance(w: World) -> None:
    """8.7.7: what is not valid or not supported shall be ignored, so the last type remains."""
    accept = (
        f'multipart/related; type="image/x-nothing", {DICOM}; transfer-syntax=1.2.3.4;q=0.9, {DICOM};q=0.8'
    )
    expect(len(w.get(w["ct1"].instance, accept).must(200).datasets()) == 1, "not one instance")


@check("N2.18", "several types for a frame: what can be given is given", "8.7.8.1", needs=["ct1"])
def several_for_frame(w: World) -> None:
    accept = f'multipart/related; type="image/x-nothing", {OCTETS}; transfer-syntax=*'
    w.get(w["ct1"].instance + "/frames/1", accept).must(200)


def _unsupported(number: int, name: str) -> None:
    path = RESOURCES[number][1]

    @check(
        f"N2.{18 + number}", f"{name} as text/csv: 406, or its default type", "8.7.8.1, 8.7.3", needs=["ct1"]
    )
    def run(w: World) -> None:
        """8.7.8.1 ends in 406; Table 8.7.3-1 lets the default be sent instead, so only --strict insists."""
        answer = w.get(path(w), "text/csv")
        answer.must(406) if w.strict else answer.must(200, 406)
        expect(
            answer.status == 406 or answer.media_type.name != "text/csv", "the default is labelled text/csv"
        )


for _number, (_name, _) in RESOURCES.items():
    _unsupported(_number, _name)


@check("N3.1", "DICOM and rendered types in Accept: 400, or one of them", "8.7.5", needs=["ct1"])
def mixed_header(w: World) -> None:
    """Viewers do send mixed lists, so only --strict insists on 400."""
    answer = w.get(w["ct1"].instance + "/rendered", f"{DICOM}, image/jpeg")
    answer.must(400) if w.strict else answer.must(200, 400)


@check("N3.2", "DICOM and rendered types in accept=: 400, or one of them", "8.3.3.1, 8.7.5", needs=["ct1"])
def mixed_parameter(w: World) -> None:
    answer = w.get(w["ct1"].instance + "/rendered?accept=application/dicom,image/jpeg", "*/*")
    answer.must(400) if w.strict else answer.must(200, 400)


@check("N3.3", "several DICOM types are no mixture", "8.7.5", needs=["ct1"])
def several_dicom_types(w: World) -> None:
    w.get(f"{w['ct1'].instance}/metadata", f"{JSON}, {XML}, {OCTETS}").must(200)


@check("N8.1", "one instance as a single part", "10.4.4, Note 3", Level.OPTIONAL, needs=["ct1"])
def single_part_instance(w: World) -> None:
    answer = w.offered(w.get(w["ct1"].instance, "application/dicom"), "single part application/dicom", (400,))
    answer.must(200).must_be("application/dicom")
    expect(client.read_object(answer.body).SOPInstanceUID == w["ct1"].uid, "another instance came")


def _single_for_many(number: int, title: str, path: str, accept: str) -> None:
    clause = "10.4.3.3.3, 8.7.8.1" if accept == "image/jpeg" else "10.4.4, 8.7.8.1"

    @check(f"N8.{number}", f"{title} as a single part: 406", clause, needs=["ct1", "ct2", "ct3", "seg"])
    def run(w: World) -> None:
        """10.4.4: application/dicom shall only be used for individual instances. 10.4.3.3.3: a rendered resource holds
        all of its instances, here several. So no type remains (8.7.8.1), as Note 3 of 10.4.4 says too."""
        w.get(path.format(ct=w["ct1"], seg=w["seg"]), accept).must(406)


_single_for_many(2, "a study", "{ct.study}", "application/dicom")
_single_for_many(3, "a series of one instance", "{seg.series}", "application/dicom")
_single_for_many(4, "a rendered study", "{ct.study}/rendered", "image/jpeg")
_single_for_many(5, "a rendered series", "{ct.series}/rendered", "image/jpeg")


@check("N8.6", "one frame as a single part", "10.4.4, Note 3", Level.OPTIONAL, needs=["ct1"])
def single_part_frame(w: World) -> None:
    answer = w.get(w["ct1"].instance + "/frames/1", "application/octet-stream")
    w.offered(answer, "single part application/octet-stream", (400,)).must(200)
    expect(answer.one_or_more_parts()[0].body == w["ct1"].pixels, "other pixels came")


METADATA = {"study": "{ct.study}", "series": "{ct.series}", "instance": "{ct.instance}"}
COUNTS = {"study": 4, "series": 3, "instance": 1}


def _models(number: int, kind: str) -> None:
    needs = ["ct1", "ct2", "ct3", "mr1"]

    @check(f"N9.{number}", f"metadata of a {kind} as JSON", "10.4.4, 8.7.3.2", needs=needs)
    def as_json(w: World) -> None:
        answer = w.get(METADATA[kind].format(ct=w["ct1"]) + "/metadata", JSON).must(200).must_be(JSON)
        expect(len(answer.items()) == COUNTS[kind], f"{len(answer.items())} objects, not {COUNTS[kind]}")

    @check(f"N9.{number + 3}", f"metadata of a {kind} as XML", "10.4.4, 8.7.3.2", needs=needs)
    def as_xml(w: World) -> None:
        answer = w.get(METADATA[kind].format(ct=w["ct1"]) + "/metadata", XML).must(200)
        parts = answer.must_be("multipart/related").parts()
        expect(len(parts) == COUNTS[kind], f"{len(parts)} parts, not {COUNTS[kind]}")
        expect(
            {part.media_type.name for part in parts} == {"application/dicom+xml"}, "a part is of another type"
        )
        for part in parts:
            native_model.read_xml(part.body)


for _number, _kind in enumerate(METADATA, 1):
    _models(_number, _kind)


@check("N9.7", "search results as XML", "10.6.4", needs=["ct1"])
def search_xml(w: World) -> None:
    """Table 10.6.4-1 calls it required."""
    answer = w.get(RESOURCES[1][1](w), XML).must(200).must_be("multipart/related")
    found = [native_model.read_xml(part.body) for part in answer.parts()]
    uids = [native_model.text(item, "0020000D") for item in found]
    expect(uids == [w["ct1"].dataset.StudyInstanceUID], f"studies {uids} came")


@check("N9.8", "XML and JSON metadata say the same", "F.3.1", needs=["ct1"])
def same_metadata(w: World) -> None:
    path = w["ct1"].instance + "/metadata"
    xml = native_model.read_xml(w.get(path, XML).must(200).parts()[0].body)
    _same(xml, w.get(path, JSON).must(200).items()[0])


@check("N9.9", "XML and JSON search results say the same", "F.3.1", needs=["ct1"])
def same_results(w: World) -> None:
    path = RESOURCES[1][1](w)
    answer = w.get(path, XML).must(200)
    if answer.media_type.name != "multipart/related":
        raise Skipped("search gives no XML, which N9.7 says already")
    xml = native_model.read_xml(answer.parts()[0].body)
    _same(xml, w.get(path, JSON).must(200).items()[0])


def _same(xml: native_model.Item, json: native_model.Item) -> None:
    left, right = native_model.without_bulk(xml), native_model.without_bulk(json)
    different = sorted(tag for tag in {*left, *right} if left.get(tag) != right.get(tag))
    expect(
        not different,
        f"{different[:5]} differ" + "".join(f"; {t}: {left.get(t)} / {right.get(t)}" for t in different[:1]),
    )


@check("N9.11", "XML metadata follows the schema", "PS3.19 A.1.6, F.3.1", needs=["ct1", "ct3"])
def xml_schema(w: World) -> None:
    """The attribute of BulkData is `uri` in lower case, and a sequence holds Items alone: Table F.3.1-1 shows both."""
    for name in ("ct1", "ct3"):
        body = w.get(w[name].instance + "/metadata", XML).must(200).parts()[0].body
        native_model.read_xml(body)
        faults = native_model.schema_faults(body)
        expect(not faults, "; ".join(faults[:3]))


@check("N9.10", "names of three groups in XML", "PS3.19 A.1.5, F.3.1", needs=["jp"])
def names_in_xml(w: World) -> None:
    item = native_model.read_xml(w.get(w["jp"].instance + "/metadata", XML).must(200).parts()[0].body)
    _names(native_model.first(item, "00100010"), JAPANESE)


@check("N10.1", "JSON is UTF-8: names in Japanese", "F.2, 8.7.3.5.3", needs=["jp"])
def japanese(w: World) -> None:
    _names(native_model.first(w.metadata(w["jp"].instance)[0], "00100010"), JAPANESE)


@check("N10.2", "JSON is UTF-8: names in Cyrillic", "F.2, 8.7.3.5.3", needs=["ru"])
def cyrillic(w: World) -> None:
    _names(native_model.first(w.metadata(w["ru"].instance)[0], "00100010"), CYRILLIC)


def _names(value: object, expected: str) -> None:
    groups = dict(zip(native_model.GROUPS, expected.split("="), strict=False))
    expect(value == groups, f"the name came as {value}")


@check("N10.3", "Accept-Charset: utf-8 is served", "8.8.5", needs=["ru"])
def accept_charset(w: World) -> None:
    w.get(w["ru"].instance + "/metadata", JSON, Accept_Charset="utf-8").must(200)


@check("N10.4", "charset=utf-8 in the query is served", "8.3.3.2, 8.8.5", needs=["ru"])
def charset_parameter(w: World) -> None:
    answer = w.get(w["ru"].instance + "/metadata?charset=utf-8", JSON).must(200)
    _names(native_model.first(answer.items()[0], "00100010"), CYRILLIC)


@check("N10.5", "an unknown charset= is ignored", "8.3.3.2", needs=["ct1"])
def unknown_charset(w: World) -> None:
    w.get(w["ct1"].instance + "/metadata?charset=x-nothing", JSON).must(200)


@check("N10.6", "a charset that lacks the letters: UTF-8 or 406, never question marks", "8.8.5", needs=["ru"])
def too_small_charset(w: World) -> None:
    answer = w.get(w["ru"].instance + "/metadata", JSON, Accept_Charset="iso-8859-1").must(200, 406)
    if answer.status == 200:
        _names(native_model.first(answer.items()[0], "00100010"), CYRILLIC)


@check("N10.7", "rendered text is served in UTF-8", "8.8", needs=["sr"])
def rendered_charset(w: World) -> None:
    if w.get(w["sr"].instance + "/rendered", "text/html").status != 200:
        raise Skipped("no text/html, which R4.13 says already")
    answer = w.get(w["sr"].instance + "/rendered", "text/html", Accept_Charset="utf-8").must(200)
    expect("Grün" in answer.body.decode("utf-8", "replace"), "the report's text is not there in UTF-8")


@check("N16.1", "a transfer-syntax on a rendered type is refused or ignored", "8.7.4, 8.7.7", needs=["ct1"])
def rendered_transfer_syntax(w: World) -> None:
    accept = "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
    answer = w.get(w["ct1"].instance + "/rendered", accept).must(200, 400, 406)
    expect(not answer.media_type.transfer_syntax, "the rendered image carries a transfer-syntax parameter")
