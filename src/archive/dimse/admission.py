"""Whom the DIMSE door lets in, in which contexts it speaks with them, and what they may ask for.

A right that is missing shows early: the presentation contexts of its operations are rejected as by the user (PS3.8
Table 9-18, result 1), and the refusal is kept with what would change it. An administrator may take a right while an
association runs, so each request is checked again (PS3.7 annex C: 0124).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from archive.bootstrap.building import Archive
from archive.dicom.errors import CallerRefused, NotAuthorized, OutOfResources
from archive.dicom.sop_classes import STORAGE_SERVICE_CLASS
from archive.dimse import extended
from archive.dimse.contexts import choose, service
from archive.network.acceptor import SPEAKS_TLS
from archive.network.caller import Caller
from archive.network.negotiation import Result
from archive.network.user_information import CommonExtended
from archive.security.admission import PRESENTATION, TEMPORARY_CONGESTION, TRANSIENT
from archive.security.ae_titles import AETitle
from archive.security.operations import ALL_OPERATIONS, Operation
from archive.security.remedies import command
from archive.security.rules import DEFAULT_RULES, Rules
from archive.security.views import View
from archive.services.admission import Guest

TOO_MANY_ASSOCIATIONS = "too many associations"
"""As the network words it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the network asks of us (`acceptor.AcceptorPolicy`)."""

    archive: Archive

    def admit(self, caller: Caller) -> Admission:
        """Raises CallerRefused; the service has recorded why. While the index cannot be asked, everyone is
        told to come back later (PS3.8 Table 9-21: rejected-transient, temporary congestion)."""
        try:
            return Admission(self.archive, self.archive.admissions.admit(caller))
        except OutOfResources as trouble:
            raise CallerRefused(trouble.reason, TRANSIENT, PRESENTATION, TEMPORARY_CONGESTION) from trouble

    def turned_away(self, caller: Caller, reason: str) -> None:
        """Keep what the network itself refused, beside what we did."""
        self.archive.refusals.keep_association(caller, reason, _remedy(caller, reason))


@dataclass(slots=True)
class Admission:
    """A caller that was let in (`negotiation.Admitted`), and its rights."""

    archive: Archive
    guest: Guest
    _denied: set[Operation] = field(default_factory=set)

    @property
    def identity_answer(self) -> bytes | None:
        """The server response to a user identity that we have verified."""
        return self.guest.identity_answer

    @property
    def ae_title(self) -> str:
        """The AE title by which the caller is known; that which it sent if it is not."""
        return self.guest.entry.title if self.guest.entry else self.guest.caller.calling_ae_title

    @property
    def rules(self) -> Rules:
        """What holds for the caller now. Raises NotAuthorized when it is not known any more, OutOfResources."""
        if self.guest.entry is None:
            return DEFAULT_RULES
        entry = self._entry()
        if entry is None:
            was = self.guest.entry
            remedy = command("add", was.title, was.host, str(was.port))
            raise NotAuthorized("this AE title is not known any more", remedy)
        return entry.rules

    def check(self, operation: Operation) -> View | None:
        """What the caller sees. Raises NotAuthorized without the right to this operation, OutOfResources; InvalidEntry
        for rules that cannot be read."""
        rules = self.rules
        if operation not in rules.operations:
            raise _no_right(self.ae_title, operation)
        return rules.view

    def negotiate(
        self,
        abstract_syntax: str,
        transfer_syntaxes: tuple[str, ...],
        as_scu: bool,
        common: CommonExtended | None,
    ) -> str | Result | None:
        """The transfer syntax to accept; "" when none of these will do, None when the abstract syntax is no service of
        ours, a Result when the caller has no right to it. An SOP class that PS3.6 does not register is what common
        extended negotiation says it is; where it says nothing, an object to store."""
        wanted = service(abstract_syntax)
        if wanted is None or _is_something_else(wanted.operation, common):
            return None
        needed = {Operation.STORE, Operation.GET} if as_scu else {wanted.operation}
        if not needed & self._granted():
            self._keep(wanted.operation)
            return Result.USER_REJECTION
        return choose(abstract_syntax, transfer_syntaxes, as_scu=as_scu)

    def extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """The answer to SOP class extended negotiation; None: none."""
        return extended.answer(sop_class_uid, information, coerces=bool(self.archive.settings.coercion))

    def leave(self) -> None:
        """The association has ended: its seat is free."""
        self.guest.seat.leave()

    def _entry(self) -> AETitle | None:
        assert self.guest.entry is not None
        return self.archive.ae_titles.entry_of(self.guest.entry.title)

    def _granted(self) -> frozenset[Operation]:
        return ALL_OPERATIONS if self.guest.entry is None else self.guest.entry.rules.operations

    def _keep(self, operation: Operation) -> None:
        """Once for each operation of an association."""
        if operation not in self._denied:
            self._denied.add(operation)
            refused = _no_right(self.ae_title, operation)
            self.archive.refusals.keep_association(self.guest.caller, refused.reason, refused.remedy)


def _remedy(caller: Caller, reason: str) -> str:
    if reason == TOO_MANY_ASSOCIATIONS:
        return "raise dimse.maximum_associations, or give single AE titles --maximum-associations"
    if caller.secured and not caller.calling_ae_title:
        return "compare [tls] in the settings with what the caller speaks and shows"
    if reason == SPEAKS_TLS:
        return "let it call the port of tls.listen, or call this one without TLS"
    return "nothing here lets it in: its request breaks PS3.8 9.3.2"


def _is_something_else(operation: Operation, common: CommonExtended | None) -> bool:
    """Whether what we would take for a SOP class of storage is said to be of another service class."""
    if operation is not Operation.STORE or common is None:
        return False
    return common.service_class_uid not in ("", STORAGE_SERVICE_CLASS)


def _no_right(title: str, operation: Operation) -> NotAuthorized:
    remedy = command("set", title, "--allow", operation.value)
    return NotAuthorized(f"{title} has no right to {operation.value}", remedy)
