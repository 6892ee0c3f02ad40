"""What objects said before they were corrected, and their former bytes, as long as those are kept."""

from __future__ import annotations

import time
from collections.abc import Mapping

import orjson
import sqlalchemy as sa

from archive.dicom.instance import Scope, StoredInstance
from archive.index import holds, rows, standing
from archive.index.corrections_schema import corrected_object, rewritten
from archive.index.database import Connection
from archive.index.schema import instance, series, study


def note(
    connection: Connection,
    number: int,
    stored: StoredInstance,
    before: Mapping[str, str],
    *,
    keep_bytes: bool,
) -> str:
    """Keep what an object said before; with `keep_bytes`, `stored` are its former bytes, which are kept too. The key of
    those that were kept in their place until now, which nobody points to then."""
    standing.changed(connection, [stored.blob_key])
    told = {"before": orjson.dumps(dict(before)).decode(), "corrected_at": time.time()}
    blob: dict[str, object] = {
        "blob_key": stored.blob_key,
        "data_set_offset": stored.data_set_offset,
        "data_set_length": stored.data_set_length,
        "sha256": stored.sha256,
        "transfer_syntax_uid": stored.transfer_syntax_uid,
    }
    if not keep_bytes:
        blob |= {"blob_key": "", "data_set_offset": 0, "data_set_length": 0, "sha256": ""}
    uid = rows.uid(stored.SOPInstanceUID)
    mine = sa.and_(corrected_object.c.correction_id == number, corrected_object.c.SOPInstanceUID == uid)
    known = connection.execute(sa.select(corrected_object.c.blob_key).where(mine)).scalar_one_or_none()
    if known is not None:
        values = told | blob if keep_bytes else told
        connection.execute(sa.update(corrected_object).where(mine).values(values))
        return known if keep_bytes else ""
    place = {"SeriesInstanceUID": stored.SeriesInstanceUID, "StudyInstanceUID": stored.StudyInstanceUID}
    values = {"correction_id": number, "SOPInstanceUID": uid, **{k: rows.uid(v) for k, v in place.items()}}
    connection.execute(sa.insert(corrected_object), {**values, **told, **blob})
    return ""


def note_all(connection: Connection, number: int, study_uid: str) -> list[str]:
    """The same of all objects of a study that were written anew, with the bytes that are stored of them now."""
    is_its = sa.and_(
        rewritten.c.correction_id == number,
        rewritten.c.StudyInstanceUID == rows.uid(study_uid),
        rewritten.c.blob_key != "",
        rewritten.c.SOPInstanceUID == instance.c.SOPInstanceUID,
        rewritten.c.former_key == instance.c.blob_key,
    )
    mine = sa.and_(
        corrected_object.c.correction_id == number,
        corrected_object.c.SOPInstanceUID == rewritten.c.SOPInstanceUID,
    )
    known = sa.select(corrected_object.c.blob_key).where(is_its, mine, corrected_object.c.blob_key != "")
    replaced = list(connection.execute(known).scalars())
    anew = sa.select(rewritten.c.former_key, rewritten.c.blob_key).where(is_its)
    standing.changed(connection, [key for pair in connection.execute(anew) for key in pair])
    noted = {name: getattr(table.c, name) for name, table in _NOTED}
    connection.execute(sa.delete(corrected_object).where(sa.exists().where(is_its, mine)))
    now: sa.ColumnElement[float] = sa.literal(time.time(), sa.Double())
    names = ["correction_id", *noted, "corrected_at"]
    what = sa.select(rewritten.c.correction_id, *noted.values(), now).where(is_its)
    connection.execute(sa.insert(corrected_object).from_select(names, what))
    return replaced


_NOTED = (
    *((name, rewritten) for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "before")),
    *((name, instance) for name in ("blob_key", "data_set_offset", "data_set_length", "sha256")),
    ("transfer_syntax_uid", instance),
)


def before(connection: Connection, number: int, study_uid: str) -> dict[str, dict[str, str]]:
    """What the objects of a study said before this correction, by SOP Instance UID."""
    found = sa.select(corrected_object.c.SOPInstanceUID, corrected_object.c.before).where(
        corrected_object.c.correction_id == number, corrected_object.c.StudyInstanceUID == rows.uid(study_uid)
    )
    return {row[0]: orjson.loads(row[1]) for row in connection.execute(found)}


def corrected_studies(connection: Connection, number: int) -> list[str]:
    """The studies in which this correction has changed an object, also on its way in."""
    found = sa.select(corrected_object.c.StudyInstanceUID).where(corrected_object.c.correction_id == number)
    return sorted(set(connection.execute(found).scalars()))


def begins_with(connection: Connection, number: int, study_uid: str) -> bool:
    """Whether the first object of a study, of those that are left, was changed by this correction on its way in; else
    the study was there, as it is now, before such an object came."""
    uid = rows.uid(study_uid)
    series_of = sa.select(study.c.id).where(study.c.StudyInstanceUID == uid).scalar_subquery()
    first = (
        sa.select(instance.c.SOPInstanceUID)
        .join(series, series.c.id == instance.c.series_id)
        .where(series.c.study_id == series_of)
        .order_by(instance.c.id)
        .limit(1)
    )
    found = sa.select(sa.literal(1)).where(
        corrected_object.c.correction_id == number,
        corrected_object.c.SOPInstanceUID == first.scalar_subquery(),
    )
    return connection.execute(found).first() is not None


def expire(connection: Connection, before_moment: float, limit: int) -> list[str]:
    """Let go of former bytes of corrections made before a moment, but for what is on hold, so many at most; their
    keys."""
    holds.destroy_beside(connection)
    held = sa.select(
        corrected_object.c.correction_id, corrected_object.c.SOPInstanceUID, corrected_object.c.blob_key
    )
    old = held.where(
        corrected_object.c.blob_key != "",
        corrected_object.c.corrected_at < before_moment,
        holds.not_held(corrected_object.c.StudyInstanceUID),
    ).limit(limit)
    return _release(connection, old.with_for_update(skip_locked=True))


def release(connection: Connection, scope: Scope) -> list[str]:
    """Let go of former bytes, and of what is known of objects, in a scope that is deleted; the keys of the bytes. What
    was written anew and did not get into its place goes too."""
    keys: list[str] = []
    uids = (
        ("StudyInstanceUID", scope.study_instance_uids),
        ("SeriesInstanceUID", scope.series_instance_uids),
        ("SOPInstanceUID", scope.sop_instance_uids),
    )
    for table in (corrected_object, rewritten):
        within = [table.c[name] == rows.uid(found[0]) for name, found in uids if found]
        keys += connection.execute(
            sa.select(table.c.blob_key).where(*within, table.c.blob_key != "")
        ).scalars()
        connection.execute(sa.delete(table).where(*within))
    return keys


def _release(connection: Connection, held: sa.Select[tuple[int, str, str]]) -> list[str]:
    found = connection.execute(held).all()
    for row in found:
        mine = sa.and_(
            corrected_object.c.correction_id == row.correction_id,
            corrected_object.c.SOPInstanceUID == row.SOPInstanceUID,
        )
        connection.execute(sa.update(corrected_object).where(mine).values(blob_key=""))
    return [row.blob_key for row in found]
