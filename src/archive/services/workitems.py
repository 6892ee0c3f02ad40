"""Workitems for every door: Unified Procedure Steps by DIMSE and by UPS-RS (PS3.4 annex CC, PS3.18 chapter 11).

What a workitem allows in which state is decided in `dicom.workitems`; here each change, the subscriptions that follow
from it and the events that subscribers get are one transaction. Events are told by `services.workitem_events`, or
fetched by who asks for them (`events_for`), in any process and after any restart.
"""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

import orjson
import structlog

from archive.dicom.errors import (
    ActionNotAppropriate,
    InstanceConflict,
    InvalidQuery,
    InvalidValue,
    NoSuchWorkitem,
    ObjectTooLarge,
    PerformerOutOfReach,
    UnknownReceiver,
)
from archive.dicom.identifiers import check_uid
from archive.dicom.query import Query
from archive.dicom.receiving.received import DataSet
from archive.dicom.workitems import attributes as table
from archive.dicom.workitems import events as reports
from archive.dicom.workitems import filters, rules, states
from archive.dicom.workitems.attributes import FILTERED, GLOBAL, WELL_KNOWN
from archive.dicom.workitems.events import EventType, Report
from archive.dicom.worklist.entries import text
from archive.index import (
    workitem_events,
    workitem_listeners,
    workitem_subscriptions,
    workitems,
    worklist_patients,
)
from archive.index.database import Connection, Database
from archive.index.workitem_events import Event
from archive.index.workitem_subscriptions import Subscriber
from archive.index.workitems import Narrowing, Workitem
from archive.security.titles import is_title
from archive.services import patient_entries, workitem_matching
from archive.services.ae_titles import AETitles
from archive.services.workitem_matching import BATCH, matches, narrowing, offered, wanting
from archive.settings.planning import WorkitemSettings

__all__ = ("FILTERED", "GLOBAL", "Event", "EventType", "Workitem", "Workitems")

MAXIMUM_BYTES = 1 << 20
"""Of one workitem, as JSON."""
DAY = 86_400.0
MAXIMUM_EVENTS = 1000
_AT_ONCE = 1000

_STATE, _UID, _PATIENT = ((int(tag, 16),) for tag in (table.STATE, table.SOP_INSTANCE_UID, table.PATIENT_ID))
_LOCK = int(table.TRANSACTION_UID, 16)
_log = structlog.get_logger()

Told = Mapping[str, Mapping[str, Any]]


class Workitems:
    """The one list of workitems."""

    def __init__(self, database: Database, ae_titles: AETitles, settings: WorkitemSettings) -> None:
        self._database = database
        self._ae_titles = ae_titles
        self._settings = settings

    def create(self, uid: str, asked: Told) -> str:
        """A new workitem, SCHEDULED; its UID, which is that of the data set, or made here, when `uid` is empty. Raises
        InstanceConflict when the UID is taken, MissingAttribute, MissingValue, NotScheduled, InvalidValue, InvalidUID,
        ObjectTooLarge."""
        uid = _uid_of(uid, asked)
        created = _small(rules.created(asked, self._defaults()))

        def change(connection: Connection) -> None:
            workitems.hold(connection)
            worklist_patients.hold(connection, text(created, table.PATIENT_ID))
            made = patient_entries.resolved(connection, created)
            key = workitems.add(connection, uid, made)
            if key is None:
                raise InstanceConflict("a workitem has this SOP Instance UID already", uid)
            for subscriber in wanting(connection, uid, made):
                workitem_subscriptions.put(connection, key, subscriber)
            self._tell(connection, key, uid, reports.of_creation(made))

        self._database.write(change)
        _log.info("workitem created", SOPInstanceUID=uid)
        return uid

    def get(self, uid: str) -> DataSet:
        """A workitem without its Transaction UID (PS3.4 CC.2.7.3). Raises NoSuchWorkitem."""
        return offered(self.find(uid))

    def find(self, uid: str) -> Workitem:
        """A workitem as it is kept. Raises NoSuchWorkitem."""
        with self._database.read() as connection:
            return _found(workitems.find(connection, uid))

    def all(self, states: Sequence[str], limit: int) -> list[Workitem]:
        """Workitems in these states, in all of them if none is named, in the order in which they are to begin."""
        with self._database.read() as connection:
            keys = workitems.candidates(connection, Narrowing(states=tuple(states)), limit)
            return workitems.some(connection, keys)

    def update(self, uid: str, asked: DataSet, transaction_uid: str = "") -> None:
        """Set attributes. The Transaction UID may also be in the data set, as DIMSE has it. Raises NoSuchWorkitem,
        WorkitemEnded, NotInProgress, WrongTransactionUID, ScheduledByCreation, MissingValue, InvalidValue, InvalidUID,
        ObjectTooLarge."""
        given = _one_of(transaction_uid, text(asked, table.TRANSACTION_UID))

        def change(connection: Connection) -> None:
            item = self._hold(connection, uid)
            states.check_changeable(item.state, item.lock, given)
            told = patient_entries.of_now(connection, item.data_set, asked)
            after = _small(rules.changed(item.data_set, told, self._defaults()))
            workitems.change(connection, item.id, after)
            self._tell(connection, item.id, uid, reports.of_change(item.data_set, after))

        self._database.write(change)
        _log.info("workitem changed", SOPInstanceUID=uid)

    def change_state(self, uid: str, state: str, transaction_uid: str, requester: str = "") -> bool:
        """Put a workitem into another state (Table CC.1.1-2). False when it is in it already, COMPLETED or CANCELED:
        then nothing is changed. Raises NoSuchWorkitem, WorkitemEnded, WrongTransactionUID, WorkitemClaimed,
        ScheduledByCreation, NotInProgress, FinalStateNotMet, InvalidValue, InvalidUID."""

        def change(connection: Connection) -> bool:
            item = self._hold(connection, uid)
            if not states.may_become(state, item.state, item.lock, transaction_uid):
                return False
            if state == rules.IN_PROGRESS:
                workitems.claim(connection, item.id, transaction_uid, requester)
            if state == rules.COMPLETED:
                rules.check_completed(item.data_set)
            before = item.data_set
            if state == rules.CANCELED:
                before = rules.with_cancellation(before, {}, self._defaults().now)
            self._enter(connection, item, before, state)
            return True

        changed = self._database.write(change)
        if changed:
            _log.info("workitem in another state", SOPInstanceUID=uid, state=state, requester=requester)
        return changed

    def request_cancel(self, uid: str, information: Told, requester: str) -> bool:
        """Ask for a workitem to be canceled: done at once while it is SCHEDULED; else whoever is subscribed is told,
        its performer among them. False when it is CANCELED already. Raises NoSuchWorkitem, WorkitemCompleted,
        PerformerOutOfReach, InvalidValue, InvalidUID."""
        rules.check_information(information)

        def change(connection: Connection) -> bool:
            item = self._hold(connection, uid)
            if not states.may_be_canceled(item.state):
                return False
            if item.state == rules.SCHEDULED:
                self._cancel(connection, item, information)
            else:
                if not workitem_subscriptions.of(connection, item.id):
                    raise PerformerOutOfReach(
                        "nobody is subscribed to the workitem: its performer cannot know"
                    )
                self._tell(connection, item.id, uid, [reports.cancel_requested(information, requester)])
            return True

        asked = self._database.write(change)
        _log.info("cancellation requested", SOPInstanceUID=uid, requester=requester)
        return asked

    def subscribe(
        self,
        ae_title: str,
        uid: str,
        deletion_lock: bool = False,
        matching_keys: Query | None = None,
        *,
        reported: bool = False,
    ) -> None:
        """Tell an AE of a workitem from now on; of all of them with the UID GLOBAL, with FILTERED of those that match
        the keys. `reported`: by N-EVENT-REPORT, to an AE title that is known here; else it fetches its events. Raises
        NoSuchWorkitem, UnknownReceiver, InvalidValue, InvalidQuery."""
        subscriber = Subscriber(self._receiver(ae_title, reported=reported), deletion_lock, reported)
        if uid == FILTERED and not (matching_keys and filters.keys_of(matching_keys)):
            raise InvalidQuery("a filtered subscription needs matching keys with values")

        def change(connection: Connection) -> None:
            if uid in WELL_KNOWN:
                workitems.hold(connection)
                wanted = matching_keys if uid == FILTERED else None
                self._subscribe_globally(connection, uid, subscriber, wanted)
                return
            item = self._hold(connection, uid)
            workitem_subscriptions.put(connection, item.id, subscriber)
            workitem_events.put(connection, uid, [reports.of_state(item.data_set)], [subscriber])

        self._database.write(change)
        _log.info("workitem subscription", SOPInstanceUID=uid, ae_title=ae_title)

    def unsubscribe(self, ae_title: str, uid: str) -> bool:
        """Tell an AE of a workitem no longer; with GLOBAL of none, whatever it had subscribed to. False when it was not
        subscribed. Raises NoSuchWorkitem."""

        def change(connection: Connection) -> bool:
            if uid not in WELL_KNOWN:
                item = self._hold(connection, uid)
                return workitem_subscriptions.remove(connection, item.id, ae_title)
            workitems.hold(connection)
            uids = WELL_KNOWN if uid == GLOBAL else {FILTERED}
            were = workitem_subscriptions.remove_global(connection, ae_title, uids)
            left = [
                one
                for one in workitem_subscriptions.all_global(connection)
                if one.subscriber.ae_title == ae_title
            ]
            # what a filter subscribed to stays subscribed to for who has subscribed to everything
            return (not left and workitem_subscriptions.remove_all(connection, ae_title)) or were

        return self._database.write(change)

    def suspend(self, ae_title: str, uid: str) -> bool:
        """Subscribe an AE to no further workitems; those that it is told of it goes on to be told of. False when it was
        not subscribed globally. Raises NoSuchWorkitem, ActionNotAppropriate."""
        if uid not in WELL_KNOWN:
            self.find(uid)
            raise ActionNotAppropriate("only a global subscription can be suspended: unsubscribe instead")

        def change(connection: Connection) -> bool:
            workitems.hold(connection)
            return workitem_subscriptions.remove_global(connection, ae_title, {uid})

        return self._database.write(change)

    def search(
        self, query: Query, limit: int | None = None, offset: int = 0
    ) -> Generator[DataSet | None, None, None]:
        """As `workitem_matching.search`. Raises InvalidQuery."""
        return workitem_matching.search(self._database, query, limit, offset)

    def events_for(self, ae_title: str, after: int, limit: int = MAXIMUM_EVENTS) -> list[Event]:
        """What an AE was told after the event of this number, oldest first: nothing is missing in between."""
        with self._database.read() as connection:
            return workitem_events.after(connection, ae_title, after, limit)

    def newest_event(self) -> int:
        """The number of the last event of anybody: to begin with."""
        with self._database.read() as connection:
            return workitem_events.newest(connection)

    def heard(self, ae_title: str) -> int:
        """The number of the last event that a Notification Connection of this AE has confirmed."""
        with self._database.read() as connection:
            return workitem_listeners.heard(connection, ae_title)

    def confirm(self, ae_title: str, number: int) -> None:
        """Note that this AE has what it was told up to this event."""
        self._database.write(lambda connection: workitem_listeners.confirm(connection, ae_title, number))

    def subscribers(self, uid: str) -> list[Subscriber]:
        """Who is told of a workitem. Raises NoSuchWorkitem."""
        with self._database.read() as connection:
            return workitem_subscriptions.of(connection, _found(workitems.find(connection, uid)).id)

    def cancel(self, uid: str, reason: str) -> bool:
        """Cancel a workitem, whoever has begun it: for an administrator, whose performer is gone. False when it was
        CANCELED already. Raises NoSuchWorkitem, WorkitemCompleted."""
        information = {table.REASON: {"vr": "LT", "Value": [reason]}} if reason else {}
        rules.check_information(information)

        def change(connection: Connection) -> bool:
            item = self._hold(connection, uid)
            if states.may_be_canceled(item.state):
                self._cancel(connection, item, information)
                return True
            return False

        return self._database.write(change)

    def expire(self) -> int:
        """Forget what ended long ago and nobody keeps; how many workitems."""
        before = time.time() - self._settings.keep_days * DAY

        def change(connection: Connection) -> int:
            workitems.hold(connection)
            return workitems.expire(connection, before, _AT_ONCE)

        return self._database.write(change)

    # --- within a transaction ---

    def _hold(self, connection: Connection, uid: str) -> Workitem:
        workitems.hold(connection)
        if uid in WELL_KNOWN:
            raise ActionNotAppropriate(
                "this UID stands for all workitems: the action is one for a single one"
            )
        return _found(workitems.find(connection, uid, lock=True))

    def _enter(self, connection: Connection, item: Workitem, before: DataSet, state: str) -> DataSet:
        after = rules.in_state(before, state, self._defaults())
        workitems.change(connection, item.id, after)
        self._tell(connection, item.id, item.SOPInstanceUID, [reports.of_state(after)])
        return after

    def _cancel(self, connection: Connection, item: Workitem, information: Told) -> None:
        """First IN PROGRESS, then CANCELED, as PS3.4 CC.2.2.3 has it."""
        begun = item.data_set
        if item.state == rules.SCHEDULED:
            begun = self._enter(connection, item, begun, rules.IN_PROGRESS)
        ended = rules.with_cancellation(begun, information, self._defaults().now)
        self._enter(connection, item, ended, rules.CANCELED)

    def _tell(self, connection: Connection, key: int, uid: str, told: Iterable[Report]) -> None:
        workitem_events.put(connection, uid, told, workitem_subscriptions.of(connection, key))

    def _subscribe_globally(
        self, connection: Connection, uid: str, subscriber: Subscriber, wanted: Query | None
    ) -> None:
        """From now on, and to what there is already. What somebody has said of one workitem stays (Table CC.2.3-2);
        with a deletion lock the state of each is told (CC.2.4.3)."""
        kept = filters.written(wanted) if wanted else {}
        workitem_subscriptions.put_global(connection, uid, subscriber, kept)
        new = set(workitem_subscriptions.not_subscribed(connection, subscriber.ae_title))
        keys = workitems.candidates(connection, narrowing(filters.keys_of(wanted) if wanted else ()))
        for start in range(0, len(keys), BATCH):
            for item in workitems.some(connection, keys[start : start + BATCH]):
                if wanted is not None and not matches(wanted, item.SOPInstanceUID, item.data_set):
                    continue
                if item.id in new:
                    workitem_subscriptions.put(connection, item.id, subscriber)
                if subscriber.deletion_lock:
                    report = reports.of_state(item.data_set)
                    workitem_events.put(connection, item.SOPInstanceUID, [report], [subscriber])

    # --- facts ---

    def _defaults(self) -> rules.Defaults:
        now = datetime.datetime.now().astimezone()
        return rules.Defaults(now.strftime("%Y%m%d%H%M%S.%f%z"), self._settings.worklist_label)

    def _receiver(self, ae_title: str, *, reported: bool) -> str:
        if not is_title(ae_title):
            raise InvalidValue("the AE title that is to be told is none", 0x00741234)
        if reported and self._ae_titles.get(ae_title) is None:
            raise UnknownReceiver("the Receiving AE is not known here: add it with `archive ae add`")
        return ae_title


def _uid_of(uid: str, asked: Told) -> str:
    named = text(asked, table.SOP_INSTANCE_UID)
    if uid and named not in ("", uid):
        raise InvalidValue("SOPInstanceUID is not that of the request", int(table.SOP_INSTANCE_UID, 16))
    if text(asked, table.SOP_CLASS_UID) not in ("", *table.SOP_CLASSES):
        raise InvalidValue("SOPClassUID is not that of a workitem", int(table.SOP_CLASS_UID, 16))
    uid = check_uid(uid or named or f"2.25.{uuid.uuid4().int}", int(table.SOP_INSTANCE_UID, 16))
    if uid in WELL_KNOWN:
        raise InstanceConflict("this SOP Instance UID stands for all workitems", uid)
    return uid


def _one_of(one: str, other: str) -> str:
    """The Transaction UID of a request that may name it in two places."""
    if one and other and one != other:
        raise InvalidValue("two different Transaction UIDs are given", _LOCK)
    return one or other


def _small(workitem: DataSet) -> DataSet:
    if len(orjson.dumps(workitem)) > MAXIMUM_BYTES:
        raise ObjectTooLarge(f"a workitem has at most {MAXIMUM_BYTES} bytes")
    return workitem


def _found(item: Workitem | None) -> Workitem:
    if item is None:
        raise NoSuchWorkitem("no workitem has this SOP Instance UID")
    return item
