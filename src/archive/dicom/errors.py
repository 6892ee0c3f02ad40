"""Everything that can go wrong, as one tree. A class carries data; a door words it.

    ArchiveError
    ├── InvalidObject                what was sent is not an acceptable object
    │   ├── NotDicom                 the bytes are no DICOM at all
    │   ├── CannotUnderstand         the structure is broken: truncated, nested too deep, impossible lengths
    │   ├── MissingAttribute         a Type 1 attribute is absent or empty
    │   │   └── MissingValue         it is there, and is empty
    │   ├── InvalidValue             an attribute has a value that it cannot have
    │   ├── InvalidUID               a UID that PS3.5 9.1 does not allow
    │   ├── ObjectMismatch           data set, command and presentation context disagree
    │   ├── UnsupportedSOPClass      not a composite object of the patient-study-series hierarchy
    │   └── UnsupportedTransferSyntax  bulk data that no transfer syntax is for, or another than was said
    ├── InstanceConflict             this SOP Instance UID is stored already, with other content, or was rejected
    ├── TransactionInUse             a Transaction UID that was used before
    ├── NoLongerChangeable           it has reached its final state
    ├── WorkitemRefusal              what the state of a workitem does not allow
    │   ├── WorkitemEnded            it is completed or canceled, and changes no more
    │   │   └── WorkitemCompleted    it was to be canceled, and is completed
    │   ├── WrongTransactionUID      the lock on a workitem that is in progress was not given
    │   ├── WorkitemClaimed          it is in progress already
    │   ├── ScheduledByCreation      it can only become SCHEDULED by being created
    │   ├── NotScheduled             it was to be created in another state than SCHEDULED
    │   ├── NotInProgress            it is SCHEDULED, and what was asked needs it in progress
    │   ├── FinalStateNotMet         what a completed workitem has to tell has not been told
    │   ├── PerformerOutOfReach      nobody can be told that it is to be canceled
    │   ├── UnknownReceiver          events were to be reported to an AE title that is not known
    │   └── ActionNotAppropriate     an action that this instance does not have
    ├── Retained                     what was to be destroyed has to be kept
    │   └── OnHold                   somebody has put it on hold
    ├── OtherPatient                 what belongs to one patient was named for another
    ├── OutOfResources               no room, or the store or the index cannot take it now: try again later
    │   ├── ObjectTooLarge           larger than the configured maximum
    │   └── OutcomeUnknown           the index was asked to commit and did not confirm: stored or not, nobody knows
    ├── NotFound                     nothing stored under these UIDs, frame number or path
    │   ├── NoSuchWorkitem           no workitem has this UID
    │   └── Gone                     it was stored, and has been deleted
    ├── InvalidQuery                 a question that cannot be asked
    │   ├── InvalidRecordKey         a Record Key to go on from that was never given
    │   └── TooBroad                 a question whose answer would take too long to find: it needs narrower keys
    ├── NotAcceptable                stored, but not in the form asked for
    │   └── CannotRender             the pixel data cannot be made a picture
    ├── UnknownDestination           a move destination that is no configured AE title
    ├── CallerRefused                an association that is not let in
    ├── NotAuthorized                a request for which its requestor has no right
    │   └── MustEnrol                whoever it is has to set up a second factor first
    ├── LastAdministrator            a change that would leave nobody to administer the archive
    ├── NotSignedIn                  a request of somebody who has to sign in first, or again
    │   └── CodeNeeded               the password is right, and a code of the second factor is missing
    ├── PeerFailure                  the other side of an association of ours
    │   ├── PeerUnreachable          no connection
    │   ├── AssociationRejected      A-ASSOCIATE-RJ
    │   └── AssociationAborted       cut, aborted or silent
    │       └── SecurityFailure      TLS could not be agreed on, or broke
    └── ConfigurationError           the administrator must change something
        └── InvalidEntry             what an administrator wants kept cannot be: the sentence says what is wrong with it

`reason` is one sentence for a person; it never holds a patient attribute, as it may be logged.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class ArchiveError(Exception):
    """The root. `reason` says in one sentence what was wrong and, where there is one, the next step."""

    reason: str

    def __str__(self) -> str:
        return self.reason


class InvalidObject(ArchiveError):
    """What was sent is not an object that the archive takes."""


class NotDicom(InvalidObject):
    """No DICOM: neither preamble and prefix (PS3.10 7.1) nor a readable data set."""


@dataclass(eq=False)
class CannotUnderstand(InvalidObject):
    """The encoding breaks PS3.5 chapter 7: truncated, too deep, lengths that do not fit. `tag` is where, if known."""

    tag: int = 0


@dataclass(eq=False)
class MissingAttribute(InvalidObject):
    """An attribute without which the object has no place in the hierarchy."""

    tag: int = 0


class MissingValue(MissingAttribute):
    """An attribute that is there without the value that it needs (PS3.7 C.5.15: 0121)."""


@dataclass(eq=False)
class InvalidValue(InvalidObject):
    """A value that the attribute cannot have (PS3.7 C.5.11: 0106)."""

    tag: int = 0


@dataclass(eq=False)
class InvalidUID(InvalidObject):
    """A UID that breaks PS3.5 9.1 (characters or length)."""

    tag: int = 0


@dataclass(eq=False)
class ObjectMismatch(InvalidObject):
    """The data set is not what the command, the context or the request said (PS3.4 B.2.3: A900)."""

    tag: int = 0


@dataclass(eq=False)
class UnsupportedSOPClass(InvalidObject):
    """A SOP class outside the composite storage classes of PS3.4 annex B."""

    tag: int = 0


class UnsupportedTransferSyntax(InvalidObject):
    """Bulk data that cannot be stored in the transfer syntax that was named, or in any (PS3.18 table I.2-2: C122)."""


@dataclass(eq=False)
class InstanceConflict(ArchiveError):
    """Kept out: the identifier is taken by other content. `conflict_id` names the record for the administrator."""

    sop_instance_uid: str = ""
    conflict_id: int = 0


class TransactionInUse(ArchiveError):
    """Another request has this Transaction UID (PS3.18 13.4.3: 409, PS3.4 J.3.2: 0131)."""


class NoLongerChangeable(ArchiveError):
    """What was to be changed is in its final state (PS3.4 F.7.2.2.3: 0110)."""


class WorkitemRefusal(ArchiveError):
    """What a workitem does not allow in the state that it is in (PS3.4 CC.1.1)."""


class WorkitemEnded(WorkitemRefusal):
    """The UPS may no longer be updated (PS3.4 CC.2.1.4: C300)."""


class WorkitemCompleted(WorkitemEnded):
    """It was to be canceled, and is COMPLETED already (PS3.4 CC.2.2.4: C311)."""


class WrongTransactionUID(WorkitemRefusal):
    """The correct Transaction UID was not given (PS3.4 CC.2.1.4: C301)."""


class WorkitemClaimed(WorkitemRefusal):
    """It is IN PROGRESS already (PS3.4 CC.2.1.4: C302)."""


class ScheduledByCreation(WorkitemRefusal):
    """Only N-CREATE makes it SCHEDULED (PS3.4 CC.2.1.4: C303)."""


class FinalStateNotMet(WorkitemRefusal):
    """It lacks what its final state has to have (PS3.4 CC.2.1.4: C304)."""


class UnknownReceiver(WorkitemRefusal):
    """The Receiving AE is unknown (PS3.4 CC.2.3.4: C308)."""


class NotScheduled(WorkitemRefusal):
    """Created with another state than SCHEDULED (PS3.4 CC.2.5.4: C309)."""


class NotInProgress(WorkitemRefusal):
    """It is not yet IN PROGRESS (PS3.4 CC.2.1.4: C310)."""


class PerformerOutOfReach(WorkitemRefusal):
    """Who performs it cannot be told of a request to cancel (PS3.4 CC.2.2.4: C312)."""


class ActionNotAppropriate(WorkitemRefusal):
    """The action is not one for this instance (PS3.4 CC.2.3.4: C314)."""


class Retained(ArchiveError):
    """It is younger than it has to be kept, or may not be deleted without more than was given."""


class OnHold(Retained):
    """It is on hold: nobody destroys it before the hold is lifted."""


class OtherPatient(ArchiveError):
    """An order or a step under identifiers that belong to another patient: nothing of it is taken."""


class OutOfResources(ArchiveError):
    """The store or the index cannot take it now (PS3.4 B.2.3: A700)."""


class ObjectTooLarge(OutOfResources):
    """Past the configured maximum size of an object."""


class OutcomeUnknown(OutOfResources):
    """COMMIT failed half way. Bytes that the transaction may point to must stay; the sender should try again."""


class NotFound(ArchiveError):
    """Nothing is stored there."""


class NoSuchWorkitem(NotFound):
    """No workitem has this UID (PS3.4 CC.2.1.4: C307)."""


class Gone(NotFound):
    """Something was stored there, and has been deleted (PS3.18 8.5: 410 instead of 404)."""


@dataclass(eq=False)
class InvalidQuery(ArchiveError):
    """A key, value or parameter that cannot be matched; `tag` of the attribute to blame, if it is one."""

    tag: int = 0


class InvalidRecordKey(InvalidQuery):
    """A Prior Record Key that is none of our Record Keys (PS3.4 C.6.4.5.3: A710)."""


class TooBroad(InvalidQuery):
    """More would have to be examined than one search may (PS3.18 10.6.3.1: 413)."""


class NotAcceptable(ArchiveError):
    """What is asked for exists, but not in that form."""


class CannotRender(NotAcceptable):
    """Pixel data that cannot be decoded to a picture here."""


@dataclass(eq=False)
class UnknownDestination(ArchiveError):
    """Move destination unknown (PS3.4 C.4.2.1.5: A801). `remedy` as in CallerRefused."""

    remedy: str = ""


@dataclass(eq=False)
class CallerRefused(ArchiveError):
    """An association that is not accepted; result, source and diagnostic as in PS3.8 Table 9-21. `remedy` is what
    would let the caller in: a command for the administrator, or a sentence."""

    result: int = 1
    source: int = 1
    diagnostic: int = 1
    remedy: str = ""


@dataclass(eq=False)
class NotAuthorized(ArchiveError):
    """No right to this operation (PS3.7 annex C: 0124). `remedy` as in CallerRefused."""

    remedy: str = ""


class MustEnrol(NotAuthorized):
    """Whoever it is has to set up a second factor before anything else."""


class LastAdministrator(ArchiveError):
    """Nobody would be left who may administer the archive."""


class NotSignedIn(ArchiveError):
    """Who asks has to sign in: has not, or with what is wrong, has expired or was revoked."""


class CodeNeeded(NotSignedIn):
    """The password is right, and a code of the second factor is missing."""


class PeerFailure(ArchiveError):
    """The other side of an association failed us."""


class PeerUnreachable(PeerFailure):
    """No TCP connection, or no answer to A-ASSOCIATE-RQ in time."""


@dataclass(eq=False)
class AssociationRejected(PeerFailure):
    """The other side answered A-ASSOCIATE-RJ; result, source and diagnostic as in PS3.8 Table 9-21."""

    result: int = 1
    source: int = 1
    diagnostic: int = 1


@dataclass(eq=False)
class AssociationAborted(PeerFailure):
    """The association ended without A-RELEASE: abort, cut, silence or nonsense. Where it was us that aborted,
    `diagnostic` is the reason we gave (PS3.8 Table 9-26)."""

    diagnostic: int | None = None


class SecurityFailure(AssociationAborted):
    """TLS could not be agreed on, or what came over it was tampered with."""


class ConfigurationError(ArchiveError):
    """Something only the administrator can change; the command line exits with 2."""


class InvalidEntry(ConfigurationError):
    """An entry (AE title, rule) that cannot be."""
