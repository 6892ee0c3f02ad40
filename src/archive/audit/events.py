"""One function for each event of PS3.15 A.5.3 that an archive has.

Each takes who asked, and what is known of the event, and gives the message with the participants and objects that the
standard wants in it. A message is about one patient, so what concerns several becomes several messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archive.audit import codes, messages
from archive.audit.codes import Code
from archive.audit.messages import (
    PERSON,
    ROLE_PATIENT,
    ROLE_REPORT,
    ROLE_SECURITY_RESOURCE,
    SYSTEM_OBJECT,
    Message,
    Participant,
    Subject,
)
from archive.security.actor import Actor

Details = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reporter:
    """What the archive says of itself: AuditSourceID, AuditEnterpriseSiteID, its AE titles and process."""

    source_id: str
    site_id: str = ""
    ae_titles: tuple[str, ...] = ()
    process: str = ""

    def itself(self, *roles: Code, requestor: bool = False) -> Participant:
        """The archive as one who takes part."""
        return Participant(self.process or self.source_id, requestor, roles, _titles(self.ae_titles))

    def message(
        self, event: Code, action: str, time: float, who: Iterable[Participant], **facts: Any
    ) -> Message:
        """A message of ours."""
        return Message(event, action, time, tuple(who), self.source_id, site_id=self.site_id, **facts)


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom a study is of; the PatientID is empty where the study names none."""

    PatientID: str
    PatientName: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """A study in an event: how many instances of each SOP class took part."""

    StudyInstanceUID: str
    patient: Patient
    sop_classes: tuple[tuple[str, int], ...] = ()
    details: Details = ()


def person(actor: Actor, *roles: Code, requestor: bool = True) -> Participant:
    """An actor as one who takes part."""
    titles = _titles((actor.ae_title,)) if actor.ae_title else ""
    return Participant(actor.name, requestor, roles, titles, actor.user_name, actor.address)


def application_activity(reporter: Reporter, time: float, *, started: bool) -> Message:
    """The archive was started or stopped (A.5.3.1)."""
    kind = codes.APPLICATION_START if started else codes.APPLICATION_STOP
    who = (reporter.itself(codes.APPLICATION),)
    return reporter.message(codes.APPLICATION_ACTIVITY, messages.EXECUTE, time, who, types=(kind,))


def audit_log_used(reporter: Reporter, time: float, actor: Actor, *, uri: str, what: str) -> Message:
    """Somebody has read the audit trail (A.5.3.2); `what` of it."""
    log = Subject(
        uri,
        SYSTEM_OBJECT,
        ROLE_SECURITY_RESOURCE,
        codes.URI,
        "Security Audit Log",
        details=(("Asked", what),) if what else (),
    )
    return reporter.message(codes.AUDIT_LOG_USED, messages.READ, time, (person(actor),), subjects=(log,))


def received(
    reporter: Reporter,
    time: float,
    actor: Actor,
    study: Study,
    *,
    already_held: bool = False,
    outcome: int = messages.SUCCESS,
    outcome_text: str = "",
) -> Message:
    """Instances of a study came in (A.5.3.7)."""
    who = (person(actor, codes.SOURCE), reporter.itself(codes.DESTINATION))
    action = messages.READ if already_held else messages.CREATE
    return reporter.message(
        codes.INSTANCES_TRANSFERRED,
        action,
        time,
        who,
        subjects=_of(study),
        outcome=outcome,
        outcome_text=outcome_text,
    )


def begin_sending(
    reporter: Reporter, time: float, actor: Actor, study: Study, receiver: Actor | None = None
) -> Message:
    """Instances of a study are about to go out (A.5.3.3): to who asks, or to a third party, the receiver."""
    who = _sending(reporter, actor, receiver)
    return reporter.message(codes.BEGIN_TRANSFERRING, messages.EXECUTE, time, who, subjects=_of(study))


def sent(
    reporter: Reporter,
    time: float,
    actor: Actor,
    study: Study,
    receiver: Actor | None = None,
    *,
    outcome: int = messages.SUCCESS,
    outcome_text: str = "",
) -> Message:
    """Instances of a study have gone out (A.5.3.7)."""
    return reporter.message(
        codes.INSTANCES_TRANSFERRED,
        messages.READ,
        time,
        _sending(reporter, actor, receiver),
        subjects=_of(study),
        outcome=outcome,
        outcome_text=outcome_text,
    )


def accessed(reporter: Reporter, time: float, actor: Actor, study: Study, action: str) -> Message:
    """Somebody has looked at instances of a study, or changed them (A.5.3.6)."""
    return reporter.message(codes.INSTANCES_ACCESSED, action, time, (person(actor),), subjects=_of(study))


def study_deleted(reporter: Reporter, time: float, actor: Actor, study: Study) -> Message:
    """A study was deleted, or what is left of it (A.5.3.8)."""
    return reporter.message(
        codes.STUDY_DELETED, messages.DELETE, time, (person(actor),), subjects=_of(study, life_cycle="14")
    )


def data_export(reporter: Reporter, time: float, actor: Actor, study: Study, *, to: str) -> Message:
    """Instances of a study were written to where the archive has no hold of them (A.5.3.4); `to` is where."""
    media = Participant(to, False, (codes.DESTINATION_MEDIA,), media=codes.URI_MEDIA)
    who = (person(actor, codes.SOURCE), media)
    return reporter.message(codes.EXPORT, messages.READ, time, who, subjects=_of(study, life_cycle="10"))


def data_import(reporter: Reporter, time: float, actor: Actor, study: Study, *, source: str) -> Message:
    """Instances of a study were read from media or files (A.5.3.5)."""
    media = Participant(source, False, (codes.SOURCE_MEDIA,), media=codes.URI_MEDIA)
    who = (person(actor, codes.DESTINATION), media)
    return reporter.message(codes.IMPORT, messages.CREATE, time, who, subjects=_of(study, life_cycle="2"))


def patient_record(
    reporter: Reporter, time: float, actor: Actor, patient: Patient, action: str, details: Details = ()
) -> Message:
    """What is known of a patient was changed (A.5.3.12)."""
    about = (_patient(patient, details),)
    return reporter.message(codes.PATIENT_RECORD, action, time, (person(actor),), subjects=about)


def order_record(
    reporter: Reporter, time: float, actor: Actor, patient: Patient, action: str, details: Details = ()
) -> Message:
    """An order came, was changed or taken back (A.5.3.11)."""
    about = (_patient(patient, details),)
    return reporter.message(codes.ORDER_RECORD, action, time, (person(actor),), subjects=about)


def procedure_record(reporter: Reporter, time: float, actor: Actor, study: Study, action: str) -> Message:
    """A procedure was entered, changed or taken back (A.5.3.13)."""
    return reporter.message(codes.PROCEDURE_RECORD, action, time, (person(actor),), subjects=_of(study))


def query(
    reporter: Reporter,
    time: float,
    actor: Actor,
    sop_class_uid: str,
    asked: bytes,
    *,
    transfer_syntax_uid: str = "",
    times: int = 1,
    outcome: int = messages.SUCCESS,
) -> Message:
    """Somebody has searched (A.5.3.10): `asked` is the Identifier in its transfer syntax, or the URL."""
    details: Details = (("TransferSyntax", transfer_syntax_uid),) if transfer_syntax_uid else ()
    details += (("Times", str(times)),) if times > 1 else ()
    about = Subject(
        sop_class_uid, SYSTEM_OBJECT, ROLE_REPORT, codes.SOP_CLASS_UID, query=asked or b"-", details=details
    )
    who = (person(actor, codes.SOURCE), reporter.itself(codes.DESTINATION))
    return reporter.message(codes.QUERY, messages.EXECUTE, time, who, subjects=(about,), outcome=outcome)


def security_alert(
    reporter: Reporter,
    time: float,
    actor: Actor,
    kind: Code,
    description: str,
    *,
    about: str = "",
    outcome: int = messages.MINOR_FAILURE,
) -> Message:
    """Somebody was refused, or the rules were changed (A.5.3.14 Security Alert); `about` is the node concerned."""
    alert = Subject(
        about or actor.address or actor.name,
        SYSTEM_OBJECT,
        ROLE_SECURITY_RESOURCE,
        codes.NODE_ID,
        details=(("Alert Description", description),),
    )
    who = (reporter.itself(requestor=False), person(actor, requestor=True))
    return reporter.message(
        codes.SECURITY_ALERT,
        messages.EXECUTE,
        time,
        who,
        types=(kind,),
        subjects=(alert,),
        outcome=outcome,
        outcome_text=description,
    )


def object_security(
    reporter: Reporter, time: float, actor: Actor, study: Study, what: str, description: str
) -> Message:
    """Who may see a study was changed (A.5.3.14 Security Alert, with the type Object Security Attributes Changed of
    CID 401). The alert is about `what`, a share; study and patient stand beside it, so that they are found by."""
    alert = Subject(
        what,
        SYSTEM_OBJECT,
        ROLE_SECURITY_RESOURCE,
        codes.NODE_ID,
        details=(("Alert Description", description),),
    )
    return reporter.message(
        codes.SECURITY_ALERT,
        messages.EXECUTE,
        time,
        (reporter.itself(requestor=False), person(actor)),
        types=(codes.OBJECT_SECURITY,),
        subjects=(alert, *_of(study)),
    )


def user_authentication(
    reporter: Reporter, time: float, actor: Actor, *, login: bool = True, failed: str = ""
) -> Message:
    """Somebody has signed in or out, or could not (A.5.3.15)."""
    kind = codes.LOGIN if login else codes.LOGOUT
    return reporter.message(
        codes.USER_AUTHENTICATION,
        messages.EXECUTE,
        time,
        (person(actor), reporter.itself()),
        types=(kind,),
        outcome=messages.MINOR_FAILURE if failed else messages.SUCCESS,
        outcome_text=failed,
    )


def counted(classes: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """SOP classes and numbers of instances, in order."""
    return tuple(sorted(classes.items()))


def _sending(reporter: Reporter, actor: Actor, receiver: Actor | None) -> tuple[Participant, ...]:
    itself = reporter.itself(codes.SOURCE)
    if receiver is None:
        return itself, person(actor, codes.DESTINATION)
    return itself, person(receiver, codes.DESTINATION, requestor=False), person(actor)


def _of(study: Study, life_cycle: str = "") -> tuple[Subject, ...]:
    about = Subject(
        study.StudyInstanceUID,
        SYSTEM_OBJECT,
        ROLE_REPORT,
        codes.STUDY_INSTANCE_UID,
        details=study.details,
        sop_classes=study.sop_classes,
        life_cycle=life_cycle,
    )
    return about, _patient(study.patient)


def _patient(patient: Patient, details: Details = ()) -> Subject:
    return Subject(
        patient.PatientID, PERSON, ROLE_PATIENT, codes.PATIENT_NUMBER, patient.PatientName, details=details
    )


def _titles(titles: Sequence[str]) -> str:
    """As PS3.15 A.5.2.2 words them."""
    return f"AETITLES= {';'.join(titles)}" if titles else ""
