"""What rules about retention ask of studies."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from archive.dicom.rules.retention import Facts
from archive.index import rows
from archive.index.database import Connection
from archive.index.schema import instance, instance_detail, series, study
from archive.index.sql import among

AT_ONCE = 500


def facts(connection: Connection, study_uids: Sequence[str]) -> list[Facts]:
    """Of those of these studies that are stored."""
    uids = [rows.uid(uid) for uid in study_uids]
    if not uids:
        return []
    asked = sa.select(study.c.id, study.c.StudyInstanceUID, study.c.StudyDate).where(
        among(study.c.StudyInstanceUID, uids)
    )
    return [_facts(connection, *row) for row in connection.execute(asked)]


def _facts(connection: Connection, key: int, uid: str, day: str) -> Facts:
    of_study = series.c.study_id == key
    said = connection.execute(
        sa.select(series.c.Modality, series.c.InstitutionName).where(of_study).distinct()
    ).all()
    hierarchy = series.join(instance, instance.c.series_id == series.c.id)
    arrived = connection.execute(
        sa.select(sa.func.max(instance.c.stored_at)).select_from(hierarchy).where(of_study)
    ).scalar_one()
    senders = sa.select(instance_detail.c.calling_ae_title).select_from(
        hierarchy.join(instance_detail, instance_detail.c.instance_id == instance.c.id)
    )
    callers = connection.execute(senders.where(of_study).distinct()).scalars()
    modalities, institutions = ({row[at] for row in said if row[at]} for at in (0, 1))
    return Facts(
        uid,
        day,
        arrived or 0.0,
        tuple(sorted(modalities)),
        tuple(sorted(institutions)),
        tuple(filter(None, callers)),
    )


def candidates(connection: Connection, last_date: str, today: str, after: int = 0) -> list[tuple[int, str]]:
    """Studies behind a key, in the order of their keys, so many at most: of this date or before, without any, or of one
    that cannot be."""
    days = sa.or_(study.c.StudyDate <= last_date, study.c.StudyDate > today)
    asked = sa.select(study.c.id, study.c.StudyInstanceUID).where(study.c.id > after, days)
    return [(row[0], row[1]) for row in connection.execute(asked.order_by(study.c.id).limit(AT_ONCE))]
