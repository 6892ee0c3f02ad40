"""Signing in at an OpenID Connect issuer, and access tokens of it.

A browser is sent to the issuer with PKCE (RFC 7636), a state and a nonce, and keeps what belongs to them in a cookie:
so whichever worker it comes back to can go on, nothing is kept for strangers who only begin, and what one browser has
begun no other can end. The state is spent in the transaction that begins the session. Who somebody is, is issuer and
subject together, never a name: one that is taken here is refused, and never made one with whose it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from archive.audit import codes
from archive.dicom.errors import InvalidEntry, NotSignedIn
from archive.index import people
from archive.index.database import Connection, Database
from archive.remote.openid import Issuer
from archive.security.actor import Actor
from archive.security.openid import Checks, Claims, UnknownKey, rights
from archive.security.people import (
    Credential,
    Kind,
    Person,
    Principal,
    digest,
    name_of,
    new_secret,
    principal,
)
from archive.security.tokens import TokenRefused
from archive.services.auditing import Auditing
from archive.settings.people import OpenIDSettings, SignInSettings

FLOW_SECONDS = 600.0
SPENT_SECONDS = 86400.0
LONGEST_ONWARD = 2000
LONGEST_FLOW = 4000
_BEGIN_AGAIN = "this sign-in was not begun in this browser, or too long ago: begin again"


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that has begun: what its browser keeps meanwhile. `onward` is where to go afterwards."""

    state: str
    nonce: str
    verifier: str
    begun_at: float
    onward: str

    @property
    def text(self) -> str:
        """As a cookie has it."""
        said = [self.state, self.nonce, self.verifier, self.begun_at, self.onward]
        return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")

    @staticmethod
    def of(text: str) -> Flow:
        """Raises NotSignedIn for what is none."""
        try:
            if len(text) > LONGEST_FLOW:
                raise ValueError
            said = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            state, nonce, verifier, begun_at, onward = said
            found = Flow(str(state), str(nonce), str(verifier), float(begun_at), str(onward))
            if not (found.state and found.nonce and found.verifier):
                raise ValueError
        except (ValueError, TypeError, RecursionError, OverflowError):
            raise NotSignedIn(_BEGIN_AGAIN) from None
        return found


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody who has signed in: the secret of the session, who it is, and where they wanted to go."""

    secret: str
    principal: Principal
    onward: str


class OpenID:
    """How people and programs of the issuer get in. Safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        settings: OpenIDSettings,
        sign_in: SignInSettings,
        clock: Callable[[], float] = time.time,
        issuer: Issuer | None = None,
        auditing: Auditing | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._sign_in = sign_in
        self._clock = clock
        self._issuer = issuer or Issuer(settings)
        self._checks = Checks(settings, clock)
        self._auditing = auditing

    @property
    def is_on(self) -> bool:
        """Whether there is an issuer."""
        return bool(self._settings.issuer)

    def begin(self, redirect: str, onward: str) -> tuple[str, Flow]:
        """Where to send a browser, and what it has to keep. Raises OutOfResources."""
        where = self._issuer.metadata().authorization
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        kept = onward if len(onward) <= LONGEST_ONWARD else ""
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        there = f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}"
        return there, Flow(state, nonce, verifier, self._clock(), kept)

    def end(self, cookie: str, said: Mapping[str, str], redirect: str, label: str = "") -> Entered:
        """Begin a session for who comes back from the issuer with the cookie that `begin` gave. Raises NotSignedIn,
        OutOfResources."""
        flow = Flow.of(cookie)
        if not hmac.compare_digest(flow.state.encode(), said.get("state", "").encode()):
            raise NotSignedIn(_BEGIN_AGAIN)
        if not 0 <= self._clock() - flow.begun_at + self._settings.leeway_seconds <= FLOW_SECONDS:
            raise NotSignedIn(_BEGIN_AGAIN)
        self._check_issuer(said.get("iss"))
        if "error" in said or not said.get("code"):
            raise NotSignedIn("the issuer has not let you in")
        given = self._issuer.exchanged(said["code"], flow.verifier, redirect)
        try:
            claims = self._checked(
                lambda keys: self._checks.id_token(given.id_token, keys, flow.nonce, given.access_token)
            )
        except TokenRefused as refused:
            raise NotSignedIn(f"the ID token of the issuer is not accepted: {refused.reason}") from None
        secret, person = self._begun(self._completed(claims, given.access_token), flow, label)
        return Entered(secret, principal(person, by_cookie=True), flow.onward)

    def principal(self, token: str) -> Principal:
        """Whose access token this is, and what it allows. Raises NotSignedIn, OutOfResources."""
        try:
            claims = self._checked(lambda keys: self._checks.access_token(token, keys))
        except TokenRefused as refused:
            raise NotSignedIn(f"the token is not accepted: {refused.reason}") from None
        with self._database.read() as connection:
            person = people.at_issuer(connection, self._settings.issuer, claims["sub"])
        person = person or self._database.write(lambda c: self._met(c, claims))
        if person.disabled:
            raise NotSignedIn(f"{person.name} is disabled here")
        person = replace(person, **self._said(claims))
        return replace(principal(person), rights=rights(claims, person.roles))

    def _checked(self, check: Callable[[Any], Claims]) -> Claims:
        """With the keys that are known, or with newer ones. Raises TokenRefused, OutOfResources."""
        keys = self._issuer.keys()
        try:
            return check(keys)
        except UnknownKey:
            return check(self._issuer.keys_besides(keys))

    def _check_issuer(self, said: str | None) -> None:
        """Who answers is whom the browser was sent to (RFC 9207)."""
        expected = self._issuer.metadata().names_itself
        if (said is None and expected) or (said is not None and said != self._settings.issuer):
            raise NotSignedIn("another issuer has answered: begin again")

    def _completed(self, claims: Claims, access_token: str) -> Claims:
        """With what some issuers say only when they are asked for it; it has to be of the same subject (OpenID Connect
        Core 5.3.2). What the ID token says stands."""
        told = self._checks.has_roles(claims) and self._checks.has_view(claims)
        if told and claims.get(self._settings.name_claim):
            return claims
        more = self._issuer.userinfo(access_token)
        if more and more.get("sub") != claims["sub"]:
            raise NotSignedIn("the issuer speaks of somebody else: begin again")
        return {**more, **claims}

    def _begun(self, claims: Claims, flow: Flow, label: str) -> tuple[str, Person]:
        now, secret = self._clock(), new_secret(Kind.SESSION)
        ends, said = now + self._sign_in.session_hours * 3600.0, self._said(claims)

        def begin(connection: Connection) -> Person:
            if not people.spend(connection, digest(f"state {flow.state}"), now + SPENT_SECONDS, now):
                raise NotSignedIn(_BEGIN_AGAIN)
            before, is_new = self._known(connection, claims)
            person = replace(before, full_name=_full_name(claims) or before.full_name, **said)
            people.describe(connection, person, view="view" in said)
            session = Credential(0, person.name, Kind.SESSION, label[:200], frozenset(), now, now, ends)
            if not people.keep(connection, person, digest(secret), session):
                raise NotSignedIn(f"{person.name} is disabled here")
            self._record(connection, None if is_new else before, person)
            return person

        return secret, self._database.write(begin)

    def _said(self, claims: Claims) -> dict[str, Any]:
        """What the issuer decides of a person, and not the archive. Raises NotSignedIn where it has to and does not."""
        roles = self._checks.roles(claims)
        said: dict[str, Any] = {} if roles is None else {"roles": roles}
        if self._checks.says_views:
            try:
                said["view"] = self._checks.view(claims)
            except TokenRefused as refused:
                raise NotSignedIn(f"the token of the issuer is not accepted: {refused.reason}") from None
        return said

    def _met(self, connection: Connection, claims: Claims) -> Person:
        person, is_new = self._known(connection, claims)
        if is_new:
            self._record(connection, None, person)
        return person

    def _record(self, connection: Connection, before: Person | None, after: Person) -> None:
        """Who is known, and what they may do, in the audit trail: it is the issuer who says so."""
        if self._auditing is None:
            return
        if before is not None and (before.roles, before.view) == (after.roles, after.view):
            return
        roles = ", ".join(sorted(role.value for role in after.roles)) or "nothing"
        kind = codes.USER_SECURITY_CHANGED if before is None else codes.SECURITY_ROLES_CHANGED
        said = f"{self._settings.issuer} made {after.name} known as {roles}"
        said += f", and sees {after.view or 'all studies'}" if self._checks.says_views else ""
        self._auditing.configured(connection, Actor("HTTP", user=after.name), kind, said, after.name)

    def _known(self, connection: Connection, claims: Claims) -> tuple[Person, bool]:
        """Who this is here, and whether they are made known just now. Raises NotSignedIn."""
        issuer, subject = self._settings.issuer, claims["sub"]
        found = people.at_issuer(connection, issuer, subject)
        if found is not None:
            return found, False
        try:
            name = name_of(self._checks.name(claims))
        except InvalidEntry:
            raise NotSignedIn("nobody can be called here as the issuer says: see openid.name_claim") from None
        one = Person(name, _full_name(claims), issuer=issuer, subject=subject)
        one = replace(one, **self._said(claims))
        if people.add(connection, one, self._clock()):
            return one, True
        found = people.at_issuer(connection, issuer, subject)  # made known a moment ago, by another request
        if found is None:
            raise NotSignedIn(f"somebody else is called {name} here: tell the administrator")
        return found, False


def _challenge(verifier: str) -> str:
    """RFC 7636 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _full_name(claims: Claims) -> str:
    said = claims.get("name")
    return "".join(filter(str.isprintable, said)).strip()[:200] if isinstance(said, str) else ""
