"""Rendered instances: parameters and types, R3 and R4 (PS3.18 8.3.5, 8.7.4, 10.4.1.1.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conformance import pictures
from conformance.collection import MULTI_FRAMES
from conformance.objects import COLUMNS, ROWS
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World

MANY_JPEG = 'multipart/related; type="image/jpeg"'
Levels = NDArray[np.float64]


def path_of(w: World, query: str = "", name: str = "ct1") -> str:
    return f"{w[name].instance}/rendered{query}"


@check("R3.1", "without viewport: as many pixels as the source", "8.3.5.1.3", needs=["ct1"])
def full_size(w: World) -> None:
    size = w.jpeg(path_of(w))
    expect(
        (size.width, size.height) == (COLUMNS, ROWS), f"{size.width} x {size.height}, not {COLUMNS} x {ROWS}"
    )


SIZES = {
    2: ("scales down, keeping the aspect", "16,16", (16, 12)),
    3: ("scales up, keeping the aspect", "64,200", (64, 48)),
    4: ("crops", "16,24,8,0,16,24", (16, 24)),
    5: ("crops with values left out", "12,12,,,12,12", (12, 12)),
}


def _viewport(number: int, title: str, value: str, expected: tuple[int, int]) -> None:
    @check(f"R3.{number}", f"viewport {title}", "8.3.5.1.3", needs=["ct1"])
    def run(w: World) -> None:
        """The picture is as large as the content, or as the viewport with margins: vw and vh can be read either way."""
        size = w.jpeg(path_of(w, f"?viewport={value}"))
        found = (size.width, size.height)
        if found != expected:
            expect(found == tuple(int(n) for n in value.split(",")[:2]), f"{found} pixels, not {expected}")
            picture = w.png(path_of(w, f"?viewport={value}"))
            expect(
                np.ptp(picture[0]) == 0 and np.ptp(picture[-1]) == 0,
                "the content is distorted",
            )


for _number, (_title, _value, _expected) in SIZES.items():
    _viewport(_number, _title, _value, _expected)


def level_at(picture: Levels, column: int, row: int = -2) -> float:
    return float(picture[row, column])


@check("R3.6", "viewport crops the region asked for", "8.3.5.1.3", needs=["ct1"])
def crop_region(w: World) -> None:
    whole = w.png(path_of(w, "?window=128,256,linear"))
    piece = w.png(path_of(w, "?viewport=8,8,24,16,8,8&window=128,256,linear"))
    expect(piece.shape == (8, 8), f"{piece.shape[1]} x {piece.shape[0]}, not 8 x 8")
    wanted = whole[16:24, 24:32]
    expect(
        abs(float(piece.mean() - wanted.mean())) < 12,
        "the region's levels are not those of the right lower corner",
    )


@check("R3.7", "negative width flips from left to right", "8.3.5.1.3", needs=["ct1"])
def flip_horizontally(w: World) -> None:
    picture = w.png(path_of(w, f"?viewport={COLUMNS},{ROWS},0,0,-{COLUMNS},{ROWS}"))
    expect(level_at(picture, 1) > level_at(picture, -2) + 100, "the left side is not the bright one")


@check("R3.8", "negative height flips from top to bottom", "8.3.5.1.3", needs=["ct1"])
def flip_vertically(w: World) -> None:
    picture = w.png(path_of(w, f"?viewport={COLUMNS},{ROWS},0,0,{COLUMNS},-{ROWS}"))
    expect(level_at(picture, -2, 1) > level_at(picture, -2, -2) + 60, "the lower part is not the dark one")


@check("R3.9", "without parameters: ramp from dark to bright, upper part darker", "8.3.5.1", needs=["ct1"])
def upright(w: World) -> None:
    picture = w.png(path_of(w))
    expect(level_at(picture, -2) > level_at(picture, 1) + 100, "the right side is not the bright one")
    expect(level_at(picture, -2, -2) > level_at(picture, -2, 1) + 60, "the upper part is not the dark one")


@check("R3.10", "window linear", "8.3.5.1.4, PS3.3 C.11.2.1.2.1", needs=["ct1"])
def window_linear(w: World) -> None:
    """Only what holds in any output space: all dark below the window, all bright above it."""
    picture = w.png(path_of(w, "?window=64,2,linear"))
    expect(
        level_at(picture, 2) < 16 and level_at(picture, 20) > 239,
        "a window of width 2 does not split dark from bright",
    )


@check("R3.11", "window linear-exact", "8.3.5.1.4, PS3.3 C.11.2.1.3.2", needs=["ct1"])
def window_exact(w: World) -> None:
    picture = w.png(path_of(w, "?window=60,8,linear-exact"))
    expect(
        level_at(picture, 2) < 16 and level_at(picture, 20) > 239,
        "a window of width 8 does not split dark from bright",
    )


@check("R3.12", "window sigmoid", "8.3.5.1.4, PS3.3 C.11.2.1.3.1", needs=["ct1"])
def window_sigmoid(w: World) -> None:
    """At the ends of the window linear has reached black and white, sigmoid 12 and 88 percent."""
    linear, sigmoid = (w.png(path_of(w, f"?window=128,160,{shape}")) for shape in ("linear", "sigmoid"))
    expect(level_at(linear, 27) > 247, "linear is not bright at the end of the window")
    expect(level_at(sigmoid, 27) < 243, "sigmoid is as bright as linear at the end of the window")
    expect(level_at(sigmoid, 4) > 10, "sigmoid is as dark as linear at the start of the window")


@check("R3.13", "quality changes the size of a JPEG", "8.3.5.1.2", needs=["ct1"])
def quality(w: World) -> None:
    """What quality means is the server's own, and it may be disregarded: only a larger file for less is wrong."""
    worst, best = (len(w.get(path_of(w, f"?quality={n}"), "image/jpeg").must(200).body) for n in (1, 100))
    expect(worst <= best, f"{worst} bytes for quality 1, {best} for 100")


INVALID = {
    14: ("quality=0", "quality=0", "8.3.5.1.2"),
    15: ("quality=101", "quality=101", "8.3.5.1.2"),
    16: ("quality that is no number", "quality=high", "8.3.5.1.2"),
    17: ("window of two values", "window=40,400", "8.3.5.1.4"),
    18: ("window of an unknown function", "window=40,400,cubic", "8.3.5.1.4"),
    19: ("window that is no number", "window=a,b,linear", "8.3.5.1.4"),
    20: ("viewport of one value", "viewport=100", "8.3.5.1.3"),
    21: ("viewport of zero", "viewport=0,0", "8.3.5.1.3"),
    22: ("viewport that is no number", "viewport=a,b", "8.3.5.1.3"),
    23: ("annotation without a value", "annotation=", "8.3.5.1.1"),
}


def _invalid(number: int, title: str, query: str, clause: str) -> None:
    @check(f"R3.{number}", f"{title}: 400", f"{clause}, Table 10.4.1-5", needs=["ct1"])
    def run(w: World) -> None:
        """Table 10.4.1-5 makes the four parameters mandatory for the server; the clause of each names 400 for values
        that are missing or ill formed."""
        w.get(path_of(w, f"?{query}"), "image/jpeg").must(400)


for _number, (_title, _query, _clause) in INVALID.items():
    _invalid(_number, _title, _query, _clause)


@check(
    "R3.24", "annotation=patient,technique is burned in, or the Warning says not", "8.3.5.1.1", needs=["ct1"]
)
def annotation(w: World) -> None:
    """The exact form is the server's own, so the pixels must only differ from those without annotation."""
    large = "viewport=512,384"
    answer = w.get(path_of(w, f"?annotation=patient,technique&{large}"), "image/png").must(200, 406)
    if answer.status == 406:
        raise Skipped("the server does not render image/png, which R4.2 says already")
    if "The following annotation values are not supported" not in answer.warnings:
        plain = w.get(path_of(w, f"?{large}"), "image/png").must(200)
        expect(plain.body != answer.body, "the image is the one without annotation, and no Warning says so")


@check("R3.25", "an unknown annotation: the Warning, in its words", "8.3.5.1.1", needs=["ct1"])
def unknown_annotation(w: World) -> None:
    """The clause asks for 400 as well where a value is no keyword; `nothing` is a keyword that nobody supports."""
    answer = w.get(path_of(w, "?annotation=nothing"), "image/jpeg").must(200, 400)
    if answer.status == 200:
        expect(
            "The following annotation values are not supported" in answer.warnings,
            f"Warning: {answer.warnings}",
        )


@check("R3.26", "iccprofile", "8.3.5.1.5 (optional)", Level.OPTIONAL, ["rgb"])
def icc_profile(w: World) -> None:
    answer = w.get(path_of(w, "?iccprofile=srgb", "rgb"), "image/jpeg").must(200, 400)
    if answer.status == 400 or b"ICC_PROFILE" not in answer.body:
        raise Skipped("iccprofile is not supported")
    without = w.get(path_of(w, "?iccprofile=no", "rgb"), "image/jpeg").must(200)
    expect(b"ICC_PROFILE" not in without.body, "iccprofile=no has a profile")


@check("R3.27", "iccprofile where the type cannot hold one: 400", "8.3.5.1.5", Level.OPTIONAL, ["rgb"])
def icc_in_gif(w: World) -> None:
    supported = w.get(path_of(w, "?iccprofile=srgb", "rgb"), "image/jpeg")
    if supported.status != 200 or b"ICC_PROFILE" not in supported.body:
        raise Skipped("iccprofile is not supported")
    answer = w.get(path_of(w, "?iccprofile=srgb", "rgb"), "image/gif")
    w.offered(answer, "image/gif").must(400)


@check("R4.1", "a single frame as baseline JPEG", "Table 8.7.4-1", needs=["ct1"])
def as_jpeg(w: World) -> None:
    process = w.jpeg(path_of(w)).process
    expect(process == pictures.BASELINE, f"SOF marker {process:02X}, not the baseline's C0")


@check("R4.2", "a single frame as PNG", "Table 8.7.4-1 (required)", needs=["ct1"])
def as_png(w: World) -> None:
    picture = pictures.png_pixels(w.get(path_of(w), "image/png").must(200).must_be("image/png").body)
    expect(picture.shape == (ROWS, COLUMNS), f"{picture.shape[1]} x {picture.shape[0]}")


@check("R4.3", "a single frame as GIF", "Table 8.7.4-1 (required)", needs=["ct1"])
def as_gif(w: World) -> None:
    """Table 8.7.4-1 marks it R for RESTful services."""
    size = pictures.gif_size(w.get(path_of(w), "image/gif").must(200).must_be("image/gif").body)
    expect((size.width, size.height) == (COLUMNS, ROWS), f"{size.width} x {size.height}")


def _encoded(number: int, name: str) -> None:
    @check(f"R4.{number}", f"the {name} object is rendered", "10.4.3.3.3, 8.7.4", needs=[name])
    def run(w: World) -> None:
        size = w.jpeg(path_of(w, "", name))
        expect((size.width, size.height) == (COLUMNS, ROWS), f"{size.width} x {size.height}")


for _number, _name in enumerate(("implicit", "big", "deflated", "rle", "lossless", "lossy", "rgb"), 4):
    _encoded(_number, _name)


@check("R4.11", "a frame of a multi-frame image", "10.4.1.1.3", needs=["mf"])
def one_frame(w: World) -> None:
    size = w.jpeg(w["mf"].instance + "/frames/2/rendered")
    expect((size.width, size.height) == (10, 6), f"{size.width} x {size.height}")


@check("R4.12", "a list of frames as multipart", "10.4.4, 10.4.1.1.3", needs=["mf"])
def frames(w: World) -> None:
    """Table 10.4.4-1 calls multipart optional, yet nothing else can hold several rendered frames (8.6.1.2)."""
    parts = w.get(w["mf"].instance + "/frames/1,3/rendered", MANY_JPEG).must(200).parts()
    expect(len(parts) == 2, f"{len(parts)} parts")
    for part in parts:
        pictures.jpeg_size(part.body)


TEXTS = {13: ("text/html", "default"), 14: ("text/plain", "required"), 15: ("text/xml", "required")}


def _text(number: int, kind: str, need: str) -> None:
    @check(f"R4.{number}", f"a report as {kind}", f"Table 8.7.4-1 ({need})", needs=["sr"])
    def run(w: World) -> None:
        """Table 8.7.4-1 marks it D or R for the category Text, to which 8.7.2 counts structured reports."""
        answer = w.get(path_of(w, "", "sr"), f"{kind}; charset=utf-8").must(200).must_be(kind)
        said = answer.body.decode("utf-8", "replace")
        expect("kingfisher" in said and "Grün" in said, "the report's text is not in it")


for _number, (_kind, _need) in TEXTS.items():
    _text(_number, _kind, _need)


@check("R4.16", "text/* gives a text", "8.7.7", needs=["sr"])
def any_text(w: World) -> None:
    """8.7.7 takes text/* as its example of a range that matches text/html."""
    if all(w.get(path_of(w, "", "sr"), kind).status != 200 for kind, _ in TEXTS.values()):
        raise Skipped("the report is rendered as no text, which R4.13 says already")
    answer = w.get(path_of(w, "", "sr"), "text/*").must(200)
    expect(answer.media_type.name.startswith("text/"), f"{answer.media_type.name} came")


@check("R4.17", "an encapsulated PDF as application/pdf", "Table 8.7.4-1 (optional)", Level.OPTIONAL, ["pdf"])
def as_pdf(w: World) -> None:
    answer = w.get(path_of(w, "", "pdf"), "application/pdf")
    w.offered(answer, "application/pdf", (400,)).must(200).must_be("application/pdf")
    expect(answer.body.startswith(b"%PDF"), "no PDF")


@check("R4.18", "a multi-frame image as an animated GIF", "Table 8.7.4-1 (optional)", Level.OPTIONAL, ["mf"])
def animated(w: World) -> None:
    answer = w.get(path_of(w, "", "mf"), "image/gif")
    w.offered(answer, "image/gif of several frames", (400,)).must(200).must_be("image/gif")
    count = answer.body.count(b"\x00\x2c") + answer.body.count(b"\x00;\x2c")
    expect(
        count >= MULTI_FRAMES - 1 or answer.body.count(b"\x21\xf9\x04") >= MULTI_FRAMES, "one picture only"
    )


@check("R4.19", "text of a report is escaped in HTML", "8.7.4 (text/html)", needs=["sr"])
def escaped(w: World) -> None:
    answer = w.get(path_of(w, "", "sr"), "text/html")
    if answer.status != 200:
        raise Skipped("no text/html, which R4.13 says already")
    expect(
        "<übel>" not in answer.body.decode("utf-8", "replace"),
        "angle brackets of the text are not escaped",
    )


@check("R4.20", "a rendered answer names what it shows", "8.6.1.2, 8.4.2", Level.OPTIONAL, ["ct1"])
def content_location(w: World) -> None:
    expect(w.get(path_of(w), "image/jpeg").must(200).headers.get("content-location"), "no Content-Location")
