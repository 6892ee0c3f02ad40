"""Which transfer syntax is sent: N4 to N7, N12 and N13 (PS3.18 8.7.3)."""

from __future__ import annotations

from conformance import uids
from conformance.client import DICOM, OCTETS, Answer
from conformance.collection import MULTI_FRAMES, SEGMENT_FRAMES
from conformance.media import Part
from conformance.objects import ramp
from conformance.registry import check
from conformance.verdicts import Level, expect
from conformance.world import World

NATIVE = ramp().tobytes()
LOSSLESS = {"implicit": 1, "big": 2, "deflated": 3, "rle": 4, "lossless": 5}
ANY = "; transfer-syntax=*"
FORBIDDEN = (uids.IMPLICIT, uids.BIG_ENDIAN)


def _syntax(answer: Answer) -> str:
    """The transfer syntax of the only object. Raises `Failed` unless label, file meta and data agree."""
    found = answer.must(200).datasets()
    expect(len(found) == 1, f"{len(found)} instances came, not one")
    label = answer.one_or_more_parts()[0].media_type.transfer_syntax
    inside = str(found[0].file_meta.TransferSyntaxUID)
    expect(label in ("", inside), f"the part says transfer-syntax={label}, the file meta says {inside}")
    return inside


def _default(name: str, number: int) -> None:
    @check(
        f"N4.{number}",
        f"{name} object: Explicit VR Little Endian by default",
        "8.7.3.4, 8.7.3.5.2",
        needs=[name],
    )
    def run(w: World) -> None:
        answer = w.get(w[name].instance, DICOM)
        syntax = _syntax(answer)
        expect(syntax == uids.EXPLICIT, f"transfer syntax {syntax} came")
        expect(bytes(answer.datasets()[0].PixelData) == NATIVE, "the pixels are not those stored")


for _name, _number in LOSSLESS.items():
    _default(_name, _number)


@check("N4.6", "lossy object by default: Explicit VR Little Endian, or as stored", "8.7.3.4", needs=["lossy"])
def lossy_default(w: World) -> None:
    answer = w.get(w["lossy"].instance, DICOM)
    expect(_syntax(answer) in (uids.EXPLICIT, uids.JPEG_BASELINE), f"transfer syntax {_syntax(answer)} came")


def _frame(name: str, number: int) -> None:
    @check(
        f"N4.{number}",
        f"a frame of the {name} object: uncompressed octets by default",
        "8.7.3.3.1",
        needs=[name],
    )
    def run(w: World) -> None:
        parts = w.get(w[name].instance + "/frames/1", OCTETS).must(200).one_or_more_parts()
        expect([part.body for part in parts] == [NATIVE], "the octets are not the native pixels")
        expect(parts[0].media_type.transfer_syntax in ("", uids.EXPLICIT), f"labelled {parts[0].media_type}")


for _number, _name in enumerate(("implicit", "big", "deflated", "rle", "lossless"), 7):
    _frame(_name, _number)


@check("N4.12", "Explicit VR Little Endian asked by name", "8.7.3.5.2", needs=["rle"])
def explicit_by_name(w: World) -> None:
    accept = f"{DICOM}; transfer-syntax={uids.EXPLICIT}"
    expect(_syntax(w.get(w["rle"].instance, accept)) == uids.EXPLICIT, "another transfer syntax came")


@check(
    "N4.13", "a study of many transfer syntaxes comes whole", "10.4.3.3.1, 8.7.8.2",
    needs=["deflated", "rle", "lossless", "lossy"],
)  # fmt: skip
def whole_study(w: World) -> None:
    names = ("implicit", "big", "deflated", "rle", "lossless", "lossy")
    expected = {w[name].uid for name in names if name in w.stored}
    found = w.get(w["rle"].study, DICOM).must(200).datasets()
    missing = expected - {str(ds.SOPInstanceUID) for ds in found}
    expect(not missing, f"{len(missing)} of {len(expected)} instances are left out of a 200")
    forbidden = {str(ds.file_meta.TransferSyntaxUID) for ds in found} & set(FORBIDDEN)
    expect(not forbidden, f"transfer syntax {forbidden} was sent")


@check(
    "N4.14",
    "every instance of a study with transfer-syntax=* too",
    "8.7.3.5.2",
    needs=["rle", "lossless", "lossy"],
)
def whole_study_any(w: World) -> None:
    found = w.get(w["rle"].study, DICOM + ANY).must(200).datasets()
    expected = {w[name].uid for name in ("rle", "lossless", "lossy")}
    expect(expected <= {str(ds.SOPInstanceUID) for ds in found}, "instances are left out of a 200")


def _never(name: str, number: int) -> None:
    syntax = {"implicit": uids.IMPLICIT, "big": uids.BIG_ENDIAN}[name]

    def judge(w: World, answer: Answer) -> None:
        found = _syntax(answer)
        expect(found not in FORBIDDEN or not w.strict, f"transfer syntax {found} was sent")

    @check(
        f"N5.{number}", f"{name} object with transfer-syntax=*: not as stored", "8.7.3, 8.7.3.4", needs=[name]
    )
    def with_any(w: World) -> None:
        """Both clauses forbid it and the wildcard lifts nothing; many send what is stored, so only --strict insists."""
        judge(w, w.get(w[name].instance, DICOM + ANY))

    @check(f"N5.{number + 2}", f"{name} asked by name: 406, or another", "8.7.3.4, 8.7.7", needs=[name])
    def by_name(w: World) -> None:
        """As with the wildcard; without --strict it is enough that the label tells the truth."""
        answer = w.get(w[name].instance, f"{DICOM}; transfer-syntax={syntax}").must(200, 400, 406)
        if answer.status == 200:
            judge(w, answer)


_never("implicit", 1)
_never("big", 2)


def _any(name: str, number: int) -> None:
    @check(f"N6.{number}", f"{name} object with transfer-syntax=*", "8.7.3.5.2", needs=[name])
    def run(w: World) -> None:
        """The wildcard lets the server choose between what is stored and Explicit VR Little Endian."""
        answer = w.get(w[name].instance, DICOM + ANY)
        syntax = _syntax(answer)
        pixels = {w[name].transfer_syntax: w[name].pixels, uids.EXPLICIT: NATIVE}
        if name != "lossy" or syntax != uids.EXPLICIT:
            expect(bytes(answer.datasets()[0].PixelData) == pixels.get(syntax), f"{syntax}: other pixels")

    @check(
        f"N6.{number + 3}",
        f"{name} object with transfer-syntax=* as stored",
        "8.7.3.5.2",
        Level.OPTIONAL,
        [name],
    )
    def as_stored(w: World) -> None:
        syntax = _syntax(w.get(w[name].instance, DICOM + ANY))
        expect(syntax == w[name].transfer_syntax, f"transfer syntax {syntax} came")


for _number, _name in enumerate(("rle", "lossless", "lossy"), 1):
    _any(_name, _number)


def _frame_any(number: int, title: str, suffix: str) -> None:
    @check(f"N6.{number}", f"a frame with {title}: what comes is labelled", "8.7.3.5.2, 8.7.9", needs=["rle"])
    def run(w: World) -> None:
        _labelled(w.get(w["rle"].instance + "/frames/1", OCTETS + suffix).must(200).one_or_more_parts()[0], w)


_frame_any(7, "transfer-syntax=*", ANY)
_frame_any(8, 'transfer-syntax="*"', '; transfer-syntax="*"')


def _labelled(part: Part, w: World) -> None:
    stored = w["rle"].pixels
    label = part.media_type.transfer_syntax
    if part.body == NATIVE:
        expect(label in ("", uids.EXPLICIT), f"native pixels are labelled {label}")
    else:
        expect(part.body in stored, "neither the native nor the stored frame came")
        expect(label == uids.RLE, f"an RLE frame is labelled {label or 'with nothing, so Explicit VR'}")


FRAME_TYPES = {
    1: ("lossless", "image/jpeg", "", "image/jpeg means lossless JPEG by default"),
    2: ("lossy", "image/jpeg", f"; transfer-syntax={uids.JPEG_BASELINE}", "image/jpeg with .50 named"),
    3: ("rle", "image/dicom-rle", "", "image/dicom-rle"),
    4: ("rle", "image/x-dicom-rle", "", "image/x-dicom-rle, of older clients"),
    5: ("rle", "image/*", ANY, "image/* with any transfer syntax"),
}


def _frame_type(number: int, name: str, kind: str, suffix: str, title: str) -> None:
    @check(f"N7.{number}", f"a stored frame as {title}", "8.7.3.3.2, Table 8.7.3-5", Level.OPTIONAL, [name])
    def run(w: World) -> None:
        answer = w.get(w[name].instance + "/frames/1", f'multipart/related; type="{kind}"{suffix}')
        part = w.offered(answer, kind, (400,)).must(200).one_or_more_parts()[0]
        expect(part.media_type.name.startswith("image/"), f"{part.media_type.name} came")
        label = part.media_type.transfer_syntax
        default = uids.JPEG_LOSSLESS if kind == "image/jpeg" else w[name].transfer_syntax
        expect((label or default) == w[name].transfer_syntax, f"labelled {label or default}")
        expect(part.body.rstrip(b"\0") in w[name].pixels, "the frame's bytes are not those stored")


for _number, (_name, _kind, _suffix, _title) in FRAME_TYPES.items():
    _frame_type(_number, _name, _kind, _suffix, _title)


@check(
    "N7.6",
    "a lossy frame as image/jpeg is not passed off as lossless",
    "8.7.3.3, Table 8.7.3-5",
    needs=["lossy"],
)
def not_lossless(w: World) -> None:
    """Without a parameter .70 is meant; a server that has lossy data alone may send .50, but must say so."""
    answer = w.get(w["lossy"].instance + "/frames/1", 'multipart/related; type="image/jpeg"').must(
        200, 400, 406
    )
    if answer.status == 200:
        part = answer.one_or_more_parts()[0]
        lossy = part.body[:2] == b"\xff\xd8" and b"\xff\xc0" in part.body[:1024]
        expect(
            not lossy or part.media_type.transfer_syntax == uids.JPEG_BASELINE,
            "baseline JPEG without its label",
        )


MAGIC = {
    7: ("image/jls", b"\xff\xd8\xff"),
    8: ("image/jp2", b"\xff\x4f\xff\x51"),
    9: ("image/jphc", b"\xff\x4f\xff\x51"),
}


def _recoded(number: int, kind: str, magic: bytes) -> None:
    @check(f"N7.{number}", f"a frame as {kind} is what it says", "8.7.3.3.2", Level.OPTIONAL, ["ct1"])
    def run(w: World) -> None:
        answer = w.get(w["ct1"].instance + "/frames/1", f'multipart/related; type="{kind}"')
        part = w.offered(answer, kind, (400,)).must(200).one_or_more_parts()[0]
        expect(part.body.startswith(magic), f"the part is no {kind}")


for _number, (_kind, _magic) in MAGIC.items():
    _recoded(_number, _kind, _magic)


def _frames(w: World, name: str, numbers: str) -> bytes:
    answer = w.get(f"{w[name].instance}/frames/{numbers}", OCTETS).must(200)
    return b"".join(part.body for part in answer.one_or_more_parts())


@check("N12.1", "several uncompressed frames, in order", "8.7.3.3, 8.7.3.3.1", needs=["mf"])
def several_frames(w: World) -> None:
    """One part with all frames (8.7.3.3) and a part for each (8.6.1.2) both occur; either is taken."""
    expect(_frames(w, "mf", "1,2,3") == w["mf"].pixels, "the octets are not the three frames")


def _bits(data: bytes) -> str:
    return "".join(f"{byte:08b}"[::-1] for byte in data)


@check("N12.2", "a one-bit frame that begins inside a byte is shifted out", "8.7.3.3.1", needs=["seg"])
def one_bit_frame(w: World) -> None:
    """8.7.3.3.1 says that each frame is extracted and begins at the first bit of what is sent."""
    found = _bits(_frames(w, "seg", "2"))
    expect(found[:15] == SEGMENT_FRAMES[1], f"bits {found[:15]} came instead of {SEGMENT_FRAMES[1]}")


@check("N12.3", "several one-bit frames, without padding between", "8.7.3.3.1", needs=["seg"])
def one_bit_frames(w: World) -> None:
    """With a part for each frame every part begins at a byte; within one part nothing lies between frames."""
    parts = w.get(w["seg"].instance + "/frames/1,3", OCTETS).must(200).one_or_more_parts()
    wanted = [SEGMENT_FRAMES[0], SEGMENT_FRAMES[2]]
    found = [_bits(part.body)[:15] for part in parts] if len(parts) > 1 else [_bits(parts[0].body)[:30]]
    expect(found in (wanted, ["".join(wanted)]), f"bits {found} came instead of {wanted}")


@check("N12.4", "one part for each compressed frame", "8.7.3.3, 8.7.3.3.2", Level.OPTIONAL, ["rlemf"])
def compressed_frames(w: World) -> None:
    answer = w.get(w["rlemf"].instance + "/frames/1,2,3", 'multipart/related; type="image/dicom-rle"')
    parts = w.offered(answer, "image/dicom-rle", (400,)).must(200).parts()
    expect(len(parts) == MULTI_FRAMES, f"{len(parts)} parts, not {MULTI_FRAMES}")
    expect(all(part.body in w["rlemf"].pixels for part in parts), "a frame's bytes are not those stored")


@check("N12.5", "frames of a compressed multi-frame object decode one by one", "8.7.3.4", needs=["rlemf"])
def decoded_frame(w: World) -> None:
    wanted = [(ramp() // (n + 1)).astype("u1").tobytes() for n in range(MULTI_FRAMES)]
    expect(_frames(w, "rlemf", "2") == wanted[1], "frame 2 is not what was stored")
    expect(_frames(w, "rlemf", "3,1") == wanted[2] + wanted[0], "frames 3 and 1 are not what was stored")


@check("N12.6", "instance as octet-stream is its bulk data", "10.4.4, Note 2", needs=["ct1"])
def instance_octets(w: World) -> None:
    """Table 10.4.4-1 requires the type, and its Note 2 says that it means the bulk data."""
    parts = w.get(w["ct1"].instance, OCTETS).must(200).parts()
    expect(any(part.body == w["ct1"].pixels for part in parts), "no part is the Pixel Data")


@check(
    "N13.1",
    "a deflated object with Accept-Encoding: deflate can be read",
    "8.7.3.3.2, Note 1",
    needs=["deflated"],
)
def content_encoding(w: World) -> None:
    answer = w.get(w["deflated"].instance, DICOM, Accept_Encoding="deflate").must(200)
    expect(answer.datasets()[0].SOPInstanceUID == w["deflated"].uid, "another instance came")


@check("N13.2", "no Content-Encoding where none was accepted", "8.4.2, RFC 7231 5.3.4", needs=["deflated"])
def no_content_encoding(w: World) -> None:
    answer = w.get(w["deflated"].instance, DICOM, Accept_Encoding="identity").must(200)
    expect(
        "content-encoding" not in answer.headers, f"Content-Encoding {answer.headers.get('content-encoding')}"
    )


@check("N13.3", "gzip on metadata", "8.4.1 (Accept-Encoding)", Level.EXTENSION, ["ct1", "ct2", "ct3"])
def gzip_metadata(w: World) -> None:
    path = w["ct1"].study + "/metadata"
    answer = w.get(path, "application/dicom+json", Accept_Encoding="gzip").must(200)
    plain = w.metadata(w["ct1"].study)
    expect(answer.items() == plain, "the gzip answer says something else")
    if "content-encoding" in answer.headers:
        expect(
            "accept-encoding" in answer.headers.get("vary", "").lower(), "Vary does not name Accept-Encoding"
        )
    else:
        w.offered(_absent(answer), "gzip")


def _absent(answer: Answer) -> Answer:
    return Answer(answer.request, answer.url, 501, answer.headers, b"")
