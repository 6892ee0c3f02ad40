"""A message as a FHIR R4 AuditEvent, by the mapping of IHE's Basic Audit Log Patterns (BALP) from DICOM."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from archive.audit.codes import DCM, STUDY_INSTANCE_UID, Code
from archive.audit.messages import Message, Participant, Subject
from archive.audit.xml import SOURCE_TYPE, address_kind, moment

_SYSTEMS = {DCM: "http://dicom.nema.org/resources/ontology/DCM"}
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_LIFE_CYCLE = f"{_TERMINOLOGY}/dicom-audit-lifecycle"


def document(message: Message) -> bytes:
    """The AuditEvent, as JSON on one line."""
    return orjson.dumps(_event(message))


def _event(message: Message) -> dict[str, Any]:
    return _without_empty(
        {
            "resourceType": "AuditEvent",
            "type": _coding(message.event),
            "subtype": [_coding(one) for one in message.types],
            "action": message.action,
            "recorded": moment(message.time),
            "outcome": str(message.outcome),
            "outcomeDesc": message.outcome_text,
            "agent": [_agent(one) for one in message.participants],
            "source": _without_empty(
                {
                    "site": message.site_id,
                    "observer": {"identifier": {"value": message.source_id}},
                    "type": [{"system": f"{_TERMINOLOGY}/security-source-type", "code": SOURCE_TYPE}],
                }
            ),
            "entity": [_entity(one) for one in message.subjects],
        }
    )


def _agent(one: Participant) -> dict[str, Any]:
    network = {"address": one.address, "type": address_kind(one.address)} if one.address else None
    return _without_empty(
        {
            "type": {"coding": [_coding(role) for role in one.roles]} if one.roles else None,
            "who": {"identifier": {"value": one.UserID}},
            "altId": one.AlternativeUserID,
            "name": one.UserName,
            "requestor": one.UserIsRequestor,
            "media": None if one.media is None else _coding(one.media),
            "network": network,
        }
    )


def _entity(one: Subject) -> dict[str, Any]:
    identifier = {"value": one.ParticipantObjectID}
    if one.id_type == STUDY_INSTANCE_UID:
        identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{one.ParticipantObjectID}"}
    details = [{"type": kind, "valueString": value} for kind, value in one.details if kind and value]
    details += [{"type": f"SOPClass {uid}", "valueString": str(number)} for uid, number in one.sop_classes]
    return _without_empty(
        {
            "what": {"identifier": identifier} if one.ParticipantObjectID else None,
            "type": {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": one.kind},
            "role": {"system": f"{_TERMINOLOGY}/object-role", "code": one.role},
            "lifecycle": {"system": _LIFE_CYCLE, "code": one.life_cycle} if one.life_cycle else None,
            "name": "" if one.query else one.name,
            "query": base64.b64encode(one.query).decode("ascii"),
            "detail": details,
        }
    )


def _coding(code: Code) -> dict[str, str]:
    return {"system": _SYSTEMS.get(code.system, code.system), "code": code.value, "display": code.meaning}


def _without_empty(value: dict[str, Any]) -> dict[str, Any]:
    """FHIR has no empty values."""
    return {name: one for name, one in value.items() if one not in ("", None, [])}
