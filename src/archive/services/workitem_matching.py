"""Which workitems match a question: asked of each in memory, of those that SQL has left."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import structlog

from archive.dicom.errors import InvalidQuery
from archive.dicom.matching.item_matching import DataSetTest
from archive.dicom.query import Key, Query, SingleValue, UIDList
from archive.dicom.receiving.received import DataSet
from archive.dicom.workitems import attributes as table
from archive.dicom.workitems import filters
from archive.index import workitem_subscriptions, workitems
from archive.index.database import Connection, Database
from archive.index.workitem_subscriptions import GlobalSubscription, Subscriber
from archive.index.workitems import Narrowing, Workitem

BATCH = 50

_log = structlog.get_logger()

_STATE, _UID, _PATIENT = ((int(tag, 16),) for tag in (table.STATE, table.SOP_INSTANCE_UID, table.PATIENT_ID))
_LOCK = int(table.TRANSACTION_UID, 16)


def search(
    database: Database, query: Query, limit: int | None, offset: int
) -> Generator[DataSet | None, None, None]:
    """The workitems that match, whole but for the Transaction UID, in the order in which they are to begin; None now
    and then while nothing is found, so that whoever takes them can look whether they are still wanted. Raises
    InvalidQuery."""
    keys = _keys(query)
    test = DataSetTest(query, keys)
    with database.read() as connection:
        left = workitems.candidates(connection, narrowing(keys))
    found = 0
    for start in range(0, len(left), BATCH):
        with database.read() as connection:
            batch = workitems.some(connection, left[start : start + BATCH])
        for one in filter(test.passes, map(offered, batch)):
            if limit is not None and found >= limit + offset:
                return
            found += 1
            if found > offset:
                yield one
        yield None


def offered(item: Workitem) -> DataSet:
    """A workitem as others get it: without its Transaction UID (PS3.4 CC.2.7.3)."""
    return _with_identity(item.SOPInstanceUID, item.data_set)


def matches(query: Query, uid: str, data_set: DataSet) -> bool:
    """Whether one workitem matches. Raises InvalidQuery."""
    return DataSetTest(query, _keys(query)).passes(_with_identity(uid, data_set))


def wanting(connection: Connection, uid: str, made: DataSet) -> list[Subscriber]:
    """Who has asked beforehand to be subscribed to this new workitem."""
    wanting: dict[str, Subscriber] = {}
    for one in workitem_subscriptions.all_global(connection):
        if _is_wanted(one, uid, made):
            title, lock, reported = (
                one.subscriber.ae_title,
                one.subscriber.deletion_lock,
                one.subscriber.reported,
            )
            other = wanting.get(title, one.subscriber)
            wanting[title] = Subscriber(title, lock or other.deletion_lock, reported or other.reported)
    return list(wanting.values())


def narrowing(keys: Iterable[Key]) -> Narrowing:
    """What SQL can tell of the keys."""
    by_path = {key.path: key.matching for key in keys}
    state, uids, patient = by_path.get(_STATE), by_path.get(_UID), by_path.get(_PATIENT)
    named = state.values if isinstance(state, UIDList) else ()
    return Narrowing(
        states=(state.value,) if isinstance(state, SingleValue) else named,
        uids=uids.values if isinstance(uids, UIDList) else (),
        patient_id=patient.value if isinstance(patient, SingleValue) else "",
    )


def _keys(query: Query) -> list[Key]:
    """Nobody finds out a Transaction UID by asking for it."""
    return [key for key in filters.keys_of(query) if _LOCK not in key.path]


def _with_identity(uid: str, data_set: DataSet) -> DataSet:
    identity = {table.SOP_CLASS_UID: table.PUSH, table.SOP_INSTANCE_UID: uid}
    made = {**data_set, **{tag: {"vr": "UI", "Value": [value]} for tag, value in identity.items()}}
    return dict(sorted(made.items()))


def _is_wanted(one: GlobalSubscription, uid: str, made: DataSet) -> bool:
    """Keys that cannot be asked of this workitem are its subscriber's trouble, and not that of who creates it."""
    try:
        return not one.filter or matches(filters.read(one.filter), uid, made)
    except InvalidQuery as error:
        _log.warning(
            "filter of a subscription not asked", ae_title=one.subscriber.ae_title, reason=error.reason
        )
        return False
