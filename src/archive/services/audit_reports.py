"""What people ask of the audit trail: which events, and who has had to do with a patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archive.audit.codes import EVENTS
from archive.dicom.errors import InvalidQuery
from archive.services.audit_log import Found, Sought

ACTIONS = {"C": "create", "R": "read", "U": "update", "D": "delete"}


@dataclass(frozen=True, slots=True)
class Dealing:
    """Somebody did one kind of thing, so many times between two moments."""

    who: str
    address: str
    what: str
    times: int
    first: float
    last: float


def dealings(found: Sequence[Found]) -> list[Dealing]:
    """Who did what, of records with the newest first."""
    by: dict[tuple[str, str, str], list[Found]] = {}
    for one in found:
        who = one.message.requestor
        by.setdefault((who.UserID, who.address, what(one)), []).append(one)
    return [
        Dealing(*key, times=len(some), first=some[-1].message.time, last=some[0].message.time)
        for key, some in by.items()
    ]


def what(one: Found) -> str:
    """What happened, in the words of the standard."""
    kinds = ", ".join(kind.meaning for kind in one.message.types) or ACTIONS.get(one.message.action, "")
    return f"{one.message.event.meaning} ({kinds})" if kinds else one.message.event.meaning


def events_named(names: Iterable[str]) -> tuple[str, ...]:
    """The codes of events, each given as code or as part of its name. Raises InvalidQuery."""
    found: list[str] = []
    for name in names:
        some = [code for code, one in EVENTS.items() if name == code or name.lower() in one.meaning.lower()]
        if not some:
            known = ", ".join(f"{one.meaning} ({code})" for code, one in EVENTS.items())
            raise InvalidQuery(f"event is a code or part of a name; events are: {known}")
        found += some
    return tuple(found)


def described(sought: Sought) -> str:
    """What is read of the trail, for the record of that."""
    parts = {
        "patient": sought.PatientID,
        "study": sought.StudyInstanceUID,
        "user": sought.actor,
        "address": sought.address,
        "events": ",".join(sought.events),
    }
    return " ".join(f"{name}={value}" for name, value in parts.items() if value) or "all"
