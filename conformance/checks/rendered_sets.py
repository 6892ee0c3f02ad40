"""Rendered studies, series and presentation states, thumbnails, volumes: R5 to R7 (PS3.18 8.3.5.1.6, 10.4.1.1)."""

from __future__ import annotations

from conformance import pictures
from conformance.checks.rendered import MANY_JPEG, level_at, path_of
from conformance.client import Answer
from conformance.objects import COLUMNS, ROWS
from conformance.registry import check
from conformance.verdicts import Failed, Level, Skipped, expect
from conformance.world import World

CT_STUDY = ("ct1", "ct2", "ct3", "mr1")


def _rendered_many(number: int, title: str, path: str, count: int) -> None:
    @check(f"R5.{number}", f"a rendered {title}: every instance", "10.4.1.1.3, 10.4.3.3.3", needs=CT_STUDY)
    def run(w: World) -> None:
        """Table 10.3-2 makes it mandatory, 10.4.3.3.3 asks for all instances, and only multipart can hold them."""
        parts = w.get(path.format(ct=w["ct1"]), MANY_JPEG).must(200).must_be("multipart/related").parts()
        expect(len(parts) == count, f"{len(parts)} parts, not {count}")
        for part in parts:
            pictures.jpeg_size(part.body)


_rendered_many(1, "study", "{ct.study}/rendered", 4)
_rendered_many(2, "series", "{ct.series}/rendered", 3)


@check("R5.3", "*/* on a rendered study gives every instance", "10.4.3.3.3, 8.7.8.1", needs=CT_STUDY)
def rendered_any(w: World) -> None:
    """10.4.3.3.3 asks for all instances, of which a single part holds one; Note 3 of 10.4.4 says so too."""
    answer = w.get(w["ct1"].study + "/rendered", "*/*").must(200)
    expect(len(answer.must_be("multipart/related").parts()) == 4, "not four parts")


@check("R5.4", "a presentation state renders what it refers to", "8.3.5.1.6", Level.OPTIONAL, ["pr", "shown"])
def presentation(w: World) -> None:
    """Table 8.7.4-1 has no category of presentation states, and 10.4.5 leaves to the server for which images it renders
    them. A state may refer to many images, so the answer may be multipart or, as here is one image, a single part."""
    answer = w.offered(_state(w), "the rendering of presentation states", (400,))
    parts = answer.must(200).one_or_more_parts()
    expect(len(parts) == 1, f"{len(parts)} images for the one that is referred to")
    size = pictures.jpeg_size(parts[0].body)
    expect((size.width, size.height) == (COLUMNS, ROWS), f"{size.width} x {size.height}")


def _state(w: World, kind: str = "image/jpeg", query: str = "") -> Answer:
    path = path_of(w, query, "pr")
    answer = w.get(path, f'multipart/related; type="{kind}"')
    return answer if answer.status == 200 else w.get(path, kind)


@check(
    "R5.5",
    "a presentation state inverts the image",
    "8.3.5.1.6, PS3.3 C.11.6",
    Level.OPTIONAL,
    ["pr", "shown"],
)
def inverted(w: World) -> None:
    answer = _state(w, "image/png")
    if answer.status != 200:
        raise Skipped("the state is not rendered, which R5.4 says already")
    part = answer.one_or_more_parts()[0]
    if part.media_type.name != "image/png":
        raise Skipped("the server does not render the state as image/png")
    picture = pictures.png_pixels(part.body)
    expect(level_at(picture, 1) > level_at(picture, -2) + 100, "the left side is not the bright one")


@check("R5.6", "window on a presentation state: 400", "8.3.5.1.4, 8.3.5.1.6", needs=["pr", "shown"])
def window_on_state(w: World) -> None:
    for kind in (MANY_JPEG, "image/jpeg"):
        answer = w.get(path_of(w, "?window=40,400,linear", "pr"), kind)
        if answer.status != 406:
            answer.must(400)
            return
    raise Failed("neither type is accepted: 406 both times")


THUMBNAILS = {
    1: ("a study", "{ct.study}/thumbnail"),
    2: ("a series", "{ct.series}/thumbnail"),
    3: ("an instance", "{ct.instance}/thumbnail"),
    4: ("a frame", "{ct.instance}/frames/1/thumbnail"),
}


def _followed(w: World, path: str) -> Answer:
    answer = w.get(path, "image/jpeg")
    for _ in range(3):
        if answer.status not in (301, 302, 303, 307, 308):
            break
        answer = w.get(answer.resolve(answer.headers.get("location", "")), "image/jpeg")
    return answer


def _has_thumbnails(w: World) -> bool:
    paths = [path.format(ct=w["ct1"]) for _, path in THUMBNAILS.values()]
    return bool(w.once("thumbnails", lambda: any(_followed(w, path).status == 200 for path in paths)))


def _thumbnail(number: int, title: str, path: str) -> None:
    @check(f"R6.{number}", f"thumbnail of {title}", "10.4.1.1.4, 10.4.3.3.4", Level.OPTIONAL, ["ct1"])
    def run(w: World) -> None:
        """Table 10.3-2 makes each level optional by itself."""
        answer = w.offered(_followed(w, path.format(ct=w["ct1"])), f"a thumbnail of {title}", (400,))
        answer.must(200).must_be("image/jpeg")
        pictures.jpeg_size(answer.body)


for _number, (_title, _path) in THUMBNAILS.items():
    _thumbnail(_number, _title, _path)


@check("R6.5", "viewport of a thumbnail", "8.3.5.2", Level.OPTIONAL, ["ct1"])
def thumbnail_viewport(w: World) -> None:
    if not _has_thumbnails(w):
        raise Skipped("the server has no thumbnails")
    answer = _followed(w, w["ct1"].instance + "/thumbnail?viewport=16,16").must(200)
    size = pictures.jpeg_size(answer.body)
    expect(size.width <= 16 and size.height <= 16, f"{size.width} x {size.height}")


@check(
    "R6.6",
    "a thumbnail of a report is one picture without the patient's name",
    "10.4.3.3.4",
    Level.OPTIONAL,
    ["sr", "ct1"],
)
def thumbnail_of_report(w: World) -> None:
    if not _has_thumbnails(w):
        raise Skipped("the server has no thumbnails")
    answer = w.offered(_followed(w, w["sr"].instance + "/thumbnail"), "a thumbnail of a report", (400,)).must(
        200
    )
    expect(b"Plover" not in answer.body, "the patient's name is in it")


def _volume(number: int, resource: str, query: str) -> None:
    @check(
        f"R7.{number}",
        f"{resource} of a series",
        "10.4.1.1.7, 10.4.1.1.8 (optional)",
        Level.OPTIONAL,
        CT_STUDY,
    )
    def run(w: World) -> None:
        answer = w.get(f"{w['ct1'].series}/{resource}{query}", "image/jpeg")
        pictures.jpeg_size(w.offered(answer, resource).must(200).one_or_more_parts()[0].body)


_volume(1, "renderedmpr", "?renderingmethod=average_ip")
_volume(2, "rendered3d", "?renderingmethod=volume_rendered")
