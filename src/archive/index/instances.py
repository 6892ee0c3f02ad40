"""Finding the instances that are to be retrieved, and what is kept of each."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom import metadata_values
from archive.dicom.errors import NotFound
from archive.dicom.instance import BulkValue, Form, Instance, Scope, Source, StoredInstance
from archive.index import kept, rows
from archive.index.database import Connection
from archive.index.prepared import Prepared
from archive.index.schema import instance as instance_table
from archive.index.schema import instance_detail, series, study
from archive.index.sql import among, among_listed
from archive.index.views import shown
from archive.security.views import View

_STORED_COLUMNS = (
    study.c.StudyInstanceUID,
    series.c.SeriesInstanceUID,
    instance_table.c.SOPInstanceUID,
    instance_table.c.SOPClassUID,
    instance_table.c.transfer_syntax_uid,
    instance_table.c.blob_key,
    instance_table.c.data_set_offset,
    instance_table.c.data_set_length,
    instance_table.c.sha256,
    instance_table.c.received_sha256,
    instance_table.c.received_transfer_syntax_uid,
)
_HIERARCHY = study.join(series, series.c.study_id == study.c.id).join(
    instance_table, instance_table.c.series_id == series.c.id
)
_ORIGINAL_ATTRIBUTES, _MODIFYING_SYSTEM = "04000561", "04000563"
_FIND_INSTANCE = Prepared(
    sa.select(*_STORED_COLUMNS)
    .select_from(_HIERARCHY)
    .where(instance_table.c.SOPInstanceUID == sa.bindparam("uid"))
)

STORED_WITH_KEY = (
    sa.select(instance_table.c.id, *_STORED_COLUMNS)
    .select_from(_HIERARCHY)
    .where(study.c.id == sa.bindparam("study_id"))
    .order_by(instance_table.c.id)
)
"""All instances of a study, each behind its key, in the order in which they came."""


def find_instance(
    connection: Connection, sop_instance_uid: str, *, alone: bool = False
) -> StoredInstance | None:
    """The instance of this UID, if it is stored; `alone` as for `Prepared.rows`."""
    row = _FIND_INSTANCE.row(connection, {"uid": rows.uid(sop_instance_uid)}, alone=alone)
    return StoredInstance(*row) if row else None


def any_stored(connection: Connection) -> bool:
    """Whether there is any instance at all."""
    return connection.execute(sa.select(instance_table.c.SOPInstanceUID).limit(1)).first() is not None


def is_same(stored: StoredInstance | None, instance: Instance, received: Form) -> bool:
    """The same bytes, meaning the same thing, in the same place: as they were received, or as they are kept."""
    return (
        stored is not None
        and received in (stored.kept, stored.received)
        and stored.SeriesInstanceUID == instance.SeriesInstanceUID
        and stored.StudyInstanceUID == instance.StudyInstanceUID
    )


def instances(connection: Connection, scope: Scope, view: View | None = None) -> list[StoredInstance]:
    """What the scope holds of what the view shows: by study, then series number, instance number and UID."""
    found: Iterable[Sequence[Any]]
    wanted = _scoped(scope)
    if view is None and wanted and all(len(values) == 1 for values in wanted.values()):
        names = {name: value for name, (value,) in wanted.items()}
        found = _one_of_each(tuple(names)).rows(connection, names)
    else:
        restrictions = (among(_SCOPE_COLUMNS[name], values) for name, values in wanted.items())
        statement = _ordered(*restrictions, *shown(view))
        found = connection.execute(statement.execution_options(yield_per=256))
    return list(itertools.starmap(StoredInstance, found))


def metadata(connection: Connection, found: Sequence[StoredInstance]) -> dict[str, bytes]:
    """The compressed metadata that there are under the UIDs of these instances, by blob key."""
    uids = orjson.dumps([rows.uid(instance.SOPInstanceUID) for instance in found]).decode()
    return dict(_METADATA.rows(connection, {"uids": uids}))


def frame_table(connection: Connection, stored: StoredInstance) -> bytes:
    """The packed frame table, empty for an instance without pixel data. Raises NotFound."""
    return _detail(connection, stored, instance_detail.c.frames)


def bulk_value(connection: Connection, stored: StoredInstance, path: str) -> BulkValue | None:
    """The bulk value of this path, if the instance has one. Raises NotFound when the instance is not stored."""
    return next((value for value in bulk_values(connection, stored) if value.path == path), None)


def bulk_values(connection: Connection, stored: StoredInstance) -> list[BulkValue]:
    """All bulk values of an instance. Raises NotFound when it is not stored."""
    found = orjson.loads(_detail(connection, stored, instance_detail.c.bulk_values))
    return [BulkValue(*values) for values in found]


def detail(
    connection: Connection, stored: StoredInstance
) -> tuple[bytes, tuple[BulkValue, ...], Source] | None:
    """The compressed metadata of just these bytes, their bulk values, and who sent them; None when others are stored by
    now, or none."""
    names = {"uid": rows.uid(stored.SOPInstanceUID), "key": stored.blob_key}
    row = _WHOLE_DETAIL.row(connection, names)
    if row is None:
        return None
    metadata, bulk_values, *source = row
    return bytes(metadata), tuple(BulkValue(*value) for value in orjson.loads(bulk_values)), Source(*source)


def was_modified_by(connection: Connection, stored: StoredInstance, modifying_system: str) -> bool:
    """Whether an instance tells of attributes that this system has changed; also where it says too much to be asked.
    Raises NotFound when it is not stored."""
    with kept.parsed(_detail(connection, stored, instance_detail.c.metadata)) as members:
        if members is None:
            return True
        items = metadata_values.items(members, _ORIGINAL_ATTRIBUTES)
        return any(metadata_values.text(item, _MODIFYING_SYSTEM) == modifying_system for item in items)


def _detail(connection: Connection, stored: StoredInstance, column: sa.Column[Any]) -> bytes:
    """Of just these bytes: what was stored since under the same UID has other offsets."""
    names = {"uid": rows.uid(stored.SOPInstanceUID), "key": stored.blob_key}
    found = _DETAILS[column.name].row(connection, names)
    if found is None:
        raise NotFound("the instance is not stored any more: ask again for what is")
    return bytes(found[0])


_DETAILS = {
    column.name: Prepared(
        sa.select(column)
        .join(instance_table, instance_table.c.id == instance_detail.c.instance_id)
        .where(instance_table.c.SOPInstanceUID == sa.bindparam("uid"))
        .where(instance_table.c.blob_key == sa.bindparam("key"))
    )
    for column in (instance_detail.c.frames, instance_detail.c.bulk_values, instance_detail.c.metadata)
}

_WHOLE_DETAIL = Prepared(
    sa.select(
        instance_detail.c.metadata,
        instance_detail.c.bulk_values,
        instance_detail.c.door,
        instance_detail.c.address,
        instance_detail.c.calling_ae_title,
        instance_detail.c.called_ae_title,
    )
    .join(instance_table, instance_table.c.id == instance_detail.c.instance_id)
    .where(instance_table.c.SOPInstanceUID == sa.bindparam("uid"))
    .where(instance_table.c.blob_key == sa.bindparam("key"))
)


_METADATA = Prepared(
    sa.select(instance_table.c.blob_key, instance_detail.c.metadata)
    .join(instance_table, instance_table.c.id == instance_detail.c.instance_id)
    .where(among_listed(instance_table.c.SOPInstanceUID, "uids"))
)
_SCOPE_COLUMNS = {
    "study": study.c.StudyInstanceUID,
    "series": series.c.SeriesInstanceUID,
    "instance": instance_table.c.SOPInstanceUID,
    "patient": study.c.PatientID,
    "issuer": study.c.IssuerOfPatientID,
}


def _scoped(scope: Scope) -> dict[str, list[str]]:
    """The restrictions of a scope, by the names of their columns."""
    fields = (
        scope.study_instance_uids,
        scope.series_instance_uids,
        scope.sop_instance_uids,
        scope.patient_ids,
        scope.issuers_of_patient_id,
    )
    return {
        name: [rows.uid(value) for value in values]
        for name, values in zip(_SCOPE_COLUMNS, fields, strict=True)
        if values
    }


@functools.cache
def _one_of_each(names: tuple[str, ...]) -> Prepared:
    """For scopes with one value of each of these columns."""
    return Prepared(_ordered(*(_SCOPE_COLUMNS[name] == sa.bindparam(name) for name in names)))


def _ordered(*restrictions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    found = sa.select(*_STORED_COLUMNS).select_from(_HIERARCHY).where(*restrictions)
    return found.order_by(
        study.c.id,
        series.c.SeriesNumber,
        series.c.id,
        instance_table.c.InstanceNumber,
        instance_table.c.SOPInstanceUID,
    )
