"""The part of the check that looks into the archive's own folder: rows against files, digests, counts, spool (I2, I3,
I5, I6).

It reads the index with plain SQL and finds what points to bytes by the names of columns, so that a table somebody adds
is looked at without anybody having to think of it, and so that it does not believe what the archive's own code says.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from reliability.target import Target

_SPOOLED_AT_MOST = 150.0
"""What a dead worker left in the spool is gone so many seconds later: it has to be a minute old, and a sweep is due."""

_COUNTS = {
    "series": (
        "SELECT s.id FROM series s WHERE s.number_of_instances <>"
        " (SELECT count(*) FROM instance i WHERE i.series_id = s.id) OR s.number_of_instances = 0"
    ),
    "study": (
        "SELECT t.id FROM study t WHERE t.number_of_instances <> (SELECT count(*) FROM instance i"
        " JOIN series s ON i.series_id = s.id WHERE s.study_id = t.id) OR t.number_of_series <>"
        " (SELECT count(*) FROM series s WHERE s.study_id = t.id) OR t.number_of_series = 0"
    ),
    "patient": "SELECT p.id FROM patient p WHERE NOT EXISTS (SELECT 1 FROM study t WHERE t.patient_id = p.id)",
}
_ROWS = 'SELECT "SOPInstanceUID", blob_key, data_set_offset, data_set_length, sha256 FROM instance'


@dataclass(frozen=True, slots=True)
class Row:
    """What the index says of the bytes of an instance."""

    uid: str
    key: str
    offset: int
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in a folder: the rows of its instances, keys that something points to, keys of files, and what is
    wrong. `digests`: of the data set of each instance whose file is there and whole."""

    rows: list[Row]
    pointed_to: set[str]
    files: set[str]
    digests: dict[str, str]
    wrong: list[str]

    @property
    def orphans(self) -> set[str]:
        """Files to which nothing points."""
        return self.files - self.pointed_to


def look(target: Target, only: set[str] | None = None) -> Found:
    """Read the index and every file that it names; with `only` no other file than those of these instances."""
    assert target.data is not None, "a folder to look into"
    engine = sa.create_engine(target.index_url or f"sqlite:///{target.data / 'index.sqlite'}")
    try:
        with engine.connect() as connection:
            files = set(_files(target.data / "objects"))  # before the rows: what comes later is no orphan
            found = [Row(*row) for row in connection.execute(sa.text(_ROWS))]
            named, leaving = set(pointed_to(connection)), set(to_be_removed(connection))
            wrong = list(_wrong_counts(connection)) + list(_engine_says(connection))
    finally:
        engine.dispose()
    digests: dict[str, str] = {}
    for row in found:
        if only is not None and row.uid not in only:
            continue
        said = _digest(target.data / "objects" / row.key, row)
        if said == row.sha256:
            digests[row.uid] = said
        else:
            wrong.append(f"{row.uid}: its file is not what the index says: {said}")
    files |= {row.key for row in found if (target.data / "objects" / row.key).is_file()}
    wrong += [
        f"{key}: something points to it, and there is no file"
        for key in sorted(named - files)
        if not (target.data / "objects" / key).is_file()
    ]
    wrong += _spooled(target.data / "spool")
    return Found(found, named | leaving, files, digests, wrong)


def _files(folder: Path) -> Iterator[str]:
    for path in folder.glob("*/*/*"):
        yield path.relative_to(folder).as_posix()


def pointed_to(connection: sa.Connection) -> Iterator[str]:
    """Every key of a row that tells where the object lies in its file: that must be there. A row that tells what was
    deleted has its key as well, and no file."""
    described = sa.inspect(connection)
    for table in described.get_table_names():
        if {"blob_key", "data_set_length"} <= {column["name"] for column in described.get_columns(table)}:
            keys = connection.execute(sa.text(f"SELECT blob_key FROM \"{table}\" WHERE blob_key <> ''"))
            yield from (key for (key,) in keys)


def to_be_removed(connection: sa.Connection) -> Iterator[str]:
    """Every key that a job is to remove, which it may have done before it was killed."""
    for (payload,) in connection.execute(sa.text("SELECT payload FROM outbox")):
        job: dict[str, Any] = orjson.loads(payload)
        yield from (key for key in [job.get("key", ""), *job.get("keys", [])] if key)


def _wrong_counts(connection: sa.Connection) -> Iterable[str]:
    for level, question in _COUNTS.items():
        for (key,) in connection.execute(sa.text(question)):
            yield f"{level} {key}: its counts are not those of what it holds"


def _engine_says(connection: sa.Connection) -> Iterable[str]:
    if connection.dialect.name == "sqlite":
        said = connection.execute(sa.text("PRAGMA integrity_check")).scalar_one()
        if said != "ok":
            yield f"SQLite says of the index: {said}"


def _digest(path: Path, row: Row) -> str:
    """That of the data set, or why there is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return str(error.strerror)
    if len(data) != row.offset + row.length:
        return f"{len(data)} bytes instead of {row.offset + row.length}"
    return hashlib.sha256(data[row.offset :]).hexdigest()


def _spooled(folder: Path) -> list[str]:
    """Files of the spool to which nobody writes, and which nobody has removed in time."""
    left, now = [], time.time()
    for path in folder.iterdir():
        try:
            if now - path.stat().st_mtime > _SPOOLED_AT_MOST and is_abandoned(path):
                left.append(f"{path.name}: left in the spool")
        except FileNotFoundError:
            continue
    return left


def is_abandoned(path: Path) -> bool:
    """Whether no process holds a file of the spool."""
    with closing(_Descriptor(os.open(path, os.O_RDONLY))) as held:
        try:
            fcntl.flock(held.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class _Descriptor:
    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        os.close(self.number)
