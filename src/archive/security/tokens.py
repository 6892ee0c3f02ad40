"""JSON Web Tokens (RFC 7519): whether one was made by whom the settings name, for us, and is in force.

Each key has one algorithm, and a token is checked with no other, whatever its header says: that closes the known ways
of passing a public key off as a secret, or no signature as one (RFC 8725 3.1). Issuer, audience, expiry and subject
are required. The key files are read again when they have changed, so keys are rolled over without a restart.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from archive.settings.people import TOKEN_ALGORITHMS, TokenSettings

LONGEST_TOKEN = 65536
"""User identity has 16 bits for the length of its field (PS3.7 Table D.3-14)."""

BY_KEY_TYPE = {"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
"""The algorithm of a key in a JWKS that names none (RFC 7517 4.4)."""


class TokenRefused(Exception):
    """A token that is not accepted, and what would change that."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the one algorithm that it is for. `id` is empty for a key that has none."""

    id: str
    algorithm: str
    key: Any


class Tokens:
    """The keys that the settings name. Safe to use from several threads."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._seen: tuple[Any, ...] = ()
        self._keys: tuple[Key, ...] = ()

    def subject(self, token: bytes) -> str:
        """Whom a token speaks of ("sub"). Raises TokenRefused."""
        if not (self._settings.issuer and self._settings.audience):
            raise _misconfigured("tokens.issuer and tokens.audience are not set")
        if len(token) > LONGEST_TOKEN:
            raise TokenRefused("it is too long", "let it be shorter")
        header = header_of(token)
        fitting = [key for key in self._current() if fits(key, header)]
        if not fitting:
            raise TokenRefused(
                "no key of ours is its key", "add its key to tokens.jwks_file or tokens.key_file"
            )
        for key in fitting[:-1]:
            with contextlib.suppress(jwt.InvalidSignatureError):
                return self._verified(token, key)
        return self._verified(token, fitting[-1], whatever=True)

    def _verified(self, token: bytes, key: Key, *, whatever: bool = False) -> str:
        """Whom it speaks of. Raises TokenRefused; InvalidSignatureError where another key may yet be its key."""
        try:
            return str(self._claims(token, key)["sub"])
        except (jwt.InvalidTokenError, OverflowError, RecursionError) as error:
            if isinstance(error, jwt.InvalidSignatureError) and not whatever:
                raise
            raise TokenRefused(*_worded(error)) from None

    def _claims(self, token: bytes, key: Key) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            leeway=self._settings.leeway_seconds,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return claims

    def _current(self) -> tuple[Key, ...]:
        """The keys, read again if a file is another than last time. Raises TokenRefused when one cannot be read."""
        settings = self._settings
        with self._lock:
            try:
                seen = tuple(_state(path) for path in (settings.key_file, settings.jwks_file) if path)
                if not seen:
                    raise _misconfigured("neither tokens.key_file nor tokens.jwks_file is set")
                if seen != self._seen:
                    self._keys = (*_from_pem(settings), *_from_jwks(settings))
                    self._seen = seen
            except OSError as error:
                raise _misconfigured(f"a key file cannot be read ({error.strerror})") from None
            except (ValueError, TypeError, LookupError, AttributeError, jwt.PyJWTError):
                raise _misconfigured("a key file holds no keys of the kind that was expected") from None
            return self._keys


def _state(path: str) -> tuple[str, int, int, int]:
    found = os.stat(path)
    return path, found.st_ino, found.st_mtime_ns, found.st_size


def _from_pem(settings: TokenSettings) -> tuple[Key, ...]:
    if not settings.key_file:
        return ()
    algorithm = jwt.get_algorithm_by_name(settings.algorithm)
    return (Key("", settings.algorithm, algorithm.prepare_key(Path(settings.key_file).read_bytes())),)


def _from_jwks(settings: TokenSettings) -> tuple[Key, ...]:
    """The signing keys of a JWK Set (RFC 7517); those for encryption, and secrets, are left out."""
    if not settings.jwks_file:
        return ()
    keys = []
    for described in json.loads(Path(settings.jwks_file).read_text(encoding="utf-8"))["keys"]:
        named = described.get("crv") or described.get("kty")
        algorithm = described.get("alg") or BY_KEY_TYPE.get(named, "")
        if algorithm in TOKEN_ALGORITHMS and described.get("use", "sig") == "sig":
            keys.append(Key(described.get("kid", ""), algorithm, jwt.PyJWK(described, algorithm).key))
    return tuple(keys)


def header_of(token: bytes) -> dict[str, Any]:
    """What it says of itself, which nobody has signed yet. Raises TokenRefused."""
    try:
        header: dict[str, Any] = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError):
        raise TokenRefused("it is no token", "let it give a signed JSON Web Token") from None
    return header


def fits(key: Key, header: dict[str, Any]) -> bool:
    """Whether a token with this header may be signed with this key. Without a key ID every key of its algorithm may
    be the one."""
    named = header.get("kid")
    return header.get("alg") == key.algorithm and (not named or not key.id or named == key.id)


def _worded(error: Exception) -> tuple[str, str]:
    """Reason and remedy in our own words: those of the library quote the token."""
    for kind, reason, remedy in _REASONS:
        if isinstance(error, kind):
            return reason, remedy
    return "it is not valid", "look at what the issuer writes into it"


_REASONS: tuple[tuple[type[Exception], str, str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired", "let the sender get a new one; compare the clocks"),
    (
        jwt.ImmatureSignatureError,
        "it is not in force yet",
        "compare the clocks, or raise tokens.leeway_seconds",
    ),
    (jwt.InvalidIssuerError, "it is of another issuer", "correct tokens.issuer if that one is to be trusted"),
    (jwt.InvalidAudienceError, "it is for somebody else", "let the issuer write tokens.audience into it"),
    (jwt.MissingRequiredClaimError, "it lacks exp, iss, aud or sub", "let the issuer write them into it"),
    (jwt.InvalidSignatureError, "its signature is wrong", "add the key of its issuer to tokens.jwks_file"),
)


def _misconfigured(what: str) -> TokenRefused:
    return TokenRefused(what, "set [tokens] in the settings and restart")
