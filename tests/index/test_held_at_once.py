"""The same object comes twice at once, and is held: of one of the two the bytes are pointed to, and those of the other
are told to be free (reliability.md I3). On PostgreSQL, as SQLite has one writer at a time."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest

from archive.dicom.instance import Source, StoredInstance
from archive.index import conflicts
from archive.index.conflicts import Copy
from archive.index.database import Connection, Database

SOURCE = Source("DIMSE", "127.0.0.1", "MODALITY", "ARCHIVE")
REASON = "other content"


def copy(blob_key: str) -> Copy:
    stored = StoredInstance(
        "2.25.1", "2.25.2", "2.25.3", "1.2", "1.2.840.10008.1.2.1", blob_key, 0, 100, "digest"
    )
    return Copy(stored, SOURCE)


def test_one_comes_between_the_look_and_the_entry_of_the_other(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database.open(postgresql_url)
    told: list[tuple[int, str]] = []

    def hold(blob_key: str) -> None:
        told.append(database.write(lambda connection: conflicts.hold(connection, copy(blob_key), REASON)))

    look = conflicts.held

    def looks(connection: Connection, *asked: Any) -> Any:
        found = look(connection, *asked)
        monkeypatch.setattr(conflicts, "held", look)
        other = Thread(target=hold, args=("faster",))
        other.start()
        other.join()
        return found

    monkeypatch.setattr(conflicts, "held", looks)
    hold("slower")
    (first, freed_first), (second, freed_second) = told
    assert first == second
    assert (freed_first, freed_second) == ("", "faster")
    with database.read() as connection:
        (row,) = conflicts.conflicts(connection)
    assert (row.blob_key, row.times) == ("slower", 2)
    database.close()
