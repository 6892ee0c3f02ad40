"""Signing in, and whose request this is: by the secret of a session or of a token.

Each request asks the index, so that what was revoked a moment ago is refused now; that is one look at a unique key. Who
signs in with a wrong password waits as long as with a name that nobody has, and after some failures has to wait longer;
a wrong code of a second factor is such a failure, and who only has the password has not signed in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from archive.dicom.errors import ArchiveError, CodeNeeded, InvalidEntry, NotSignedIn, OutOfResources
from archive.index import people
from archive.index.database import Connection, Database
from archive.security.attempts import WAIT_SECONDS, Attempts
from archive.security.identity import AT_A_TIME, password_hash, verifies
from archive.security.people import (
    LONGEST_PASSWORD,
    Credential,
    Kind,
    Person,
    Principal,
    digest,
    name_of,
    new_secret,
    principal,
)
from archive.services.second_factors import SecondFactors, needs_one
from archive.settings.people import SignInSettings

USED_SECONDS = 60.0
"""How exactly it is kept when a session was used last: a write for each request would be dear."""
LONGEST_SECRET = 200
MOST_WAITING = 8
"""For a turn, as to check a password takes 64 MiB: who waits has a thread that others need."""
FROM_ONE_ADDRESS = 20
"""Failures in a row, by whatever names, until an address has to wait: each costs a core some 50 ms."""
_WRONG = "name or password is wrong"
_WRONG_CODE = "the code is wrong, or was used before: wait for the next one"
_NO_CODE = "the password is right; a code of the second factor is needed as well, or a recovery code"
_OVER = "the session or token has ended, or was revoked: sign in again"


class SignIn:
    """How people get in. Safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        settings: SignInSettings,
        clock: Callable[[], float] = time.time,
        attempts: Attempts | None = None,
        factors: SecondFactors | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._factors = factors or SecondFactors(database, settings, clock)
        self._attempts = attempts or Attempts()
        self._codes = Attempts(self._attempts.clock)
        self._from = Attempts(self._attempts.clock, FROM_ONE_ADDRESS)
        self._room = threading.Semaphore(AT_A_TIME)
        self._door = threading.Semaphore(MOST_WAITING)
        self._nobody = ""

    def enter(
        self, name: str, password: str, address: str, label: str = "", code: str = ""
    ) -> tuple[str, Principal]:
        """Begin a session: its secret, and who it is. `label` says where, for the list of sessions; `code` is that of
        the second factor, of who has one. Raises CodeNeeded where it is missing, NotSignedIn, OutOfResources."""
        person = self._checked((_folded(name), address), password, code)
        now, secret = self._clock(), new_secret(Kind.SESSION)
        ends = now + self._settings.session_hours * 3600.0
        session = Credential(0, person.name, Kind.SESSION, label[:200], frozenset(), now, now, ends)
        if not self._database.write(lambda c: people.keep(c, person, digest(secret), session)):
            raise NotSignedIn(_WRONG)  # disabled, or given another password, a moment ago
        return secret, principal(person, by_cookie=True, must_enrol=self._must_enrol(person))

    def check_password(self, name: str, password: str, address: str, code: str | None = None) -> None:
        """That this is the password of somebody and, where it is given, that this is a code of theirs; a wrong one
        counts as one of signing in. Raises NotSignedIn, OutOfResources."""
        self._checked((_folded(name), address), password, code)

    def principal(self, secret: str, kind: Kind, name: str | None = None) -> Principal:
        """Whose secret this is; a name that comes with it has to be theirs. Raises NotSignedIn, OutOfResources."""
        if not secret or len(secret) > LONGEST_SECRET:
            raise NotSignedIn(_OVER)
        with self._database.read() as connection:
            found = people.whose(connection, digest(secret))
        now = self._clock()
        if found is None or found[1].kind is not kind or not self._is_in_force(*found, now):
            raise NotSignedIn(_OVER)
        person, credential = found
        if name is not None and _folded(name) != person.name:
            raise NotSignedIn("the token is of somebody else")
        if now - credential.used_at >= USED_SECONDS:
            self._note_use(credential.id, now)
        by_cookie = kind is Kind.SESSION
        must_enrol = by_cookie and self._must_enrol(person)
        return principal(
            person, credential.roles, by_cookie=by_cookie, view=credential.view, must_enrol=must_enrol
        )

    def leave(self, secret: str) -> str:
        """End a session: whose it was, empty where there was none. Raises OutOfResources."""
        return self._database.write(lambda c: people.sign_out(c, digest(secret)))

    def _must_enrol(self, person: Person) -> bool:
        return not person.has_second_factor and needs_one(self._settings, person)

    def _checked(self, who: tuple[str, str], password: str, code: str | None) -> Person:
        """Who it is. What is not enough to get in, as the code is missing, is no failure, and none that were before are
        forgotten by it: else who has the password could guess codes at leisure."""
        self._check_patience(who)
        if not self._door.acquire(blocking=False):
            raise OutOfResources("too many are signing in at the moment")
        try:
            with self._room:
                self._check_patience(who)  # of many at a time, others have failed while this one waited
                person = self._verified(who[0], password)
                if person is None:
                    self._failed(who, _WRONG)
                if code is not None and person.has_second_factor:
                    self._check_code(who, code)
        finally:
            self._door.release()
        self._attempts.succeeded(who)
        self._from.succeeded(who[1])
        return person

    def _check_code(self, who: tuple[str, str], code: str) -> None:
        """Wrong ones count for the name as well, from wherever they come: of a million codes three are right."""
        if not code:
            raise CodeNeeded(_NO_CODE)
        if self._codes.must_wait(who[0]):
            raise NotSignedIn(f"too many wrong codes; try again in {WAIT_SECONDS:.0f} seconds")
        if not self._factors.accepts(who[0], code, who[1]):
            self._codes.failed(who[0])
            self._failed(who, _WRONG_CODE)
        self._codes.succeeded(who[0])

    def _failed(self, who: tuple[str, str], reason: str) -> NoReturn:
        self._attempts.failed(who)
        self._from.failed(who[1])
        raise NotSignedIn(reason)

    def _is_in_force(self, person: Person, credential: Credential, now: float) -> bool:
        idle = now - credential.used_at > self._settings.idle_minutes * 60.0
        idle = idle and credential.kind is Kind.SESSION
        return not person.disabled and now < credential.expires_at and not idle

    def _verified(self, name: str, password: str) -> Person | None:
        with self._database.read() as connection:
            person = people.get(connection, name)
        kept = person.password_hash if person is not None else ""
        if not kept:
            self._nobody = self._nobody or password_hash("somebody who is not known")
        right = verifies(kept or self._nobody, password[: LONGEST_PASSWORD + 1].encode())
        return person if kept and right and person is not None and not person.disabled else None

    def _check_patience(self, who: tuple[str, str]) -> None:
        if self._attempts.must_wait(who) or self._from.must_wait(who[1]):
            raise NotSignedIn(f"too many wrong passwords; try again in {WAIT_SECONDS:.0f} seconds")

    def _note_use(self, key: int, now: float) -> None:
        def note(connection: Connection) -> None:
            people.used(connection, key, now)
            people.forget_expired(connection, now)

        with suppress(ArchiveError):  # on a disk that takes nothing one can still read
            self._database.write(note)


def _folded(name: str) -> str:
    try:
        return name_of(name)
    except InvalidEntry:
        return ""
