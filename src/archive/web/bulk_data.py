"""WADO-RS: bulk data and pixel data (PS3.18 10.4.1.1.5, 10.4.1.1.6), of a BulkDataURI or of a whole study, series or
instance.

A value is one part in little endian. Compressed pixel data is one part for each frame, without the fragments around
them; decoded it is one part again (8.7.3.3). Each part has the BulkDataURI of the metadata as its Content-Location
(8.6.1.2), all frames of one value the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archive.dicom.errors import NotAcceptable, NotFound
from archive.dicom.identifiers import IMPLEMENTATION_VERSION_NAME
from archive.dicom.instance import BulkValue, StoredInstance
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from archive.services.explicit import DecodedPixels
from archive.services.stored_frames import PIXEL_DATA
from archive.web import incomplete, pixel_forms, targets
from archive.web.http import media_types
from archive.web.http.conditional import tag
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.media_types import OCTET_STREAM, Offer
from archive.web.http.multipart_body import Part, SlicedPart, related, related_sliced, with_syntax
from archive.web.pixel_forms import PixelForm
from archive.web.targets import intact, url_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

TOP_LEVEL_PIXELS = frozenset((PIXEL_DATA, "7FE00008", "7FE00009"))
_NATIVE = frozenset((EXPLICIT_VR_LITTLE_ENDIAN,))
_NATIVE_TYPE = with_syntax(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN)


@dataclass(frozen=True, slots=True)
class _Value:
    """A bulk value on its way out. `form` is that of compressed pixel data, else None."""

    instance: StoredInstance
    value: BulkValue
    location: str
    form: PixelForm | None = None


def bulk_data(archive: Archive, asked: Asked) -> Answer:
    """What a BulkDataURI names. Raises NotFound, NotAcceptable, InvalidUID."""
    instance = targets.one(archive, asked)
    path = asked.path["path"]
    value = next((one for one in archive.retrieve.bulk_values(instance) if one.path == path), None)
    if value is None:
        raise NotFound("no bulk data of this name: the metadata has the BulkDataURIs there are")
    table = _compressed(archive, instance, value)
    location = f"{url_of(asked, instance)}/bulkdata/{path}"
    if table is None:
        offers = [Offer(OCTET_STREAM, multipart, _NATIVE, as_stored=True) for multipart in (False, True)]
        multipart = media_types.choose(asked.accept, offers).multipart
        return _of_one(archive, asked, _Value(instance, value, location), multipart)
    kinds = (True, False) if table.number_of_frames == 1 else (True,)
    form = pixel_forms.choose(archive, asked, instance, table, (False, True), kinds)
    if form.decoded:
        asked.decodes()
    wanted = _Value(instance, value, location, form)
    if form.native or table.number_of_frames == 1:
        return _of_one(archive, asked, wanted, form.offer.multipart)
    parts = _parts(archive, wanted, form, table.number_of_frames)
    return replace(related(form.offer.media_type, parts), etag=_etag(asked, (wanted,)))


def all_of_target(archive: Archive, asked: Asked) -> Answer:
    """All bulk data of a study, series or instance. Raises NotFound, NotAcceptable, InvalidUID."""
    return _of_target(archive, asked, lambda _: True)


def pixel_data(archive: Archive, asked: Asked) -> Answer:
    """The pixel data of all instances of a study or series, or of one. Raises NotFound, NotAcceptable, InvalidUID."""
    return _of_target(archive, asked, _is_pixel_data)


def _is_pixel_data(value: BulkValue) -> bool:
    return value.path in TOP_LEVEL_PIXELS


def _of_target(archive: Archive, asked: Asked, wanted: Callable[[BulkValue], bool]) -> Answer:
    """How each part goes out is settled before the first one does; which ones there are is read again then, as there
    may be very many."""
    had = intact(archive, asked)
    stored = had.instances
    forms = [_settled(archive, asked, instance, wanted) for instance in stored]
    first = next((of_instance[0] for of_instance in forms if of_instance), None)
    if first is None:
        raise NotFound("nothing of that kind is in these instances")
    if any(form.decoded for of_instance in forms for form in of_instance):
        asked.decodes()

    def parts() -> Iterator[Part]:
        if asked.strict:
            _check_codestreams(archive, asked, stored, forms)
        for instance, of_instance in zip(stored, forms, strict=True):
            yield from _parts_of_instance(archive, asked, instance, of_instance, wanted)

    states = [
        f"{one.sha256} {one.blob_key} {[form.part_type for form in of_instance]}"
        for one, of_instance in zip(stored, forms, strict=True)
    ]
    etag = tag(IMPLEMENTATION_VERSION_NAME, asked.base_url, str(wanted is _is_pixel_data), *states)
    answer = replace(related(first.offer.media_type, parts()), etag=etag)
    return incomplete.told(answer, asked, had.damaged)


def _check_codestreams(
    archive: Archive, asked: Asked, stored: Sequence[StoredInstance], forms: Sequence[tuple[PixelForm, ...]]
) -> None:
    """Whether all can be decoded that is to be, or may come as stored. Raises NotAcceptable."""
    for instance, of_instance in zip(stored, forms, strict=True):
        if not any(form.decoded for form in of_instance):
            continue
        try:
            archive.delivery.decoded(instance).make_sure()
        except NotAcceptable as reason:
            pixel_forms.otherwise(asked, instance, (True,), reason)


_AS_VALUE = PixelForm(Offer(OCTET_STREAM, True, _NATIVE, as_stored=True))


def _settled(
    archive: Archive, asked: Asked, instance: StoredInstance, wanted: Callable[[BulkValue], bool]
) -> tuple[PixelForm, ...]:
    """In which forms values of an instance go out, without repetition and the first value's first; that of compressed
    pixel data is among them. Empty if it has nothing that is wanted. Raises NotAcceptable."""
    forms: dict[bool, PixelForm] = {}
    for value in filter(wanted, archive.retrieve.bulk_values(instance)):
        table = _compressed(archive, instance, value)
        if table is not None:
            forms[True] = pixel_forms.choose(archive, asked, instance, table, (True,), (True,))
        elif False not in forms:
            media_types.choose(asked.accept, [_AS_VALUE.offer])
            forms[False] = _AS_VALUE
    return tuple(forms.values())


def _parts_of_instance(
    archive: Archive,
    asked: Asked,
    instance: StoredInstance,
    forms: tuple[PixelForm, ...],
    wanted: Callable[[BulkValue], bool],
) -> Iterator[Part]:
    form = next((form for form in forms if form is not _AS_VALUE), None)
    if not forms:
        return
    url = f"{url_of(asked, instance)}/bulkdata"
    with archive.delivery.opened(instance) as read:
        for value in filter(wanted, archive.retrieve.bulk_values(instance)):
            location = f"{url}/{value.path}"
            table = _compressed(archive, instance, value)
            if form is None or table is None:
                yield Part(_NATIVE_TYPE, read(value), location, value.length)
            else:
                yield from _parts(archive, _Value(instance, value, location), form, table.number_of_frames)


def _compressed(archive: Archive, instance: StoredInstance, value: BulkValue) -> FrameTable | None:
    """The frames of a value that is compressed pixel data."""
    if value.path != PIXEL_DATA or not transfer_syntax(instance.transfer_syntax_uid).encapsulated:
        return None
    table = archive.retrieve.frame_table(instance)
    return table if table.encapsulated else None


def _of_one(archive: Archive, asked: Asked, wanted: _Value, multipart: bool) -> Answer:
    """One value as one part, or alone."""
    media_type = wanted.form.part_type if wanted.form is not None else _NATIVE_TYPE
    etag, body = _etag(asked, (wanted,)), _sliced(archive, wanted)
    if multipart:
        name = wanted.form.offer.media_type if wanted.form is not None else OCTET_STREAM
        return related_sliced(name, [SlicedPart(media_type, body, wanted.location)], etag)
    location = ("Content-Location", wanted.location)
    return Answer(200, media_type if wanted.form else OCTET_STREAM, body, (location,), etag=etag)


def _sliced(archive: Archive, wanted: _Value) -> Sliced:
    if wanted.form is None:
        readable = archive.delivery.bulk_value(wanted.instance, wanted.value)
    elif wanted.form.decoded:
        pixels = archive.delivery.decoded(wanted.instance)
        return Sliced(pixels.size.length, pixels.pieces)
    else:
        table = archive.retrieve.frame_table(wanted.instance)
        (readable,) = archive.delivery.stored_frames(wanted.instance, table, (1,)).frames
    return Sliced(readable.length, readable.read)


def _parts(archive: Archive, wanted: _Value, form: PixelForm, number_of_frames: int) -> Iterator[Part]:
    """Compressed pixel data. Where a codestream turns out to be broken, its frames come as stored, and their parts say
    so."""
    pixels = _decoded(archive, wanted) if form.decoded else None
    if pixels is not None:
        length = pixels.size.length
        yield Part(form.part_type, pixels.pieces(0, length), wanted.location, length)
        return
    as_stored = with_syntax(form.offer.media_type, wanted.instance.transfer_syntax_uid)
    frames = archive.retrieve.frames_of(wanted.instance, range(1, number_of_frames + 1)).frames
    with closing(frames):
        for frame in frames:
            yield Part(as_stored, frame.pieces, wanted.location, frame.length)


def _decoded(archive: Archive, wanted: _Value) -> DecodedPixels | None:
    try:
        pixels = archive.delivery.decoded(wanted.instance)
        pixels.make_sure()
    except NotAcceptable:
        return None
    return pixels


def _etag(asked: Asked, values: tuple[_Value, ...] | list[_Value]) -> str:
    states = (
        f"{one.instance.sha256} {one.instance.blob_key} {one.value.path} {one.form and one.form.part_type}"
        for one in values
    )
    return tag(IMPLEMENTATION_VERSION_NAME, asked.base_url, *states)
