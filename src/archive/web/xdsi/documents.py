"""The documents of a RAD-69 request: each in a transfer syntax that its reader takes, or why it does not come.

As stored where that is among the transfer syntaxes that are asked for, else in the first of them in which it can be had
without loss. The answer lists the documents before the first of their bytes, so here all is made sure of that can be
told beforehand; for what has to be decoded that means to decode it twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archive.dicom import part10
from archive.dicom.errors import ArchiveError, NotAcceptable, NotFound, OutOfResources
from archive.dicom.instance import Scope, StoredInstance
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from archive.web.xdsi.envelope import Request, Wanted

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

UNKNOWN_REPOSITORY = "XDSUnknownRepositoryId"
NO_DOCUMENT = "XDSDocumentUniqueIdError"
"""Both of ITI TF-3 table 4.2.4.1-2."""
NOT_IN_THESE = "urn:dicom:wado:0007"
"""The instance cannot be provided in the requested transfer syntax (RAD TF-3 4.69)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A document that goes out, in this transfer syntax."""

    wanted: Wanted
    instance: StoredInstance
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A document that does not, with the error code that says so and the sentence for a person."""

    wanted: Wanted
    code: str
    reason: str


def sorted_out(archive: Archive, request: Request) -> tuple[list[Found], list[Failed]]:
    """Which documents go out and in which form, in the order asked for, and which do not."""
    repository = archive.settings.xds.repository_unique_id
    stored = _stored(archive, [one for one in request.documents if one.repository == repository])
    found: list[Found] = []
    failed: list[Failed] = []
    for wanted in dict.fromkeys(request.documents):
        if wanted.repository != repository:
            failed.append(Failed(wanted, UNKNOWN_REPOSITORY, "this is another repository's document"))
            continue
        instance = stored.get((wanted.study, wanted.series, wanted.document))
        if instance is None:
            failed.append(Failed(wanted, NO_DOCUMENT, "no such document is in this study and series"))
            continue
        outcome = _form(archive, wanted, instance, request.transfer_syntaxes)
        found.append(outcome) if isinstance(outcome, Found) else failed.append(outcome)
    return found, failed


def content(archive: Archive, one: Found) -> Iterator[bytes]:
    """The PS3.10 file. Raises NotFound, NotAcceptable, CannotRender, CannotUnderstand, all before the first piece."""
    instance, uid = one.instance, one.transfer_syntax_uid
    if uid == instance.transfer_syntax_uid:
        readable = archive.delivery.stored(instance)
        yield from readable.read(0, readable.length)
    elif uid == EXPLICIT_VR_LITTLE_ENDIAN:
        readable = archive.delivery.explicit(instance)
        readable.make_sure()
        yield from readable.read(0, readable.length)
    else:
        with archive.delivery.data_set(instance, uid) as pieces:
            first = next(pieces, b"")
            yield part10.file_meta(instance.SOPClassUID, instance.SOPInstanceUID, uid) + first
            yield from pieces


def _stored(archive: Archive, wanted: Sequence[Wanted]) -> dict[tuple[str, str, str], StoredInstance]:
    """What is stored of these, by study, series and instance: all three have to be right."""
    known = {}
    by_study: dict[str, dict[str, None]] = {}
    for one in wanted:
        by_study.setdefault(one.study, {})[one.document] = None
    for study, uids in by_study.items():
        for instance in archive.retrieve.instances(Scope((study,), sop_instance_uids=tuple(uids))):
            place = instance.StudyInstanceUID, instance.SeriesInstanceUID, instance.SOPInstanceUID
            known[place] = instance
    return known


def _form(
    archive: Archive, wanted: Wanted, instance: StoredInstance, syntaxes: Sequence[str]
) -> Found | Failed:
    stored = instance.transfer_syntax_uid
    possible = (stored,) if stored in syntaxes else tuple(uid for uid in syntaxes if uid in TRANSFER_SYNTAXES)
    reason = "it cannot be had in the transfer syntaxes that were asked for"
    for uid in possible:
        one = Found(wanted, instance, uid)
        try:
            _make_sure(archive, one)
        except OutOfResources:
            raise  # in a moment it can be had: nothing is said of the document
        except NotFound:
            return Failed(wanted, NO_DOCUMENT, "its bytes are damaged here: they have to be restored")
        except NotAcceptable as error:
            reason = error.reason
        except ArchiveError as error:
            return Failed(wanted, NOT_IN_THESE, error.reason)
        else:
            return one
    return Failed(wanted, NOT_IN_THESE, reason)


def _make_sure(archive: Archive, one: Found) -> None:
    if one.transfer_syntax_uid == one.instance.transfer_syntax_uid:
        archive.retrieve.open(one.instance).close()
        return
    pieces = content(archive, one)
    try:
        next(pieces, b"")
    finally:
        pieces.close()  # type: ignore[attr-defined]
