"""An audit message (PS3.15 A.5.1) as a value, and the bytes that are kept of it.

What is hashed is what is kept: JSON, no field left out. A message is read back from it to be written as XML or FHIR, so
a later version of the archive may word old records better without changing what was hashed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from archive.audit.codes import PATIENT_NUMBER, STUDY_INSTANCE_UID, Code

CREATE, READ, UPDATE, DELETE, EXECUTE = "C", "R", "U", "D", "E"
"""EventActionCode."""
SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE, MAJOR_FAILURE = 0, 4, 8, 12
"""EventOutcomeIndicator."""
PERSON, SYSTEM_OBJECT = "1", "2"
"""ParticipantObjectTypeCode."""
ROLE_PATIENT, ROLE_REPORT, ROLE_SECURITY_RESOURCE, ROLE_JOB = "1", "3", "13", "20"
"""ParticipantObjectTypeCodeRole."""


@dataclass(frozen=True, slots=True)
class Participant:
    """Who took part: a person, a device, a process. `media` is what data was written to or read from."""

    UserID: str
    UserIsRequestor: bool = False
    roles: tuple[Code, ...] = ()
    AlternativeUserID: str = ""
    UserName: str = ""
    address: str = ""
    media: Code | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What it was about (ParticipantObjectIdentification). `sop_classes` are SOP Class UIDs and how many instances of
    each; `details` are pairs of type and value."""

    ParticipantObjectID: str
    kind: str
    role: str
    id_type: Code
    name: str = ""
    query: bytes = b""
    details: tuple[tuple[str, str], ...] = ()
    sop_classes: tuple[tuple[str, int], ...] = ()
    life_cycle: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One event. `time` is in seconds since the epoch; `outcome_text` says in our words what failed."""

    event: Code
    action: str
    time: float
    participants: tuple[Participant, ...]
    source_id: str
    subjects: tuple[Subject, ...] = ()
    types: tuple[Code, ...] = ()
    outcome: int = SUCCESS
    outcome_text: str = ""
    site_id: str = ""

    @property
    def requestor(self) -> Participant:
        """Whose doing it was, as far as that is known."""
        asked = (one for one in self.participants if one.UserIsRequestor)
        return next(asked, self.participants[0])

    @property
    def patient_ids(self) -> tuple[str, ...]:
        """Whom it is about."""
        return tuple(one.ParticipantObjectID for one in self.subjects if one.id_type == PATIENT_NUMBER)

    @property
    def study_instance_uids(self) -> tuple[str, ...]:
        """The studies that it is about."""
        return tuple(one.ParticipantObjectID for one in self.subjects if one.id_type == STUDY_INSTANCE_UID)


def kept(message: Message) -> bytes:
    """What is kept of a message, and hashed. Strangers choose some of the texts: lone surrogates become `?`."""
    try:
        return orjson.dumps(message, default=_encoded)
    except TypeError:
        return orjson.dumps(_cleaned(asdict(message)), default=_encoded)


def plain(text: str) -> str:
    """The text as it is kept."""
    return text.encode("utf-8", "replace").decode()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {name: _cleaned(one) for name, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list | tuple) else value


def read(text: bytes | str) -> Message:
    """The message of what was kept of it. Raises ValueError where that is none."""
    try:
        found = orjson.loads(text)
        found["event"] = _code(found["event"])
        found["types"] = tuple(_code(one) for one in found["types"])
        found["participants"] = tuple(_participant(one) for one in found["participants"])
        found["subjects"] = tuple(_subject(one) for one in found["subjects"])
        return Message(**found)
    except (KeyError, TypeError) as error:
        raise ValueError("no audit message") from error


def _encoded(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError


def _code(kept: Mapping[str, str]) -> Code:
    return Code(**kept)


def _participant(found: dict[str, Any]) -> Participant:
    media = found["media"]
    return Participant(
        **found
        | {
            "roles": tuple(_code(one) for one in found["roles"]),
            "media": None if media is None else _code(media),
        }
    )


def _subject(found: dict[str, Any]) -> Subject:
    return Subject(
        **found
        | {
            "id_type": _code(found["id_type"]),
            "query": base64.b64decode(found["query"]),
            "details": tuple((name, value) for name, value in found["details"]),
            "sop_classes": tuple((uid, number) for uid, number in found["sop_classes"]),
        }
    )
