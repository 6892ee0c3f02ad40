"""A study, series or instance as a zip file with a DICOMDIR, for people who want to keep it or put it on media.

`application/zip` is no media type of PS3.18 yet (supplement 211 is a draft), so it has to be asked for by name, in
the Accept header or as `?accept=application/zip`. Inside is a file-set of PS3.10: names that every file system takes
(8.2: components of at most eight capitals and digits), and a directory of it at the top. Every instance of the scope
is in it, or the request fails before the first byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import orjson

from archive.dicom.dicomdir import FILE_NAME, Directory, ReferencedFile
from archive.dicom.errors import NotAcceptable, NotFound
from archive.dicom.instance import StoredInstance
from archive.web import media_types, wado
from archive.web.exchange import Answer, Asked
from archive.web.media_types import DICOM, ZIP, Offer
from archive.web.zip_stream import Member, length_of, zipped

if TYPE_CHECKING:
    from archive.bootstrap import Archive

_OFFERS = (Offer(DICOM, multipart=True), Offer(DICOM), Offer(ZIP))


def instances(archive: Archive, asked: Asked) -> Answer:
    """The instances that the path means: as a zip file if that is liked best, else as `wado.instances` has them.
    Raises as that does."""
    if not _wanted(asked):
        return wado.instances(archive, asked)
    stored = wado.found(archive, asked)
    members = [
        _member(archive, instance, name) for instance, name in zip(stored, _names(stored), strict=True)
    ]
    length, directory = _directory(archive, asked, stored)
    members.insert(0, Member(FILE_NAME, length, lambda: directory))
    file_name = f"{stored[0].StudyInstanceUID}.zip"
    disposition = ("Content-Disposition", f'attachment; filename="{file_name}"')
    return Answer(200, ZIP, zipped(members), (disposition,), length=length_of(members))


def _wanted(asked: Asked) -> bool:
    try:
        return media_types.choose(asked.accept, _OFFERS).media_type == ZIP
    except NotAcceptable:
        return False


def _names(stored: Sequence[StoredInstance]) -> Iterator[tuple[str, ...]]:
    """A File ID for each: study, series and instance by number, in the order of the archive's answers."""
    studies: dict[str, int] = {}
    series: dict[str, int] = {}
    for number, instance in enumerate(stored, start=1):
        study = studies.setdefault(instance.StudyInstanceUID, len(studies) + 1)
        of_study = series.setdefault(instance.SeriesInstanceUID, len(series) + 1)
        yield "DICOM", f"S{study:05d}", f"R{of_study:05d}", f"I{number:07d}"


def _member(archive: Archive, instance: StoredInstance, name: tuple[str, ...]) -> Member:
    """Raises NotFound when the bytes are missing or cut short."""
    archive.retrieve.open(instance).close()
    return Member("/".join(name), instance.blob_length, partial(_pieces, archive, instance))


def _pieces(archive: Archive, instance: StoredInstance) -> Iterator[bytes]:
    with archive.retrieve.open(instance) as blob:
        yield from blob.pieces(0, instance.blob_length)


def _directory(
    archive: Archive, asked: Asked, stored: Sequence[StoredInstance]
) -> tuple[int, Iterator[bytes]]:
    """The DICOMDIR. Raises NotFound when an instance goes away meanwhile; one that is new meanwhile is left out."""
    files = {
        instance.SOPInstanceUID: ReferencedFile(
            name, instance.SOPClassUID, instance.SOPInstanceUID, instance.transfer_syntax_uid
        )
        for instance, name in zip(stored, _names(stored), strict=True)
    }
    directory = Directory()
    for text in archive.retrieve.metadata(wado.scope_of(asked), lambda _: ""):
        data_set = orjson.loads(text)
        file = files.pop(data_set["00080018"]["Value"][0], None)
        if file is not None:
            directory.add(data_set, file)
    if files:
        raise NotFound("an instance went away while the directory of the zip file was made: ask again")
    return directory.encoded()
