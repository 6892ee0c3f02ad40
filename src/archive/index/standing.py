"""How blobs stand: what points to each of them, as rows. It is noted beside the blobs (`storage.notes`) whenever it is
something else than "this is what is stored", so that an index that is lost can be made again from the files.

Whoever changes it calls `changed` in the same transaction. What is noted is what the index says when the job runs, so
it does not matter how often, and in which order, that is. A subject is the key of a blob, or `correction N` or
`rejection N`: what was decided about many of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from archive.index import outbox
from archive.index.corrections_schema import (
    corrected_object,
    corrected_study,
    correction,
    correction_rule,
    rewritten,
)
from archive.index.database import Connection
from archive.index.rejections_schema import rejected, rejected_copy, rejection
from archive.index.schema import conflict, instance_detail
from archive.index.schema import instance as instance_table
from archive.index.sql import among, insert_unless_there

STANDING_CHANGED = "StandingChanged"
"""Outbox event: something else points to these blobs, or was decided about them; payload `{"subjects": […]}`."""

SUBJECTS_PER_JOB = 200
CORRECTION, REJECTION = "correction", "rejection"

Entry = dict[str, Any]
"""What is known of a subject: `instance`, what the index alone knows of an object that is stored; `staged`, the number
of the correction that is writing it anew; `rows`, of the other tables. Empty: nothing points to it."""

TABLES = (
    correction,
    correction_rule,
    corrected_study,
    corrected_object,
    rejection,
    rejected,
    rejected_copy,
    conflict,
)
"""Whose rows entries have, each behind those that it refers to."""

_FACTS = (
    instance_table.c.stored_at,
    instance_table.c.data_set_offset,
    instance_table.c.sha256,
    instance_table.c.received_sha256,
    instance_table.c.received_transfer_syntax_uid,
    instance_detail.c.door,
    instance_detail.c.address,
    instance_detail.c.calling_ae_title,
    instance_detail.c.called_ae_title,
)
_STORED = sa.select(instance_table.c.blob_key, instance_table.c.SOPInstanceUID, *_FACTS).join(
    instance_detail, instance_detail.c.instance_id == instance_table.c.id
)


def changed(connection: Connection, subjects: Iterable[str]) -> None:
    """Leave it to the jobs to note how these stand when this transaction has ended."""
    left = iter(dict.fromkeys(filter(None, subjects)))
    while some := list(islice(left, SUBJECTS_PER_JOB)):
        outbox.put(connection, STANDING_CHANGED, {"subjects": some})


def of_correction(number: int) -> str:
    """The subject that a correction is."""
    return f"{CORRECTION} {number}"


def of_rejection(number: int) -> str:
    """The subject that a rejection note is."""
    return f"{REJECTION} {number}"


def of(connection: Connection, subjects: Sequence[str]) -> dict[str, Entry]:
    """How these subjects stand; some hundreds of them at most."""
    found: dict[str, Entry] = {subject: {} for subject in subjects}
    keys = [subject for subject in subjects if " " not in subject]
    if keys:
        _add_stored(connection, keys, found)
        staged = sa.select(rewritten.c.blob_key, rewritten.c.correction_id)
        for key, number in connection.execute(staged.where(among(rewritten.c.blob_key, keys))):
            found[key]["staged"] = number
        for table in (conflict, rejected_copy, corrected_object):
            for row in _rows(connection, table, among(table.c.blob_key, keys)):
                _add(found[row["blob_key"]], table, row)
        notes = sa.select(rejection.c.blob_key, rejection.c.id).where(among(rejection.c.blob_key, keys))
        for key, number in connection.execute(notes):
            _add_rejection(connection, number, found[key])
    for subject in subjects:
        kind, _, number = subject.partition(" ")
        if number:
            _OF_KIND[kind](connection, int(number), found[subject])
    return found


def _add_stored(connection: Connection, keys: Sequence[str], found: Mapping[str, Entry]) -> None:
    by_uid = {}
    for key, uid, *facts in connection.execute(_STORED.where(among(instance_table.c.blob_key, keys))):
        found[key]["instance"] = {
            str(column.name): value for column, value in zip(_FACTS, facts, strict=True)
        }
        by_uid[uid] = key
    if not by_uid:
        return
    # What an object said before it was corrected stays known when its former bytes are not kept.
    mine = among(corrected_object.c.SOPInstanceUID, list(by_uid))
    for row in _rows(connection, corrected_object, mine):
        without_bytes = {"blob_key": "", "data_set_offset": 0, "data_set_length": 0, "sha256": ""}
        _add(found[by_uid[row["SOPInstanceUID"]]], corrected_object, {**row, **without_bytes})


def _add_correction(connection: Connection, number: int, entry: Entry) -> None:
    for row in _rows(connection, correction, correction.c.id == number):
        _add(entry, correction, row)
    for table in (correction_rule, corrected_study):
        for row in _rows(connection, table, table.c.correction_id == number):
            _add(entry, table, row)


def _add_rejection(connection: Connection, number: int, entry: Entry) -> None:
    for row in _rows(connection, rejection, rejection.c.id == number):
        _add(entry, rejection, row)
    for row in _rows(connection, rejected, rejected.c.rejection_id == number):
        _add(entry, rejected, row)


_OF_KIND = {CORRECTION: _add_correction, REJECTION: _add_rejection}


def _rows(connection: Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    found = connection.execute(sa.select(table).where(which))
    return [{str(name): value for name, value in row.items()} for row in found.mappings()]


def _add(entry: Entry, table: sa.Table, row: Mapping[str, Any]) -> None:
    entry.setdefault("rows", {}).setdefault(str(table.name), []).append(dict(row))


def holds(entry: Entry) -> bool:
    """Whether something else than an instance that is stored points to the blob."""
    return "instance" not in entry and bool(entry.get("rows"))


def restore(
    connection: Connection,
    entries: Mapping[str, Entry],
    besides: Iterable[str],
    is_there: Callable[[str], bool],
) -> int:
    """Enter the rows that were noted, but for those of the tables `besides`; how many. Bytes that are not there any
    more are held no longer. The row that points to a blob is in that blob's own note, so those come first."""
    entered = 0
    for table in TABLES:
        if table.name in besides:
            continue
        for own in (True, False):
            for subject, entry in entries.items():
                for row in entry.get("rows", {}).get(table.name, ()):
                    if (row.get("blob_key") == subject) is own:
                        entered += _enter(connection, table, row, is_there)
    return entered


def _enter(
    connection: Connection, table: sa.Table, row: dict[str, Any], is_there: Callable[[str], bool]
) -> bool:
    known = {column.name: row[column.name] for column in table.columns if column.name in row}
    key = known.get("blob_key", "")
    if key and not is_there(key):
        if table is rejected_copy:
            return False
        known["blob_key"] = ""
    return insert_unless_there(connection, table, known) is not None
