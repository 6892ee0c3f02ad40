"""Recording an object in the index.

`record` looks before it writes; where another transaction was faster between the two, the insert finds the place
taken, and `Raced` sends the whole change back to look again. On SQLite, with its one writer, that cannot happen.
"""

from __future__ import annotations

import enum
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.instance import Form, Instance, Level, Source, StoredInstance
from archive.index import deletions, filling, rejections, rows
from archive.index.database import Connection, Raced
from archive.index.instances import find_instance, is_same
from archive.index.prepared import Prepared
from archive.index.rejected_copies import Fate, Place
from archive.index.rejections_schema import rejected
from archive.index.schema import deletion, instance_detail, patient, request, series, study
from archive.index.schema import instance as instance_table
from archive.index.sql import insert_unless_there


class Outcome(enum.Enum):
    """What became of an object. All but STORED leave the index as it was."""

    STORED = "stored"
    ALREADY_THERE = "the same object is stored"
    OTHER_CONTENT = "another version of the instance is stored: in the same place, with other bytes"
    ELSEWHERE = "the SOP Instance UID is taken in another series or study, or by an object of another class"
    OTHER_PATIENT = "the study belongs to another patient"
    OTHER_STUDY = "the series belongs to another study"
    REJECTED = "the instance was rejected before"
    AWAITED = "a rejection note waits for the instance"


def record(
    connection: Connection,
    instance: Instance,
    blob_key: str,
    data_set_offset: int,
    sha256: str,
    source: Source,
    received: Form | None = None,
    *,
    was_stored: bool = False,
) -> Outcome:
    """Enter an object: its patient, study and series where they are new, and itself. `sha256` is of what is kept, and
    `received` says what came in, where that was something else. With `was_stored` only what has its UID is in its way:
    what it was stored beside may be gone by now."""
    kept = Form(sha256, instance.transfer_syntax_uid)
    rejections.share(connection, instance.StudyInstanceUID)
    place = _find_place(connection, instance)
    found = _in_the_way(connection, place, instance, received or kept)
    if found is not None and not (was_stored and place.instance_id is None and found in _PASSING):
        return found
    study_id = _complete_study(connection, place, instance)
    series_id = _complete_series(connection, place, instance, study_id)
    blob = _blob(instance, blob_key, data_set_offset, kept, received or kept)
    _count(connection, study_id, series_id, new_series=place.series_id is None)
    _add_instance(connection, instance, series_id, blob, source)
    if place.deleted is not None:
        deletions.forget(connection, instance.SOPInstanceUID)
    return Outcome.STORED


def judge(connection: Connection, instance: Instance, received: Form) -> Outcome | None:
    """What `record` would find in the way of this object now; None where nothing is."""
    try:
        return _in_the_way(connection, _find_place(connection, instance), instance, received)
    except Raced:
        return None


@dataclass(frozen=True, slots=True)
class Former:
    """What was stored under a SOP Instance UID until something else took its place, and who had sent it."""

    stored: StoredInstance
    source: Source


def replace(
    connection: Connection,
    instance: Instance,
    blob_key: str,
    data_set_offset: int,
    sha256: str,
    source: Source,
    received: Form | None = None,
    *,
    instead_of: Outcome = Outcome.OTHER_CONTENT,
) -> Former:
    """Put an object in the place of the version that is stored; what that was. `instead_of` is what `record` has found
    in its way; where that is something else by now, this is Raced.

    Its bytes are pointed to by nothing then, so the caller sees to them in the same transaction. What study and
    series say stays, and is completed as by any further object."""
    kept = Form(sha256, instance.transfer_syntax_uid)
    # In the order in which a deletion locks: it must not take away what it has not seen.
    before = _find_place(connection, instance)
    lock = sa.select(study.c.id).where(study.c.id == before.study_id).with_for_update()
    if connection.execute(lock).first() is None:
        raise Raced
    place = _find_place(connection, instance)
    if _in_the_way(connection, place, instance, received or kept) is not instead_of:
        raise Raced
    assert place.instance_id is not None
    former = find_former(connection, instance.SOPInstanceUID)
    study_id = _complete_study(connection, place, instance)
    series_id = _complete_series(connection, place, instance, study_id)
    blob = _blob(instance, blob_key, data_set_offset, kept, received or kept)
    unchanged = sa.and_(
        instance_table.c.id == place.instance_id, instance_table.c.blob_key == former.stored.blob_key
    )
    values = _instance_values(instance, series_id, blob)
    if not connection.execute(sa.update(instance_table).where(unchanged).values(values)).rowcount:
        raise Raced
    deletions.remove_parts(connection, instance_table, [place.instance_id])
    _add_detail(connection, place.instance_id, instance, source)
    return former


def find_former(connection: Connection, sop_instance_uid: str) -> Former:
    """What is stored under this UID, and who sent it. Raises Raced when it is not there any more."""
    stored = find_instance(connection, sop_instance_uid)
    sender = connection.execute(_FIND_SENDER, {"uid": rows.uid(sop_instance_uid)}).first()
    if stored is None or sender is None:
        raise Raced
    return Former(stored, Source(*sender))


def _in_the_way(connection: Connection, place: _Place, instance: Instance, received: Form) -> Outcome | None:
    is_other = place.study_id is not None and is_other_patient(place, instance)
    if place.instance_id is not None:
        stored = find_instance(connection, instance.SOPInstanceUID)
        if stored is None:
            raise Raced  # deleted since
        if is_same(stored, instance, received):
            return Outcome.ALREADY_THERE
        if not _is_in_its_place(stored, instance):
            return Outcome.ELSEWHERE
        return Outcome.OTHER_PATIENT if is_other else Outcome.OTHER_CONTENT
    if is_other:
        return Outcome.OTHER_PATIENT
    if place.series_id is not None and place.study_of_series != place.study_id:
        return Outcome.OTHER_STUDY
    return _STANCES[rejections.stance(connection, instance)] if place.referred_to else None


_PASSING = (Outcome.OTHER_PATIENT, Outcome.REJECTED, Outcome.AWAITED)
"""What may have come, or have been decided, after an object was stored."""
_STANCES = {None: None, Fate.HELD: Outcome.REJECTED, Fate.AWAITED: Outcome.AWAITED}


def _is_in_its_place(stored: StoredInstance, instance: Instance) -> bool:
    return (
        stored.SeriesInstanceUID == instance.SeriesInstanceUID
        and stored.StudyInstanceUID == instance.StudyInstanceUID
        and stored.SOPClassUID == instance.SOPClassUID
    )


def _blob(
    instance: Instance, blob_key: str, data_set_offset: int, kept: Form, received: Form
) -> dict[str, Any]:
    is_other_syntax = received.transfer_syntax_uid != kept.transfer_syntax_uid
    return {
        "blob_key": blob_key,
        "data_set_offset": data_set_offset,
        "data_set_length": instance.length,
        "sha256": kept.sha256,
        "received_sha256": received.sha256 if received.sha256 != kept.sha256 else "",
        "received_transfer_syntax_uid": received.transfer_syntax_uid if is_other_syntax else "",
    }


@dataclass(frozen=True, slots=True)
class _Place:
    """What there is under an object's three UIDs; None where there is nothing."""

    study_id: int | None
    PatientID: str | None
    IssuerOfPatientID: str | None
    of_study: str
    series_id: int | None
    study_of_series: int | None
    of_series: str
    instance_id: int | None
    deleted: str | None
    referred_to: bool


_ONE = sa.select(sa.literal(1).label("one")).subquery()
_FIND_PLACE = Prepared(
    sa.select(
        study.c.id,
        study.c.PatientID,
        study.c.IssuerOfPatientID,
        study.c.attributes,
        series.c.id,
        series.c.study_id,
        series.c.attributes,
        instance_table.c.id,
        deletion.c.SOPInstanceUID,
        sa.exists().where(rejected.c.SOPInstanceUID == sa.bindparam("instance_uid")),
    ).select_from(
        _ONE.outerjoin(study, study.c.StudyInstanceUID == sa.bindparam("study_uid"))
        .outerjoin(series, series.c.SeriesInstanceUID == sa.bindparam("series_uid"))
        .outerjoin(instance_table, instance_table.c.SOPInstanceUID == sa.bindparam("instance_uid"))
        .outerjoin(deletion, deletion.c.SOPInstanceUID == sa.bindparam("instance_uid"))
    )
)
_FIND_PATIENT = Prepared(
    sa.select(patient.c.id, patient.c.attributes).where(patient.c.identity == sa.bindparam("identity"))
)


def _find_place(connection: Connection, instance: Instance) -> _Place:
    uids = {
        "study_uid": instance.StudyInstanceUID,
        "series_uid": instance.SeriesInstanceUID,
        "instance_uid": instance.SOPInstanceUID,
    }
    found = _FIND_PLACE.row(connection, uids)
    assert found is not None
    return _Place(*found)


def is_other_patient(place: _Place | Place, instance: Instance) -> bool:
    """Whether an object belongs to another patient than what stands there.

    An object without PatientID goes where its study is. One with a PatientID belongs to no study without, else the
    next one might bring another patient into it. An issuer can differ only where both sides name one."""
    patient_id, issuer = rows.patient(instance)
    if not patient_id:
        return False
    known = place.IssuerOfPatientID
    return patient_id != place.PatientID or bool(issuer and known and issuer != known)


def _complete_study(connection: Connection, place: _Place, instance: Instance) -> int:
    if place.study_id is None:
        return _add_study(connection, instance)
    same_patient = bool(place.PatientID) and rows.patient(instance)[0] == place.PatientID
    filling.fill_study(connection, place.study_id, place.of_study, instance, same_patient=same_patient)
    return place.study_id


def _complete_series(connection: Connection, place: _Place, instance: Instance, study_id: int) -> int:
    if place.series_id is None:
        return _add_series(connection, instance, study_id)
    filling.fill_series(connection, place.series_id, place.of_series, instance)
    return place.series_id


def _add_study(connection: Connection, instance: Instance) -> int:
    patient_id = _find_or_add_patient(connection, instance)
    values = {
        **rows.matched(instance, Level.STUDY),
        "patient_id": patient_id,
        "number_of_series": 0,
        "number_of_instances": 0,
        "attributes": rows.prepared(instance, Level.PATIENT, Level.STUDY),
    }
    study_id = _insert(connection, study, values)
    rows.add_terms(connection, instance, Level.STUDY, study_id)
    return study_id


def _find_or_add_patient(connection: Connection, instance: Instance) -> int:
    identity = _identity(instance)
    found = _FIND_PATIENT.row(connection, {"identity": identity})
    if found is not None:
        patient_id, known = found
        filling.fill_patient(connection, patient_id, known, instance)
        return int(patient_id)
    values = {
        **rows.matched(instance, Level.PATIENT),
        "identity": identity,
        "attributes": rows.prepared(instance, Level.PATIENT),
    }
    patient_id = _insert(connection, patient, values)
    rows.add_terms(connection, instance, Level.PATIENT, patient_id)
    return patient_id


def _identity(instance: Instance) -> str:
    """A digest, as the values may be longer than what an index entry holds."""
    patient_id, issuer = rows.patient(instance)
    parts = [patient_id, issuer] if patient_id else ["", instance.StudyInstanceUID]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def _add_series(connection: Connection, instance: Instance, study_id: int) -> int:
    values = {
        **rows.matched(instance, Level.SERIES),
        "study_id": study_id,
        "number_of_instances": 0,
        "attributes": rows.prepared(instance, Level.SERIES),
    }
    series_id = _insert(connection, series, values)
    rows.add_terms(connection, instance, Level.SERIES, series_id)
    requests = rows.requests(instance, series_id)
    if requests:
        connection.execute(sa.insert(request), requests)
    return series_id


def _add_instance(
    connection: Connection, instance: Instance, series_id: int, blob: Mapping[str, Any], source: Source
) -> None:
    key = _insert(connection, instance_table, _instance_values(instance, series_id, blob))
    _add_detail(connection, key, instance, source)


def _instance_values(instance: Instance, series_id: int, blob: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **rows.matched(instance, Level.IMAGE),
        **blob,
        "series_id": series_id,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "stored_at": time.time(),
        "attributes": rows.prepared(instance, Level.IMAGE),
    }


def _add_detail(connection: Connection, key: int, instance: Instance, source: Source) -> None:
    detail = {
        "instance_id": key,
        "metadata": instance.metadata,
        "frames": instance.frames,
        "bulk_values": orjson.dumps([[v.path, v.vr, v.offset, v.length] for v in instance.bulk_values]),
        **rows.source(source),
    }
    _INSERT_DETAIL.change(connection, detail)


def _insert(connection: Connection, table: sa.Table, values: dict[str, Any]) -> int:
    key = insert_unless_there(connection, table, values)
    if key is None:
        raise Raced
    return int(key)


_INSERT_DETAIL = Prepared(sa.insert(instance_detail))
_FIND_SENDER = (
    sa.select(
        instance_detail.c.door,
        instance_detail.c.address,
        instance_detail.c.calling_ae_title,
        instance_detail.c.called_ae_title,
    )
    .join(instance_table, instance_table.c.id == instance_detail.c.instance_id)
    .where(instance_table.c.SOPInstanceUID == sa.bindparam("uid"))
)
_COUNT_STUDY = Prepared(
    sa.update(study)
    .where(study.c.id == sa.bindparam("key"))
    .values(
        number_of_series=study.c.number_of_series + sa.bindparam("new_series"),
        number_of_instances=study.c.number_of_instances + 1,
    )
)
_COUNT_SERIES = Prepared(
    sa.update(series)
    .where(series.c.id == sa.bindparam("key"))
    .values(number_of_instances=series.c.number_of_instances + 1)
)


def _count(connection: Connection, study_id: int, series_id: int, *, new_series: bool) -> None:
    """Before the instance is entered: so study and series are locked from above, as a deletion does it."""
    names = {"key": study_id, "new_series": int(new_series)}
    if not _COUNT_STUDY.change(connection, names) or not _COUNT_SERIES.change(connection, {"key": series_id}):
        raise Raced  # deleted since
