"""Deleting with a reason, and with a second person's approval where the settings want that; the certificates; and what
goes by the rules of retention.

Nothing is changed by a deletion that waits. Who approves is somebody else than who asked, known by name, and agrees to
what there was when it was asked for: where more has come since, it has to be asked for again. All that a deletion is
held against is looked at again then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from copy import copy as copy_of

import structlog

from archive.dicom.errors import ArchiveError, InvalidEntry, NotAuthorized, NotFound, OutOfResources, Retained
from archive.dicom.identifiers import check_uid
from archive.index import deletion_requests, deletions, holds, outbox
from archive.index.database import Connection, Database
from archive.index.deletion_requests import Level, Order, Request, State, Target
from archive.security.actor import THE_ARCHIVE, Actor
from archive.security.views import View
from archive.services.auditing import Auditing
from archive.services.delete import BLOBS_DELETED, Deletion
from archive.services.holds import reason_of
from archive.services.retention import Due, Retention
from archive.settings.keeping import DeletionSettings

__all__ = ["DeletionRequests", "Due", "Level", "Order", "Request", "State", "Target", "is_second"]

_log = structlog.get_logger()
_TAGS = {"StudyInstanceUID": 0x0020000D, "SeriesInstanceUID": 0x0020000E, "SOPInstanceUID": 0x00080018}


class DeletionRequests:
    """Every deletion that a person asks for comes through here."""

    def __init__(
        self,
        database: Database,
        deletion: Deletion,
        auditing: Auditing,
        settings: DeletionSettings,
        retention: Retention,
    ) -> None:
        self._database = database
        self._deletion = deletion
        self._auditing = auditing
        self._settings = settings
        self._retention = retention
        self._sees_all = True

    def seen_by(self, view: View) -> DeletionRequests:
        """The same for somebody who sees some of the studies: they ask for what they see, and for them there are no
        other deletions."""
        within = copy_of(self)
        within._deletion = self._deletion.seen_by(view)
        within._sees_all = False
        return within

    def ask(self, order: Order, actor: Actor) -> Request:
        """Delete, or have it wait for somebody's approval: the state says which.

        Raises InvalidEntry, InvalidUID, OnHold, Retained, Gone, NotFound, OutOfResources, OutcomeUnknown."""
        checked = self._checked(order)

        def change(connection: Connection) -> Request:
            if self._settings.approval:
                number = self._wait(connection, checked, actor)
            else:
                number, _ = self._deletion.carry_out(connection, checked, actor)
            return _known(deletion_requests.find(connection, number))

        return self._database.write(change)

    def approve(self, number: int, actor: Actor) -> Request:
        """Carry out what waits. Raises NotFound, NotAuthorized, and what `ask` raises."""

        def change(connection: Connection) -> Request:
            one = self._to_decide(connection, number)
            if not is_second(one, actor):
                raise NotAuthorized(
                    "somebody else than who asked for it has to approve, and has to sign in for that"
                )
            seen = self._instances(connection, one.target)
            if seen > one.instances:
                raise Retained("more has been stored of it since: refuse it, and ask for it again")
            deletion_requests.decide(connection, number, State.DELETED, actor.name, "")
            order = Order(one.target, one.reason, everything=one.everything, overrides=one.overrides)
            self._deletion.carry_out(connection, order, actor, number)
            return _known(deletion_requests.find(connection, number))

        return self._database.write(change)

    def refuse(self, number: int, actor: Actor, reason: str) -> Request:
        """Have it not carried out; who asked may do that as well. Raises NotFound, InvalidEntry."""
        why = reason_of(reason)

        def change(connection: Connection) -> Request:
            self._to_decide(connection, number)
            deletion_requests.decide(connection, number, State.REFUSED, actor.name, why)
            self._auditing.restricted(
                connection, actor, f"deletion {number} was refused", f"deletion {number}"
            )
            return _known(deletion_requests.find(connection, number))

        return self._database.write(change)

    def last(self, states: Sequence[State] = (), limit: int = 1000) -> list[Request]:
        """The last ones, newest first; of these states where those are named."""
        if not self._sees_all:
            return []
        with self._database.read() as connection:
            return deletion_requests.requests(connection, states, limit)

    def get(self, number: int) -> Request:
        """Raises NotFound."""
        with self._database.read() as connection:
            return self._known(deletion_requests.find(connection, number))

    def certificate(self, number: int) -> str:
        """The certificate, as JSON. Raises NotFound as long as there is none."""
        with self._database.read() as connection:
            self._known(deletion_requests.find(connection, number))
            text = deletion_requests.certificate(connection, number)
        if not text:
            raise NotFound("there is no certificate yet: it is made when the last of its bytes has gone")
        return text

    def hindrances(self, requests: Sequence[Request]) -> dict[int, str]:
        """What keeps those of these that are not over, by their numbers: a hold or a rule what waits, and of what is
        deleted why its bytes could not be removed yet. Raises OutOfResources."""
        if not self._sees_all:
            return {}
        with self._database.read() as connection:
            found = {
                one.id: said
                for one in requests
                if one.state == State.WAITING and (said := self._hindrance(connection, one))
            }
            for payload, reason, given_up in outbox.failed(connection, BLOBS_DELETED):
                over = "and is not tried again" if given_up else "and is tried again"
                found[payload.get("request", 0)] = f"removing its bytes failed, {over}: {reason}"
        return found

    def _hindrance(self, connection: Connection, one: Request) -> str:
        try:
            named = self._deletion.studies(connection, one.target)
            if not one.overrides:
                self._retention.check(connection, named, time.time())
        except (NotFound, Retained) as error:
            return error.reason
        held = holds.held(connection, named).values()
        return f"on hold (hold {min(held)}): it cannot be approved before the hold is lifted" if held else ""

    # --- what goes by rule ---

    def due(self) -> Iterator[Due]:
        """Studies whose time is over by a rule that offers or deletes. Raises OutOfResources."""
        return self._retention.due(self._database, time.time()) if self._sees_all else iter(())

    def carry_out_rules(self) -> int:
        """Delete what is due by rules that say so, or have it wait for approval; how many studies. Done by the jobs."""
        number = 0
        for one in self.due():
            if one.then != "delete" or one.held:
                continue
            order = Order(Target(StudyInstanceUID=one.StudyInstanceUID), f"retention: rule {one.rule}")
            try:
                number += self._by_rule(order)
            except OutOfResources:
                raise
            except ArchiveError as error:  # somebody was faster, with a hold or a deletion
                _log.info("not_deleted_by_rule", study_instance_uid=one.StudyInstanceUID, reason=error.reason)
        return number

    def _by_rule(self, order: Order) -> bool:
        def change(connection: Connection) -> bool:
            if not self._retention.is_due(connection, order.target.StudyInstanceUID, time.time()):
                return False
            if self._settings.approval:
                if self._is_decided(connection, order.target):
                    return False
                self._wait(connection, order, THE_ARCHIVE)
            else:
                self._deletion.carry_out(connection, order, THE_ARCHIVE)
            return True

        return self._database.write(change)

    def _is_decided(self, connection: Connection, target: Target) -> bool:
        """Whether it waits, or somebody has refused what a rule asked for."""
        return deletion_requests.is_known(
            connection, target, THE_ARCHIVE.name, (State.WAITING, State.REFUSED)
        )

    def _checked(self, order: Order) -> Order:
        target, reason = order.target, order.reason
        for name, tag in _TAGS.items():
            if getattr(target, name):
                check_uid(getattr(target, name), tag)
        if target.level is Level.PATIENT and not target.PatientID:
            raise InvalidEntry("deletion: name a patient by its ID, or a study by its UID")
        if reason or self._settings.reason_required or order.overrides or target.level is Level.PATIENT:
            reason = reason_of(reason)
        return Order(target, reason, everything=order.everything, overrides=order.overrides)

    def _wait(self, connection: Connection, order: Order, actor: Actor) -> int:
        target = order.target
        named = self._deletion.studies(connection, target)
        holds.check(connection, named)
        if not order.overrides:
            self._retention.check(connection, named, time.time())
        instances = self._instances(connection, target)
        if not instances:
            raise deletions.missing(connection, target.within(named[0]))
        if known := deletion_requests.waits(connection, target):
            return known
        number = deletion_requests.enter(connection, order, actor.name, instances, State.WAITING)
        self._auditing.restricted(connection, actor, f"deletion {number} was asked for", f"deletion {number}")
        return number

    def _instances(self, connection: Connection, target: Target) -> int:
        found = 0
        for uid in self._deletion.studies(connection, target):
            scope = target.within(uid)
            found += len(deletion_requests.stored(connection, scope))
            found += len(deletion_requests.beside(connection, scope))
        return found

    def _known(self, one: Request | None) -> Request:
        return _known(one if self._sees_all else None)

    def _to_decide(self, connection: Connection, number: int) -> Request:
        one = self._known(deletion_requests.find(connection, number, lock=True))
        if one.state != State.WAITING:
            raise NotFound(f"deletion {number} does not wait for anybody: it is {one.state}")
        return one


def is_second(one: Request, actor: Actor) -> bool:
    """Whether this is somebody else than who asked, known by name."""
    return bool(actor.user) and actor.user.casefold() != one.asked_by.casefold()


def _known(one: Request | None) -> Request:
    if one is None:
        raise NotFound("there is no deletion of this number: see `archive deletions list`")
    return one
