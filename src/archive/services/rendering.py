"""Objects made pictures and text for people: which instance becomes what, and the making of it, one at a time.

Stands on `Retrieve`: frames come by offset, one is in memory while it is worked on. What an object can be is said by
`dicom.rendition`, how a frame becomes a picture by `dicom.pixel_data`; here the two meet the stored bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from archive.dicom.errors import ArchiveError, CannotRender, InvalidQuery, NotAcceptable, NotFound
from archive.dicom.instance import Scope, StoredInstance
from archive.dicom.metadata_values import Metadata, binary, integer, is_elsewhere
from archive.dicom.pixels.decoder import Decoder
from archive.dicom.pixels.pixel_description import describe
from archive.dicom.rendering import (
    colour_profiles,
    encapsulated,
    gif,
    pixel_data,
    presentation_state,
    report_text,
)
from archive.dicom.rendering.annotation import supported
from archive.dicom.rendering.appearance import Appearance
from archive.dicom.rendering.lettering import Lettering
from archive.dicom.rendering.pictogram import notice
from archive.dicom.rendering.pixel_data import Picture, StoredFrame
from archive.dicom.rendering.presentation_state import Presentation
from archive.dicom.rendering.rendition import Category, category, order_of_frame
from archive.dicom.rendering.structured_report import report
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.services.delivery import Delivery
from archive.services.readable import Readable
from archive.services.retrieve import Retrieve

MAXIMUM_RENDERED_BYTES = 1 << 28
"""Of one frame as stored; it is in memory while it is decoded."""

_NOTICE_SIZE = (480, 270)
_UIDS_AT_A_TIME = 500
_IMAGES = (Category.SINGLE_FRAME, Category.MULTI_FRAME)


@dataclass(frozen=True, slots=True)
class Subject:
    """One instance as something to be rendered. `samples` are those of one frame; `document_type` is the media type of
    an encapsulated document or video, empty for one that must not go out; `annotations` are the keywords of
    `annotation` that can be written on it. `refused` says why its frames cannot be pictures. `metadata` is None where
    there may be many subjects at a time."""

    instance: StoredInstance
    category: Category
    number_of_frames: int = 1
    samples: int = 0
    document_type: str = ""
    annotations: tuple[str, ...] = ()
    refused: str = ""
    metadata: Metadata | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame of an image, and the presentation state under which it is shown, if any. `samples`: what it costs, where
    the `Subject` is not the image."""

    instance: StoredInstance
    frame: int
    under: StoredInstance | None = None
    samples: int = 0


@dataclass(frozen=True, slots=True)
class _Image:
    """An image that is being rendered, with what is read once for all of its frames."""

    instance: StoredInstance
    metadata: Metadata
    under: StoredInstance | None
    state: Metadata

    def presentation(self, frame: int) -> Presentation | None:
        if self.under is None:
            return None
        uid = self.instance.SOPInstanceUID
        return presentation_state.presentation(
            self.under.SOPClassUID, self.state, uid, frame, describe(self.metadata)
        )


class Rendering:
    """Pictures and text of what is stored, for every door."""

    def __init__(
        self, retrieve: Retrieve, delivery: Delivery, lettering: Callable[[], Lettering], decoder: Decoder
    ) -> None:
        self._retrieve = retrieve
        self._delivery = delivery
        self._lettering = lettering
        self._decoder = decoder

    def subjects(self, found: Sequence[StoredInstance], annotations: Sequence[str] = ()) -> Iterator[Subject]:
        """These instances; `annotations` are the keywords that are asked for. Raises NotFound when one has gone."""
        texts = self._retrieve.metadata_of(found, lambda _: "")
        for instance, metadata in zip(found, texts, strict=True):
            yield self._subject(instance, orjson.loads(metadata), annotations)

    def subject(self, instance: StoredInstance, annotations: Sequence[str] = ()) -> Subject:
        """One instance. Raises NotFound."""
        metadata = self.metadata(instance)
        return replace(self._subject(instance, metadata, annotations), metadata=metadata)

    def metadata(self, instance: StoredInstance) -> Metadata:
        """The DICOM JSON Model of one instance. Raises NotFound."""
        return self._retrieve.attributes(instance)

    def picture(
        self, shown: Shown, media_type: str, appearance: Appearance, known: Subject | None = None
    ) -> bytes:
        """One frame as a picture; `known` may be a subject that is this image. Raises NotFound, CannotRender,
        NotAcceptable, InvalidQuery."""
        appearance.check_media_type(media_type)
        metadata = known.metadata if known is not None and known.instance == shown.instance else None
        image = self._opened(shown.instance, shown.under, metadata)
        with closing(self._stored(image, [shown.frame], appearance)) as frames:
            made = self._made(image, next(frames), appearance)
        return pixel_data.encode(made, media_type, appearance.quality)

    def pictures(
        self, shown: Sequence[Shown], media_type: str, appearance: Appearance, *, first_must: bool = False
    ) -> Iterator[bytes]:
        """Frames of one image, under the presentation state of the first. One that cannot be made is a picture that
        says so: an answer of many that has begun can neither change its status nor leave one out unseen; unless it is
        the first and `first_must` be made. Raises InvalidQuery, and then CannotRender, NotFound."""
        appearance.check_media_type(media_type)
        numbers = [one.frame for one in shown]
        for made in self._all_made(shown[0], numbers, appearance, first_must):
            yield pixel_data.encode(made, media_type, appearance.quality)

    def animation(
        self, subject: Subject, appearance: Appearance, *, first_must: bool = False
    ) -> Iterator[bytes]:
        """All frames of one instance as a GIF, made while it is sent. Raises as `pictures`."""
        numbers = range(1, subject.number_of_frames + 1)
        times = gif.frame_times(self.metadata(subject.instance))
        made = self._all_made(Shown(subject.instance, 1), numbers, appearance, first_must)
        return gif.animate((picture.pixels for picture in made), times)

    def report(self, instance: StoredInstance, media_type: str) -> Iterator[str]:
        """A report as text of `media_type`, a key of `report_text.WRITERS`."""
        return report_text.WRITERS[media_type](report(self.metadata(instance)))

    def document(self, subject: Subject) -> Readable:
        """An encapsulated document as it is stored. Raises NotFound."""
        metadata = self.metadata(subject.instance)
        inline = binary(metadata, encapsulated.ENCAPSULATED_DOCUMENT)
        if inline is not None:
            data = inline[: encapsulated.document_length(metadata, len(inline))]
            return Readable(len(data), lambda offset, length: iter((data[offset : offset + length],)))
        whole = self._bulk(subject.instance, encapsulated.ENCAPSULATED_DOCUMENT)
        return Readable(encapsulated.document_length(metadata, whole.length), whole.read)

    def video(self, subject: Subject) -> Readable:
        """A video as it is stored, without the fragments around it. Raises NotFound."""
        return self._video(subject.instance)

    def shown_under(self, state: StoredInstance) -> list[Shown]:
        """The frames that a presentation state is for, as far as they are stored, in the order of PS3.18 8.3.5.1.6.
        Raises NotFound when none of them is."""
        ordered: list[tuple[tuple[Any, ...], Shown]] = []
        magnification = presentation_state.magnification(self.metadata(state))
        for image, wanted in self._referenced_once(state):
            metadata = self.metadata(image)
            frames = wanted or range(1, self._number_of_frames(image, metadata) + 1)
            if len(ordered) + len(frames) > presentation_state.MOST_REFERENCES:
                raise CannotRender("The presentation state is for too many frames.")
            samples = round(_samples(metadata) * magnification**2)
            for frame in frames:
                order = (*order_of_frame(metadata, frame), len(ordered))
                ordered.append((order, Shown(image, frame, state, samples)))
        if not ordered:
            raise NotFound("the images that this presentation state is for are not stored here")
        return [shown for _, shown in sorted(ordered, key=lambda pair: pair[0])]

    def _referenced_once(self, state: StoredInstance) -> Iterator[tuple[StoredInstance, list[int]]]:
        """Each image once, however often it is referred to, with its frames; none means all of them."""
        images: dict[str, StoredInstance] = {}
        frames: dict[str, dict[int, None]] = {}
        whole: set[str] = set()
        for image, numbers in self._referenced(state):
            uid = image.SOPInstanceUID
            images.setdefault(uid, image)
            frames.setdefault(uid, {}).update(dict.fromkeys(numbers))
            if not numbers:
                whole.add(uid)
        for uid, image in images.items():
            yield image, [] if uid in whole else list(frames[uid])

    def check_state(self, state: StoredInstance, image: StoredInstance) -> None:
        """Raises CannotRender for what is no presentation state that is carried out here, InvalidQuery for one that is
        not for this image."""
        if state.SOPClassUID not in presentation_state.RENDERED_CLASSES:
            raise CannotRender("this is no presentation state that can be carried out here")
        if all(found.SOPInstanceUID != image.SOPInstanceUID for found, _ in self._referenced(state)):
            raise InvalidQuery("the presentation state does not refer to this image")

    def _subject(self, instance: StoredInstance, metadata: Metadata, annotations: Sequence[str]) -> Subject:
        kind = category(instance.SOPClassUID, instance.transfer_syntax_uid, metadata)
        writable = tuple(supported(annotations, metadata, self._lettering())) if annotations else ()
        count, document = 1, ""
        if kind is Category.MULTI_FRAME:
            count = self._number_of_frames(instance, metadata)
        elif kind is Category.DOCUMENT:
            document = encapsulated.document_type(instance.SOPClassUID, metadata)
        elif kind is Category.VIDEO:
            document = self._video_type(instance)
        refused = _refused(instance, metadata) if kind in _IMAGES else ""
        return Subject(instance, kind, count, _samples(metadata), document, writable, refused)

    def _number_of_frames(self, instance: StoredInstance, metadata: Metadata) -> int:
        if integer(metadata, "00280008", 1) <= 1:
            return 1
        return self._retrieve.number_of_frames(instance)

    def _opened(
        self, image: StoredInstance, under: StoredInstance | None, known: Metadata | None = None
    ) -> _Image:
        metadata = self.metadata(image) if known is None else known
        pixel_data.check(metadata, image.transfer_syntax_uid)
        return _Image(image, metadata, under, self.metadata(under) if under else {})

    def _stored(
        self, image: _Image, numbers: Sequence[int], appearance: Appearance
    ) -> Generator[StoredFrame]:
        """These frames one after the other; one that is too large comes without its bytes."""
        found = self._retrieve.frames_of(image.instance, numbers)
        syntax = image.instance.transfer_syntax_uid
        with closing(found.frames) as frames:
            for number, frame in zip(numbers, frames, strict=True):
                data = b"".join(frame.pieces) if frame.length <= MAXIMUM_RENDERED_BYTES else b""
                profile = self._profile(image, number) if appearance.wants_profile else None
                yield StoredFrame(data, image.metadata, syntax, number, profile)

    def _made(
        self, image: _Image, stored: StoredFrame, appearance: Appearance, _size: tuple[int, int] = (0, 0)
    ) -> Picture:
        if not stored.data:
            raise CannotRender("The frame is empty, or too large to be rendered here: retrieve it as stored.")
        presentation, lettering = image.presentation(stored.number), self._lettering()
        return pixel_data.picture(stored, appearance, lettering, self._decoder, presentation)

    def _all_made(
        self, shown: Shown, numbers: Sequence[int], appearance: Appearance, first_must: bool
    ) -> Iterator[Picture]:
        """A picture for each number; those that cannot be made are notices in the size of the one before."""
        done, size = 0, _NOTICE_SIZE
        try:
            image = self._opened(shown.instance, shown.under)
            with closing(self._stored(image, numbers, appearance)) as frames:
                for stored in frames:
                    make = self._made if first_must and not done else self._made_or_notice
                    made = make(image, stored, appearance, size)
                    done += 1
                    yield made
                    height, width = made.pixels.shape[:2]
                    size = (width, height)
        except (NotAcceptable, NotFound) as failure:
            if first_must and not done:
                raise
            yield from (self._notice(failure, size) for _ in numbers[done:])

    def _made_or_notice(
        self, image: _Image, stored: StoredFrame, appearance: Appearance, size: tuple[int, int]
    ) -> Picture:
        try:
            return self._made(image, stored, appearance, size)
        except (NotAcceptable, InvalidQuery) as failure:
            return self._notice(failure, size)

    def _notice(self, failure: ArchiveError, size: tuple[int, int]) -> Picture:
        return Picture(notice(f"This frame cannot be shown. {failure.reason}", *size, self._lettering()))

    def _profile(self, image: _Image, frame: int) -> bytes | None:
        """The ICC profile that holds for a frame: that of the presentation state, else that of the image (PS3.4
        N.2.2.1)."""
        of_state = image.under is not None and colour_profiles.ICC_PROFILE in image.state
        instance = image.under if image.under is not None and of_state else image.instance
        place, path = colour_profiles.place_of_profile(image.state if of_state else image.metadata, frame)
        if not is_elsewhere(place, colour_profiles.ICC_PROFILE):
            return binary(place, colour_profiles.ICC_PROFILE)
        whole = self._bulk(instance, path)
        return b"".join(whole.read(0, whole.length)) if whole.length <= colour_profiles.MOST_PROFILE else None

    def _bulk(self, instance: StoredInstance, path: str) -> Readable:
        """A value that is not in the metadata itself. Raises NotFound."""
        for value in self._retrieve.bulk_values(instance):
            if value.path == path:
                return self._delivery.bulk_value(instance, value)
        raise NotFound("no bulk data of this name: the metadata has the BulkDataURIs there are")

    def _referenced(self, state: StoredInstance) -> Iterator[tuple[StoredInstance, tuple[int, ...]]]:
        """The stored images that a presentation state refers to, within its study."""
        study = (state.StudyInstanceUID,)
        wanted = list(dict.fromkeys(presentation_state.references(self.metadata(state))))
        uids = [reference.instance for reference in wanted if reference.instance]
        stored: dict[str, StoredInstance] = {}
        for start in range(0, len(uids), _UIDS_AT_A_TIME):
            scope = Scope(study, (), tuple(uids[start : start + _UIDS_AT_A_TIME]))
            stored |= {found.SOPInstanceUID: found for found in self._retrieve.instances(scope)}
        for reference in wanted:
            if not reference.instance:
                yield from (
                    (found, ()) for found in self._retrieve.instances(Scope(study, (reference.series,)))
                )
            elif image := stored.get(reference.instance):
                yield image, reference.frames

    def _video(self, instance: StoredInstance) -> Readable:
        table = self._retrieve.frame_table(instance)
        return self._delivery.stored_frames(instance, table, [1]).frames[0]

    def _video_type(self, instance: StoredInstance) -> str:
        """What the first bytes say; empty when there are none to be had."""
        try:
            video = self._video(instance)
            first = b"".join(video.read(0, min(encapsulated.SNIFFED, video.length)))
        except NotFound:
            return ""
        return encapsulated.video_type(first, transfer_syntax(instance.transfer_syntax_uid))


def _samples(metadata: Metadata) -> int:
    """Of one frame."""
    rows, columns, colours = (integer(metadata, tag, 0) for tag in ("00280010", "00280011", "00280002"))
    return max(rows * columns * colours, 0)


def _refused(instance: StoredInstance, metadata: Metadata) -> str:
    try:
        pixel_data.check(metadata, instance.transfer_syntax_uid)
    except CannotRender as reason:
        return reason.reason
    return ""
