"""A message as XML, by the schema of PS3.15 A.5.1.1."""

from __future__ import annotations

import base64
import ipaddress
import re
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from archive.audit.codes import Code
from archive.audit.messages import Message, Participant, Subject

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to say (2.2)."""
IP_ADDRESS, MACHINE_NAME = "2", "1"
SOURCE_TYPE = "4"
"""Application server process."""


def document(message: Message) -> bytes:
    """The AuditMessage, in UTF-8, on one line."""
    pieces = ['<?xml version="1.0" encoding="UTF-8"?><AuditMessage>', _event(message)]
    pieces += [_participant(one) for one in message.participants]
    source = _attributes(AuditEnterpriseSiteID=message.site_id or None, AuditSourceID=message.source_id)
    kind = f'<AuditSourceTypeCode csd-code="{SOURCE_TYPE}"/>'
    pieces.append(f"<AuditSourceIdentification{source}>{kind}</AuditSourceIdentification>")
    pieces += [_subject(one) for one in message.subjects]
    return "".join([*pieces, "</AuditMessage>"]).encode()


def moment(time: float) -> str:
    """Seconds since the epoch as xsd:dateTime in UTC."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(message: Message) -> str:
    attributes = _attributes(
        EventActionCode=message.action,
        EventDateTime=moment(message.time),
        EventOutcomeIndicator=str(message.outcome),
    )
    described = f"<EventOutcomeDescription>{_text(message.outcome_text)}</EventOutcomeDescription>"
    return (
        f"<EventIdentification{attributes}>{_coded('EventID', message.event)}"
        f"{''.join(_coded('EventTypeCode', one) for one in message.types)}"
        f"{described if message.outcome_text else ''}</EventIdentification>"
    )


def _participant(one: Participant) -> str:
    attributes = _attributes(
        UserID=one.UserID,
        AlternativeUserID=one.AlternativeUserID or None,
        UserName=one.UserName or None,
        UserIsRequestor="true" if one.UserIsRequestor else "false",
        NetworkAccessPointID=one.address or None,
        NetworkAccessPointTypeCode=address_kind(one.address) if one.address else None,
    )
    roles = "".join(_coded("RoleIDCode", role) for role in one.roles)
    media = (
        f"<MediaIdentifier>{_coded('MediaType', one.media)}</MediaIdentifier>"
        if one.media is not None
        else ""
    )
    return f"<ActiveParticipant{attributes}>{roles}{media}</ActiveParticipant>"


def address_kind(address: str) -> str:
    """NetworkAccessPointTypeCode: whether it is an IP address or a name."""
    try:
        ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return MACHINE_NAME
    return IP_ADDRESS


def _subject(one: Subject) -> str:
    attributes = _attributes(
        ParticipantObjectID=one.ParticipantObjectID,
        ParticipantObjectTypeCode=one.kind,
        ParticipantObjectTypeCodeRole=one.role,
        ParticipantObjectDataLifeCycle=one.life_cycle or None,
    )
    if one.query:
        name = f"<ParticipantObjectQuery>{_base64(one.query)}</ParticipantObjectQuery>"
    else:
        name = f"<ParticipantObjectName>{_text(one.name)}</ParticipantObjectName>"
    details = "".join(
        f"<ParticipantObjectDetail{_attributes(type=kind, value=_base64(value.encode()))}/>"
        for kind, value in one.details
    )
    classes = "".join(
        f"<SOPClass{_attributes(UID=uid, NumberOfInstances=str(number))}/>" for uid, number in one.sop_classes
    )
    described = f"<ParticipantObjectDescription>{classes}</ParticipantObjectDescription>" if classes else ""
    id_type = _coded("ParticipantObjectIDTypeCode", one.id_type)
    return (
        f"<ParticipantObjectIdentification{attributes}>{id_type}{name}{details}{described}"
        "</ParticipantObjectIdentification>"
    )


def _coded(name: str, code: Code) -> str:
    attributes = {"csd-code": code.value, "codeSystemName": code.system, "originalText": code.meaning}
    return f"<{name}{_attributes(**attributes)}/>"


def _attributes(**values: str | None) -> str:
    return "".join(
        f" {name}={quoteattr(_possible(value))}" for name, value in values.items() if value is not None
    )


def _text(value: str) -> str:
    """Line ends are named, so that a message is one line."""
    return escape(_possible(value), {"\n": "&#10;", "\r": "&#13;"})


def _possible(value: str) -> str:
    """Strangers choose some of the texts: what XML cannot say is shown as U+FFFD."""
    return _FORBIDDEN.sub("\ufffd", value)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
