"""Questions of strangers, from their bytes to the index: C-FIND Identifiers, query strings, headers (H2, H11, H12).

The index is SQLite with two objects in it: SQL that a question becomes is run, so one that cannot be run is
found. Whatever is refused is refused with one of our errors, before or there.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from pydicom.dataset import Dataset

from archive.dicom.errors import ArchiveError, InvalidQuery, NotAcceptable, OutOfResources
from archive.dicom.instance import Instance, Level, Source
from archive.dimse.find_keys import Terms, question
from archive.dimse.identifier import read
from archive.index import recording
from archive.index.database import Database
from archive.services.search import Search
from archive.web import qido_parameters
from archive.web.frames import frame_numbers
from archive.web.http import charset, compression, conditional, media_types, ranges
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.media_types import Accept, Offer
from fuzz import seeds
from fuzz.targets import data_sets

_LEVELS = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE)
_MOST = 10


@functools.cache
def _search() -> Search:
    """Over an index with the objects of the seeds."""
    database = Database.in_file(Path(tempfile.mkdtemp(prefix="fuzz-"), "index.sqlite"))
    database.migrate()
    for number, made in enumerate((seeds.nested(), seeds.image())):
        made.SOPInstanceUID = f"1.2.3.{number}"
        encoded = seeds.encoded(made, seeds.EXPLICIT)
        instance = data_sets.outcome(encoded, seeds.EXPLICIT, len(encoded))
        assert isinstance(instance, Instance)
        _record(database, instance, number)
    return Search(database)


def _record(database: Database, instance: Instance, number: int) -> None:
    database.write(
        lambda connection: recording.record(connection, instance, f"key{number}", 0, "0" * 64, Source("FUZZ"))
    )


def identifier(data: bytes) -> None:
    """A C-FIND. The first byte says the transfer syntax and the root of the information model."""
    if not data:
        return
    uid = (seeds.IMPLICIT, seeds.EXPLICIT)[data[0] & 1]
    root = _LEVELS[data[0] >> 1 & 1]
    try:
        asked = question(read(data[1:], uid), Terms(root, _MOST, records=bool(data[0] & 4)))
        list(_search().stream(asked.query))
    except ArchiveError as refused:
        _check_refused(refused)


def search(data: bytes) -> None:
    """A query string. The first byte says the level, and whether the settings are strict."""
    if not data:
        return
    level, strict = _LEVELS[data[0] % 4], bool(data[0] & 4)
    text = data[1:].decode("latin-1")
    asked = Asked({}, text, {}, "http://localhost", strict=strict)
    try:
        wanted = qido_parameters.parse(asked.parameters, level or Level.STUDY, _MOST, strict=strict)
        list(_search().find(wanted.query).matches)
        _search().count(wanted.query)
    except ArchiveError as refused:
        _check_refused(refused)


def _check_refused(refused: ArchiveError) -> None:
    """An index that cannot run a question says so as OutOfResources: here nothing else could be the reason."""
    assert refused.reason
    assert type(refused) is not OutOfResources, refused.reason


def headers(data: bytes) -> None:
    """Header fields, one a line: Accept, Range, conditions, codings, character sets."""
    lines = data.decode("latin-1").split("\n")
    named = dict(zip(_FIELDS, lines, strict=False))
    asked = Asked({}, f"accept={quote(lines[0])}", named, "http://localhost")
    body = Sliced.of(b"0123456789")
    answer = Answer(200, "application/dicom+json", body, etag="tag")
    for strict in (False, True):
        try:
            chosen = media_types.choose(Accept(lines[0], None, strict), _OFFERS)
            assert chosen in _OFFERS
        except (NotAcceptable, InvalidQuery) as refused:
            assert refused.reason
    for apply in (conditional.applied, ranges.applied):
        got = apply(answer, asked)
        assert got.status in (200, 206, 304, 412, 416), got.status
        if not isinstance(got.body, bytes | Sliced):
            assert len(b"".join(bytes(piece) for piece in got.body)) == got.length  # type: ignore[arg-type]
    _ask(lambda: compression.coding(asked), lambda: charset.chosen(asked, "application/dicom+json"))
    _ask(lambda: frame_numbers(lines[-1]))


def _ask(*questions: Callable[[], object]) -> None:
    """Each is answered, or refused in words."""
    for ask in questions:
        try:
            ask()
        except ArchiveError as refused:
            assert refused.reason


_FIELDS = ("accept", "range", "if-range", "if-none-match", "if-match", "accept-encoding", "accept-charset")
_OFFERS = (Offer("application/dicom+json"), Offer("application/dicom"), Offer("image/jpeg"))


# --- seeds ---


def identifier_seeds() -> list[bytes]:
    """A question at each level."""
    found = []
    for number, level in enumerate(("PATIENT", "STUDY", "SERIES", "IMAGE")):
        made = seeds.nested()
        for keyword in ("SOPInstanceUID", "SOPClassUID"):
            del made[keyword]
        if level != "IMAGE":
            del made.SeriesInstanceUID
        made.QueryRetrieveLevel, made.PatientName, made.StudyDate = level, "Plov*", "20240101-"
        for uid in (seeds.IMPLICIT, seeds.EXPLICIT):
            encoded = _encoded(made, uid)
            found.append(bytes((number << 1 & 2 | (uid == seeds.EXPLICIT),)) + encoded)
    return found


def _encoded(made: Dataset, uid: str) -> bytes:
    made.SOPClassUID, made.SOPInstanceUID = seeds.SECONDARY_CAPTURE, "1.2.3"
    return seeds.encoded(made, uid)


def search_seeds() -> list[bytes]:
    """Parameters of every kind."""
    return [
        b"\x01PatientName=Plo*&includefield=all&limit=5&offset=1&fuzzymatching=true",
        b"\x02StudyInstanceUID=1.2.4,1.2.5&00080060=CT%5CMR&Modality=OT",
        b"\x03StudyDate=20200101-20261231&StudyTime=10-11&TimezoneOffsetFromUTC=+0100",
        b"\x05RequestAttributesSequence.ScheduledProcedureStepID=1&includefield=00400275.00400009",
        b"\x01ConceptNameCodeSequence.CodeValue=113*&emptyvaluematching=true&PatientID=%22%22",
        b"\x03SOPInstanceUID=1.2.3.*&PatientName=%5B%5D_%25&Rows=512&PriorRecordKey=AAAAAAAAAAE=",
    ]


def headers_seeds() -> list[bytes]:
    """Fields of every kind."""
    several = (
        b'multipart/related; type="application/dicom+json"; q=0.5, */*;q=0',
        *(b"bytes=0-3", b'"tag"', b"*", b'W/"a", "b"', b"gzip;q=1, *;q=0", b"utf-8", b"1,2,3"),
    )
    one = (
        b"application/dicom+json",
        b"bytes=-5,0-0",
        b"",
        b'"x"',
        b"*",
        b"zstd, identity;q=0",
        b"utf-8;q=0.3, *",
    )
    return [b"\n".join(several), b"\n".join(one)]
