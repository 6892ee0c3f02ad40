"""What can be sent for the instances that a request means: media types, and parts made one at a time.

Which instance goes out as what is decided before the first byte (PS3.18 8.7.8.1: for each part by itself), so that
what cannot be rendered at all is known while there is still a status to give.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archive.dicom.errors import CannotRender, NotAcceptable, NotFound
from archive.dicom.instance import StoredInstance
from archive.dicom.rendering.appearance import Appearance
from archive.dicom.rendering.rendition import ANIMATION, MEDIA_TYPES, Category
from archive.dicom.rendering.viewport import MOST_PIXELS
from archive.services.readable import Readable
from archive.services.rendering import Shown, Subject
from archive.web.http import charset, media_types
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Asked
from archive.web.http.media_types import Offer
from archive.web.http.multipart_body import Part
from archive.web.wado import url_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MAXIMUM_PICTURES = 10_000
"""Of one answer; and samples of all of its frames together, as each costs a decoder's time."""
MAXIMUM_SAMPLES = 1 << 33
MAXIMUM_ANIMATED_FRAMES = 1_000
MAXIMUM_ANIMATED_SAMPLES = 1 << 29

_HELD = 64 << 20

STORED = (Category.VIDEO, Category.DOCUMENT)
"""Go out as they are stored."""
_OF_METADATA = (Category.REPORT, Category.PRESENTATION_STATE)
"""What is shown of them is in the index, or in other instances."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """One instance on its way out as `media_type`; `shown` are the frames of a presentation state."""

    subject: Subject
    media_type: str
    shown: tuple[Shown, ...] = ()


def types_of(subject: Subject, appearance: Appearance) -> tuple[str, ...]:
    """The media types in which an instance can be had, the default first; nothing when it cannot be rendered."""
    if subject.category in STORED:
        return (subject.document_type,) if subject.document_type else ()
    types = () if subject.refused else MEDIA_TYPES[subject.category]
    if not types or subject.category is not Category.MULTI_FRAME:
        return types
    stills = tuple(name for name in types if name != ANIMATION)
    if not _is_short(subject, appearance):
        return stills
    return (*stills, ANIMATION) if appearance.wants_profile else (ANIMATION, *stills)


def _is_short(subject: Subject, appearance: Appearance) -> bool:
    """Whether it may become an animation."""
    viewport = appearance.viewport
    samples = max(subject.samples, viewport.width * viewport.height if viewport else 0)
    frames = subject.number_of_frames
    return frames <= MAXIMUM_ANIMATED_FRAMES and frames * samples <= MAXIMUM_ANIMATED_SAMPLES


class Chooser:
    """Chooses among media types as often as there are instances, and decides only once for the same types."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._chosen: dict[tuple[str, ...], str] = {}
        self._offered: dict[str, None] = {}

    def choose(self, types: tuple[str, ...]) -> str:
        """The media type for parts of a multipart answer; empty when none is acceptable. Raises in strict mode."""
        if types not in self._chosen:
            self._offered |= dict.fromkeys(types)
            try:
                offers = [Offer(name, multipart=True) for name in types]
                self._chosen[types] = (
                    media_types.choose(self._asked.accept, offers).media_type if types else ""
                )
            except NotAcceptable:
                if self._asked.strict:
                    raise
                self._chosen[types] = ""
        return self._chosen[types]

    def refuse(self) -> None:
        """Raises NotAcceptable, which says what there is."""
        offers = [Offer(name, multipart=True) for name in self._offered]
        if not offers:
            raise NotAcceptable("nothing here can be rendered: retrieve it as application/dicom")
        media_types.choose(self._asked.accept, offers)
        raise AssertionError("what no part could be, the answer cannot be")


def chosen(
    archive: Archive, asked: Asked, subjects: Iterable[Subject], appearance: Appearance
) -> tuple[list[Rendition], int]:
    """What goes out, and how many instances do not, because they cannot be rendered in an acceptable media type.
    Raises NotAcceptable when none can, InvalidQuery, RequestRefused (413) when they are too many."""
    chooser = Chooser(asked)
    found: list[Rendition] = []
    left_out = pictures = samples = 0
    for subject in subjects:
        rendition = _rendition(archive, subject, chooser.choose(types_of(subject, appearance)))
        if rendition is None:
            left_out += 1
            continue
        if subject.category not in (*STORED, Category.REPORT):
            appearance.check_media_type(rendition.media_type)
        found.append(rendition)
        pictures += number_of_pictures(rendition)
        samples += cost(subject, rendition.shown, subject.number_of_frames, appearance)
        check_bounds(pictures, samples)
    if not found:
        chooser.refuse()
    return found, left_out


def damaged(archive: Archive, found: Sequence[Rendition]) -> list[StoredInstance]:
    """Instances that need bytes which are not there. Raises NotFound when all do."""
    instances = [one.subject.instance for one in found if one.subject.category not in _OF_METADATA]
    lost = archive.retrieve.damaged(instances)
    named = [one for one in instances if one in lost]
    if named and len(named) == len(found):
        archive.retrieve.open(named[0]).close()
    return named


def cost(subject: Subject, shown: Sequence[Shown], pictures: int, appearance: Appearance) -> int:
    """Samples of all of the pictures, as they are stored or as they are sent, whichever are more. Under a presentation
    state no picture is larger than `MOST_PIXELS`, however much it magnifies."""
    viewport = appearance.viewport
    sent = viewport.width * viewport.height if viewport else 0
    if subject.category is Category.PRESENTATION_STATE:
        return sum(max(sent, min(one.samples, MOST_PIXELS)) for one in shown)
    return pictures * max(subject.samples, sent)


def check_bounds(pictures: int, samples: int) -> None:
    """Raises RequestRefused (413)."""
    if pictures > MAXIMUM_PICTURES or samples > MAXIMUM_SAMPLES:
        raise RequestRefused(
            f"these are more than {MAXIMUM_PICTURES} pictures or {MAXIMUM_SAMPLES} samples: "
            "ask for a smaller viewport, or for series, instances or frames one after the other",
            status=413,
        )


def _rendition(archive: Archive, subject: Subject, media_type: str) -> Rendition | None:
    """None when there is nothing to be had: no media type, or no image that a presentation state is for."""
    if not media_type:
        return None
    if subject.category is not Category.PRESENTATION_STATE:
        return Rendition(subject, media_type)
    try:
        return Rendition(subject, media_type, tuple(archive.rendering.shown_under(subject.instance)))
    except (CannotRender, NotFound):
        return None


def number_of_pictures(rendition: Rendition) -> int:
    """How many parts it makes."""
    if rendition.subject.category is Category.MULTI_FRAME and rendition.media_type != ANIMATION:
        return rendition.subject.number_of_frames
    return max(1, len(rendition.shown))


def parts(
    archive: Archive, asked: Asked, rendition: Rendition, appearance: Appearance, *, first_must: bool = False
) -> Iterator[Part]:
    """The parts of one instance, each made when its turn has come. With `first_must` the first raises what keeps it
    from being made; else it says so."""
    images = (Category.SINGLE_FRAME, Category.MULTI_FRAME)
    if rendition.subject.category in images and rendition.media_type != ANIMATION:
        yield from _stills(archive, asked, rendition, appearance, first_must)
    elif rendition.shown:
        yield from _under(archive, asked, rendition, appearance)
    else:
        yield _alone(archive, asked, rendition, appearance, first_must)


def _alone(archive: Archive, asked: Asked, rendition: Rendition, appearance: Appearance, must: bool) -> Part:
    """A part that is all of its instance; a sentence in place of one that has gone or is damaged."""
    location = f"{url_of(asked, rendition.subject.instance)}/rendered"
    try:
        if rendition.subject.category is Category.REPORT:
            return _text(archive, asked, rendition, location)
        if rendition.subject.category in STORED:
            whole = stored(archive, rendition.subject)
            pieces = _begun(whole.read(0, whole.length))
            return Part(rendition.media_type, pieces, location, whole.length)
        made = archive.rendering.animation(rendition.subject, appearance, first_must=must)
        return measured(rendition.media_type, made, location)
    except (NotAcceptable, NotFound) as failure:
        if must:
            raise
        data = f"This instance cannot be shown. {failure.reason}\n".encode()
        return Part("text/plain; charset=UTF-8", (data,), location, len(data))


def _text(archive: Archive, asked: Asked, rendition: Rendition, location: str) -> Part:
    media_type = rendition.media_type
    text = "".join(archive.rendering.report(rendition.subject.instance, media_type))
    name = charset.chosen(asked, media_type, multipart=True)
    data = charset.encoded(text, name, markup=media_type != "text/plain")
    return Part(f"{media_type}; charset={name.name}", (data,), location, len(data))


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same, after the first of them was had. Raises what it raises."""
    first = next(pieces, b"")
    return itertools.chain((first,), pieces)


def measured(media_type: str, pieces: Iterator[bytes], location: str) -> Part:
    """A part with its length, unless it is longer than should be in memory."""
    held: list[bytes] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length > _HELD:
            return Part(media_type, itertools.chain(held, pieces), location)
    return Part(media_type, held, location, length)


def stored(archive: Archive, subject: Subject) -> Readable:
    """A video or a document as it is stored."""
    rendering = archive.rendering
    return rendering.video(subject) if subject.category is Category.VIDEO else rendering.document(subject)


def pictures(
    archive: Archive,
    asked: Asked,
    shown: Sequence[Shown],
    media_type: str,
    appearance: Appearance,
    *,
    first_must: bool = False,
) -> Iterator[Part]:
    """One part for each frame; neighbours of one instance are read together."""
    for _, group in itertools.groupby(shown, key=lambda one: (one.instance.SOPInstanceUID, one.under)):
        frames = list(group)
        url = url_of(asked, frames[0].instance)
        made = archive.rendering.pictures(frames, media_type, appearance, first_must=first_must)
        for one, picture in zip(frames, made, strict=True):
            yield Part(media_type, (picture,), f"{url}/frames/{one.frame}/rendered", len(picture))
        first_must = False


def _stills(
    archive: Archive, asked: Asked, rendition: Rendition, appearance: Appearance, first_must: bool
) -> Iterator[Part]:
    subject = rendition.subject
    shown = [Shown(subject.instance, number) for number in range(1, subject.number_of_frames + 1)]
    made = pictures(archive, asked, shown, rendition.media_type, appearance, first_must=first_must)
    if subject.category is Category.MULTI_FRAME:
        yield from made
        return
    location = f"{url_of(asked, subject.instance)}/rendered"
    yield from (Part(part.media_type, part.pieces, location, part.length) for part in made)


def _under(archive: Archive, asked: Asked, rendition: Rendition, appearance: Appearance) -> Iterator[Part]:
    """Frames under a presentation state are parts of its own resource, which they all name."""
    location = f"{url_of(asked, rendition.subject.instance)}/rendered"
    made = pictures(archive, asked, rendition.shown, rendition.media_type, appearance)
    yield from (Part(part.media_type, part.pieces, location, part.length) for part in made)
