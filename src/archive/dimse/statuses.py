"""What we answer when something goes wrong: the one table from error class to DIMSE status.

A row has a column for each kind of service, as the standard words the same trouble with different numbers:
C-STORE in PS3.4 Table B.2-1, C-FIND in Table C.4-1, C-MOVE and C-GET in Tables C.4-2 and C.4-3, the DIMSE-N
services in PS3.7 C.5 and those of workitems in PS3.4 CC.2, all of them in PS3.7 Annex C. A class without a row of its
own takes that of the class it descends from.

Error Comment says the reason to the person in front of the modality: LO, at most 64 characters, ASCII.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from archive.dicom import errors

SUCCESS = 0x0000
ATTRIBUTE_LIST_ERROR = 0x0107
PROCESSING_FAILURE = 0x0110
NO_SUCH_SOP_INSTANCE = 0x0112
INVALID_SOP_INSTANCE = 0x0117
NO_SUCH_SOP_CLASS = 0x0118
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
UNRECOGNIZED_OPERATION = 0x0211
SUB_OPERATIONS_REFUSED = 0xA702
SUB_OPERATIONS_WARNING = 0xB000
RESPONSE_LIMIT_REACHED = 0xB001
CANCELLED = 0xFE00
PENDING = 0xFF00
PENDING_WITH_UNSUPPORTED_KEYS = 0xFF01

ERROR_IDS: Mapping[type[errors.ArchiveError], int] = {errors.NoLongerChangeable: 0xA710}
"""Failures with an Error ID besides (PS3.4 Table F.7.2-2)."""

_COMMENT_LENGTH = 64


class Row(NamedTuple):
    """The status of one error class in each kind of service."""

    store: int
    query: int
    retrieve: int
    normalized: int


STATUSES: Mapping[type[errors.ArchiveError], Row] = {
    errors.ArchiveError: Row(0x0110, 0xC000, 0xC000, 0x0110),
    errors.InvalidObject: Row(0xC000, 0xC000, 0xC000, 0x0110),
    errors.NotDicom: Row(0xC000, 0xC000, 0xC000, 0x0110),
    errors.CannotUnderstand: Row(0xC000, 0xC000, 0xC000, 0x0110),
    errors.MissingAttribute: Row(0xA900, 0xA900, 0xA900, 0x0120),
    errors.MissingValue: Row(0xA900, 0xA900, 0xA900, 0x0121),
    errors.InvalidValue: Row(0xA900, 0xA900, 0xA900, 0x0106),
    errors.InvalidUID: Row(0xA900, 0xA900, 0xA900, 0x0106),
    errors.ObjectMismatch: Row(0xA900, 0xA900, 0xA900, 0x0119),
    errors.UnsupportedSOPClass: Row(0x0122, 0x0122, 0x0122, 0x0118),
    errors.UnsupportedTransferSyntax: Row(0xC122, 0xC000, 0xC000, 0x0110),
    errors.InstanceConflict: Row(0x0111, 0xC000, 0xC000, 0x0111),
    errors.TransactionInUse: Row(0x0110, 0xC000, 0xC000, 0x0115),
    errors.NoLongerChangeable: Row(0x0110, 0xC000, 0xC000, 0x0110),
    errors.WorkitemRefusal: Row(0x0110, 0xC000, 0xC000, 0x0110),
    errors.WorkitemEnded: Row(0x0110, 0xC000, 0xC000, 0xC300),
    errors.WorkitemCompleted: Row(0x0110, 0xC000, 0xC000, 0xC311),
    errors.WrongTransactionUID: Row(0x0110, 0xC000, 0xC000, 0xC301),
    errors.WorkitemClaimed: Row(0x0110, 0xC000, 0xC000, 0xC302),
    errors.ScheduledByCreation: Row(0x0110, 0xC000, 0xC000, 0xC303),
    errors.FinalStateNotMet: Row(0x0110, 0xC000, 0xC000, 0xC304),
    errors.UnknownReceiver: Row(0x0110, 0xC000, 0xC000, 0xC308),
    errors.NotScheduled: Row(0x0110, 0xC000, 0xC000, 0xC309),
    errors.NotInProgress: Row(0x0110, 0xC000, 0xC000, 0xC310),
    errors.PerformerOutOfReach: Row(0x0110, 0xC000, 0xC000, 0xC312),
    errors.ActionNotAppropriate: Row(0x0110, 0xC000, 0xC000, 0xC314),
    errors.Retained: Row(0x0110, 0xC000, 0xC000, 0x0110),
    errors.OnHold: Row(0x0110, 0xC000, 0xC000, 0x0110),
    errors.OtherPatient: Row(0x0110, 0xC000, 0xC000, 0x0110),
    errors.OutOfResources: Row(0xA700, 0xA700, 0xA701, 0x0213),
    errors.ObjectTooLarge: Row(0xA700, 0xA700, 0xA701, 0x0213),
    errors.OutcomeUnknown: Row(0xA700, 0xA700, 0xA701, 0x0213),
    errors.NotFound: Row(0x0110, 0xC000, 0xA702, 0x0112),
    errors.NoSuchWorkitem: Row(0x0110, 0xC000, 0xA702, 0xC307),
    errors.Gone: Row(0x0110, 0xC000, 0xA702, 0x0112),
    errors.InvalidQuery: Row(0xA900, 0xA900, 0xA900, 0x0115),
    errors.InvalidRecordKey: Row(0xA900, 0xA710, 0xA900, 0x0115),
    errors.TooBroad: Row(0xA700, 0xA700, 0xA701, 0x0213),
    errors.NotAcceptable: Row(0x0110, 0xC000, 0xA702, 0x0110),
    errors.CannotRender: Row(0x0110, 0xC000, 0xA702, 0x0110),
    errors.UnknownDestination: Row(0x0110, 0xC000, 0xA801, 0x0110),
    errors.CallerRefused: Row(0x0124, 0x0124, 0x0124, 0x0124),
    errors.NotAuthorized: Row(0x0124, 0x0124, 0x0124, 0x0124),
    errors.MustEnrol: Row(0x0124, 0x0124, 0x0124, 0x0124),
    errors.LastAdministrator: Row(0x0110, 0xC000, 0xC000, 0x0110),
    errors.NotSignedIn: Row(0x0124, 0x0124, 0x0124, 0x0124),
    errors.CodeNeeded: Row(0x0124, 0x0124, 0x0124, 0x0124),
    errors.PeerFailure: Row(0x0110, 0xC000, 0xA702, 0x0110),
    errors.PeerUnreachable: Row(0x0110, 0xC000, 0xA702, 0x0110),
    errors.AssociationRejected: Row(0x0110, 0xC000, 0xA702, 0x0110),
    errors.AssociationAborted: Row(0x0110, 0xC000, 0xA702, 0x0110),
    errors.SecurityFailure: Row(0x0110, 0xC000, 0xA702, 0x0110),
    errors.ConfigurationError: Row(0x0110, 0xC000, 0xC000, 0x0110),
    errors.InvalidEntry: Row(0x0110, 0xC000, 0xC000, 0x0110),
}


@dataclass(frozen=True, slots=True)
class Status:
    """What a response says: the code, a comment for a person, the tags that are to blame, and an Error ID if not 0."""

    code: int
    comment: str = ""
    offending: tuple[int, ...] = ()
    error_id: int = 0


def row(error: type[errors.ArchiveError]) -> Row:
    """The row of this class, or of the nearest class above it that has one."""
    return next(STATUSES[above] for above in error.__mro__ if above in STATUSES)


def worded(error: errors.ArchiveError, column: str) -> Status:
    """The status for `error` in a service of this kind (`store`, `query`, `retrieve` or `normalized`)."""
    tag = getattr(error, "tag", 0)
    code: int = getattr(row(type(error)), column)
    return Status(code, comment(error.reason), (tag,) if tag else (), ERROR_IDS.get(type(error), 0))


def misplaced(command: object) -> Status:
    """The status for an operation that was not agreed upon for its context. PS3.7 has 0211 for that among the statuses
    of each DIMSE-N service (10.1, C.5); C-FIND, C-GET and C-MOVE have none but 0122 (9.1)."""
    normalized = type(command).__name__.startswith("N_")
    code = UNRECOGNIZED_OPERATION if normalized else SOP_CLASS_NOT_SUPPORTED
    return Status(code, "the operation does not belong into this context")


def unexpected(column: str) -> Status:
    """The status for a fault of ours; the log has the rest."""
    code: int = getattr(STATUSES[errors.ArchiveError], column)
    return Status(code, "internal error: see the log of the archive")


def comment(text: str) -> str:
    """`text` as a value of Error Comment (LO: no backslash, no control characters), cut at a word."""
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)
    if len(plain) <= _COMMENT_LENGTH:
        return plain
    cut = plain[: _COMMENT_LENGTH - 3]
    return cut[: cut.rfind(" ")] + "..." if " " in cut[_COMMENT_LENGTH // 2 :] else cut + "..."
