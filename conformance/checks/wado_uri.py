"""The URI service, also known as WADO-URI (PS3.18 chapter 9); not claimed where nothing answers at its base URI."""

from __future__ import annotations

from conformance import client, pictures, uids
from conformance.client import Answer
from conformance.objects import COLUMNS, ROWS, new_uid, ramp
from conformance.registry import check
from conformance.verdicts import Failed, Level, Skipped, expect
from conformance.world import World

DICOM = "application/dicom"
NATIVE = ramp().tobytes()


def _base(w: World) -> str:
    """The base URI of the service. Raises `Skipped` when there is none."""
    found = w.once("wado-uri", lambda: _probe(w))
    if not found:
        raise Skipped(
            "the URI service is not claimed: nothing answers at /wado (--wado-uri names another place)"
        )
    return str(found)


def _probe(w: World) -> str:
    for base in [w.wado_uri] if w.wado_uri else [f"{w.host}/wado", f"{w.client.base}/wado"]:
        try:
            if _get(w, "ct1", f"contentType={DICOM}", base=base).status == 200:
                return base
        except Failed:
            continue
    return ""


def _query(w: World, name: str, **changes: str | None) -> str:
    ds = w[name].dataset
    keys = {"requestType": "WADO", "studyUID": ds.StudyInstanceUID, "seriesUID": ds.SeriesInstanceUID}
    keys |= {"objectUID": ds.SOPInstanceUID, **changes}
    return "&".join(f"{key}={value}" for key, value in keys.items() if value is not None)


def _get(w: World, name: str, more: str = "", base: str = "", **changes: str | None) -> Answer:
    path = f"{base or _base(w)}?{_query(w, name, **changes)}"
    return w.get(f"{path}&{more}" if more else path, "*/*")


@check("URI.1", "an instance as application/dicom", "9.4", needs=["ct1"])
def instance(w: World) -> None:
    answer = _get(w, "ct1", f"contentType={DICOM}").must(200).must_be("application/dicom")
    found = client.read_object(answer.body)
    expect(found.SOPInstanceUID == w["ct1"].uid, "another instance came")
    expect(not answer.media_type.transfer_syntax, "Content-Type has a transfer-syntax, which 9.1.3 forbids")


def _default(number: int, name: str) -> None:
    @check(
        f"URI.{number}",
        f"the {name} object: Explicit VR Little Endian by default",
        "9.4.2.4",
        needs=["ct1", name],
    )
    def run(w: World) -> None:
        """9.4.2.4: without transferSyntax the payload shall be in Explicit VR Little Endian Uncompressed."""
        found = client.read_object(_get(w, name, f"contentType={DICOM}").must(200).body)
        expect(
            found.file_meta.TransferSyntaxUID == uids.EXPLICIT, f"{found.file_meta.TransferSyntaxUID} came"
        )
        expect(bytes(found.PixelData) == NATIVE, "the pixels are not those stored")


for _number, _name in enumerate(("implicit", "deflated", "rle", "lossless"), 2):
    _default(_number, _name)


@check("URI.6", "without contentType and with */*: image/jpeg", "9.3", needs=["ct1"])
def default_rendered(w: World) -> None:
    """9.3 names this very case: no contentType and Accept */* mean image/jpeg."""
    size = pictures.jpeg_size(_get(w, "ct1").must(200).must_be("image/jpeg").body)
    expect((size.width, size.height) == (COLUMNS, ROWS), f"{size.width} x {size.height}")


@check("URI.7", "contentType=image/png", "Table 8.7.4-1 (optional)", Level.OPTIONAL, ["ct1"])
def as_png(w: World) -> None:
    answer = w.offered(_get(w, "ct1", "contentType=image/png"), "image/png", (400,)).must(200)
    if answer.must_be("image/png", "image/jpeg").media_type.name == "image/jpeg":
        raise Skipped("image/png is not offered; the default came, as 8.3.3.1 says")
    pictures.png_pixels(answer.body)


BAD: dict[int, tuple[str, dict[str, str | None], str]] = {
    8: ("no requestType", {"requestType": None}, ""),
    9: ("another requestType", {"requestType": "NOTHING"}, ""),
    10: ("no studyUID", {"studyUID": None}, ""),
    11: ("no seriesUID", {"seriesUID": None}, ""),
    12: ("no objectUID", {"objectUID": None}, ""),
    15: (
        "transfer-syntax inside contentType",
        {},
        f"contentType={DICOM}%3Btransfer-syntax%3D1.2.840.10008.1.2.1",
    ),
}


def _bad(number: int, title: str, changes: dict[str, str | None], more: str) -> None:
    clause = "9.1.2.2.1" if number == 15 else "9.4.2.1, 9.4.2.2"

    @check(f"URI.{number}", f"{title}: 400", clause, needs=["ct1"])
    def run(w: World) -> None:
        """9.4.2.1 and 9.4.2.2 say shall and name 400, also for what could be guessed without the parameter."""
        _get(w, "ct1", more, "", **changes).must(400)


for _number, (_title, _changes, _more) in BAD.items():
    _bad(_number, _title, _changes, _more)


def _windows(w: World) -> None:
    """Raises `Skipped` when the window makes no difference, so that its parameters are rightly ignored (8.3)."""
    plain, windowed = (_get(w, "ct1", more).must(200).body for more in ("", "windowCenter=40&windowWidth=2"))
    if plain == windowed:
        raise Skipped("windowCenter and windowWidth are ignored")


def _bad_window(number: int, title: str, more: str) -> None:
    @check(f"URI.{number}", f"{title}: 400", "9.5.1.2.6, 9.5.2.2 (if supported)", Level.OPTIONAL, ["ct1"])
    def run(w: World) -> None:
        _windows(w)
        _get(w, "ct1", more).must(400)


_bad_window(13, "windowCenter without windowWidth", "windowCenter=40")
_bad_window(14, "a window for application/dicom", f"contentType={DICOM}&windowCenter=40&windowWidth=400")


@check("URI.16", "an instance that is not there: 404", "Table 9.4.3-1", needs=["ct1"])
def absent(w: World) -> None:
    _get(w, "ct1", f"contentType={DICOM}", objectUID=new_uid()).must(404, 410)


@check("URI.17", "an instance under another study: 404", "Table 9.4.3-1", needs=["ct1"])
def elsewhere(w: World) -> None:
    _get(w, "ct1", f"contentType={DICOM}", studyUID=new_uid()).must(404, 410)


@check("URI.18", "transferSyntax", "9.4.2.4 (optional)", Level.OPTIONAL, ["ct1", "rle"])
def transfer_syntax(w: World) -> None:
    answer = _get(w, "rle", f"contentType={DICOM}&transferSyntax={uids.RLE}")
    found = client.read_object(w.offered(answer, "transferSyntax").must(200).body)
    if found.file_meta.TransferSyntaxUID == uids.EXPLICIT:
        raise Skipped("transferSyntax is ignored")
    expect(found.file_meta.TransferSyntaxUID == uids.RLE, f"{found.file_meta.TransferSyntaxUID} came")


@check("URI.19", "transferSyntax that is no UID: 400", "9.4.2.4 (if supported)", Level.OPTIONAL, ["ct1"])
def bad_transfer_syntax(w: World) -> None:
    answer = _get(w, "ct1", f"contentType={DICOM}&transferSyntax=fast")
    if answer.status == 200:
        raise Skipped("transferSyntax is ignored")
    answer.must(400)


@check("URI.28", "contentType=image/jpeg", "Table 8.7.4-1 (default)", needs=["ct1"])
def as_jpeg(w: World) -> None:
    """Step 2 of 8.7.8.1: a supported type of the parameter is selected. contentType is optional for the server (Table
    9.1.2-2), but without it 9.3 gives image/jpeg as well."""
    pictures.jpeg_size(_get(w, "ct1", "contentType=image/jpeg").must(200).must_be("image/jpeg").body)


def _rendered_size(w: World, more: str, name: str = "ct1") -> tuple[int, int]:
    """Width and height of what comes, be it JPEG or PNG; URI.28 asks which."""
    body = _get(w, name, f"contentType=image/jpeg&{more}").must(200).body
    if body.startswith(b"\x89PNG"):
        rows, columns = pictures.png_pixels(body).shape
        return columns, rows
    size = pictures.jpeg_size(body)
    return size.width, size.height


@check("URI.20", "rows and columns keep the aspect", "9.5.2.5 (optional)", Level.OPTIONAL, ["ct1"])
def rows_and_columns(w: World) -> None:
    found = _rendered_size(w, "rows=16&columns=16")
    if found == (COLUMNS, ROWS):
        raise Skipped("rows and columns are ignored")
    expect(found == (16, 12), f"{found} pixels, not 16 x 12")


@check("URI.21", "region", "9.5.2.4 (optional)", Level.OPTIONAL, ["ct1"])
def region(w: World) -> None:
    found = _rendered_size(w, "region=0.5,0.5,1.0,1.0")
    if found == (COLUMNS, ROWS):
        raise Skipped("region is ignored")
    expect(found == (COLUMNS // 2, ROWS // 2), f"{found} pixels, not {COLUMNS // 2} x {ROWS // 2}")


@check("URI.22", "an impossible region: 400", "9.5.2.4 (if supported)", Level.OPTIONAL, ["ct1"])
def impossible_region(w: World) -> None:
    answer = _get(w, "ct1", "contentType=image/jpeg&region=0.5,0.5,0.1,2")
    if answer.status == 200:
        raise Skipped("region is ignored")
    answer.must(400)


@check("URI.23", "frameNumber", "9.5.2.1 (optional)", Level.OPTIONAL, ["ct1", "mf"])
def frame_number(w: World) -> None:
    expect(_rendered_size(w, "frameNumber=2", "mf") == (10, 6), "not the size of the frame")


@check("URI.24", "frameNumber beyond the last: 400", "9.5.2.1 (if supported)", Level.OPTIONAL, ["ct1", "mf"])
def frame_beyond(w: World) -> None:
    answer = _get(w, "mf", "contentType=image/jpeg&frameNumber=9")
    if answer.status == 200:
        raise Skipped("frameNumber is ignored")
    answer.must(400, 404)


@check(
    "URI.25",
    "anonymize=yes: a new SOP Instance UID, no name",
    "9.4.2.3 (optional)",
    Level.OPTIONAL,
    ["ct1"],
)
def anonymize(w: World) -> None:
    answer = _get(w, "ct1", f"contentType={DICOM}&anonymize=yes")
    if answer.status >= 400:
        raise Skipped(f"the server refuses to anonymize: {answer.status}")
    found = client.read_object(answer.must(200).body)
    if found.SOPInstanceUID == w["ct1"].uid:
        raise Skipped("anonymize is ignored") if not w.strict else Failed("the same SOP Instance UID came")
    expect("Kestrel" not in str(found.get("PatientName", "")), "the name is still there")


@check("URI.26", "an unknown parameter is ignored", "8.3", needs=["ct1"])
def unknown_parameter(w: World) -> None:
    _get(w, "ct1", f"contentType={DICOM}&nosuchparameter=1").must(200)


@check("URI.27", "a report as text/html", "Table 8.7.4-1 (default)", needs=["ct1", "sr"])
def report(w: World) -> None:
    """9.1.3 asks for the rendered types of 8.7.4, where text/html is the default for text. contentType is optional for
    the server (Table 9.1.2-2), so the Accept header may do instead."""
    answer = _get(w, "sr", "contentType=text/html")
    if answer.status != 200:
        answer = w.get(f"{_base(w)}?{_query(w, 'sr')}", "text/html")
    answer.must(200).must_be("text/html")
    expect("kingfisher" in answer.body.decode("utf-8", "replace"), "the report's text is not in it")
