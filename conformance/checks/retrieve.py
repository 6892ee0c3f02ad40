"""Instances, metadata, bulk data and frames: R1, R2 and R8 (PS3.18 10.4, Annex F)."""

from __future__ import annotations

import base64
import zipfile
from io import BytesIO
from itertools import pairwise
from typing import Any

from pydicom import dcmread

from conformance import native_model, objects
from conformance.checks.negotiation_parts import PIXEL_DATA, PRIVATE_BULK, bulk_uri
from conformance.client import DICOM, OCTETS
from conformance.native_model import BULK_VRS, EITHER_VRS, INLINE_VRS, KNOWN_VRS, NUMBER_VRS, walk
from conformance.objects import BULK_SIZE, Object
from conformance.registry import check
from conformance.verdicts import Failed, Level, Skipped, expect
from conformance.world import World

CT_STUDY = ("ct1", "ct2", "ct3", "mr1")
METADATA_OF = ("ct1", "ct3", "mf", "sr", "pr", "seg")


def _attributes(w: World, *names: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name in names:
        found += walk(w.metadata(w[name].instance)[0])
    return found


@check("R1.1", "metadata has no group 0002 and no group lengths", "10.4.1.1.2 Note, F.2.2", needs=METADATA_OF)
def no_group_two(w: World) -> None:
    wrong = [
        path for path, _ in _attributes(w, *METADATA_OF) if path.startswith("0002") or path.endswith("0000")
    ]
    expect(not wrong, f"{wrong[:5]} came")


@check("R1.2", "attributes in ascending order, sequences too", "F.2.2", needs=METADATA_OF)
def ascending(w: World) -> None:
    for name in METADATA_OF:
        item = w.metadata(w[name].instance)[0]
        for one in [item, *_inner(item)]:
            wrong = [after for before, after in pairwise(one) if before > after]
            expect(not wrong, f"{name}: {wrong[:3]} out of order")


def _inner(item: dict[str, Any]) -> list[dict[str, Any]]:
    attributes = [attribute for _, attribute in walk(item) if attribute.get("vr") == "SQ"]
    return [inner for attribute in attributes for inner in attribute.get("Value", []) if inner]


@check("R1.3", "tags are eight upper case hexadecimal digits", "F.2.2", needs=METADATA_OF)
def tags(w: World) -> None:
    last = [path.rpartition(".")[2] for path, _ in _attributes(w, *METADATA_OF)]
    wrong = [tag for tag in last if len(tag) != 8 or set(tag) - set("0123456789ABCDEF")]
    expect(not wrong, f"{wrong[:5]} came")


@check(
    "R1.4", "every attribute has a vr that exists, and one kind of value", "F.2.2, F.2.3", needs=METADATA_OF
)
def shapes(w: World) -> None:
    for path, attribute in _attributes(w, *METADATA_OF):
        expect(attribute.get("vr") in KNOWN_VRS, f"{path} has vr {attribute.get('vr')}")
        kinds = set(attribute) & {"Value", "BulkDataURI", "InlineBinary"}
        expect(len(kinds) <= 1, f"{path} has {sorted(kinds)}")


@check("R1.5", "an empty attribute is kept, without Value", "F.2.5", needs=["ct1"])
def empty_kept(w: World) -> None:
    found = w.metadata(w["ct1"].instance)[0].get("00104000")
    expect(found is not None, "the empty PatientComments is left out")
    expect(found == {"vr": "LT"}, f"the empty PatientComments came as {found}")


@check("R1.6", "Value is never an empty array", "F.2.5", needs=METADATA_OF)
def no_empty_value(w: World) -> None:
    wrong = [path for path, attribute in _attributes(w, *METADATA_OF) if attribute.get("Value") == []]
    expect(not wrong, f"{wrong[:5]} have Value []")


@check(
    "R1.7",
    "BulkDataURI for VRs that may have one, InlineBinary likewise",
    "10.4.3.3.2, F.2.2",
    needs=METADATA_OF,
)
def bulk_vrs(w: World) -> None:
    for path, attribute in _attributes(w, *METADATA_OF):
        vr = attribute.get("vr")
        expect("BulkDataURI" not in attribute or vr in BULK_VRS, f"{path} of VR {vr} has BulkDataURI")
        expect("InlineBinary" not in attribute or vr in INLINE_VRS, f"{path} of VR {vr} has InlineBinary")
        expect("Value" not in attribute or vr not in INLINE_VRS, f"{path} of VR {vr} has Value")


@check("R1.8", "JSON types of values by VR", "Table F.2.3-1", needs=METADATA_OF)
def json_types(w: World) -> None:
    for path, attribute in _attributes(w, *METADATA_OF):
        vr = attribute.get("vr")
        for value in attribute.get("Value", []):
            expect(value is None or _right_type(vr, value), f"{path} of VR {vr} has the value {value!r}")


def _right_type(vr: str, value: Any) -> bool:
    if vr in ("SQ", "PN"):
        return isinstance(value, dict) and (vr == "SQ" or set(value) <= set(native_model.GROUPS))
    if vr in NUMBER_VRS:
        return isinstance(value, int | float)
    return isinstance(value, str) or (vr in EITHER_VRS and isinstance(value, int | float))


@check("R1.9", "metadata contains all attributes", "10.4.3.3.2", needs=["ct1", "sr", "pr", "seg"])
def all_attributes(w: World) -> None:
    for name in ("ct1", "sr", "pr", "seg"):
        item = w.metadata(w[name].instance)[0]
        missing = [f"{e.tag:08X}" for e in w[name].dataset if f"{e.tag:08X}" not in item]
        expect(not missing, f"{name}: {missing[:5]} missing")


@check("R1.10", "values are those stored", "10.4.3.3.2, F.2.3", needs=["ct1", "sr", "pr"])
def same_values(w: World) -> None:
    for name in ("ct1", "sr", "pr"):
        stored = {k: v for k, v in w[name].dataset.to_json_dict().items() if v["vr"] not in INLINE_VRS}
        item = w.metadata(w[name].instance)[0]
        given = {
            k: item.get(k, {}) for k in stored if k != "00080005" and "BulkDataURI" not in item.get(k, {})
        }
        left = native_model.without_bulk({k: stored[k] for k in given})
        right = native_model.without_bulk(given)
        wrong = [k for k in left if left[k] != right[k]]
        expect(not wrong, "; ".join(f"{k}: {right[k]}, stored {left[k]}" for k in wrong[:2]))


@check(
    "R1.11",
    "private attributes, their creator and what is inside their sequences",
    "10.4.3.3.2",
    needs=["ct1"],
)
def private(w: World) -> None:
    item = w.metadata(w["ct1"].instance)[0]
    expect(native_model.text(item, "00290010") == objects.CREATOR, f"creator {item.get('00290010')}")
    expect(native_model.text(item, "00291001") == "private value 1", f"(0029,1001) {item.get('00291001')}")
    inner = native_model.first(item, "00291003") or {}
    expect(
        native_model.text(inner, "00104000") == "inside a private sequence",
        f"(0029,1003) {item.get('00291003')}",
    )


@check("R1.12", "InlineBinary and BulkDataURI give the bytes stored", "F.2.6, F.2.7", needs=["ct3"])
def binary_values(w: World) -> None:
    attribute = w.metadata(w["ct3"].instance)[0].get(PRIVATE_BULK, {})
    if "InlineBinary" in attribute:
        found = base64.b64decode(attribute["InlineBinary"])
    else:
        found = w.get(bulk_uri(w, "ct3", PRIVATE_BULK), OCTETS).must(200).one_or_more_parts()[0].body
    expect(found == bytes(range(256)) * (BULK_SIZE // 256), f"{len(found)} other bytes came")


@check("R1.13", "BulkDataURI of Pixel Data gives the pixels", "10.4.3.3.5", needs=["ct1"])
def pixel_uri(w: World) -> None:
    parts = w.get(bulk_uri(w, "ct1", PIXEL_DATA), OCTETS).must(200).one_or_more_parts()
    expect([part.body for part in parts] == [w["ct1"].pixels], "the octets are not the Pixel Data")


@check("R1.14", "BulkDataURI as a single part", "10.4.4 (optional)", Level.OPTIONAL, ["ct3"])
def single_part_bulk(w: World) -> None:
    answer = w.get(bulk_uri(w, "ct3", PRIVATE_BULK), "application/octet-stream")
    w.offered(answer, "single part application/octet-stream", (400,)).must(200).must_be(
        "application/octet-stream"
    )
    expect(answer.body == bytes(range(256)) * (BULK_SIZE // 256), "other bytes came")


@check("R1.15", "BulkDataURI of an encapsulated document", "10.4.3.3.5", needs=["pdf"])
def document_uri(w: World) -> None:
    parts = w.get(bulk_uri(w, "pdf", "00420011"), OCTETS).must(200).one_or_more_parts()
    expect(parts[0].body.rstrip(b"\0") == objects.pdf().rstrip(b"\0"), "the octets are not the document")


@check("R1.16", "metadata of a study is that of its instances", "10.4.1.1.2", needs=CT_STUDY)
def study_metadata(w: World) -> None:
    whole = {native_model.text(item, "00080018"): item for item in w.metadata(w["ct1"].study)}
    for name in CT_STUDY:
        alone = native_model.without_bulk(w.metadata(w[name].instance)[0])
        expect(native_model.without_bulk(whole.get(w[name].uid, {})) == alone, f"{name} differs")


def _whole(w: World, path: str, names: tuple[str, ...]) -> None:
    found = {str(ds.SOPInstanceUID) for ds in w.get(path, DICOM).must(200).datasets()}
    expect(found == {w[name].uid for name in names}, f"{len(found)} instances, not the {len(names)} stored")


@check("R1.17", "all instances of a study", "10.4.3.3.1", needs=CT_STUDY)
def study_instances(w: World) -> None:
    _whole(w, w["ct1"].study, CT_STUDY)


@check("R1.18", "all instances of a series", "10.4.3.3.1", needs=CT_STUDY)
def series_instances(w: World) -> None:
    _whole(w, w["ct1"].series, CT_STUDY[:3])


def _unchanged(number: int, name: str) -> None:
    @check(f"R1.{number}", f"the {name} object comes back with every attribute", "10.4.3.3.1", needs=[name])
    def run(w: World) -> None:
        back = w.get(w[name].instance, DICOM).must(200).datasets()[0]
        wrong = _differences(w[name], back)
        expect(not wrong, f"{wrong[:5]} differ from what was stored")


def _differences(stored: Object, back: Any) -> list[str]:
    before = {f"{e.tag:08X}": e for e in dcmread(BytesIO(stored.file()))}
    return [
        tag
        for tag, element in before.items()
        if tag != "00080005" and (element.tag not in back or back[element.tag].value != element.value)
    ]


for _number, _name in enumerate(("ct1", "ct3", "mf", "seg", "sr", "pdf", "pr", "jp", "ru", "implicit"), 19):
    _unchanged(_number, _name)


@check("R2.1", "one frame", "10.4.1.1.6", needs=["mf"])
def one_frame(w: World) -> None:
    parts = w.get(w["mf"].instance + "/frames/2", OCTETS).must(200).one_or_more_parts()
    expect([part.body for part in parts] == [b"\x78" * 60], "frame 2 is another")


@check("R2.2", "frames in the order of the request", "10.4.1.1.6", needs=["mf"])
def frame_order(w: World) -> None:
    parts = w.get(w["mf"].instance + "/frames/3,1", OCTETS).must(200).one_or_more_parts()
    expect(
        b"".join(part.body for part in parts) == b"\xb4" * 60 + b"\x3c" * 60, "not frame 3 and then frame 1"
    )


def _no_frame(number: int, title: str, frames: str) -> None:
    @check(f"R2.{number}", f"{title}: 400 or 404", "10.4.3.1", needs=["mf"])
    def run(w: World) -> None:
        w.get(f"{w['mf'].instance}/frames/{frames}", OCTETS).must(400, 404)


_no_frame(3, "frame 0", "0")
_no_frame(4, "a frame beyond the last", "4")
_no_frame(5, "a list with a frame beyond the last", "1,9")
_no_frame(6, "a frame that is no number", "one")
_no_frame(7, "a frame number of thirty digits", "9" * 30)


@check("R2.8", "frames of what has no pixels: 4xx", "10.4.3.1", needs=["sr"])
def no_pixels(w: World) -> None:
    """The request is wrong and the server is not (8.5): 4xx, whichever fits."""
    w.get(w["sr"].instance + "/frames/1", OCTETS).must(400, 404, 406, 409)


BULK_PATHS = {
    9: ("an instance's bulk data", "{ct3.instance}/bulkdata", 2),
    10: ("a series' bulk data", "{ct3.series}/bulkdata", 4),
    11: ("a study's bulk data", "{ct3.study}/bulkdata", 5),
    12: ("an instance's pixel data", "{ct3.instance}/pixeldata", 1),
    13: ("a series' pixel data", "{ct3.series}/pixeldata", 3),
    14: ("a study's pixel data", "{ct3.study}/pixeldata", 4),
}


def _bulk_path(number: int, title: str, path: str, least: int) -> None:
    @check(f"R2.{number}", title, "10.4.1.1.5, 10.4.1.1.6 (optional)", Level.OPTIONAL, CT_STUDY)
    def run(w: World) -> None:
        """At least the bulk that the suite put in: a server may find more of an instance worth calling bulk."""
        answer = w.offered(w.get(path.format(ct3=w["ct3"]), OCTETS), title).must(200)
        parts = answer.must_be("multipart/related").parts()
        exact = "pixeldata" in path
        expect(len(parts) == least if exact else len(parts) >= least, f"{len(parts)} parts, {least} expected")
        expect(any(part.body == w["ct3"].pixels for part in parts), "no part is the Pixel Data")
        expect(all(part.location for part in parts), "a part has no Content-Location")


for _number, (_title, _path, _least) in BULK_PATHS.items():
    _bulk_path(_number, _title, _path, _least)


@check("R2.15", "bulk data is where Content-Location says", "10.4.3.3.5", Level.OPTIONAL, ["ct3"])
def bulk_where(w: World) -> None:
    answer = w.offered(w.get(w["ct3"].instance + "/bulkdata", OCTETS), "bulk data of an instance").must(200)
    attributes = [attribute for _, attribute in walk(w.metadata(w["ct3"].instance)[0])]
    known = {answer.resolve(one["BulkDataURI"]) for one in attributes if "BulkDataURI" in one}
    found = {answer.resolve(part.location) for part in answer.parts()}
    expect(found <= known, f"{sorted(found - known)[:1]} is no BulkDataURI of the metadata")


def _zip(w: World, path: str, accept: str) -> zipfile.ZipFile:
    answer = w.get(path, accept)
    w.offered(answer, "application/zip", (400,)).must(200)
    if answer.media_type.name != "application/zip":
        raise Skipped(f"application/zip not offered: {answer.media_type.name} came")
    try:
        return zipfile.ZipFile(BytesIO(answer.body))
    except zipfile.BadZipFile as problem:
        raise Failed(f"not a zip file: {problem}") from None


def _zipped_uids(archive: zipfile.ZipFile) -> set[str]:
    files = [archive.read(name) for name in archive.namelist() if not name.upper().endswith("DICOMDIR")]
    return {str(dcmread(BytesIO(data)).SOPInstanceUID) for data in files if data[128:132] == b"DICM"}


@check("R8.1", "a study as a zip", "Supplement 211 (draft)", Level.EXTENSION, CT_STUDY)
def zipped_study(w: World) -> None:
    found = _zipped_uids(_zip(w, w["ct1"].study, "application/zip"))
    expect(found == {w[name].uid for name in CT_STUDY}, f"{len(found)} instances in the zip")


@check("R8.2", "a series as a zip, by accept=", "Supplement 211 (draft)", Level.EXTENSION, CT_STUDY)
def zipped_series(w: World) -> None:
    found = _zipped_uids(_zip(w, w["ct1"].series + "?accept=application/zip", "*/*"))
    expect(found == {w[name].uid for name in CT_STUDY[:3]}, f"{len(found)} instances in the zip")


@check("R8.3", "a DICOMDIR in the zip", "PS3.10 8.6, PS3.12 V", Level.EXTENSION, CT_STUDY)
def dicomdir(w: World) -> None:
    archive = _zip(w, w["ct1"].study, "application/zip")
    names = [name for name in archive.namelist() if name.upper().endswith("DICOMDIR")]
    if not names:
        raise Skipped("the zip has no DICOMDIR")
    records = dcmread(BytesIO(archive.read(names[0]))).DirectoryRecordSequence
    kinds = [record.DirectoryRecordType for record in records]
    expect(kinds.count("STUDY") == 1 and kinds.count("SERIES") == 2, f"records {kinds}")
    files = ["/".join(record.ReferencedFileID) for record in records if "ReferencedFileID" in record]
    expect(set(files) <= set(archive.namelist()), "DICOMDIR names files that are not in the zip")
