"""What tests of `archive reindex`, backup and restore ask: every query is answered as before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from archive.bootstrap import upkeep
from archive.bootstrap.building import Archive
from archive.dicom.attributes import ATTRIBUTES
from archive.dicom.instance import Level, Scope
from archive.dicom.query import Key, Query, Universal
from archive.index.corrections_schema import corrected_object
from archive.jobs.worker import work
from archive.services.conflicts import Decision, State
from archive.services.reindexing import Report
from archive.settings.whole import Settings
from corrected import DOE, POE, ROE, of, store_all
from held import aside, store, stored, version_of
from objects import ct, mr, new_uid
from rejecting_here import held, reject
from rejection_notes import QUALITY, RETENTION


def everything(archive: Archive) -> dict[str, Any]:
    """All that anybody can ask for: every attribute of every entity at each level, the bytes of every object, what is
    kept aside and what is held for rejection notes."""
    found: dict[str, Any] = {}
    for level in Level:
        asked = [one for one in ATTRIBUTES if one.level <= level and one.keyword != "RecordKey"]
        query = Query(level, tuple(Key((one.tag,), Universal()) for one in asked), include_all=True)
        found[level.name] = sorted(
            (dict(match) for match in archive.search.find(query).matches),
            key=lambda match: str(sorted(match.items())),
        )
    assert found[Level.IMAGE.name], "nothing is stored: nothing would be compared"
    found["bytes"] = stored(archive)
    found["order"] = [
        (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
        for one in archive.retrieve.instances(Scope())
    ]
    found["aside"] = {sha256: (one.state, one.reason) for sha256, one in aside(archive).items()}
    found["rejected"] = held(archive)
    found["notes"] = sorted((note.reason, note.state) for note, _ in archive.rejections.last())
    found["corrections"] = [(one.kind, one.state, one.begun) for one in archive.corrections.last()]
    with archive.database.read() as connection:
        names = ("blob_key", "SOPInstanceUID", "before")
        rows = connection.execute(sa.select(*(corrected_object.c[name] for name in names))).all()
    found["former"] = sorted((uid, before, _digest(archive, key)) for key, uid, before in rows)
    return found


def _digest(archive: Archive, key: str) -> str:
    if not key:
        return ""
    with archive.store.open(key) as blob:
        return hashlib.sha256(blob.read(0, blob.length)).hexdigest()


def fill_with_all_sorts(archive: Archive) -> None:
    """Plain studies, and some of whatever stops a blob from being simply what is stored."""
    study = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    for number in range(3):
        store(archive, mr(**study, InstanceNumber=number + 1, PatientID="10"))
    # What the first object does not say, and a later one does.
    store(
        archive, ct(StudyInstanceUID=study["StudyInstanceUID"], PatientID="10", StudyID="S", InstanceNumber=1)
    )
    deleted = store_all(archive, of(DOE, "Doe^Gone"), of(DOE, "Doe^Gone^Too"))
    for one in deleted:
        archive.deletion.delete(Scope((one.StudyInstanceUID,)))
    _reject_some(archive)
    _correct_some(archive)


def fill_with_conflicts(archive: Archive) -> None:
    """For an archive whose policy is `conflict`: one decided each way, and one that is open."""
    for decision in ("accept", "keep", "drop", ""):
        one = of(ROE, "Roe")
        store(archive, one)
        store(archive, version_of(one, ImageComments=f"to {decision}"))
        [conflict] = archive.conflicts.last(1, (State.OPEN,))
        if decision:
            archive.conflicts.decide(conflict.id, Decision(decision), "test")


def fill_with_replaced(archive: Archive) -> None:
    """For an archive whose policy is `replace`."""
    one = of(POE, "Poe")
    for text in ("first", "second", "third"):
        store(archive, version_of(one, ImageComments=text))


def _reject_some(archive: Archive) -> None:
    study, series = new_uid(), new_uid()
    some = [
        of(ROE, "Roe^Rejected", study, SeriesInstanceUID=series, InstanceNumber=number)
        for number in range(1, 5)
    ]
    store_all(archive, *some)
    reject(archive, QUALITY, some[:2])
    taken_back = reject(archive, RETENTION, some[2:3])
    archive.rejections.restore(taken_back, "test")


def _correct_some(archive: Archive) -> None:
    study = new_uid()
    store_all(archive, of(DOE, "Doe^Jane", study), of(DOE, "Doe^Jane", study), of(POE, "Poe^Stays"))
    archive.corrections.merge(DOE, ROE, {"PatientName": "Roe^Jane"}, "test")
    store(archive, of(DOE, "Doe^Late", study))
    [number] = archive.corrections.update_study(study, {"AccessionNumber": "77"}, "test")
    settle_notes(archive)
    archive.corrections.undo(number, "test")


def settle_notes(archive: Archive) -> None:
    """What the jobs do at once is done, and not what waits for a while."""
    while work(archive):
        pass


@contextmanager
def closed(archive: Archive) -> Iterator[Settings]:
    archive.close()
    yield archive.settings


def reindexed(settings: Settings, *, from_files: bool = False) -> Report:
    with upkeep.reindexing(settings, from_files=from_files) as work:
        work.prepare()
        return work.run(lambda _: None)


def without_index(data: Path) -> None:
    """The index is lost."""
    for path in data.glob("index.sqlite*"):
        path.unlink()
