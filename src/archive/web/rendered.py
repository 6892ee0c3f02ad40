"""WADO-RS: pictures and text for people (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5) at every level.

One instance or frame is a body of its own unless the client takes multipart only; a study, a series or several frames
are multipart, however few they are (10.4.4). Instances that cannot be rendered in an acceptable media type are left out
of an answer for many, which says so; in strict mode they make it 406. A frame whose bytes turn out to be broken is a
picture that says so, as the answer has begun by then; where stored bytes are missing, the status says so too (206).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from archive.dicom.errors import CannotRender, InvalidQuery
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Scope, StoredInstance
from archive.dicom.rendering.appearance import Appearance
from archive.dicom.rendering.encapsulated import DOCUMENT_TYPES
from archive.dicom.rendering.rendition import ANIMATION, STILLS, Category, representative_frame
from archive.services.rendering import Rendering, Shown, Subject
from archive.web import incomplete, renditions, targets
from archive.web.frames import frame_numbers
from archive.web.http import conditional, media_types, urls
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.media_types import Offer
from archive.web.http.multipart_body import related
from archive.web.rendering_parameters import NAMES, annotation_values, appearance, thumbnail_viewport
from archive.web.renditions import STORED, Rendition, types_of
from archive.web.wado import found, url_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

REVISION = "1"
"""Part of every entity tag: to be counted up when pictures of the same object change."""

Headers = tuple[tuple[str, str], ...]


def instances(archive: Archive, asked: Asked) -> Answer:
    """Every instance of a study or series. Raises NotFound, NotAcceptable, InvalidQuery, InvalidUID, RequestRefused."""
    wanted = appearance(asked)
    keywords = annotation_values(asked)
    stored = found(archive, asked)
    renditions.check_bounds(len(stored), 0)
    subjects = list(archive.rendering.subjects(stored, keywords))
    chosen, left_out = renditions.chosen(archive, asked, subjects, wanted)
    warnings = _unsupported(asked, keywords, [one.subject for one in chosen])
    if left_out:
        sentence = (
            f"{left_out} of {len(subjects)} instances cannot be had in an acceptable media type: left out"
        )
        warnings += (("Warning", f"299 {asked.base_url}: {sentence}"),)
    damaged = renditions.damaged(archive, chosen)
    parts = itertools.chain.from_iterable(renditions.parts(archive, asked, one, wanted) for one in chosen)
    return incomplete.told(related(chosen[0].media_type, parts, warnings), asked, damaged)


def instance(archive: Archive, asked: Asked) -> Answer:
    """One instance. Raises NotFound, CannotRender, NotAcceptable, InvalidQuery, InvalidUID, RequestRefused."""
    wanted = appearance(asked)
    subject = _subject(archive, asked)
    location = f"{url_of(asked, subject.instance)}/rendered"
    if state := _state(archive, asked, wanted, subject.instance):
        return _frames(archive, asked, subject, [Shown(subject.instance, 1, state)], wanted)
    _check(subject, wanted)
    if subject.category is Category.SINGLE_FRAME:
        return _frames(archive, asked, subject, [Shown(subject.instance, 1)], wanted, location)
    if subject.category is Category.PRESENTATION_STATE:
        shown = archive.rendering.shown_under(subject.instance)
        return _frames(archive, asked, subject, shown, wanted, location)
    return _whole(archive, asked, subject, wanted)


def frames(archive: Archive, asked: Asked) -> Answer:
    """A list of frames. Raises as `instance`."""
    numbers = frame_numbers(asked.path["frames"])
    wanted = appearance(asked)
    subject = _subject(archive, asked)
    if subject.category is Category.PRESENTATION_STATE:
        raise InvalidQuery(
            "a presentation state has no frames: ask for it without /frames (PS3.18 8.3.5.1.6)"
        )
    if subject.category is Category.VIDEO:
        raise CannotRender(
            f"frames of a video are not available here; the video is, as {subject.document_type}"
        )
    archive.retrieve.frames_of(subject.instance, numbers).frames.close()
    state = _state(archive, asked, wanted, subject.instance)
    shown = [Shown(subject.instance, number, state) for number in numbers]
    return _frames(archive, asked, subject, shown, wanted)


def thumbnail(archive: Archive, asked: Asked) -> Answer:
    """One small picture of a study, series, instance or frame. Raises NotFound, NotAcceptable, InvalidQuery,
    InvalidUID."""
    viewport = thumbnail_viewport(asked)
    stored = found(archive, asked)
    offers = [Offer(name, multipart) for name in STILLS for multipart in (False, True)]
    chosen = media_types.choose(asked.accept, offers)
    numbers = frame_numbers(asked.path["frames"])[:1] if "frames" in asked.path else []
    thumbnails = archive.thumbnails

    def picture() -> Iterator[bytes]:
        if numbers:
            yield thumbnails.of_frame(stored[0], numbers[0], chosen.media_type, viewport)
        else:
            yield thumbnails.of(stored, chosen.media_type, viewport)

    facts = ("thumbnail", str(numbers), *(one.sha256 for one in stored))
    uids = (asked.path[level] for level in ("study", "series", "instance") if level in asked.path)
    frame = f"/frames/{numbers[0]}" if numbers else ""
    location = f"{urls.resource_url(asked.base_url, *uids)}{frame}/thumbnail"
    return _answer(chosen, picture(), _tag(asked, facts), (("Content-Location", location),))


def _subject(archive: Archive, asked: Asked) -> Subject:
    return archive.rendering.subject(targets.one(archive, asked), annotation_values(asked))


def _state(
    archive: Archive, asked: Asked, wanted: Appearance, image: StoredInstance
) -> StoredInstance | None:
    """The presentation state that WADO-URI names beside an image (PS3.18 9.5.1.2.7). Raises NotFound, InvalidQuery,
    CannotRender."""
    uid = asked.path.get("presentation")
    if not uid:
        return None
    if wanted.window is not None:
        raise InvalidQuery(
            "there is no window beside a presentation state, which has its own (PS3.18 8.3.5.1.4)"
        )
    series = asked.path.get("presentation_series", "")
    of_series = (check_uid(series, 0x0020000E),) if series else ()
    state = archive.retrieve.instance(Scope((asked.path["study"],), of_series, (check_uid(uid, 0x00080018),)))
    archive.rendering.check_state(state, image)
    return state


def _check(subject: Subject, wanted: Appearance) -> None:
    """What the target does not take. Raises InvalidQuery."""
    if subject.category is Category.PRESENTATION_STATE:
        if wanted.window is not None:
            raise InvalidQuery("a presentation state has its own window: ask without one (PS3.18 8.3.5.1.4)")
        if wanted.viewport is not None and wanted.viewport.has_region:
            raise InvalidQuery("the viewport of a presentation state is width,height (PS3.18 8.3.5.1.3)")
    if subject.category is Category.VIDEO and (wanted.viewport or wanted.window or wanted.wants_profile):
        raise InvalidQuery("a video goes out as it is stored: ask without viewport, window and iccprofile")


def _frames(
    archive: Archive,
    asked: Asked,
    subject: Subject,
    shown: Sequence[Shown],
    wanted: Appearance,
    location: str = "",
) -> Answer:
    """Frames, each a picture: alone if it is one. Raises as `instance`."""
    renditions.check_bounds(len(shown), renditions.cost(subject, shown, len(shown), wanted))
    alone = len(shown) == 1
    kinds = (False, True) if alone else (True,)
    chosen = media_types.choose(asked.accept, [Offer(name, kind) for name in STILLS for kind in kinds])
    wanted.check_media_type(chosen.media_type)
    warnings = _unsupported(asked, annotation_values(asked), [subject])
    if not alone:
        parts = renditions.pictures(archive, asked, shown, chosen.media_type, wanted, first_must=True)
        return related(chosen.media_type, parts, warnings)
    one = shown[0]
    location = location or f"{url_of(asked, one.instance)}/frames/{one.frame}/rendered"
    picture = _one(archive.rendering, one, chosen.media_type, wanted, subject)
    facts = (one.instance.sha256, str(one.frame), one.under.sha256 if one.under else "")
    return _answer(chosen, picture, _tag(asked, facts), (("Content-Location", location), *warnings))


def _one(
    rendering: Rendering, shown: Shown, media_type: str, wanted: Appearance, known: Subject
) -> Iterator[bytes]:
    yield rendering.picture(shown, media_type, wanted, known)


def _whole(archive: Archive, asked: Asked, subject: Subject, wanted: Appearance) -> Answer:
    """A multi-frame image, video, report or document, in one piece or in parts."""
    types = types_of(subject, wanted)
    if not types:
        raise CannotRender(
            subject.refused
            or f"this object ({subject.category.value}) cannot be rendered: retrieve it as stored"
        )
    chosen = media_types.choose(asked.accept, [Offer(name, kind) for name in types for kind in (False, True)])
    if subject.category is Category.MULTI_FRAME:
        wanted.check_media_type(chosen.media_type)
    warnings = _unsupported(asked, annotation_values(asked), [subject])
    rendition = Rendition(subject, chosen.media_type)
    if chosen.multipart:
        count = renditions.number_of_pictures(rendition)
        renditions.check_bounds(count, renditions.cost(subject, (), count, wanted))
        return related(
            chosen.media_type, renditions.parts(archive, asked, rendition, wanted, first_must=True), warnings
        )
    headers = (("Content-Location", f"{url_of(asked, subject.instance)}/rendered"), *warnings)
    etag = _tag(asked, (subject.instance.sha256,))
    if subject.category in STORED:
        return _stored(archive, subject, etag, headers)
    if subject.category is Category.REPORT:
        text = (piece.encode() for piece in archive.rendering.report(subject.instance, chosen.media_type))
        return Answer(200, f"{chosen.media_type}; charset=utf-8", text, headers, etag=etag)
    if chosen.media_type == ANIMATION:
        return _answer(chosen, archive.rendering.animation(subject, wanted, first_must=True), etag, headers)
    frame = representative_frame(archive.rendering.metadata(subject.instance), subject.number_of_frames)
    picture = _one(archive.rendering, Shown(subject.instance, frame), chosen.media_type, wanted, subject)
    return _answer(chosen, picture, etag, headers)


def _stored(archive: Archive, subject: Subject, etag: str, headers: Headers) -> Answer:
    whole = renditions.stored(archive, subject)
    if subject.category is Category.DOCUMENT:
        headers = (*headers, _as_a_file(subject))
    return Answer(200, subject.document_type, Sliced(whole.length, whole.read), headers, whole.length, etag)


def _as_a_file(subject: Subject) -> tuple[str, str]:
    """A document is a stranger's: a browser saves it and opens none of it in our name."""
    name = f"{subject.instance.SOPInstanceUID}.{DOCUMENT_TYPES[subject.document_type]}"
    return ("Content-Disposition", f'attachment; filename="{name}"')


def _answer(chosen: Offer, pieces: Iterator[bytes], etag: str, headers: Headers) -> Answer:
    """One picture, alone or as the only part of a multipart answer."""
    if not chosen.multipart:
        return Answer(200, chosen.media_type, pieces, headers, etag=etag)
    location = dict(headers)["Content-Location"]
    others = tuple(header for header in headers if header[0] != "Content-Location")
    parts = (renditions.measured(chosen.media_type, part, location) for part in (pieces,))
    return related(chosen.media_type, parts, others)


def _tag(asked: Asked, facts: Iterable[str]) -> str:
    parameters = (f"{name}={asked.parameter(name)}" for name in NAMES)
    return conditional.tag("rendered", REVISION, *facts, *parameters)


def _unsupported(asked: Asked, keywords: Sequence[str], subjects: Sequence[Subject]) -> Headers:
    """The Warning of 8.3.5.1.1, where one of the annotations is not written on one of the pictures."""
    pictures = [one for one in subjects if one.category not in (Category.REPORT, Category.DOCUMENT)]
    written = [set() if one.category is Category.VIDEO else set(one.annotations) for one in pictures]
    missing = [keyword for keyword in keywords if any(keyword not in one for one in written)]
    if not missing:
        return ()
    sentence = f"The following annotation values are not supported: {','.join(missing)}"
    return (("Warning", f"299 {asked.base_url}: {sentence}"),)
