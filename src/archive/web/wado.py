"""WADO-RS: instances as they are stored (PS3.18 10.4), the bytes of the PS3.10 files passed through untouched.

Without a transfer syntax in the request they come as stored, as they do for `*`; for another one the answer is 406
and names what there is. No instance is ever left out of an answer that says 200.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Scope, StoredInstance
from archive.web import media_types, urls
from archive.web.exchange import Answer, Asked
from archive.web.media_types import DICOM, Offer
from archive.web.multipart_body import Part, related, with_syntax

if TYPE_CHECKING:
    from archive.bootstrap import Archive

_TAGS = {"study": 0x0020000D, "series": 0x0020000E, "instance": 0x00080018}


def scope_of(asked: Asked) -> Scope:
    """What the path means. Raises InvalidUID."""
    uids = {name: (check_uid(asked.path[name], tag),) for name, tag in _TAGS.items() if name in asked.path}
    return Scope(uids.get("study", ()), uids.get("series", ()), uids.get("instance", ()))


def found(archive: Archive, asked: Asked) -> list[StoredInstance]:
    """The instances that the path means. Raises NotFound when there are none, Gone, InvalidUID."""
    scope = scope_of(asked)
    stored = archive.retrieve.instances(scope)
    if not stored:
        raise archive.retrieve.missing(scope)
    return stored


def url_of(asked: Asked, instance: StoredInstance) -> str:
    """The resource of an instance."""
    return urls.resource_url(
        asked.base_url, instance.StudyInstanceUID, instance.SeriesInstanceUID, instance.SOPInstanceUID
    )


def instances(archive: Archive, asked: Asked) -> Answer:
    """Every instance of a study or series, or one. Raises NotFound, NotAcceptable, InvalidUID."""
    stored = found(archive, asked)
    chosen = _chosen(asked, stored)
    if not chosen.multipart:
        only = stored[0]
        media_type = with_syntax(DICOM, only.transfer_syntax_uid)
        location = ("Content-Location", url_of(asked, only))
        return Answer(200, media_type, _file(archive, only), (location,), length=only.blob_length)
    return related(DICOM, _parts(archive, asked, stored))


def _chosen(asked: Asked, stored: Iterable[StoredInstance]) -> Offer:
    """Each transfer syntax among the instances has to be acceptable (PS3.18 8.7.8: selected for each part)."""
    single = "instance" in asked.path
    chosen = Offer(DICOM, multipart=True)
    for uid in sorted({instance.transfer_syntax_uid for instance in stored}):
        offers = [Offer(DICOM, multipart=True, transfer_syntax_uids=frozenset((uid,)))]
        if single:
            offers.append(Offer(DICOM, transfer_syntax_uids=frozenset((uid,))))
        chosen = media_types.choose(asked.accept, offers)
    return chosen


def _parts(archive: Archive, asked: Asked, stored: Iterable[StoredInstance]) -> Iterator[Part]:
    for instance in stored:
        yield Part(
            with_syntax(DICOM, instance.transfer_syntax_uid),
            _file(archive, instance),
            url_of(asked, instance),
            instance.blob_length,
        )


def _file(archive: Archive, instance: StoredInstance) -> Iterator[bytes]:
    with archive.retrieve.open(instance) as blob:
        yield from blob.pieces(0, instance.blob_length)
