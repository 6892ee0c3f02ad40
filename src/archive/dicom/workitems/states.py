"""From one state of a workitem to the next, and what stands against it (PS3.4 Table CC.1.1-2).

Who begins a workitem brings a Transaction UID, which is from then on the lock: whoever changes the workitem has to give
it. It stays after the end, so that its performer, repeating itself, is told that it is done.
"""

from __future__ import annotations

from collections.abc import Mapping

from archive.dicom.errors import (
    ArchiveError,
    InvalidValue,
    NotInProgress,
    ScheduledByCreation,
    WorkitemClaimed,
    WorkitemCompleted,
    WorkitemEnded,
    WrongTransactionUID,
)
from archive.dicom.identifiers import check_uid
from archive.dicom.workitems.attributes import STATE, TRANSACTION_UID
from archive.dicom.workitems.rules import CANCELED, COMPLETED, FINAL, IN_PROGRESS, SCHEDULED, STATES

_ENDED = WorkitemEnded("the workitem is completed or canceled: it may no longer be updated")
_NOT_BEGUN = NotInProgress("the workitem is SCHEDULED: set it IN PROGRESS first")

_GO, _ALREADY = True, False
_TRANSITIONS: Mapping[tuple[str, str], bool | ArchiveError] = {
    (SCHEDULED, IN_PROGRESS): _GO,
    (SCHEDULED, COMPLETED): _NOT_BEGUN,
    (SCHEDULED, CANCELED): _NOT_BEGUN,
    (IN_PROGRESS, IN_PROGRESS): WorkitemClaimed("the workitem is IN PROGRESS already"),
    (IN_PROGRESS, COMPLETED): _GO,
    (IN_PROGRESS, CANCELED): _GO,
    (COMPLETED, IN_PROGRESS): _ENDED,
    (COMPLETED, COMPLETED): _ALREADY,
    (COMPLETED, CANCELED): _ENDED,
    (CANCELED, IN_PROGRESS): _ENDED,
    (CANCELED, COMPLETED): _ENDED,
    (CANCELED, CANCELED): _ALREADY,
}
"""By the state that it is in and the one that is asked for."""


def may_become(wanted: str, state: str, lock: str, given: str) -> bool:
    """Whether it is to be put into the state `wanted`; False when it is in it already (B304, B306). `lock` is the
    Transaction UID that it was begun with, "" for none, `given` that of the request. Raises InvalidValue, InvalidUID
    and what Table CC.1.1-2 says."""
    if wanted not in STATES:
        raise InvalidValue(f"ProcedureStepState is one of {', '.join(STATES)}", int(STATE, 16))
    if wanted == SCHEDULED:
        raise ScheduledByCreation("a workitem becomes SCHEDULED by being created, and in no other way")
    check_lock(lock, given)
    found = _TRANSITIONS[state, wanted]
    if isinstance(found, ArchiveError):
        raise type(found)(found.reason)
    return found


def check_lock(lock: str, given: str) -> None:
    """Raises WrongTransactionUID unless a Transaction UID is given, and that of the lock if there is one."""
    if not given:
        raise WrongTransactionUID("the Transaction UID is missing")
    if lock and given != lock:
        raise WrongTransactionUID("the Transaction UID is not that of who performs the workitem")
    check_uid(given, int(TRANSACTION_UID, 16))


def check_changeable(state: str, lock: str, given: str) -> None:
    """Whether attributes may be set: by anybody as long as it is SCHEDULED, by its performer while it is IN PROGRESS
    (CC.2.6.3). Raises WorkitemEnded, NotInProgress, WrongTransactionUID, InvalidUID."""
    if state in FINAL:
        raise WorkitemEnded(_ENDED.reason)
    if state == SCHEDULED and given:
        raise NotInProgress("a Transaction UID is given, and the workitem is not IN PROGRESS")
    if state == IN_PROGRESS:
        check_lock(lock, given)


def may_be_canceled(state: str) -> bool:
    """Whether a request to cancel it means anything; False when it is CANCELED already (B304). Raises
    WorkitemCompleted."""
    if state == COMPLETED:
        raise WorkitemCompleted("the workitem is COMPLETED already")
    return state != CANCELED
