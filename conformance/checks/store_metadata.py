"""Storing metadata and bulk data: S2 and S3 (PS3.18 10.5.1.4, 10.5.2, 10.5.4)."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import numpy as np

from conformance import native_model, objects, pictures, uids
from conformance.client import DICOM, JSON, Answer
from conformance.media import write_multipart
from conformance.objects import Object, new_uid, ramp, ramp8
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World

XML = "application/dicom+xml"
OCTETS = f"application/octet-stream; transfer-syntax={uids.EXPLICIT}"
PIXELS = "7FE00010"
DESCRIPTION = (
    "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PlanarConfiguration",
)  # fmt: skip
Item = dict[str, Any]
Bulk = tuple[str, bytes, str]


def _split(
    one: Object, tag: str, bulk_type: str, content: bytes, drop: tuple[str, ...] = ()
) -> tuple[Item, Bulk]:
    """An object's metadata with one value elsewhere, and the part that holds it."""
    ds = one.dataset
    item = {
        k: v
        for k, v in ds.to_json_dict().items()
        if k not in {f"{ds.data_element(d).tag:08X}" for d in drop if d in ds}
    }
    where = f"bulk/{new_uid()}"
    item[tag] = {"vr": item[tag]["vr"], "BulkDataURI": where}
    return item, (bulk_type, content, where)


def _post(w: World, kind: str, *pairs: tuple[Item, Bulk | None], one: Object) -> Answer:
    w.remember(one)
    items, bulks = [pair[0] for pair in pairs], [pair[1] for pair in pairs if pair[1]]
    if kind == JSON:
        parts = [(JSON, json.dumps(items, ensure_ascii=False).encode(), "")]
    else:
        parts = [(XML, native_model.write_xml(item), "") for item in items]
    content_type, body = write_multipart([*parts, *bulks], kind)
    return w.post("/studies", body, content_type)


def _taken(answer: Answer, kind: str = JSON) -> Answer:
    """This answer. Raises `Skipped` when it says that metadata of this kind cannot be stored at all."""
    if answer.status == 415:
        raise Skipped(f"{kind} cannot be stored, which S2.{10 if kind == JSON else 11} says already")
    return answer


def _returns(w: World, one: Object, pixels: bytes) -> Any:
    back = w.get(one.instance, DICOM).must(200).datasets()[0]
    expect(bytes(back.PixelData)[: len(pixels)] == pixels, "the pixels are not those stored")
    expect(str(back.PatientName) == str(one.dataset.PatientName), f"PatientName {back.PatientName}")
    return back


def _octets(number: int, title: str, kind: str, level: Level = Level.MANDATORY) -> None:
    @check(f"S2.{number}", f"{title} and octets", "10.5.4, 10.5.1.4", level)
    def run(w: World) -> None:
        """Table 10.5.4-1: JSON metadata is the default of the transaction and XML is required."""
        one = objects.part(w.run, f"S2{number}", PatientName="Grün^Ädelheid=山田^太郎")
        answer = _post(w, kind, _split(one, PIXELS, OCTETS, one.pixels), one=one)
        answer.must(200)
        back = _returns(w, one, one.pixels)
        expect([float(n) for n in back.ImageOrientationPatient] == [1, 0, 0, 0, 1, 0], "values changed")


_octets(10, "JSON metadata (the default)", JSON)
_octets(11, "XML metadata", XML)


@check("S2.12", "JSON metadata of two instances in one array", "10.5.1.4, F.2.1")
def two_in_json(w: World) -> None:
    many = [objects.part(w.run, f"S212{n}") for n in (1, 2)]
    w.remember(many[1])
    pairs = [_split(one, PIXELS, OCTETS, one.pixels) for one in many]
    _taken(_post(w, JSON, *pairs, one=many[0])).must(200)
    for one in many:
        _returns(w, one, one.pixels)


@check("S2.13", "XML metadata of two instances in two parts", "10.5.1.4")
def two_in_xml(w: World) -> None:
    many = [objects.part(w.run, f"S213{n}") for n in (1, 2)]
    w.remember(many[1])
    pairs = [_split(one, PIXELS, OCTETS, one.pixels) for one in many]
    _taken(_post(w, XML, *pairs, one=many[0]), XML).must(200)
    for one in many:
        _returns(w, one, one.pixels)


def _inline(number: int, kind: str) -> None:
    @check(f"S2.{number}", f"{kind} with its bulk inline", "F.2.7, 10.5.1.4")
    def run(w: World) -> None:
        one = objects.part(w.run, f"S2{number}")
        _taken(_post(w, kind, (one.dataset.to_json_dict(), None), one=one), kind).must(200)
        _returns(w, one, one.pixels)


_inline(14, JSON)
_inline(15, XML)


@check("S2.16", "JSON metadata and an encapsulated document of its own type", "10.5.1.4", needs=["pdf"])
def document(w: World) -> None:
    one = Object("S216", deepcopy(w["pdf"].dataset))
    one.dataset.SOPInstanceUID = new_uid()
    pair = _split(one, "00420011", "application/pdf", objects.pdf())
    _taken(_post(w, JSON, pair, one=one)).must(200)
    back = w.get(one.instance, DICOM).must(200).datasets()[0]
    expect(bytes(back.EncapsulatedDocument).rstrip(b"\0") == objects.pdf(), "the document is another")


@check("S2.17", "JSON metadata, multi-frame octets in one part", "10.5.1.4, 8.7.3.3", needs=["mf"])
def multi_frame(w: World) -> None:
    one = Object("S217", deepcopy(w["mf"].dataset))
    one.dataset.SOPInstanceUID = new_uid()
    _taken(_post(w, JSON, _split(one, PIXELS, OCTETS, one.pixels), one=one)).must(200)
    _returns(w, one, one.pixels)


@check(
    "S2.18",
    "JSON metadata with a sequence, a name of three groups and private attributes",
    "F.2.2",
    needs=["ct1"],
)
def rich_json(w: World) -> None:
    one = Object("S218", deepcopy(w["ct1"].dataset))
    one.dataset.SOPInstanceUID, one.dataset.PatientName = new_uid(), "Yamada^Tarou=山田^太郎=やまだ^たろう"
    one.dataset.StudyInstanceUID, one.dataset.SeriesInstanceUID = new_uid(), new_uid()
    one.dataset.PatientID = f"CONF{w.run}-S218"
    _taken(_post(w, JSON, _split(one, PIXELS, OCTETS, one.pixels), one=one)).must(200)
    back = _returns(w, one, one.pixels)
    expect(len(back.RequestAttributesSequence) == 2, "Request Attributes Sequence has not two items")
    expect(back[0x00291001].value == "private value 1", "a private attribute is lost")


def _picture(number: int, kind: str, content: bytes, expected: bytes) -> None:
    @check(f"S3.{number}", f"{kind} is transformed to its pixels", "Table 10.5.2-1", Level.OPTIONAL)
    def run(w: World) -> None:
        """Table 10.5.4-1 makes compressed bulk data optional; who takes it shall derive the description."""
        one = objects.part(w.run, f"S3{number}")
        objects.pixels(one.dataset, ramp8(), 8)
        pair = _split(one, PIXELS, kind, content, DESCRIPTION)
        w.offered(_post(w, JSON, pair, one=one), f"storing {kind}", (400, 409)).must(200, 202)
        back = w.get(one.instance, DICOM).must(200).datasets()[0]
        found = np.frombuffer(back.PixelData, np.uint8)
        if back.SamplesPerPixel == 3:
            found = found.reshape(-1, 3)[:, 0]
        expect((back.Rows, back.Columns) == ramp().shape, f"{back.Columns} x {back.Rows}")
        expect(found.tobytes()[: len(expected)] == expected, "the pixels are not those of the picture")


_picture(1, "image/png", pictures.png(ramp8()), ramp8().tobytes())
_picture(2, "image/gif", pictures.gif(ramp8()), (ramp8() // 2 * 2).tobytes())


KEPT = {
    3: ("image/jpeg", uids.JPEG_BASELINE, pictures.JPEG_BASELINE_32X24, 8, DESCRIPTION),
    4: ("image/jpeg", uids.JPEG_LOSSLESS, pictures.jpeg_lossless(ramp()), 16, ()),
    5: ("image/jp2", uids.JPEG_2000_LOSSLESS, pictures.JPEG_2000_32X24, 8, DESCRIPTION),
}


def _kept(number: int, kind: str, syntax: str, content: bytes, bits: int, drop: tuple[str, ...]) -> None:
    title = f"{kind} ({syntax.rpartition('.')[2]}){' without description' if drop else ''} is kept unchanged"

    @check(f"S3.{number}", title, "Table 10.5.2-1", Level.OPTIONAL)
    def run(w: World) -> None:
        one = objects.part(w.run, f"S3{number}")
        objects.pixels(one.dataset, ramp8() if bits == 8 else ramp(), bits)
        pair = _split(one, PIXELS, f"{kind}; transfer-syntax={syntax}", content, drop)
        w.offered(_post(w, JSON, pair, one=one), f"storing {kind}", (400, 409)).must(200, 202)
        accept = f'multipart/related; type="{kind}"; transfer-syntax={syntax}'
        frame = w.get(one.instance + "/frames/1", accept).must(200).one_or_more_parts()[0].body
        expect(frame.rstrip(b"\0") == content.rstrip(b"\0"), "the compressed bytes changed")


for _number, _row in KEPT.items():
    _kept(_number, *_row)


@check("S3.6", "metadata whose bulk data is not in the request: 409 or 400", "10.5.1.4, 10.5.3.1")
def missing_bulk(w: World) -> None:
    one = objects.part(w.run, "S36")
    item, _ = _split(one, PIXELS, OCTETS, one.pixels)
    _post(w, JSON, (item, None), one=one).must(400, 409, 415)
    expect(w.get(one.instance, DICOM).status != 200, "an instance without its pixels was stored")


@check("S3.7", "metadata in JSON that is none: 400 or 409", "10.5.3.1")
def broken_json(w: World) -> None:
    content_type, body = write_multipart([(JSON, b'[{"00080018": ', "")], JSON)
    w.post("/studies", body, content_type).must(400, 409, 415)


@check("S3.8", "JSON nested 3,000 deep: 4xx", "10.5.3.1", Level.OPTIONAL)
def deep_json(w: World) -> None:
    nested = b'[{"00081140":{"vr":"SQ","Value":' * 3000 + b"[]" + b"}}]" * 3000
    content_type, body = write_multipart([(JSON, nested, "")], JSON)
    w.post("/studies", body, content_type).must(400, 409, 413, 415)


@check("S3.9", "XML with a DOCTYPE and entities: 4xx", "10.5.3.1, PS3.19 A.1", Level.OPTIONAL)
def doctype(w: World) -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))
    text = f'<!DOCTYPE x [<!ENTITY a0 "ha">{laughs}]><NativeDicomModel>&a8;</NativeDicomModel>'
    content_type, body = write_multipart([(XML, text.encode(), "")], XML)
    w.post("/studies", body, content_type).must(400, 409, 413, 415)


@check("S3.10", "metadata without a SOP Instance UID: 400 or 409", "10.5.2, 10.5.3.1")
def no_uid(w: World) -> None:
    one = objects.part(w.run, "S310")
    item, bulk = _split(one, PIXELS, OCTETS, one.pixels)
    del item["00080018"]
    _post(w, JSON, (item, bulk), one=one).must(400, 409, 415)
