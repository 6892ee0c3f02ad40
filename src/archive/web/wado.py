"""WADO-RS: instances as PS3.10 files (PS3.18 10.4.1.1.1), as stored or in Explicit VR Little Endian.

Without a transfer syntax in the request Explicit VR Little Endian is meant (8.7.3.4), so what is stored otherwise is
re-encoded and what is compressed decoded. Two exceptions: lossy pixel data that we cannot decode, video for one, comes
as stored, as the clause permits; and where a codestream turns out to be broken while a study or series is being sent,
its instance comes as stored, and its part says so. The clause does not permit the latter of what is lossless, so in
strict mode all is decoded once before the first byte, which takes twice the time, and the answer is then 406.

`transfer-syntax=*` gets what is stored, untouched; also implicit VR and big endian, which 8.7.3 does not want in
payloads, because who asks so wants the very bytes. In strict mode these two are re-encoded.

Whether there is a decoder is known before the first byte. No instance is ever left out of an answer that says 200:
where stored bytes are missing or of another length, the others come with 206 and a Warning (`incomplete`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from archive.dicom.errors import NotAcceptable
from archive.dicom.identifiers import IMPLEMENTATION_VERSION_NAME
from archive.dicom.instance import StoredInstance
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from archive.services.readable import Readable
from archive.web import bulk_data, incomplete
from archive.web.http import media_types
from archive.web.http.conditional import tag
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.media_types import DICOM, OCTET_STREAM, Offer
from archive.web.http.multipart_body import Part, SlicedPart, related, related_sliced, with_syntax
from archive.web.targets import found, intact, scope_of, url_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

__all__ = ["found", "instances", "scope_of", "url_of"]

Forms = list[tuple[StoredInstance, str]]
"""Each instance and the transfer syntax in which it goes out."""


def instances(archive: Archive, asked: Asked) -> Answer:
    """Every instance of a study or series, or one. Raises NotFound, NotAcceptable, InvalidUID."""
    had = intact(archive, asked)
    stored = had.instances
    if _chosen(asked, stored[0], explicit=True).media_type == OCTET_STREAM:
        return bulk_data.all_of_target(archive, asked)  # Table 10.4.4-1, note 2
    chosen = {uid: _chosen(asked, of_uid, explicit=True) for uid, of_uid in _one_of_each(stored).items()}
    forms = _forms(archive, asked, stored, chosen)
    if any(map(_is_decoded, forms)):
        asked.decodes()
    etag = tag(IMPLEMENTATION_VERSION_NAME, asked.base_url, *(_state(*form) for form in forms))
    if not any(offer.multipart for offer in chosen.values()):
        return _alone(archive, asked, *forms[0], etag)
    if len(forms) == 1 or all(uid == instance.transfer_syntax_uid for instance, uid in forms):
        parts = [
            SlicedPart(with_syntax(DICOM, uid), _sliced(archive, instance, uid), url_of(asked, instance))
            for instance, uid in forms
        ]
        answer = replace(related_sliced(DICOM, parts, etag), objects=len(forms))
        return incomplete.told(answer, asked, had.damaged)
    answer = replace(related(DICOM, _parts(archive, asked, forms)), etag=etag, objects=len(forms))
    return incomplete.told(answer, asked, had.damaged)


def _one_of_each(stored: Sequence[StoredInstance]) -> dict[str, StoredInstance]:
    """One instance for each transfer syntax among them."""
    return {instance.transfer_syntax_uid: instance for instance in stored}


def _chosen(asked: Asked, instance: StoredInstance, *, explicit: bool) -> Offer:
    """How the client likes an instance best (PS3.18 8.7.8); `explicit`: it can be had in Explicit VR Little Endian.
    Raises NotAcceptable."""
    stored = instance.transfer_syntax_uid
    kinds = (True, False) if "instance" in asked.path else (True,)
    offers = []
    if explicit:
        uids, untouched = frozenset((EXPLICIT_VR_LITTLE_ENDIAN,)), stored == EXPLICIT_VR_LITTLE_ENDIAN
        offers += [Offer(DICOM, multipart, uids, as_stored=untouched) for multipart in kinds]
    if stored != EXPLICIT_VR_LITTLE_ENDIAN and not (asked.strict and _is_unwanted(stored)):
        by_name_only = explicit or not transfer_syntax(stored).lossy
        offers += [Offer(DICOM, multipart, frozenset((stored,)), by_name_only, True) for multipart in kinds]
    offers.append(Offer(OCTET_STREAM, True, frozenset((EXPLICIT_VR_LITTLE_ENDIAN,))))
    return media_types.choose(asked.accept, offers)


def _is_unwanted(uid: str) -> bool:
    """Implicit VR and big endian shall not be used (PS3.18 8.7.3)."""
    syntax = transfer_syntax(uid)
    return syntax.implicit or syntax.big_endian


def _forms(
    archive: Archive, asked: Asked, stored: Sequence[StoredInstance], chosen: dict[str, Offer]
) -> Forms:
    """In which transfer syntax each instance goes out. Raises NotAcceptable when there is none for one of them."""
    wanted = {uid: next(iter(offer.transfer_syntax_uids)) for uid, offer in chosen.items()}
    changed = [one for one in stored if wanted[one.transfer_syntax_uid] != one.transfer_syntax_uid]
    refused = archive.delivery.refused(changed)
    forms = []
    for instance in stored:
        uid = wanted[instance.transfer_syntax_uid]
        reason = refused.get(instance.SOPInstanceUID)
        if reason is not None:
            uid = _instead(asked, instance, reason)
        forms.append((instance, uid))
    return forms


def _instead(asked: Asked, instance: StoredInstance, reason: NotAcceptable) -> str:
    """The stored transfer syntax, if it will do. Raises the reason why there is no other."""
    try:
        offer = _chosen(asked, instance, explicit=False)
    except NotAcceptable:
        raise reason from None
    if offer.media_type == OCTET_STREAM:
        raise reason
    return instance.transfer_syntax_uid


def _is_decoded(form: tuple[StoredInstance, str]) -> bool:
    instance, uid = form
    return uid != instance.transfer_syntax_uid and transfer_syntax(instance.transfer_syntax_uid).encapsulated


def _state(instance: StoredInstance, uid: str) -> str:
    return f"{instance.sha256} {instance.blob_key} {uid}"


def _alone(archive: Archive, asked: Asked, instance: StoredInstance, uid: str, etag: str) -> Answer:
    location = ("Content-Location", url_of(asked, instance))
    return Answer(
        200, with_syntax(DICOM, uid), _sliced(archive, instance, uid), (location,), etag=etag, objects=1
    )


def _readable(archive: Archive, instance: StoredInstance, uid: str) -> Readable:
    if uid == instance.transfer_syntax_uid:
        return archive.delivery.stored(instance)
    return archive.delivery.explicit(instance)


def _sliced(archive: Archive, instance: StoredInstance, uid: str) -> Sliced:
    if uid == instance.transfer_syntax_uid:
        return Sliced(instance.blob_length, partial(archive.retrieve.as_stored, instance))
    readable = archive.delivery.explicit(instance)

    def read(offset: int, length: int) -> Iterator[bytes]:
        if length == readable.length:
            readable.make_sure()
        yield from readable.read(offset, length)

    return Sliced(readable.length, read)


def _surely(archive: Archive, asked: Asked, forms: Forms) -> Forms:
    """The forms in which the instances can be had, as far as that can be told beforehand. Raises NotAcceptable."""
    return [(instance, _sure(archive, asked, instance, uid)) for instance, uid in forms]


def _sure(archive: Archive, asked: Asked, instance: StoredInstance, uid: str) -> str:
    if not _is_decoded((instance, uid)):
        return uid
    try:
        archive.delivery.explicit(instance).make_sure()
    except NotAcceptable as reason:
        return _instead(asked, instance, reason)
    return uid


def _parts(archive: Archive, asked: Asked, forms: Forms) -> Iterator[Part]:
    for instance, wanted in _surely(archive, asked, forms) if asked.strict else forms:
        uid = wanted
        try:
            readable = _readable(archive, instance, uid)
            readable.make_sure()
        except NotAcceptable:
            uid, readable = instance.transfer_syntax_uid, archive.delivery.stored(instance)
        yield Part(
            with_syntax(DICOM, uid),
            readable.read(0, readable.length),
            url_of(asked, instance),
            readable.length,
        )
