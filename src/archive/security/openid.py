"""Tokens of an OpenID Connect issuer: ID tokens (OpenID Connect Core 3.1.3.7) and access tokens (RFC 9068), whether
they are what they seem, and what they allow.

A key has one algorithm, which the issuer's JWK Set says and no token (RFC 8725 3.1), and it has to be one of a public
key: a public key cannot pass for a secret, nor nothing for a signature. What a header says of keys (`jku`, `jwk`,
`x5u`, `x5c`) is not looked at; `kid` chooses among the keys that we have. An ID token tells a client who has signed
in, and is no access token; nor is one that is bound to a key that we do not ask for (`cnf`, RFC 9449).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jwt

from archive.dicom.errors import ConfigurationError, InvalidEntry
from archive.security.roles import Right, Role, rights_of, roles_named
from archive.security.tokens import BY_KEY_TYPE, Key, TokenRefused, fits, header_of
from archive.security.views import EVERYTHING, Grant, View
from archive.settings.people import OpenIDSettings, named_view

Claims = Mapping[str, Any]

LONGEST_TOKEN = 16384
MOST_KEYS = 64
SHORTEST_RSA = 2048
OLDEST_ID_TOKEN = 600.0
"""Seconds: it was made for us a moment ago."""
SCOPE = "archive."
"""A scope that begins so names a right: `archive.see`."""

_ASK = "ask who runs the archive"
_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
_ACCESS_TOKEN = ("at+jwt", "application/at+jwt")
_UNTYPED = ("", "jwt")


class UnknownKey(TokenRefused):
    """Signed with a key that we do not have; the issuer may have made a new one."""


def keys_of(document: Any, accepted: Iterable[str]) -> tuple[Key, ...]:
    """The signing keys of a JWK Set (RFC 7517) with these algorithms. What is no such key is left out, as an issuer
    may have others for others."""
    described = document.get("keys") if isinstance(document, dict) else None
    known = frozenset(accepted)
    return tuple(_keys(described[:MOST_KEYS] if isinstance(described, list) else (), known))


def _keys(described: Iterable[Any], accepted: frozenset[str]) -> Iterator[Key]:
    for one in described:
        try:
            if one.get("use", "sig") != "sig" or "verify" not in one.get("key_ops", ("verify",)):
                continue
            algorithm = one.get("alg") or BY_KEY_TYPE.get(one.get("crv") or one.get("kty"), "")
            if algorithm not in accepted:
                continue
            key = jwt.PyJWK(one, algorithm).key
        except (ValueError, TypeError, LookupError, AttributeError, jwt.PyJWTError):
            continue
        if one.get("kty") != "RSA" or key.key_size >= SHORTEST_RSA:
            yield Key(str(one.get("kid", "")), algorithm, key)


class Checks:
    """What the settings ask of tokens. Raises ConfigurationError for roles that there are not, and for
    views that cannot be read."""

    def __init__(self, settings: OpenIDSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._roles: dict[str, frozenset[Role]] = {}
        for theirs, ours in map(_line, settings.roles):
            self._roles[theirs] = self._roles.get(theirs, frozenset()) | ours
        self._views: dict[str, tuple[str, ...]] = {}
        for named, text in map(_named_view, settings.views):
            self._views[named] = (*self._views.get(named, ()), text)

    def id_token(self, token: str, keys: Sequence[Key], nonce: str, access_token: str) -> Claims:
        """What it says, made for us in this sign-in. Raises TokenRefused, UnknownKey."""
        settings = self._settings
        header, algorithm, claims = self._verified(token, keys, settings.client_id)
        if _type(header) not in _UNTYPED:
            raise _refused("it is no ID token")
        audience, party = claims["aud"], claims.get("azp")
        alone = isinstance(audience, str) or len(audience) == 1
        if party != settings.client_id and not (alone and party is None):
            raise _refused("it was made for another client")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise _refused("it is of another sign-in")
        if claims["iat"] < self._clock() - OLDEST_ID_TOKEN - settings.leeway_seconds:
            raise _refused("it is too old")
        if "at_hash" in claims and str(claims["at_hash"]) != _half_hash(algorithm, access_token):
            raise _refused("it came with an access token of another sign-in")
        return claims

    def access_token(self, token: str, keys: Sequence[Key]) -> Claims:
        """What it says, made for us. Raises TokenRefused, UnknownKey."""
        header, _, claims = self._verified(token, keys, self._settings.audience or self._settings.client_id)
        if "cnf" in claims:
            raise _refused("it is bound to a key, which is not asked for here")
        if _type(header) not in _ACCESS_TOKEN and not self._is_access_token(header, claims):
            raise _refused("it is no access token")
        return claims

    def _is_access_token(self, header: Claims, claims: Claims) -> bool:
        """Of issuers that do not say so as RFC 9068 has it: by what ID tokens never have. Whom those are for is known
        too, so another audience will do."""
        if _type(header) not in _UNTYPED or {"at_hash", "c_hash", "events"} & claims.keys():
            return False
        said = str(claims.get("typ", "")).lower()
        if said not in ("", "bearer"):
            return False  # Keycloak's "ID", "Refresh", "Logout"
        marked = said == "bearer" or claims.get("idtyp") == "app" or bool({"scope", "scp"} & claims.keys())
        audience = claims["aud"]
        audiences = (audience,) if isinstance(audience, str) else audience
        return marked or ("nonce" not in claims and self._settings.client_id not in audiences)

    def _verified(self, token: str, keys: Sequence[Key], audience: str) -> tuple[Claims, str, Claims]:
        """Header, algorithm and claims."""
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise _refused("it is no token")
        header = header_of(token.encode())
        if "crit" in header:
            raise _refused("its header has what has to be understood, and is not")
        if header.get("alg") not in self._settings.algorithms:
            raise _refused("it is not signed with an algorithm that is accepted")
        for key in (one for one in keys if fits(one, header)):
            try:
                return header, key.algorithm, self._claims(token, key, audience)
            except jwt.InvalidSignatureError:
                continue
        if header.get("kid") and any(fits(one, header) for one in keys):
            raise _refused("its signature is wrong")
        raise UnknownKey("no key of the issuer is its key", "")

    def _claims(self, token: str, key: Key, audience: str) -> Claims:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                issuer=self._settings.issuer,
                audience=audience,
                leeway=self._settings.leeway_seconds,
                options={"require": _REQUIRED},
            )
            if not claims["sub"] or isinstance(claims["iat"], bool):
                raise _refused("it does not say whose it is")
            float(claims["iat"])
        except jwt.InvalidSignatureError:
            raise
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _refused(_worded(error)) from None
        return claims

    def roles(self, claims: Claims) -> frozenset[Role] | None:
        """Those that the issuer gives; None where they are given here. What is not in the settings gives nothing."""
        if not self._roles:
            return None
        named = self._settings.roles_claim
        said = _at(claims, named) if named else claims.get("roles", claims.get("groups"))
        theirs = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        found = [self._roles[one] for one in theirs if isinstance(one, str) and one in self._roles]
        return frozenset().union(*found)

    @property
    def says_views(self) -> bool:
        """Whether it is the issuer who says what somebody sees."""
        return bool(self._settings.view_claim)

    def view(self, claims: Claims) -> View | None:
        """What the issuer lets somebody see; None: everything. Of several values one has to be fulfilled. What is
        wrong is never taken for everything: raises TokenRefused where nothing is said of it, and where what is said
        cannot be read. What was said is not repeated, as it may name patients."""
        named = self._settings.view_claim
        said = _at(claims, named)
        theirs = [said] if isinstance(said, str) else said
        if theirs is None or theirs == []:
            raise _refused(f"it does not say which studies you see ({named}, openid.view_claim): {_ASK}")
        unread = (
            f"what it says of the studies that you see cannot be read ({named}, openid.view_claim): {_ASK}"
        )
        if not isinstance(theirs, list) or not all(isinstance(one, str) for one in theirs):
            raise _refused(unread)
        try:
            lines = [line for one in theirs for line in self._lines(one)]
            view = View.read(line for line in lines if line != EVERYTHING)
        except InvalidEntry:
            raise _refused(unread) from None
        if not lines:
            raise _refused(f"it names no studies that are known here ({named}, openid.views): {_ASK}")
        return None if EVERYTHING in lines else view

    def _lines(self, said: str) -> tuple[str, ...]:
        """The grants that a value stands for. Of values that have names here, others are about something else, as roles
        are that nobody knows; where none have, each is a grant."""
        return self._views.get(said, ()) if self._views else (said.strip(),)

    def has_view(self, claims: Claims) -> bool:
        """Whether nothing of views has to be asked for elsewhere."""
        return not self.says_views or _at(claims, self._settings.view_claim) is not None

    def has_roles(self, claims: Claims) -> bool:
        """Whether nothing of roles has to be asked for elsewhere."""
        named = self._settings.roles_claim
        if not self._roles:
            return True
        return _at(claims, named) is not None if named else bool({"roles", "groups"} & claims.keys())

    def name(self, claims: Claims) -> str:
        """What the issuer calls somebody; who they are there if nothing else."""
        said = _at(claims, self._settings.name_claim)
        return said if isinstance(said, str) and said.strip() else str(claims["sub"])


def rights(claims: Claims, roles: frozenset[Role]) -> frozenset[Right]:
    """What an access token allows to whom it speaks of. Scopes of ours narrow what roles give, as they say what a
    program may do in somebody's name. They give by themselves only to a program that acts for nobody: it is then the
    subject itself (RFC 9068 2.2, 5). Anybody could ask for them in their own name. Nothing gives a token the account
    of whom it speaks of: who has found one must not come by more with it."""
    scoped = _scoped(claims)
    given = rights_of(roles) - {Right.ACCOUNT}
    if scoped is None:
        return given
    by_itself = claims["sub"] in (claims.get("client_id"), claims.get("azp"))
    return scoped if by_itself and not roles else given & scoped


def _scoped(claims: Claims) -> frozenset[Right] | None:
    said = claims.get("scope", claims.get("scp", ""))
    scopes = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
    ours = [one for one in scopes if isinstance(one, str) and one.startswith(SCOPE)]
    if not ours:
        return None
    return frozenset(right for right in Right if SCOPE + right.value in ours) - {Right.ACCOUNT}


def _line(entry: str) -> tuple[str, frozenset[Role]]:
    theirs, _, ours = entry.rpartition("=")
    try:
        return theirs.strip(), roles_named([ours])
    except InvalidEntry as error:
        raise ConfigurationError(f"openid.roles: {entry}: {error.reason}") from None


def _named_view(entry: str) -> tuple[str, str]:
    theirs, text = named_view(entry)
    try:
        return theirs, text if text == EVERYTHING else str(Grant.read(text))
    except InvalidEntry as error:
        raise ConfigurationError(f"openid.views: {entry}: {error.reason}") from None


def _at(claims: Claims, path: str) -> Any:
    """A claim by its name, or by the way that leads to it; None where there is none."""
    found: Any = claims
    for name in (path,) if path in claims else path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _half_hash(algorithm: str, access_token: str) -> str:
    """What `at_hash` has to be (OpenID Connect Core 3.1.3.6); Ed25519 goes with SHA-512."""
    bits = algorithm[-3:] if algorithm[-3:].isdigit() else "512"
    digest = hashlib.new(f"sha{bits}", access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _type(header: Claims) -> str:
    return str(header.get("typ", "")).lower()


def _refused(reason: str) -> TokenRefused:
    return TokenRefused(reason, "")


def _worded(error: Exception) -> str:
    """In our own words: those of the library quote the token."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "it is not valid")


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not in force yet"),
    (jwt.InvalidIssuerError, "it is of another issuer"),
    (jwt.InvalidAudienceError, "it is for somebody else"),
    (jwt.MissingRequiredClaimError, f"it lacks one of {', '.join(_REQUIRED)}"),
)
