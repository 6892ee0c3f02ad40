"""One request and its responses: what every handler gets, so that a handler is a function of one argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archive.bootstrap.building import Archive
from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dimse.admission import Admission
from archive.dimse.contexts import Service
from archive.dimse.extended import Agreed, agreed
from archive.dimse.identifier import Identifier, collected, read
from archive.dimse.statuses import Status
from archive.dimse.telling import Telling
from archive.network.association import Association, Message
from archive.network.commands import response_to
from archive.security.actor import Actor
from archive.security.rules import Rules
from archive.security.titles import is_title
from archive.security.views import View

_NONE: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that came in over `association`, for `service`; `telling` is where results are left to be told."""

    archive: Archive
    association: Association
    message: Message
    service: Service
    telling: Telling

    def seen_by(self, view: View | None) -> Exchange:
        """The same, with the archive as far as this view shows it."""
        return self if view is None else replace(self, archive=self.archive.seen_by(view))

    @property
    def request(self) -> Any:
        """The request primitive."""
        return self.message.command

    @property
    def implicit(self) -> bool:
        """Whether data sets of this context are in implicit VR."""
        return transfer_syntax(self.message.context.transfer_syntax).implicit

    @property
    def priority(self) -> int:
        """Medium, high or low (0, 1, 2: PS3.7 9.1.1.1); medium for anything else."""
        asked = self.request.Priority
        return asked if asked in (0, 1, 2) else 0

    @property
    def agreed(self) -> Agreed:
        """What extended negotiation agreed upon for the SOP class of the context."""
        return agreed(self.association.extended.get(self.message.context.abstract_syntax))

    @property
    def admission(self) -> Admission:
        """By which entry the requestor was let in, and what it may ask for."""
        admitted: Admission = self.association.admitted
        return admitted

    @property
    def ae_title(self) -> str:
        """The AE title by which the requestor is known, which need not be what it sent."""
        return self.admission.ae_title

    @property
    def actor(self) -> Actor:
        """Who asks, for the audit trail."""
        return Actor("DIMSE", self.association.peer_address, self.ae_title)

    @property
    def own_ae_title(self) -> str:
        """The AE title of ours that answers name: that which was called, unless the requestor has a rule by which it
        may call us by what is none."""
        called = self.association.called_ae_title
        return called if is_title(called) else self.archive.ae_titles.own_title

    @property
    def rules(self) -> Rules:
        """What the administrator has said of the requestor's AE title, no older than a second. Raises NotAuthorized
        when it is not known any more, OutOfResources."""
        return self.admission.rules

    @property
    def cancelled(self) -> bool:
        """Whether the requestor has sent a C-CANCEL-RQ for this request."""
        return self.association.cancelled(self.request.MessageID)

    def identifier(self) -> Identifier:
        """The Identifier of the request. Raises InvalidQuery, CannotUnderstand, OutOfResources."""
        found = read(collected(self.message.data), self.message.context.transfer_syntax)
        if found.level in Level.__members__ and Level[found.level] > self.service.lowest:
            raise InvalidQuery(f"there is no level {found.level} in this information model")
        return found

    def respond(
        self,
        status: Status,
        data: bytes | None = None,
        counts: Mapping[str, int] = _NONE,
        sop_instance_uid: str = "",
    ) -> Status:
        """Send one response; `counts` are further fields of the command set, by keyword. Returns the status that was
        sent. What is to blame goes into the field that the response has for it (PS3.7 annex C)."""
        answer = response_to(
            self.request,
            status.code,
            ErrorComment=status.comment or None,
            OffendingElement=list(status.offending) or None,
            AttributeIdentifierList=list(status.offending) or None,
            ErrorID=status.error_id or None,
            **counts,
            **({"AffectedSOPInstanceUID": sop_instance_uid} if sop_instance_uid else {}),
        )
        self.association.send(self.message.context.id, answer, None if data is None else [data])
        return status

    def respond_each(self, status: Status, data_sets: Sequence[bytes]) -> None:
        """Send a response with this status, which has no comment, for each of these data sets."""
        answer = response_to(self.request, status.code)
        self.association.send_each(self.message.context.id, answer, data_sets)
