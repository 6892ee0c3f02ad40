"""A study, series or instance as a zip file with a DICOMDIR, for people who want to keep it or put it on media.

`application/zip` is no media type of PS3.18 yet (supplement 211 is a draft), so it has to be asked for by name, in
the Accept header or as `?accept=application/zip`. Inside is a file-set of PS3.10: names that every file system takes
(8.2: components of at most eight capitals and digits), and a directory of it at the top. Every instance of the scope
is in it, or the request fails before the first byte.

What is native is in Explicit VR Little Endian, as PS3.18 wants everything and readers of media know it; what is
compressed stays as it is. `application/zip; transfer-syntax=` asks for something else: `*` for all as stored, or one
transfer syntax for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import orjson

from archive.dicom.errors import NotAcceptable, NotFound
from archive.dicom.instance import StoredInstance
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from archive.dicom.writing.dicomdir import FILE_NAME, Directory, ReferencedFile
from archive.services.explicit import NATIVE
from archive.web import wado
from archive.web.http import media_types
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import ANY_SYNTAX, DICOM, ZIP, Offer
from archive.web.zip_stream import Member, length_of, zipped

if TYPE_CHECKING:
    from archive.bootstrap import Archive

_OFFERS = (Offer(DICOM, multipart=True), Offer(DICOM), Offer(ZIP))


def instances(archive: Archive, asked: Asked) -> Answer:
    """The instances that the path means: as a zip file if that is liked best, else as `wado.instances` has them.
    Raises as that does."""
    if not _wanted(asked):
        return wado.instances(archive, asked)
    syntax = _transfer_syntax(asked)
    stored = wado.found(archive, asked)
    files = [_file(instance, name, syntax) for instance, name in zip(stored, _names(stored), strict=True)]
    if any(map(_is_decoded, stored, files)):
        asked.decodes()
    members = [_member(archive, *each) for each in zip(stored, files, strict=True)]
    length, directory = _directory(archive, asked, files)
    members.insert(0, Member(FILE_NAME, length, lambda: directory))
    file_name = f"{stored[0].StudyInstanceUID}.zip"
    disposition = ("Content-Disposition", f'attachment; filename="{file_name}"')
    return Answer(200, ZIP, zipped(members), (disposition,), length=length_of(members))


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


def _names(stored: Sequence[StoredInstance]) -> Iterator[tuple[str, ...]]:
    """A File ID for each: study, series and instance by number, in the order of the archive's answers."""
    studies: dict[str, int] = {}
    series: dict[str, int] = {}
    for number, instance in enumerate(stored, start=1):
        study = studies.setdefault(instance.StudyInstanceUID, len(studies) + 1)
        of_study = series.setdefault(instance.SeriesInstanceUID, len(series) + 1)
        yield "DICOM", f"S{study:05d}", f"R{of_study:05d}", f"I{number:07d}"


def _file(instance: StoredInstance, name: tuple[str, ...], wanted: str) -> ReferencedFile:
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
    """Raises NotFound when the bytes are missing or cut short, NotAcceptable, CannotRender. How an object is
    re-encoded is worked out again when its turn comes, as that of all of them would fill the memory."""
    as_stored = file.transfer_syntax_uid == instance.transfer_syntax_uid
    form = archive.delivery.stored if as_stored else archive.delivery.explicit
    readable = form(instance)
    if as_stored:
        archive.retrieve.open(instance).close()
    readable.make_sure()
    length = readable.length
    return Member("/".join(file.file_id), length, lambda: form(instance).read(0, length))


def _directory(
    archive: Archive, asked: Asked, files: Sequence[ReferencedFile]
) -> tuple[int, Iterator[bytes]]:
    """The DICOMDIR. Raises NotFound when an instance goes away meanwhile; one that is new meanwhile is left out."""
    waiting = {file.SOPInstanceUID: file for file in files}
    directory = Directory()
    for text in archive.retrieve.metadata(wado.scope_of(asked), lambda _: ""):
        data_set = orjson.loads(text)
        file = waiting.pop(data_set["00080018"]["Value"][0], None)
        if file is not None:
            directory.add(data_set, file)
    if waiting:
        raise NotFound("an instance went away while the directory of the zip file was made: ask again")
    return directory.encoded()
