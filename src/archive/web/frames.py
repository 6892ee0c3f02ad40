"""WADO-RS: frames (PS3.18 10.4.1.1.6), as stored by offset, or decoded one by one.

Each frame is a part of its own, also of native ones: 8.6.1.2 speaks of that, and every client counts on it. 8.7.3.3
asks for one representation of all native frames that are wanted, single bits without padding between them; in strict
mode it comes so.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from archive.dicom.errors import InvalidQuery, NotFound
from archive.dicom.identifiers import IMPLEMENTATION_VERSION_NAME
from archive.dicom.instance import StoredInstance
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.pixels.native import joined
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.services.explicit import DecodedPixels
from archive.services.readable import part
from archive.web import pixel_forms
from archive.web.http.conditional import tag
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.multipart_body import Part, SlicedPart, related, related_sliced
from archive.web.pixel_forms import PixelForm
from archive.web.targets import scope_of, url_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MAXIMUM_FRAMES = 10_000
"""Of one request."""

_FRAME_LIST = re.compile(r"[0-9]{1,10}(,[0-9]{1,10})*", re.ASCII)


def frame_numbers(text: str) -> list[int]:
    """The frames of a path, in the order asked for. Raises InvalidQuery."""
    numbers = [int(number) for number in text.split(",")] if _FRAME_LIST.fullmatch(text) else []
    if not numbers or min(numbers) < 1:
        raise InvalidQuery("frames are a list of numbers from 1, divided by commas")
    if len(numbers) > MAXIMUM_FRAMES:
        raise InvalidQuery(f"more than {MAXIMUM_FRAMES} frames in one request")
    return numbers


def frames(archive: Archive, asked: Asked) -> Answer:
    """These frames, in this order. Raises NotFound, NotAcceptable, InvalidQuery, InvalidUID."""
    numbers = frame_numbers(asked.path["frames"])
    instance, table = archive.retrieve.framed(scope_of(asked))
    archive.auditing.out.viewed(asked.actor, (instance,))
    _check(numbers, table)
    kinds = (True, False) if len(numbers) == 1 else (True,)
    form = pixel_forms.choose(archive, asked, instance, table, kinds, kinds)
    if form.decoded:
        asked.decodes()
    url = f"{url_of(asked, instance)}/frames"
    etag = tag(
        IMPLEMENTATION_VERSION_NAME,
        instance.sha256,
        instance.blob_key,
        form.part_type,
        f"{url}/{numbers} {asked.strict}",
    )
    if asked.strict and form.native and len(numbers) > 1:
        return _one_behind_the_other(archive, instance, table, form, numbers, url, etag)
    if form.decoded:
        return _decoded(form, archive.delivery.decoded(instance), numbers, url, etag)
    if transfer_syntax(instance.transfer_syntax_uid).deflated:
        return _inflated(archive, asked, form, numbers, url)
    return _stored(archive, instance, table, form, numbers, url, etag)


def _check(numbers: Sequence[int], table: FrameTable) -> None:
    for number in numbers:
        if number > table.number_of_frames:
            raise NotFound(f"frame {number} of {table.number_of_frames}")


def _stored(
    archive: Archive,
    instance: StoredInstance,
    table: FrameTable,
    form: PixelForm,
    numbers: Sequence[int],
    url: str,
    etag: str,
) -> Answer:
    found = archive.delivery.stored_frames(instance, table, numbers)
    bodies = [
        Sliced(frame.length, partial(found.as_stored, number))
        for number, frame in zip(numbers, found.frames, strict=True)
    ]
    if not form.offer.multipart:
        return _alone(form, bodies[0], f"{url}/{numbers[0]}", etag)
    part_type = form.part_type
    parts = [
        SlicedPart(part_type, body, f"{url}/{number}") for body, number in zip(bodies, numbers, strict=True)
    ]
    answer = related_sliced(form.offer.media_type, parts, etag)
    whole = answer.body
    assert isinstance(whole, Sliced)
    body = Sliced(whole.length, lambda start, count: found.opened_once(whole.read(start, count)))
    return replace(answer, body=body)


def _decoded(form: PixelForm, pixels: DecodedPixels, numbers: Sequence[int], url: str, etag: str) -> Answer:
    length = pixels.size.bytes_per_frame
    if not form.offer.multipart:
        sliced = Sliced(length, lambda start, count: part(pixels.frames(numbers), start, count))
        return _alone(form, sliced, f"{url}/{numbers[0]}", etag)

    def parts() -> Iterator[Part]:
        for number, frame in zip(numbers, pixels.frames(numbers), strict=True):
            yield Part(form.part_type, (frame,), f"{url}/{number}", length)

    return replace(related(form.offer.media_type, parts()), etag=etag)


def _inflated(archive: Archive, asked: Asked, form: PixelForm, numbers: Sequence[int], url: str) -> Answer:
    """Of a deflated object, which is inflated once for all frames in ascending order."""
    wanted = archive.retrieve.frames(scope_of(asked), numbers)
    if not form.offer.multipart:
        frame = next(wanted.frames)
        location = ("Content-Location", f"{url}/{numbers[0]}")
        body = _closing(wanted.frames, frame.pieces)
        return Answer(200, form.part_type, body, (location,), length=frame.length)

    def parts() -> Iterator[Part]:
        with closing(wanted.frames):
            for number, frame in zip(numbers, wanted.frames, strict=True):
                yield Part(form.part_type, frame.pieces, f"{url}/{number}", frame.length)

    return related(form.offer.media_type, parts())


def _one_behind_the_other(
    archive: Archive,
    instance: StoredInstance,
    table: FrameTable,
    form: PixelForm,
    numbers: Sequence[int],
    url: str,
    etag: str,
) -> Answer:
    """Native frames as one part."""
    bits = table.description.bits_per_frame
    if form.decoded:
        pixels = archive.delivery.decoded(instance)
        bits, found = pixels.size.bits_per_frame, pixels.frames(numbers)
    else:
        stored = archive.delivery.stored_frames(instance, table, numbers)
        found = (b"".join(frame.read(0, frame.length)) for frame in stored.frames)
    location = f"{url}/{','.join(map(str, numbers))}"
    length = -(-bits * len(numbers) // 8)
    one_part = Part(form.part_type, joined(found, bits), location, length)
    return replace(related(form.offer.media_type, (one_part,)), etag=etag)


def _alone(form: PixelForm, body: Sliced, location: str, etag: str) -> Answer:
    """One frame as the whole body."""
    return Answer(200, form.part_type, body, (("Content-Location", location),), etag=etag)


def _closing(frames: Generator[object], pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whoever closes the body closes the frames behind it."""
    with closing(frames):
        yield from pieces
