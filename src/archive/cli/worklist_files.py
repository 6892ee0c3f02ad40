"""Files that hold entries of the worklist: which of three kinds each is follows from its first bytes.

JSON has one entry or an array of them, by keyword or as PS3.18 annex F has it. PS3.10 files are what file-based
worklist servers (DCMTK's wlmscpfs, Orthanc's plugin) serve. HL7 v2 has any number of orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from archive.bootstrap.building import Archive
from archive.cli import sources
from archive.dicom.errors import ArchiveError, CannotUnderstand, InstanceConflict, ObjectTooLarge
from archive.dicom.part10 import FileMetaReader
from archive.dicom.reading import data_set
from archive.dicom.receiving import received
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import keyword_form
from archive.hl7.answering import check, is_order
from archive.hl7.framing import END, START
from archive.hl7.message import Message
from archive.hl7.orders import orders

MAXIMUM_BYTES = 64 << 20
SOURCE = "import"


@dataclass
class Report:
    """What became of the files: entries entered or changed, those that were there already, and files with the reason
    why they were refused."""

    entered: int = 0
    there: int = 0
    refused: list[tuple[Path, str]] = field(default_factory=list)


def run(archive: Archive, paths: Iterable[Path]) -> Report:
    """Enter what the files hold. Each entry stands for itself, but the orders of one HL7 message."""
    report = Report()
    for path in sources.files(paths):
        try:
            _enter(archive, path, report)
        except ArchiveError as error:
            report.refused.append((path, error.reason))
        except OSError as error:
            report.refused.append((path, f"cannot be read: {error.strerror}"))
    return report


def _enter(archive: Archive, path: Path, report: Report) -> None:
    if path.stat().st_size > MAXIMUM_BYTES:
        raise ObjectTooLarge(f"more than {MAXIMUM_BYTES >> 20} MiB: no worklist")
    content = path.read_bytes()
    if content.lstrip(START + b"\r\n\t ").startswith(b"MSH"):
        for raw in _messages(content):
            message = Message(raw, archive.settings.hl7.character_set)
            check(archive, message)
            if not is_order(message):
                raise CannotUnderstand("MSH-9 is no order: send the message to the HL7 door (hl7.listen)")
            read = orders(message, archive.settings.hl7.assigning_authorities)
            report.entered += len(archive.orders.apply(read, SOURCE))
        return
    for brought in _data_sets(content):
        try:
            report.entered += len(archive.worklist.add(brought, SOURCE))
        except InstanceConflict:
            report.there += 1


def _messages(content: bytes) -> Iterator[bytes]:
    """Messages one after the other, with or without what MLLP puts around them."""
    plain = content.replace(START, b"").replace(END, b"").replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    for number, part in enumerate((b"\r" + plain.lstrip(b"\r")).split(b"\rMSH")):
        if number:
            yield b"MSH" + part


def _data_sets(content: bytes) -> Iterator[DataSet]:
    if content[128:132] == b"DICM":
        meta = FileMetaReader()
        meta.feed(content)
        rest = content[meta.meta.length :]
        yield received.data_set(_without_unknown(data_set.read((rest,), meta.meta.transfer_syntax_uid)))
    elif content.lstrip()[:1] in (b"{", b"["):
        yield from _of_json(content)
    else:
        raise CannotUnderstand("neither JSON nor a PS3.10 file nor HL7 v2")


def _of_json(content: bytes) -> Iterator[DataSet]:
    try:
        read: Any = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise CannotUnderstand(f"not JSON: line {error.lineno}, column {error.colno}") from None
    for one in read if isinstance(read, list) else (read,):
        yield keyword_form.data_set(one)


def _without_unknown(read: DataSet) -> DataSet:
    """Without values that are not in the data set itself: nobody could follow where they are."""
    return {tag: element for tag, element in read.items() if "BulkDataURI" not in element}
