"""What we answer when something goes wrong: the one table from error class to HTTP status, and its wording.

A class without a row of its own takes that of the class it descends from. The body is one sentence: what was wrong
and, where there is one, the next step. Faults of ours say nothing of themselves; the log has their type and place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archive.dicom import errors
from archive.web.http.exchange import Answer, text

RETRY_AFTER_SECONDS = 30
CHALLENGE = 'Bearer realm="archive"'
"""Not Basic, although it is taken (RFC 7617): browsers would ask for it in a window of their own."""
CODE_NEEDED = f'{CHALLENGE}, error="insufficient_user_authentication"'
"""What was proved is not enough (RFC 9470 3): the same again, with a code of the second factor."""
IDENTITY = "identity"
"""The one content coding of request bodies (RFC 9110 8.4.1)."""


@dataclass(eq=False)
class RequestRefused(errors.ArchiveError):
    """A request that HTTP itself or PS3.18 refuses before any service is asked."""

    status: int = 400


STATUSES: Mapping[type[errors.ArchiveError], int] = {
    errors.ArchiveError: 500,
    errors.InvalidObject: 400,
    errors.NotDicom: 400,
    errors.CannotUnderstand: 400,
    errors.MissingAttribute: 400,
    errors.MissingValue: 400,
    errors.InvalidValue: 400,
    errors.InvalidUID: 400,
    errors.ObjectMismatch: 409,
    errors.UnsupportedSOPClass: 409,
    errors.UnsupportedTransferSyntax: 409,
    errors.InstanceConflict: 409,
    errors.TransactionInUse: 409,
    errors.NoLongerChangeable: 409,
    errors.WorkitemRefusal: 409,
    errors.WorkitemEnded: 400,
    errors.WorkitemCompleted: 409,
    errors.WrongTransactionUID: 400,
    errors.WorkitemClaimed: 409,
    errors.ScheduledByCreation: 400,
    errors.FinalStateNotMet: 409,
    errors.UnknownReceiver: 400,
    errors.NotScheduled: 400,
    errors.NotInProgress: 409,
    errors.PerformerOutOfReach: 409,
    errors.ActionNotAppropriate: 400,
    errors.Retained: 409,
    errors.OnHold: 409,
    errors.OtherPatient: 409,
    errors.OutOfResources: 503,
    errors.ObjectTooLarge: 413,
    errors.OutcomeUnknown: 503,
    errors.NotFound: 404,
    errors.NoSuchWorkitem: 404,
    errors.Gone: 410,
    errors.InvalidQuery: 400,
    errors.InvalidRecordKey: 400,
    errors.TooBroad: 413,
    errors.NotAcceptable: 406,
    errors.CannotRender: 406,
    errors.UnknownDestination: 404,
    errors.CallerRefused: 403,
    errors.NotAuthorized: 403,
    errors.MustEnrol: 403,
    errors.LastAdministrator: 409,
    errors.NotSignedIn: 401,
    errors.CodeNeeded: 401,
    errors.PeerFailure: 502,
    errors.PeerUnreachable: 504,
    errors.AssociationRejected: 502,
    errors.AssociationAborted: 502,
    errors.SecurityFailure: 502,
    errors.ConfigurationError: 500,
    errors.InvalidEntry: 400,
}


def status_of(error: errors.ArchiveError) -> int:
    """The status for this error, or for the nearest class above it."""
    if isinstance(error, RequestRefused):
        return error.status
    return next(STATUSES[above] for above in type(error).__mro__ if above in STATUSES)


def worded(error: errors.ArchiveError) -> Answer:
    """The answer to the client."""
    status = status_of(error)
    if status == 500:
        return unexpected()
    headers = {
        401: (("WWW-Authenticate", CODE_NEEDED if isinstance(error, errors.CodeNeeded) else CHALLENGE),),
        408: (("Connection", "close"),),
        413: (("Connection", "close"),),
        415: (("Accept-Encoding", IDENTITY),),
        503: (("Retry-After", str(RETRY_AFTER_SECONDS)),),
    }
    return text(status, error.reason, *headers.get(status, ()))


def unexpected() -> Answer:
    """The answer for a fault of ours."""
    return text(500, "internal error; the log of the archive has the details")


def header_text(value: str) -> bytes:
    """A header value that can hold nothing but itself: printable ASCII, anything else as a question mark."""
    return "".join(character if " " <= character <= "~" else "?" for character in value).encode("ascii")
