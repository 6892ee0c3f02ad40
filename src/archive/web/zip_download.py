"""A study, series or instance as a zip file with a DICOMDIR, for people who want to keep it or put it on media.

`application/zip` is no media type of PS3.18 yet (supplement 211 is a draft), so it has to be asked for by name, in
the Accept header or as `?accept=application/zip`. Inside is a file-set of PS3.10 (`services.file_sets`) with its
directory at the top. Every instance of the scope is in it whose stored bytes are there, or the request fails before the
first byte. Where some are damaged, MISSING.TXT names them, and so do the name of the file and a Warning; the status
stays 200, as browsers give up a download that is answered with 206 (Chromium 156 does) and people would get nothing.

What is native is in Explicit VR Little Endian, as PS3.18 wants everything and readers of media know it; what is
compressed stays as it is. `application/zip; transfer-syntax=` asks for something else: `*` for all as stored, or one
transfer syntax for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archive.dicom.errors import NotAcceptable
from archive.dicom.instance import StoredInstance
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from archive.dicom.writing.dicomdir import FILE_NAME, ReferencedFile
from archive.services import file_sets
from archive.services.explicit import NATIVE
from archive.services.file_sets import FileID, FileIDs
from archive.web import incomplete, wado
from archive.web.http import media_types
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import ANY_SYNTAX, DICOM, ZIP, Offer
from archive.web.targets import intact
from archive.web.zip_stream import Member, length_of, zipped

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MISSING = "MISSING.TXT"

_OFFERS = (Offer(DICOM, multipart=True), Offer(DICOM), Offer(ZIP))


def instances(archive: Archive, asked: Asked) -> Answer:
    """The instances that the path means: as a zip file if that is liked best, else as `wado.instances` has them.
    Raises as that does."""
    if not _wanted(asked):
        return wado.instances(archive, asked)
    syntax = _transfer_syntax(asked)
    had = intact(archive, asked)
    stored = had.instances
    names = FileIDs()
    files = [_file(instance, names.of(instance), syntax) for instance in stored]
    if any(map(_is_decoded, stored, files)):
        asked.decodes()
    members = [_member(archive, *each) for each in zip(stored, files, strict=True)]
    length, directory = file_sets.directory(archive.retrieve, stored, files).encoded()
    members.insert(0, Member(FILE_NAME, length, lambda: directory))
    if had.damaged:
        members.insert(1, _missing(had.damaged))
    file_name = f"{stored[0].StudyInstanceUID}{'-incomplete' if had.damaged else ''}.zip"
    disposition = ("Content-Disposition", f'attachment; filename="{file_name}"')
    headers = (disposition, *incomplete.warning(asked, had.damaged))
    return Answer(200, ZIP, zipped(members), headers, length=length_of(members), objects=len(stored))


def _missing(damaged: Sequence[StoredInstance]) -> Member:
    lines = [
        f"NOT COMPLETE: {len(damaged)} instances are damaged where they are stored, and are missing here."
    ]
    text = "".join(f"{line}\r\n" for line in (*lines, *(one.SOPInstanceUID for one in damaged))).encode(
        "ascii"
    )
    return Member(MISSING, len(text), lambda: iter((text,)))


def _wanted(asked: Asked) -> bool:
    try:
        return media_types.choose(asked.accept, _OFFERS).media_type == ZIP
    except NotAcceptable:
        return False


def _transfer_syntax(asked: Asked) -> str:
    """What is asked for by name; empty for nothing in particular."""
    accept = asked.accept
    for text in (accept.parameter, accept.header):
        for media_type in media_types.parse_list(text or ""):
            if media_type.name == ZIP:
                return media_type.parameters.get("transfer-syntax", "").strip()
    return ""


def _file(instance: StoredInstance, name: FileID, wanted: str) -> ReferencedFile:
    """The instance as it will lie in the zip. Raises NotAcceptable."""
    uid = instance.transfer_syntax_uid
    if wanted not in ("", ANY_SYNTAX, EXPLICIT_VR_LITTLE_ENDIAN, uid):
        raise NotAcceptable(
            "a zip file has what is stored, or Explicit VR Little Endian: ask for application/zip alone, or with "
            f"transfer-syntax=* or {EXPLICIT_VR_LITTLE_ENDIAN}"
        )
    if wanted == EXPLICIT_VR_LITTLE_ENDIAN or (uid in NATIVE and not wanted):
        uid = EXPLICIT_VR_LITTLE_ENDIAN
    return ReferencedFile(name, instance.SOPClassUID, instance.SOPInstanceUID, uid)


def _is_decoded(instance: StoredInstance, file: ReferencedFile) -> bool:
    return instance.transfer_syntax_uid not in (*NATIVE, file.transfer_syntax_uid)


def _member(archive: Archive, instance: StoredInstance, file: ReferencedFile) -> Member:
    """Raises NotFound when an instance went away meanwhile, NotAcceptable, CannotRender. How an object is re-encoded is
    worked out again when its turn comes, as that of all of them would fill the memory."""
    as_stored = file.transfer_syntax_uid == instance.transfer_syntax_uid
    form = archive.delivery.stored if as_stored else archive.delivery.explicit
    readable = form(instance)
    readable.make_sure()
    length = readable.length
    return Member("/".join(file.file_id), length, lambda: form(instance).read(0, length))
