"""An archive with workitems on either engine, and what tests of them share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.instance import Level
from archive.dicom.query import Key, Query
from archive.dicom.worklist import keyword_form
from archive.index.workitems_schema import workitem as items
from archive.services.workitems import Workitems
from suites.sqlite import prepare
from workitem_sets import as_json, workitem

DAYS = 86_400.0
LOCK = "1.2.840.99"
PATIENT, LABEL, STATE = (0x00100020,), (0x00741204,), (0x00741000,)
CODE = (0x00404018, 0x00080100)


@contextmanager
def archive_with_workitems(folder: Path, index_url: str) -> Iterator[Archive]:
    """On SQLite in the folder with an empty URL."""
    settings = config.load(environment={}, overrides={"data": str(folder), "index.url": index_url})
    prepare(settings)
    built = building.build(settings)
    try:
        yield built
    finally:
        built.close()


def create(kept: Workitems, uid: str = "", **said: Any) -> str:
    """A new workitem; its UID."""
    return kept.create(uid, as_json(workitem(**said)))


def begun(kept: Workitems, uid: str = "", **said: Any) -> str:
    """One that LINAC has begun."""
    uid = create(kept, uid, **said)
    kept.change_state(uid, "IN PROGRESS", LOCK, "LINAC")
    return uid


def by_keyword(kept: Workitems, uid: str) -> dict[str, Any]:
    """A workitem as it is offered."""
    return keyword_form.written(kept.get(uid))


def matching(*keys: Key) -> Query:
    """A question with these keys."""
    return Query(Level.IMAGE, keys, combined=True)


def found(kept: Workitems, *keys: Key, **options: Any) -> list[str]:
    """The UIDs of what matches."""
    answers = kept.search(matching(*keys), **options)
    return [one["00080018"]["Value"][0] for one in answers if one is not None]


def told(kept: Workitems, ae_title: str, after: int = 0) -> list[tuple[int, str, str]]:
    """Type, workitem and state of each event."""
    return [
        (one.type, one.workitem_uid, one.data_set.get("00741000", {}).get("Value", [""])[0])
        for one in kept.events_for(ae_title, after)
    ]


def age(archive: Archive, days: float) -> None:
    """Everything happened so many days ago."""
    change = sa.update(items).values(changed_at=time.time() - days * DAYS)
    archive.database.write(lambda connection: connection.execute(change))
