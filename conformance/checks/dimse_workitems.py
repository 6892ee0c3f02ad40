"""Unified Procedure Steps over DIMSE: Push, Pull, Watch and Event, not claimed, not asked (PS3.4 annex CC)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from pydicom.dataset import Dataset

from conformance import dimse, uids
from conformance.dimse_exchange import KEPT, accepted, listening, peer_of, taken
from conformance.objects import new_uid
from conformance.registry import check
from conformance.verdicts import Level, expect
from conformance.workitems import WORKLIST, created, performed, state
from conformance.world import World

CLASSES = (uids.UPS_PUSH, uids.UPS_PULL, uids.UPS_WATCH)
CHANGE_STATE, REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE = 1, 2, 3, 4
SECONDS = 60

NO_LONGER, NOT_LOCKED, IN_PROGRESS_ALREADY = 0xC300, 0xC301, 0xC302
NOT_FINISHED, NO_SUCH, UNKNOWN_RECEIVER = 0xC304, 0xC307, 0xC308
NOT_SCHEDULED, NOT_BEGUN, COMPLETED_ALREADY = 0xC309, 0xC310, 0xC311
CANCELED_BEFORE, COMPLETED_BEFORE = 0xB304, 0xB306
DUPLICATE, MISSING, MISSING_VALUE = 0x0111, 0x0120, 0x0121
CREATED = (0x0000, 0xB300)


class Worklist:
    """The requests of one association."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def create(self, ds: Dataset, uid: str) -> int:
        """N-CREATE's Status."""
        return dimse.status_of(self._held.send_n_create(ds, uids.UPS_PUSH, uid)[0])

    def get(self, uid: str) -> tuple[int, Dataset]:
        """N-GET's Status, and what came."""
        status, found = self._held.send_n_get([], uids.UPS_PUSH, uid)
        return dimse.status_of(status), found or Dataset()

    def set(self, ds: Dataset, uid: str) -> int:
        """N-SET's Status, as the performer."""
        return dimse.status_of(self._held.send_n_set(ds, uids.UPS_PUSH, uid, meta_uid=uids.UPS_PULL)[0])

    def act(self, action: int, ds: Dataset | None, uid: str) -> int:
        """N-ACTION's Status, in the context that the action belongs to."""
        context = uids.UPS_PULL if action == CHANGE_STATE else uids.UPS_WATCH
        return dimse.status_of(self._held.send_n_action(ds, action, uids.UPS_PUSH, uid, meta_uid=context)[0])

    def find(self, keys: Dataset) -> list[Dataset]:
        """What a C-FIND of the performer matches."""
        both = self._held.send_c_find(keys, uids.UPS_PULL)
        return [
            found
            for response, found in both
            if found is not None and dimse.status_of(response) in dimse.PENDING
        ]

    def new(self, w: World, **keywords: Any) -> str:
        """A workitem that was created; its UID. Raises `Failed`."""
        uid = new_uid()
        status = self.create(created(w, **keywords), uid)
        expect(status in CREATED, f"N-CREATE ends with {status:04X}")
        return uid

    def claimed(self, w: World) -> tuple[str, str]:
        """One that is IN PROGRESS, and its Transaction UID. Raises `Failed`."""
        uid, transaction_uid = self.new(w), new_uid()
        must(self.act(CHANGE_STATE, state("IN PROGRESS", transaction_uid), uid))
        return uid, transaction_uid

    def completed(self, w: World) -> tuple[str, str]:
        """One that is COMPLETED. Raises `Failed`."""
        uid, transaction_uid = self.claimed(w)
        change = performed()
        change.TransactionUID = transaction_uid
        must(self.set(change, uid))
        must(self.act(CHANGE_STATE, state("COMPLETED", transaction_uid), uid))
        return uid, transaction_uid

    def state(self, uid: str) -> str:
        """Procedure Step State. Raises `Failed`."""
        status, found = self.get(uid)
        must(status)
        return str(found.get("ProcedureStepState", ""))


def must(status: int, *wanted: int) -> None:
    """Raises `Failed` unless the Status is one of these, Success when none is named."""
    named = " or ".join(f"{one:04X}" for one in wanted or (0,))
    expect(status in (wanted or (0,)), f"the status is {status:04X}, not {named}")


class _Opened(AbstractContextManager[Worklist]):
    def __init__(self, w: World, handlers: Sequence[Any] = ()) -> None:
        contexts = ((one, uids.EXPLICIT) for one in CLASSES)
        self._association = dimse.association(peer_of(w), *contexts, KEPT, handlers=handlers)

    def __enter__(self) -> Worklist:
        held = self._association.__enter__()
        for one in CLASSES:
            accepted(held, one)
        return Worklist(held)

    def __exit__(self, *problem: Any) -> None:
        self._association.__exit__(*problem)


@check(
    "DIM.70",
    "a workitem is created, and comes without Transaction UID",
    "PS3.4 CC.2.5.3, CC.2.7.3",
    Level.OPTIONAL,
)
def created_and_got(w: World) -> None:
    with _Opened(w) as worklist:
        uid, _ = worklist.claimed(w)
        status, found = worklist.get(uid)
    must(status)
    expect(found.get("ProcedureStepLabel") == "Suite", "what comes is another")
    expect(not found.get("TransactionUID"), "the Transaction UID is told")


@check(
    "DIM.71",
    "what is not as N-CREATE asks: C309, 0120, 0111",
    "PS3.4 CC.2.5.4, PS3.7 10.1.5.1.6",
    Level.OPTIONAL,
)
def not_created(w: World) -> None:
    with _Opened(w) as worklist:
        uid = worklist.new(w)
        must(worklist.create(created(w), uid), DUPLICATE)
        must(worklist.create(created(w, ProcedureStepState="IN PROGRESS"), new_uid()), NOT_SCHEDULED)
        must(worklist.create(created(w, ProcedureStepLabel=None), new_uid()), MISSING, MISSING_VALUE)


@check("DIM.72", "a performer finds its workitems", "PS3.4 CC.2.8.3", Level.OPTIONAL)
def found(w: World) -> None:
    keys = Dataset()
    keys.WorklistLabel, keys.ProcedureStepState, keys.ProcedureStepLabel = (
        f"CONF{w.run}",
        "SCHEDULED",
        "Found",
    )
    keys.SOPInstanceUID, keys.PatientName = "", ""
    with _Opened(w) as worklist:
        uid = worklist.new(w, ProcedureStepLabel="Found")
        worklist.new(w, ProcedureStepLabel="Other")
        matches = worklist.find(keys)
    expect([str(one.get("SOPInstanceUID")) for one in matches] == [uid], "the matches are others")
    expect(matches[0].get("PatientName") == "Plover^Suite", "a return key is missing")


@check(
    "DIM.73",
    "nobody changes it without its Transaction UID: C301",
    "PS3.4 CC.2.1.4, CC.2.6.4",
    Level.OPTIONAL,
)
def locked(w: World) -> None:
    change = Dataset()
    change.ProcedureStepLabel = "Mine"
    with _Opened(w) as worklist:
        uid, _ = worklist.claimed(w)
        must(worklist.act(CHANGE_STATE, state("CANCELED", new_uid()), uid), NOT_LOCKED)
        must(worklist.act(CHANGE_STATE, state("CANCELED"), uid), NOT_LOCKED)
        must(worklist.set(change, uid), NOT_LOCKED)
        expect(worklist.state(uid) == "IN PROGRESS", "the state has changed")


@check(
    "DIM.74", "no transition that is none: C302, C310, C304", "PS3.4 CC.2.1.4, Table CC.1.1-2", Level.OPTIONAL
)
def transitions(w: World) -> None:
    with _Opened(w) as worklist:
        uid = worklist.new(w)
        must(worklist.act(CHANGE_STATE, state("COMPLETED", new_uid()), uid), NOT_BEGUN)
        uid, transaction_uid = worklist.claimed(w)
        must(
            worklist.act(CHANGE_STATE, state("IN PROGRESS", transaction_uid), uid),
            IN_PROGRESS_ALREADY,
        )
        must(worklist.act(CHANGE_STATE, state("COMPLETED", transaction_uid), uid), NOT_FINISHED)


@check(
    "DIM.75",
    "it is completed once, and changed no more: B306, C300",
    "PS3.4 CC.2.1.4, CC.2.6.4",
    Level.OPTIONAL,
)
def completes(w: World) -> None:
    change = Dataset()
    change.ProcedureStepLabel = "Late"
    with _Opened(w) as worklist:
        uid, transaction_uid = worklist.completed(w)
        change.TransactionUID = transaction_uid
        must(worklist.act(CHANGE_STATE, state("COMPLETED", transaction_uid), uid), COMPLETED_BEFORE)
        must(worklist.set(change, uid), NO_LONGER)
        must(worklist.act(REQUEST_CANCEL, None, uid), COMPLETED_ALREADY)


@check(
    "DIM.76",
    "a SCHEDULED workitem is canceled on request; again B304",
    "PS3.4 CC.2.2.3, CC.2.2.4",
    Level.OPTIONAL,
)
def canceled(w: World) -> None:
    with _Opened(w) as worklist:
        uid = worklist.new(w)
        must(worklist.act(REQUEST_CANCEL, None, uid))
        expect(worklist.state(uid) == "CANCELED", "the state is another")
        must(worklist.act(REQUEST_CANCEL, None, uid), CANCELED_BEFORE)


@check("DIM.77", "a workitem that is not there: C307", "PS3.4 CC.2.1.4, CC.2.7.4", Level.OPTIONAL)
def unknown(w: World) -> None:
    with _Opened(w) as worklist:
        worklist.new(w)
        must(worklist.get(new_uid())[0], NO_SUCH)
        must(worklist.act(CHANGE_STATE, state("IN PROGRESS", new_uid()), new_uid()), NO_SUCH)


def _receiver(title: str) -> Dataset:
    ds = Dataset()
    ds.ReceivingAE, ds.DeletionLock = title, "FALSE"
    return ds


@check("DIM.78", "nobody unknown is told: C308", "PS3.4 CC.2.3.4", Level.OPTIONAL)
def stranger(w: World) -> None:
    with _Opened(w) as worklist:
        must(worklist.act(SUBSCRIBE, _receiver(f"NOBODY{w.run}"[:16]), worklist.new(w)), UNKNOWN_RECEIVER)


@check("DIM.79", "who subscribes is told by N-EVENT-REPORT", "PS3.4 CC.2.3.3, CC.2.4.3", Level.OPTIONAL)
def told(w: World) -> None:
    from pynetdicom import evt

    states: list[tuple[str, int, str]] = []
    came = threading.Condition()

    def note(event: Any) -> tuple[int, None]:
        with came:
            information = event.event_information
            report = str(event.request.AffectedSOPInstanceUID), int(event.event_type)
            states.append((*report, str(information.get("ProcedureStepState", ""))))
            came.notify_all()
        return dimse.SUCCESS, None

    peer = peer_of(w)
    with listening(peer, taken, (evt.EVT_N_EVENT_REPORT, note)), _Opened(w) as worklist:
        must(worklist.act(SUBSCRIBE, _receiver(peer.destination), WORKLIST))
        try:
            uid, _ = worklist.claimed(w)
            wanted = [(uid, 1, "SCHEDULED"), (uid, 1, "IN PROGRESS")]
            with came:
                came.wait_for(lambda: all(one in states for one in wanted), SECONDS)
        finally:
            worklist.act(UNSUBSCRIBE, _receiver(peer.destination), WORKLIST)
    expect([one for one in states if one[0] == uid and one[1] == 1] == wanted, "the events are others")
