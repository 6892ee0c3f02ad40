"""Taking instances out of the index, and remembering that they were there.

A deleted instance leaves one row in `deletion`, which tells 410 from 404 (PS3.18 8.5) for itself and, as long as
nothing else is left of them, for its series and its study. Storing it again takes the row away.

Everything is one transaction: the rows, the counts, the remembrance, and the keys of the blobs, which the caller gives
to the outbox in it. On PostgreSQL a store into the same study may hold what is to be removed, or find gone what it has
just seen: one of the two is sent back (`Raced`) and looks again.
"""

from __future__ import annotations

import functools
import time

import sqlalchemy as sa

from archive.dicom.errors import Gone, NotFound
from archive.dicom.instance import Scope
from archive.index import rows, schema
from archive.index.database import Connection
from archive.index.schema import deletion, instance, patient, series, study
from archive.index.sql import among, retire_keys
from archive.security.views import View

_HIERARCHY = instance.join(series, instance.c.series_id == series.c.id).join(
    study, series.c.study_id == study.c.id
)


def delete(connection: Connection, scope: Scope) -> list[str]:
    """Remove what the scope means, which names one study; the keys of its blobs, which nobody points to then.
    Nothing is stored there: no keys, and nothing is changed."""
    study_uid = rows.uid(scope.study_instance_uids[0])
    # In the order in which a store locks: whoever stores into this study waits here, or is waited for.
    study_row = connection.execute(
        sa.select(study.c.id, study.c.patient_id)
        .where(study.c.StudyInstanceUID == study_uid)
        .with_for_update()
    ).first()
    if study_row is None:
        return []
    found = connection.execute(_instances(study_row.id, scope)).all()
    if not found:
        return []
    _remember(connection, study_row.id, scope)
    remove_parts(connection, instance, [row.id for row in found])
    _remove(connection, instance.c.id, [row.id for row in found])
    retire_keys(connection, instance, [row.id for row in found])
    _count(connection, study_row.id, study_row.patient_id, {row.series_id for row in found})
    return [row.blob_key for row in found]


def missing(connection: Connection, scope: Scope, view: View | None = None) -> NotFound:
    """Why nothing is found under a scope, to be raised: Gone when something there was deleted, else NotFound. Who has
    a view is told nothing of deletions: nobody knows whether they would have seen it."""
    if view is None and _is_deleted(connection, scope):
        return Gone("this was deleted, or rejected: it is here again once it has been stored again")
    return NotFound("nothing is stored under these UIDs: search for it under /studies")


_FORGET = sa.delete(deletion).where(deletion.c.SOPInstanceUID == sa.bindparam("uid"))


def forget(connection: Connection, sop_instance_uid: str) -> None:
    """The instance is stored again."""
    connection.execute(_FORGET, {"uid": rows.uid(sop_instance_uid)})


def _is_deleted(connection: Connection, scope: Scope) -> bool:
    keys = (
        (deletion.c.StudyInstanceUID, scope.study_instance_uids),
        (deletion.c.SeriesInstanceUID, scope.series_instance_uids),
        (deletion.c.SOPInstanceUID, scope.sop_instance_uids),
    )
    restrictions = [among(column, [rows.uid(uid) for uid in uids]) for column, uids in keys if uids]
    found = sa.select(sa.literal(1)).select_from(deletion).where(*restrictions).limit(1)
    return bool(restrictions) and connection.execute(found).first() is not None


def _instances(study_id: int, scope: Scope) -> sa.Select[tuple[int, int, str]]:
    columns = sa.select(instance.c.id, instance.c.series_id, instance.c.blob_key).select_from(_HIERARCHY)
    return columns.where(*_within(study_id, scope))


def _within(study_id: int, scope: Scope) -> list[sa.ColumnElement[bool]]:
    found = [study.c.id == study_id]
    for column, uids in (
        (series.c.SeriesInstanceUID, scope.series_instance_uids),
        (instance.c.SOPInstanceUID, scope.sop_instance_uids),
    ):
        if uids:
            found.append(among(column, [rows.uid(uid) for uid in uids]))
    return found


def _remember(connection: Connection, study_id: int, scope: Scope) -> None:
    """What stands there already is from before the last store, which may have overlooked it."""
    within = _within(study_id, scope)
    uids = sa.select(instance.c.SOPInstanceUID).select_from(_HIERARCHY).where(*within)
    connection.execute(sa.delete(deletion).where(deletion.c.SOPInstanceUID.in_(uids)))
    names = ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "deleted_at"]
    now: sa.ColumnElement[float] = sa.literal(time.time(), sa.Double())
    columns = (instance.c.SOPInstanceUID, series.c.SeriesInstanceUID, study.c.StudyInstanceUID, now)
    what = sa.select(*columns).select_from(_HIERARCHY).where(*within)
    connection.execute(sa.insert(deletion).from_select(names, what))


def _count(connection: Connection, study_id: int, patient_id: int, series_ids: set[int]) -> None:
    """Put the counts right, and remove what has become empty, from below."""
    for key in series_ids:
        left = connection.execute(_NUMBER_OF_INSTANCES, {"key": key}).scalar_one()
        if left:
            _set(connection, series, key, number_of_instances=left)
        else:
            _remove_entity(connection, series, key)
    number_of_series, number_of_instances = connection.execute(_OF_STUDY, {"key": study_id}).one()
    if number_of_series:
        numbers = {"number_of_series": number_of_series, "number_of_instances": number_of_instances}
        _set(connection, study, study_id, **numbers)
        return
    _remove_entity(connection, study, study_id)
    if not connection.execute(_NUMBER_OF_STUDIES, {"key": patient_id}).scalar_one():
        _remove_entity(connection, patient, patient_id)


_NUMBER_OF_INSTANCES = sa.select(sa.func.count()).where(instance.c.series_id == sa.bindparam("key"))
_OF_STUDY = sa.select(
    sa.func.count(), sa.cast(sa.func.coalesce(sa.func.sum(series.c.number_of_instances), 0), sa.BigInteger)
).where(series.c.study_id == sa.bindparam("key"))
_NUMBER_OF_STUDIES = sa.select(sa.func.count()).where(study.c.patient_id == sa.bindparam("key"))


def _set(connection: Connection, table: sa.Table, key: int, **values: int) -> None:
    connection.execute(sa.update(table).where(table.c.id == key).values(**values))


def _remove_entity(connection: Connection, table: sa.Table, key: int) -> None:
    remove_parts(connection, table, [key])
    _remove(connection, table.c.id, [key])
    retire_keys(connection, table, [key])


def remove_parts(connection: Connection, table: sa.Table, keys: list[int]) -> None:
    """Remove what hangs on these rows of a level, and is no level itself."""
    for child in _children(table):
        _remove(connection, child, keys)


@functools.cache
def _children(table: sa.Table) -> tuple[sa.Column[int], ...]:
    """The columns by which rows hang on this table, in tables that are no level of the hierarchy."""
    return tuple(
        column
        for other in schema.metadata.sorted_tables
        if other not in schema.HIERARCHY
        for column in other.columns
        if any(key.column.table is table for key in column.foreign_keys)
    )


_AT_ONCE = 500


def _remove(connection: Connection, column: sa.Column[int], keys: list[int]) -> None:
    for start in range(0, len(keys), _AT_ONCE):
        connection.execute(sa.delete(column.table).where(column.in_(keys[start : start + _AT_ONCE])))
