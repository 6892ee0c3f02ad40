"""Second factors: setting one up, taking it off, and whether a code is right. Who has one is asked for a code after the
password; who comes from an issuer, or has no password here, has none.

What is set up is in effect when a code has shown that the device has the secret. Each change is in the audit trail,
in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from archive.audit import codes as audit_codes
from archive.dicom.errors import InvalidEntry, NotFound
from archive.index import people, second_factors
from archive.index.database import Connection, Database
from archive.security import second_factor
from archive.security.actor import THE_ARCHIVE, Actor
from archive.security.people import Person, digest, name_of
from archive.security.roles import Role
from archive.services.auditing import Auditing
from archive.settings.people import SignInSettings

SETTING_UP_SECONDS = 900.0
"""Until a code has to have shown that the device has the secret."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What one may know of one's own. `left`: recovery codes."""

    enabled: bool
    required: bool
    left: int


class SecondFactors:
    """Those that the index knows. Safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        settings: SignInSettings,
        clock: Callable[[], float] = time.time,
        auditing: Auditing | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._auditing = auditing

    def standing(self, name: str) -> Standing:
        """Of somebody. Raises NotFound, InvalidEntry."""
        with self._database.read() as connection:
            one = _known(connection, name)
            left = second_factors.codes_left(connection, one.name)
        return Standing(one.has_second_factor, needs_one(self._settings, one), left)

    def begin(self, name: str) -> str:
        """A secret for somebody's device, that is in effect when it is confirmed; what was begun before is void. Raises
        NotFound, InvalidEntry."""
        secret = second_factor.new_factor()

        def act(connection: Connection) -> None:
            one = _known(connection, name)
            if one.issuer:
                raise InvalidEntry(
                    f"{one.name} comes from {one.issuer}, which asks for a second factor, if any does"
                )
            if one.has_second_factor:
                raise InvalidEntry("there is a second factor already: take it off first")
            second_factors.begin(connection, one.name, secret, self._clock())

        self._database.write(act)
        return secret

    def confirm(self, name: str, code: str, session: str = "", *, by: Actor = THE_ARCHIVE) -> list[str]:
        """Put in effect what was begun, by a code of it: recovery codes, which are told once. Every session of theirs
        ends but the one of this secret: it was begun without a code. Raises InvalidEntry."""
        made, now, folded = second_factor.new_recovery_codes(), self._clock(), name_of(name)

        def act(connection: Connection) -> None:
            found = second_factors.get(connection, folded)
            if found is None or found.confirmed_at or now - found.begun_at > SETTING_UP_SECONDS:
                raise InvalidEntry("nothing was begun that could be confirmed: set up a second factor anew")
            step = second_factor.step_of(found.secret, code, now)
            if step is None:
                raise InvalidEntry(
                    "the code is wrong: give the one that the device shows now, and look at its clock"
                )
            second_factors.confirm(connection, folded, step, map(second_factor.recovery_digest, made), now)
            people.end_sessions_but(connection, folded, digest(session))
            self._record(connection, by, f"{folded}: a second factor was set up", folded)

        self._database.write(act)
        return made

    def accepts(self, name: str, code: str, address: str = "") -> bool:
        """Whether this is a code of who has this name, of the device or for who has lost it; it is not accepted
        again."""

        def act(connection: Connection) -> bool:
            found = second_factors.get(connection, name)
            if found is None or not found.confirmed_at:
                return False
            if second_factor.is_of_device(code):
                step = second_factor.step_of(found.secret, code, self._clock(), found.last_step)
                if step is not None:
                    second_factors.accept(connection, name, step)
                return step is not None
            if not second_factors.spend(connection, name, second_factor.recovery_digest(code)):
                return False
            left = second_factors.codes_left(connection, name)
            by = Actor("HTTP", address, user=name)
            self._record(connection, by, f"{name}: a recovery code was used, {left} are left", name)
            return True

        return self._database.write(act)

    def remove(self, name: str, *, by: Actor = THE_ARCHIVE) -> None:
        """Take somebody's off: the password is enough again. Raises NotFound, InvalidEntry."""

        def act(connection: Connection) -> None:
            one = _known(connection, name)
            if not one.has_second_factor:
                raise NotFound(f"{one.name} has no second factor")
            second_factors.remove(connection, one.name)
            self._record(connection, by, f"{one.name}: the second factor was taken off", one.name)

        self._database.write(act)

    def _record(self, connection: Connection, by: Actor, said: str, about: str) -> None:
        if self._auditing is not None:
            self._auditing.configured(connection, by, audit_codes.USER_SECURITY_CHANGED, said, about)


def needs_one(settings: SignInSettings, one: Person) -> bool:
    """Whether somebody has to have one: who signs in with a password here."""
    if one.issuer or not one.password_hash:
        return False
    if settings.second_factor == "administrators":
        return Role.ADMINISTRATOR in one.roles
    return settings.second_factor == "everybody"


def _known(connection: Connection, name: str) -> Person:
    found = people.get(connection, name_of(name))
    if found is None:
        raise NotFound(f"nobody is called {name_of(name)}; `archive user list` shows who is known")
    return found
