"""What is said between two application entities before and beside the services: contexts, negotiation, TLS, rules.

Most rows are asked of the code that acts by them: extended negotiation of the function that answers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from archive.dicom.receiving.commitment import PUSH_MODEL
from archive.dicom.sop_classes import sop_class_name
from archive.dicom.workitems.attributes import EVENT
from archive.dicom.writing.availability import INSTANCE_AVAILABILITY_NOTIFICATION
from archive.dimse import extended
from archive.dimse.contexts import SERVICES, Service
from archive.dimse.extended import Agreed
from archive.hl7.patients import EVENTS, Action
from archive.security.operations import Operation
from archive.security.rule_facts import FACTS, Fact
from archive.security.tls import PROFILES, TLS_1_3
from conformance.statement.table import Table, settings_of

_VERIFICATION = "1.2.840.10008.1.1"
_WORKLIST_BYTES = ("reserved", "reserved", "fuzzy", "timezone")


def requested_services() -> Table:
    """What the archive opens associations of its own for."""
    return ("SOP Class", "UID", "Operation", "Role proposed", "When"), (
        (
            sop_class_name(_VERIFICATION),
            _VERIFICATION,
            "C-ECHO",
            "SCU",
            "`archive ae echo`, `POST /api/ae-titles/…/echo`",
        ),
        (
            "Storage: the classes of the objects that are sent",
            "",
            "C-STORE",
            "SCU",
            "sub-operations of a C-MOVE",
        ),
        (
            sop_class_name(PUSH_MODEL),
            PUSH_MODEL,
            "N-EVENT-REPORT",
            "SCP",
            "the association of the request has ended",
        ),
        (
            sop_class_name(INSTANCE_AVAILABILITY_NOTIFICATION),
            INSTANCE_AVAILABILITY_NOTIFICATION,
            "N-CREATE",
            "SCU",
            "AE titles with the rule `notify`",
        ),
        (
            sop_class_name(EVENT),
            EVENT,
            "N-EVENT-REPORT",
            "SCP",
            "AE titles that are subscribed to workitems by N-ACTION",
        ),
    )


def extended_negotiation() -> Table:
    """SOP classes that are answered alike share a row. Everything is offered, and seven bytes."""
    rows: dict[tuple[str, str], list[str]] = {}
    for uid, service in SERVICES.items():
        given = extended.answer(uid, b"\1" * len(fields(Agreed)))
        if given is not None:
            rows.setdefault((given.hex(" ").upper(), _agreed(service, given)), []).append(sop_class_name(uid))
    storage = extended.answer("1.2.840.10008.5.1.4.1.1.2", b"\0" * 6) or b""
    rows[(storage.hex(" ").upper(), "level 2 (Full), bits are preserved, nothing is coerced")] = [
        "Storage, all classes"
    ]
    return ("SOP Classes", "Answer when everything is offered", "Meaning"), (
        (", ".join(names), given, meaning) for (given, meaning), names in rows.items()
    )


def _agreed(service: Service, given: bytes) -> str:
    if service.operation in (Operation.WORKLIST, Operation.UPS):
        names: tuple[str, ...] = _WORKLIST_BYTES
    else:
        names = tuple(field.name.replace("_", " ") for field in fields(Agreed))
    return ", ".join(name for name, byte in zip(names, given, strict=False) if byte and name != "reserved")


def rights() -> Table:
    """The operations that an AE title may be allowed."""
    return ("Right", "Requests", "SOP Classes"), (
        (f"`{operation.value}`", operation.command, ", ".join(_classes(operation)) or "Storage, all classes")
        for operation in Operation
    )


def _classes(operation: Operation) -> Iterator[str]:
    return (sop_class_name(uid) for uid, service in SERVICES.items() if service.operation is operation)


def rules() -> Table:
    """What the administrator may say of one AE title."""
    return ("Rule", "Options of `archive ae`", "Meaning"), (
        (f"`{fact.name}`", f"`{_options(fact)}`", fact.sentence) for fact in FACTS
    )


def _options(fact: Fact) -> str:
    return f"{fact.add}, {fact.remove}" if fact.add else fact.option


def cipher_suites() -> Table:
    """In the order in which they are liked; names of OpenSSL."""
    return ("`tls.profile`", "TLS 1.3", "TLS 1.2"), (
        (f"`{name}`", ", ".join(TLS_1_3), ", ".join(suites)) for name, suites in PROFILES.items()
    )


def tls_settings() -> Table:
    return settings_of("tls")


def token_settings() -> Table:
    return settings_of("tokens")


def worklist_settings() -> Table:
    return settings_of("worklist")


def workitem_settings() -> Table:
    return settings_of("workitems")


def order_settings() -> Table:
    return settings_of("hl7")


def patient_events() -> Table:
    """By what becomes of them."""
    return ("Trigger events of ADT", "What is changed"), (
        (", ".join(event for event, its in EVENTS.items() if its is action), action.value)
        for action in Action
    )
