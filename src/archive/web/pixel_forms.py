"""In which media types and transfer syntaxes pixel data can be had (PS3.18 Tables 8.7.3-4 and 8.7.3-5), and which of
them a client gets.

`application/octet-stream` means native frames in little endian, decoded if need be. Compressed ones have the media
type of their transfer syntax; they are sent as octet-stream only to who asks for `transfer-syntax=*` or for the stored
one: viewers do, and find the real syntax in the part's header. A media type without a transfer syntax stands for any
one of it that is stored; in strict mode for the default of the table alone, unless what is stored is lossy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archive.dicom.errors import NotAcceptable
from archive.dicom.instance import StoredInstance
from archive.dicom.pixels.codecs import DECODERS
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.transfer_syntaxes import DEFAULT_OF_MEDIA_TYPE, EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from archive.web.http import media_types
from archive.web.http.exchange import Asked
from archive.web.http.media_types import OCTET_STREAM, Offer
from archive.web.http.multipart_body import with_syntax

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_NATIVE = frozenset((EXPLICIT_VR_LITTLE_ENDIAN,))


@dataclass(frozen=True, slots=True)
class PixelForm:
    """How the pixel data of an instance goes out. `decoded` when it is stored compressed and goes out native."""

    offer: Offer
    decoded: bool = False

    @property
    def native(self) -> bool:
        """Whether the frames are native ones."""
        return self.offer.transfer_syntax_uids == _NATIVE

    @property
    def part_type(self) -> str:
        """Media type of a part, with its transfer syntax."""
        return with_syntax(self.offer.media_type, next(iter(self.offer.transfer_syntax_uids)))


def choose(
    archive: Archive,
    asked: Asked,
    instance: StoredInstance,
    table: FrameTable,
    native: Sequence[bool],
    compressed: Sequence[bool],
) -> PixelForm:
    """How the client likes the pixel data best. `native` and `compressed` say whether these come as multipart, and
    which comes first for `*/*`. Raises NotAcceptable."""
    if not table.encapsulated:
        offers = [Offer(OCTET_STREAM, multipart, _NATIVE, as_stored=True) for multipart in native]
        return PixelForm(media_types.choose(asked.accept, offers))
    uid = instance.transfer_syntax_uid
    decodes = uid in DECODERS and transfer_syntax(uid).encapsulated
    offers = _offers(asked, uid, native if decodes else (), compressed)
    chosen = media_types.choose(asked.accept, offers)
    if chosen.transfer_syntax_uids != _NATIVE:
        return PixelForm(chosen)
    try:
        archive.delivery.check(instance, table)
    except NotAcceptable as reason:
        return otherwise(asked, instance, compressed, reason)
    return PixelForm(chosen, decoded=True)


def otherwise(
    asked: Asked, instance: StoredInstance, compressed: Sequence[bool], reason: NotAcceptable
) -> PixelForm:
    """How the client likes what cannot be decoded. Raises the reason for that where it does not."""
    offers = _offers(asked, instance.transfer_syntax_uid, (), compressed)
    try:
        return PixelForm(media_types.choose(asked.accept, offers))
    except NotAcceptable:
        raise reason from None


def _offers(asked: Asked, uid: str, native: Sequence[bool], compressed: Sequence[bool]) -> list[Offer]:
    """Those for compressed pixel data. Lossy pixel data that cannot be decoded is what a request for none in particular
    gets (8.7.3.3)."""
    syntax, uids = transfer_syntax(uid), frozenset((uid,))
    named = not syntax.lossy and uid not in DEFAULT_OF_MEDIA_TYPE.get(syntax.media_type, uids)
    offers = [Offer(OCTET_STREAM, multipart, _NATIVE) for multipart in native]
    if syntax.media_type != OCTET_STREAM:
        offers += [
            Offer(syntax.media_type, multipart, uids, asked.strict and named, True)
            for multipart in compressed
        ]
    by_name_only = bool(native) or not syntax.lossy
    return offers + [Offer(OCTET_STREAM, multipart, uids, by_name_only, True) for multipart in compressed]
