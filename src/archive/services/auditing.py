"""The audit trail for the doors and the other services: one function for each event that is theirs to tell of."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from archive.audit import codes, events, messages
from archive.audit.codes import Code
from archive.audit.events import Details, Patient, Reporter, Study
from archive.index import audit
from archive.index.database import Connection, Database
from archive.security.actor import Actor
from archive.services.disclosing import Disclosures
from archive.services.receiving import Receptions
from archive.services.trail import Trail
from archive.settings.whole import Settings


class Auditing:
    """What happens here, recorded. Safe for threads."""

    def __init__(self, database: Database, reporter: Reporter, *, required: bool = False) -> None:
        self.trail = Trail(database, reporter, required=required)
        self.out = Disclosures(self.trail)
        self.receptions = Receptions(database, self.trail)

    def sweep(self) -> int:
        """Record what was received by processes that were killed. Raises OutOfResources."""
        return self.receptions.sweep()

    def application(self, *, started: bool) -> None:
        """The archive starts, or has stopped. Raises OutOfResources."""
        told = events.application_activity(self.trail.reporter, time.time(), started=started)
        self.trail.at_once(lambda _: (told,))

    def alert(self, actor: Actor, kind: Code, description: str, about: str = "", times: int = 1) -> None:
        """Somebody was refused, or has changed the rules. Never raises."""
        text = f"{description} ({times} times)" if times > 1 else description
        alert = events.security_alert(self.trail.reporter, time.time(), actor, kind, text, about=about)
        self.trail.later(lambda _: (alert,))

    def configured(
        self, connection: Connection, actor: Actor, kind: Code, description: str, about: str = ""
    ) -> None:
        """Part of a change of who is let in and what they may do; the last thing that it does."""
        told = events.security_alert(
            self.trail.reporter, time.time(), actor, kind, description, about=about, outcome=messages.SUCCESS
        )
        self.trail.write(connection, (told,))

    def refused(self, actor: Actor, reason: str, times: int = 1) -> None:
        """A caller was not let in. Never raises."""
        self.alert(actor, codes.NODE_AUTHENTICATION, reason, times=times)

    def signed_in(self, actor: Actor, *, failed: str = "") -> None:
        """Somebody has signed in, or could not, and why. Never raises."""
        told = events.user_authentication(self.trail.reporter, time.time(), actor, failed=failed)
        self.trail.later(lambda _: (told,))

    def signed_out(self, actor: Actor) -> None:
        """Somebody has signed out. Never raises."""
        told = events.user_authentication(self.trail.reporter, time.time(), actor, login=False)
        self.trail.later(lambda _: (told,))

    def log_used(self, actor: Actor, uri: str, what: str) -> None:
        """Somebody reads the audit trail. Raises OutOfResources where that has to be recorded first and cannot."""
        told = events.audit_log_used(self.trail.reporter, time.time(), actor, uri=uri, what=what)
        self.trail.at_once(lambda _: (told,))

    def deleted(
        self, connection: Connection, actor: Actor, study_uid: str, patient: str, number: int, *, whole: bool
    ) -> None:
        """Part of the change that deletes: a whole study, or instances of one; the last thing that it does."""
        study = Study(study_uid, Patient(patient), details=(("NumberOfInstances", str(number)),))
        now, reporter = time.time(), self.trail.reporter
        if whole:
            told = events.study_deleted(reporter, now, actor, study)
        else:
            told = events.accessed(reporter, now, actor, study, messages.DELETE)
        self.trail.write(connection, (told,))

    def certified(
        self,
        connection: Connection,
        actor: Actor,
        studies: Iterable[str],
        patient: str,
        number: int,
        sha256: str,
    ) -> None:
        """Part of the change that certifies a deletion, with the digest of the certificate; the last thing it does."""
        now, reporter = time.time(), self.trail.reporter
        details = (("Deletion", str(number)), ("CertificateSHA256", sha256))
        told = [
            events.study_deleted(reporter, now, actor, Study(uid, Patient(patient), details=details))
            for uid in studies
        ]
        self.trail.write(connection, told)

    def restricted(self, connection: Connection, actor: Actor, description: str, about: str) -> None:
        """Part of a change that only few may make (A.5.3.14, Use of Restricted Function); the last thing it does."""
        kind, now = codes.RESTRICTED_FUNCTION, time.time()
        told = events.security_alert(
            self.trail.reporter, now, actor, kind, description, about=about, outcome=messages.SUCCESS
        )
        self.trail.write(connection, (told,))

    def changed(
        self, connection: Connection, actor: Actor, study_uid: str, action: str, details: Details = ()
    ) -> None:
        """Part of the change that changes instances of a study; the last thing that it does."""
        patient = audit.patients_of(connection, (study_uid,)).get(study_uid, "")
        study = Study(study_uid, Patient(patient), details=details)
        told = events.accessed(self.trail.reporter, time.time(), actor, study, action)
        self.trail.write(connection, (told,))

    def patients_changed(
        self,
        connection: Connection,
        actor: Actor,
        patients: Iterable[str],
        action: str = messages.UPDATE,
        details: Details = (),
    ) -> None:
        """Part of the change of what is known of these patients (as `audit.patient_of` words them)."""
        now, reporter = time.time(), self.trail.reporter
        told = [
            events.patient_record(reporter, now, actor, Patient(one), action, details)
            for one in dict.fromkeys(patients)
        ]
        self.trail.write(connection, told)

    def ordered(
        self, connection: Connection, actor: Actor, orders: Iterable[tuple[str, str, Details]]
    ) -> None:
        """Part of the change of the worklist by orders: of each whose it is (as `audit.patient_of` words it), the
        action, and which it is."""
        now, reporter = time.time(), self.trail.reporter
        told = [
            events.order_record(reporter, now, actor, Patient(whose), action, details)
            for whose, action, details in orders
        ]
        self.trail.write(connection, told)

    def access_changed(
        self, connection: Connection, actor: Actor, study_uids: Sequence[str], what: str, description: str
    ) -> None:
        """Part of the change of who may see these studies, by `what`; the last thing that it does."""
        patients = audit.patients_of(connection, study_uids)
        now, reporter = time.time(), self.trail.reporter
        about = [Study(uid, Patient(patients.get(uid, ""))) for uid in study_uids]
        told = [events.object_security(reporter, now, actor, one, what, description) for one in about]
        self.trail.write(connection, told)

    def exported(self, actor: Actor, instances: Sequence[tuple[str, str]], to: str) -> None:
        """Instances, by study and SOP class, are about to be written to where the archive has no hold of them. Raises
        OutOfResources where that has to be recorded first and cannot."""
        self._media(actor, instances, to, outward=True)

    def imported(self, actor: Actor, instances: Sequence[tuple[str, str]], source: str) -> None:
        """Instances, by study and SOP class, were read from files. Never raises unless records are required."""
        self._media(actor, instances, source, outward=False)

    def _media(
        self, actor: Actor, instances: Sequence[tuple[str, str]], where: str, *, outward: bool
    ) -> None:
        counts: dict[str, Counter[str]] = {}
        for study_uid, sop_class_uid in instances:
            counts.setdefault(study_uid, Counter())[sop_class_uid] += 1
        now, reporter = time.time(), self.trail.reporter

        def build(connection: Connection) -> Iterable[messages.Message]:
            patients = audit.patients_of(connection, counts)
            for uid, classes in counts.items():
                study = Study(uid, Patient(patients.get(uid, "")), events.counted(classes))
                if outward:
                    yield events.data_export(reporter, now, actor, study, to=where)
                else:
                    yield events.data_import(reporter, now, actor, study, source=where)

        if counts:
            self.trail.at_once(build)

    def close(self) -> None:
        """Record what waits."""
        self.trail.close()


def auditing(settings: Settings, database: Database) -> Auditing:
    """As the settings have it, for this process."""
    source_id = settings.audit.source_id or settings.dimse.ae_title
    reporter = Reporter(source_id, settings.audit.site_id, settings.dimse.own_ae_titles, str(os.getpid()))
    return Auditing(database, reporter, required=settings.audit.required)
