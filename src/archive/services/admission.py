"""Each association: the rules asked, the refusal kept with what would let the caller in, the seat taken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from archive.dicom.errors import CallerRefused
from archive.network.caller import Caller
from archive.security.admission import House, decide
from archive.security.ae_titles import AETitle
from archive.security.identity import Identities
from archive.services.ae_titles import AETitles
from archive.services.host_names import HostNames
from archive.services.refusals import Refusals
from archive.services.seats import Seat, Seats


@dataclass(frozen=True, slots=True)
class Guest:
    """A caller that was let in: by which entry (None: any caller from this machine), with which seat, and what is
    answered to its user identity."""

    caller: Caller
    entry: AETitle | None
    seat: Seat
    identity_answer: bytes | None = None


class Admissions:
    """The decision about each association."""

    def __init__(
        self,
        ae_titles: AETitles,
        refusals: Refusals,
        seats: Seats,
        identities: Identities,
        *,
        trust_this_machine: bool = True,
        host_names: HostNames | None = None,
    ) -> None:
        self._ae_titles = ae_titles
        self._refusals = refusals
        self._seats = seats
        self._identities = identities
        self._trust_this_machine = trust_this_machine
        self._host_names = host_names or HostNames()

    def admit(self, caller: Caller) -> Guest:
        """Let an association in, or record why not and raise CallerRefused. Raises OutOfResources when the index
        cannot be asked."""
        try:
            return self._admitted(caller)
        except CallerRefused as refusal:
            self._refusals.keep_association(caller, refusal.reason, refusal.remedy)
            raise

    def _admitted(self, caller: Caller) -> Guest:
        house = House(
            self._ae_titles.own_titles,
            self._ae_titles.meant(caller.calling_ae_title),
            cache(self._host_names.addresses),  # one association waits for a name only once
            self._trust_this_machine,
        )
        entry = decide(caller, house)
        if entry is None:
            return Guest(caller, None, Seat(None))
        answer = self._identities.check(caller, entry)
        return Guest(caller, entry, self._seats.take(entry), answer)
