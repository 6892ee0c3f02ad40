"""WADO-RS: frames and bulk data as stored (PS3.18 10.4.1.1.5, 10.4.1.1.6), read by offset.

Compressed frames have the media type of their transfer syntax; as `application/octet-stream`, which means
uncompressed, they are sent only to who asks for `transfer-syntax=*` or for the stored one: viewers do, and find the
real syntax in the part's header. Native frames are Explicit VR Little Endian to the reader, however they came in.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from archive.dicom.errors import InvalidQuery
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from archive.web import media_types
from archive.web.exchange import Answer, Asked
from archive.web.media_types import OCTET_STREAM, Offer
from archive.web.multipart_body import Part, related, with_syntax
from archive.web.wado import scope_of, url_of

if TYPE_CHECKING:
    from archive.bootstrap import Archive
    from archive.services.retrieve import Frame, Frames

MAXIMUM_FRAMES = 10_000
"""Of one request."""

PIXEL_DATA = "7FE00010"

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
    wanted = archive.retrieve.frames(scope_of(asked), frame_numbers(asked.path["frames"]))
    url = url_of(asked, wanted.instance)
    return _answer(asked, wanted, [f"{url}/frames/{number}" for number in wanted.numbers])


def bulk_data(archive: Archive, asked: Asked) -> Answer:
    """What a BulkDataURI names. Raises NotFound, NotAcceptable, InvalidUID."""
    path = asked.path["path"]
    scope = scope_of(asked)
    instance = archive.retrieve.instance(scope)
    location = f"{url_of(asked, instance)}/bulkdata/{path}"
    if path == PIXEL_DATA and transfer_syntax(instance.transfer_syntax_uid).encapsulated:
        # Compressed bulk data are the codestreams without the fragments around them (8.7.3.3.2): the frames.
        wanted = archive.retrieve.frames(scope, range(1, archive.retrieve.number_of_frames(scope) + 1))
        return _answer(asked, wanted, [location] * len(wanted.numbers))
    value, pieces = archive.retrieve.bulk_data(scope, path)
    syntaxes = frozenset((EXPLICIT_VR_LITTLE_ENDIAN,))
    offers = [Offer(OCTET_STREAM, multipart, syntaxes) for multipart in (False, True)]
    chosen = media_types.choose(asked.accept, offers)
    if chosen.multipart:
        part = Part(with_syntax(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN), pieces, location, value.length)
        return related(OCTET_STREAM, (part,))
    return Answer(200, OCTET_STREAM, iter(pieces), (("Content-Location", location),), length=value.length)


def _answer(asked: Asked, wanted: Frames, locations: list[str]) -> Answer:
    chosen = media_types.choose(asked.accept, _offers(wanted))
    media_type = with_syntax(chosen.media_type, wanted.transfer_syntax_uid)
    if chosen.multipart:
        return related(chosen.media_type, _parts(media_type, wanted.frames, locations))
    return _alone(media_type, wanted.frames, locations[0])


def _offers(wanted: Frames) -> list[Offer]:
    """As a multipart first, which `*/*` gets; alone when there is one (8.6.1)."""
    syntaxes = frozenset((wanted.transfer_syntax_uid,))
    kinds = (True, False) if len(wanted.numbers) == 1 else (True,)
    offers = [Offer(wanted.media_type, multipart, syntaxes) for multipart in kinds]
    if wanted.media_type != OCTET_STREAM:
        offers += [Offer(OCTET_STREAM, multipart, syntaxes, by_name_only=True) for multipart in kinds]
    return offers


def _parts(media_type: str, frames: Iterable[Frame], locations: Iterable[str]) -> Iterator[Part]:
    for frame, location in zip(frames, locations, strict=True):
        yield Part(media_type, frame.pieces, location, frame.length)


def _alone(media_type: str, frames: Generator[Frame], location: str) -> Answer:
    """One frame as the whole body; whoever closes the body closes the frames behind it."""
    first = next(frames)

    def body() -> Iterator[bytes]:
        with closing(frames):
            yield from first.pieces

    return Answer(200, media_type, body(), (("Content-Location", location),), length=first.length)
