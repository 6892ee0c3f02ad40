"""User identity negotiation (PS3.7 D.3.3.7): the password or token that an AE title has to give.

A failure is rejected-permanent by the service provider (ACSE related function), no reason given, as D.3.3.7 has it: a
caller learns nothing about which half was wrong. What an AE gives without being asked for it is not looked at, and not
answered, so nobody takes it for verified. Passwords are guessed at leisure by no one: checking one costs what argon2
costs, few are checked at a time, and after some failures an AE title at an address has to wait.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from archive.dicom.errors import CallerRefused, InvalidEntry
from archive.network.caller import JWT, USER_AND_PASSCODE, Caller, UserIdentity
from archive.security.admission import (
    ACSE,
    NO_REASON,
    PERMANENT,
    PRESENTATION,
    TEMPORARY_CONGESTION,
    TRANSIENT,
)
from archive.security.ae_titles import AETitle
from archive.security.attempts import WAIT_SECONDS, Attempts
from archive.security.remedies import command
from archive.security.tokens import TokenRefused, Tokens

AT_A_TIME = 2
"""Each check takes 64 MiB and some ten milliseconds of every core."""

_HASHER = PasswordHasher()

_Who = tuple[str, str]


def password_hash(password: str) -> str:
    """What is kept of a password (argon2id, RFC 9106). Raises InvalidEntry for one that is none."""
    if not password:
        raise InvalidEntry("password: an empty one would keep nobody out")
    return _HASHER.hash(password)


class Identities:
    """The checks of this process."""

    def __init__(self, tokens: Tokens, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._attempts = Attempts(clock)
        self._room = threading.Semaphore(AT_A_TIME)

    def check(self, caller: Caller, entry: AETitle) -> bytes | None:
        """The server response for an identity that was asked for and is right: empty, as PS3.7 D.3.3.7.2 has it for a
        password; None when none was asked for. Raises CallerRefused."""
        if not entry.rules.identity:
            return None
        who = (entry.title, caller.address)
        self._check_patience(who)
        with self._room:
            self._check_patience(who)  # of many at a time, others have failed while this one waited
            try:
                self._check(caller.identity, entry)
            except CallerRefused:
                self._attempts.failed(who)
                raise
        self._attempts.succeeded(who)
        return b""

    def _check(self, identity: UserIdentity | None, entry: AETitle) -> None:
        if entry.rules.identity == "password":
            self._check_password(identity, entry)
        else:
            self._check_token(identity, entry)

    def _check_password(self, identity: UserIdentity | None, entry: AETitle) -> None:
        if identity is None or identity.kind != USER_AND_PASSCODE:
            raise _refused("the AE has to give a user name and password", "let it give user identity type 2")
        user = hmac.compare_digest(identity.primary, entry.rules.user.encode())
        right = verifies(entry.rules.password_hash, identity.secondary)
        if not (user and right):
            remedy = command("set", entry.title, "--user", "NAME", "--set-password")
            remedy = f"correct them at the sender, or {remedy}"
            raise _refused("the user name or password is wrong", remedy)

    def _check_token(self, identity: UserIdentity | None, entry: AETitle) -> None:
        if identity is None or identity.kind != JWT:
            raise _refused("the AE has to give a token", "let it give user identity type 5, a JSON Web Token")
        try:
            subject = self._tokens.subject(identity.primary)
        except TokenRefused as refused:
            raise _refused(f"the token is not accepted: {refused.reason}", refused.remedy) from None
        if entry.rules.user and not hmac.compare_digest(subject.encode(), entry.rules.user.encode()):
            raise _refused("the token is of another user", command("set", entry.title, "--user", "NAME"))

    def _check_patience(self, who: _Who) -> None:
        if self._attempts.must_wait(who):
            raise CallerRefused(
                "too many wrong user identities", TRANSIENT, PRESENTATION, TEMPORARY_CONGESTION,
                f"it may try again {WAIT_SECONDS:.0f} seconds after the last one",
            )  # fmt: skip


def verifies(kept: str, password: bytes) -> bool:
    """Whether this is the password of which so much was kept."""
    try:
        return _HASHER.verify(kept, password)
    except (Argon2Error, InvalidHashError):
        return False


def _refused(reason: str, remedy: str) -> CallerRefused:
    return CallerRefused(reason, PERMANENT, ACSE, NO_REASON, remedy)
