"""The DIMSE half: services, transfer syntaxes, settings and statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydicom.uid import UID_dictionary

from archive.config import KEYS
from archive.dicom import errors
from archive.dicom.attribute_ids import path_name
from archive.dicom.errors import ArchiveError
from archive.dicom.identifiers import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, tag_text
from archive.dicom.pixels.codecs import DECODERS
from archive.dicom.pixels.encoders import ENCODERS
from archive.dicom.sop_classes import is_storage, sop_class_name
from archive.dicom.transfer_syntaxes import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from archive.dicom.workitems.attributes import ATTRIBUTES
from archive.dimse import statuses, ups
from archive.dimse.contexts import SERVICES, UNCOMPRESSED, Service
from archive.dimse.server import HANDLERS
from archive.security.operations import Operation
from archive.services.receipts import COERCED
from conformance.statement.table import Table, meaning_of, settings_of


def implementation() -> Table:
    return ("Item", "Value"), (
        ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
        ("Default AE title", str(KEYS["dimse.ae_title"].default)),
        ("Default port", str(KEYS["dimse.listen"].default.port)),
    )


def network_services() -> Table:
    rows = [(sop_class_name(uid), uid, _requests(uid, one), "SCP") for uid, one in SERVICES.items()]
    storage = ("Storage: each SOP Class of annex A, and private ones", "", Operation.STORE.command)
    return ("SOP Class", "UID", "Operation", "Role"), [*rows, (*storage, "SCP; SCU with C-GET")]


def _requests(uid: str, service: Service) -> str:
    """Of one right several SOP Classes may have each its own."""
    own = sorted(primitive.__name__.replace("_", "-") for primitive in ups.REQUESTS.get(uid, ()))
    return ", ".join(own) or service.operation.command


def storage_sop_classes() -> Table:
    known = sorted(
        uid for uid, (name, kind, *_) in UID_dictionary.items() if kind == "SOP Class" and is_storage(uid)
    )
    return ("SOP Class", "UID"), ((sop_class_name(uid), uid) for uid in known)


def transfer_syntaxes() -> Table:
    rows = (
        (row.name, uid, row.media_type, _yes(uid in DECODERS), _yes(uid in MADE))
        for uid, row in TRANSFER_SYNTAXES.items()
    )
    return ("Transfer Syntax", "UID", "Media type of a frame", "Rendered", "Made for receivers"), rows


MADE = frozenset({*UNCOMPRESSED, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, *ENCODERS})
"""What a stored object can be said in, without loss, to a receiver that does not take it as it is."""


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def query_transfer_syntaxes() -> Table:
    return ("Preference", "Transfer Syntax", "UID"), (
        (str(place), TRANSFER_SYNTAXES[uid].name, str(uid)) for place, uid in enumerate(UNCOMPRESSED, 1)
    )


def association_settings() -> Table:
    return settings_of("dimse")


def limits() -> Table:
    return settings_of("limits")


def store_statuses() -> Table:
    return _statuses(
        Operation.STORE,
        (
            errors.CannotUnderstand,
            errors.MissingAttribute,
            errors.InvalidUID,
            errors.ObjectMismatch,
            errors.UnsupportedSOPClass,
            errors.InstanceConflict,
            errors.OutOfResources,
            errors.ObjectTooLarge,
            errors.OutcomeUnknown,
            errors.NotAuthorized,
            errors.ArchiveError,
        ),
        {
            statuses.SUCCESS: "The object is safe, or was so already: see 1.2.",
            COERCED: "The same; attributes were coerced, and the former values are in Original Attributes Sequence. "
            "Or the object is safe but kept aside, as its identifiers are taken or a rejection note was here "
            "before it: see 1.2.",
        },
    )


def find_statuses() -> Table:
    pending = {
        statuses.SUCCESS: "All matches have been sent.",
        statuses.PENDING: "A match.",
        statuses.PENDING_WITH_UNSUPPORTED_KEYS: "A match; a key with a value is not matched and did not restrict.",
        statuses.RESPONSE_LIMIT_REACHED: "Repository Query: there are more records than were asked for, or allowed.",
        statuses.CANCELLED: "C-CANCEL-RQ was received.",
    }
    raised = (
        errors.InvalidQuery,
        errors.InvalidRecordKey,
        errors.CannotUnderstand,
        errors.TooBroad,
        errors.OutOfResources,
        errors.NotAuthorized,
        errors.ArchiveError,
    )
    return _statuses(Operation.FIND, raised, pending)


def retrieve_statuses() -> Table:
    final = {
        statuses.SUCCESS: "All sub-operations succeeded, or nothing matched.",
        statuses.PENDING: "Sub-operations go on; one such response every `dimse.pending_interval` seconds.",
        statuses.SUB_OPERATIONS_WARNING: "Some sub-operations failed (their UIDs are listed) or had a warning.",
        statuses.SUB_OPERATIONS_REFUSED: "All sub-operations failed; Error Comment has the first reason.",
        statuses.CANCELLED: "C-CANCEL-RQ was received.",
    }
    raised = (
        errors.InvalidQuery,
        errors.InvalidUID,
        errors.CannotUnderstand,
        errors.UnknownDestination,
        errors.NotAuthorized,
        errors.OutOfResources,
        errors.ArchiveError,
    )
    return _statuses(Operation.MOVE, raised, final)


def commitment_statuses() -> Table:
    fixed = {
        statuses.SUCCESS: "The request is recorded; its result is told by N-EVENT-REPORT.",
        statuses.NO_SUCH_SOP_INSTANCE: "Not the well-known SOP Instance.",
        statuses.INVALID_SOP_INSTANCE: "Requested SOP Instance UID is no UID.",
        statuses.NO_SUCH_ACTION: "Another Action Type ID than 1.",
    }
    raised = (
        errors.InvalidQuery,
        errors.TransactionInUse,
        errors.ObjectTooLarge,
        errors.OutOfResources,
        errors.NotAuthorized,
        errors.ArchiveError,
    )
    return _statuses(Operation.COMMIT, raised, fixed)


def worklist_statuses() -> Table:
    fixed = {
        statuses.SUCCESS: "All matches have been sent.",
        statuses.PENDING: "A match.",
        statuses.PENDING_WITH_UNSUPPORTED_KEYS: "A match; a private key with a value did not restrict.",
        statuses.CANCELLED: "C-CANCEL-RQ was received.",
    }
    raised = (
        errors.InvalidQuery,
        errors.CannotUnderstand,
        errors.OutOfResources,
        errors.NotAuthorized,
        errors.ArchiveError,
    )
    return _statuses(Operation.WORKLIST, raised, fixed)


def performed_step_statuses() -> Table:
    fixed = {
        statuses.SUCCESS: "The step is created, or changed.",
        statuses.ATTRIBUTE_LIST_ERROR: "Changed, but for attributes that may not be set any more.",
        statuses.INVALID_SOP_INSTANCE: "The SOP Instance UID is no UID.",
    }
    raised = (
        errors.MissingAttribute,
        errors.MissingValue,
        errors.InvalidValue,
        errors.InstanceConflict,
        errors.NotFound,
        errors.NoLongerChangeable,
        errors.NotAuthorized,
        errors.OutOfResources,
        errors.ArchiveError,
    )
    return _statuses(Operation.MPPS, raised, fixed)


def workitem_statuses() -> Table:
    fixed: dict[int, str] = {
        statuses.SUCCESS: "It is done; or all matches have been sent.",
        ups.ALREADY_CANCELED: "The workitem is in the requested state of CANCELED already.",
        ups.ALREADY_COMPLETED: "The workitem is in the requested state of COMPLETED already.",
        statuses.INVALID_SOP_INSTANCE: "The SOP Instance UID is no UID.",
        statuses.NO_SUCH_ACTION: "The Action Type ID is none of those of the context.",
        statuses.PENDING: "A match.",
        statuses.PENDING_WITH_UNSUPPORTED_KEYS: "A match; a key with a value did not restrict.",
        statuses.CANCELLED: "C-CANCEL-RQ was received.",
    }
    for error in (errors.InvalidQuery, errors.OutOfResources, errors.CannotUnderstand):
        fixed[statuses.row(error).query] = f"C-FIND: {meaning_of(error)}"
    raised = (
        errors.MissingAttribute,
        errors.MissingValue,
        errors.InvalidValue,
        errors.InstanceConflict,
        errors.InvalidQuery,
        errors.NoSuchWorkitem,
        errors.WorkitemEnded,
        errors.WrongTransactionUID,
        errors.WorkitemClaimed,
        errors.ScheduledByCreation,
        errors.FinalStateNotMet,
        errors.UnknownReceiver,
        errors.NotScheduled,
        errors.NotInProgress,
        errors.WorkitemCompleted,
        errors.PerformerOutOfReach,
        errors.ActionNotAppropriate,
        errors.NotAuthorized,
        errors.OutOfResources,
        errors.ArchiveError,
    )
    return _statuses(Operation.UPS, raised, fixed)


def workitem_attributes() -> Table:
    """What is asked of the attributes of a workitem, beside PS3.4 Table CC.2.5-3."""
    rows = (
        (path_name((int(tag, 16),)), tag_text(int(tag, 16)), row.creation.value, row.setting.value)
        for tag, row in sorted(ATTRIBUTES.items())
    )
    return ("Attribute", "Tag", "N-CREATE", "N-SET"), rows


def _statuses(operation: Operation, raised: Sequence[type[ArchiveError]], fixed: Mapping[int, str]) -> Table:
    """One row for each status: the fixed ones, and those of what the service may raise."""
    column = HANDLERS[operation].column
    also = {
        statuses.SOP_CLASS_NOT_SUPPORTED: "The operation or SOP Class does not belong into its context.",
        statuses.UNRECOGNIZED_OPERATION: "No such operation here, or a DIMSE-N operation in another's context.",
    }
    if column == "normalized":
        also[statuses.SOP_CLASS_NOT_SUPPORTED] = "The DIMSE-C operation does not belong into its context."
        also[statuses.NO_SUCH_SOP_CLASS] = "The SOP Class is not that of its context."
    meanings: dict[int, list[str]] = {code: [words] for code, words in {**fixed, **also}.items()}
    for error in raised:
        meanings.setdefault(getattr(statuses.row(error), column), []).append(meaning_of(error))
    return ("Status", "Meaning"), ((f"{code:04X}", " ".join(meanings[code])) for code in sorted(meanings))
