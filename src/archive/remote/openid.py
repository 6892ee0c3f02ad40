"""What we ask an OpenID Connect issuer: what it has where (Discovery 1.0), its keys, and tokens for a code.

Only what the issuer itself names is asked, over https or on this machine; no redirect is followed, and what comes is
bounded in size and time. Keys are kept. A token with an unknown key makes us ask again, so that a key that was
changed counts within a minute; and at most once a minute, so that no stranger can have us ask all the time.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import structlog

from archive.dicom.errors import ConfigurationError, NotSignedIn, OutOfResources
from archive.security.openid import keys_of
from archive.security.tokens import Key
from archive.settings.people import OpenIDSettings, is_address

WELL_KNOWN = "/.well-known/openid-configuration"
SECONDS = 5.0
"""For each step of an exchange, and twice as many for all of it."""
MOST_BYTES = 1 << 20
FRESH_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
FIRST_AGAIN_SECONDS = 5.0
"""Until the first answer."""
STALE_SECONDS = 86400.0
"""For so long keys count without the issuer, which could take one back."""
MOST_WAITING = 4
"""For keys that are being asked for."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an issuer says of itself, as far as it is needed."""

    authorization: str
    token: str
    keys: str
    userinfo: str
    names_itself: bool
    """In its answers to browsers (RFC 9207)."""
    secret_in_body: bool


@dataclass(frozen=True, slots=True)
class Given:
    """For a code."""

    id_token: str
    access_token: str


class Issuer:
    """The issuer of the settings, for this process. Safe to use from several threads."""

    def __init__(self, settings: OpenIDSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._trusted = _authorities(settings) if settings.issuer else None
        self._asking = threading.Lock()
        self._waiting = threading.Semaphore(MOST_WAITING)
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: tuple[Key, ...] = ()
        self._came_at = self._asked_at = float("-inf")

    def metadata(self) -> Metadata:
        """Where things are. Raises OutOfResources."""
        kept, now = self._metadata, self._clock()
        if kept is not None and now - kept[1] < FRESH_SECONDS:
            return kept[0]
        found = self._discovered()
        self._metadata = found, now
        return found

    def keys(self) -> tuple[Key, ...]:
        """Its keys, as they were an hour ago at most, or a day where it does not answer. Raises OutOfResources."""
        age = self._clock() - self._came_at
        known = self._keys
        if age >= FRESH_SECONDS and not (known and self._asking.locked()):
            try:
                self._ask_again(known)
            except OutOfResources:
                if not known:
                    raise
        if not self._keys or self._clock() - self._came_at >= STALE_SECONDS:
            raise OutOfResources("the issuer of tokens does not answer; try again in a moment")
        return self._keys

    def keys_besides(self, seen: tuple[Key, ...]) -> tuple[Key, ...]:
        """Its keys after these were not enough: others, if it was time to ask. Raises OutOfResources."""
        self._ask_again(seen)
        return self._keys

    def exchanged(self, code: str, verifier: str, redirect: str) -> Given:
        """The tokens for a code. Raises NotSignedIn where the issuer refuses, OutOfResources."""
        metadata, settings = self.metadata(), self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
            "client_id": settings.client_id,
        }
        headers, secret = {}, self._secret()
        if secret and metadata.secret_in_body:
            form["client_secret"] = secret
        elif secret:
            del form["client_id"]
            headers["Authorization"] = _basic(settings.client_id, secret)
        status, said = self._said("POST", metadata.token, data=form, headers=headers)
        if status == 400 or status == 401:
            _log.warning("openid code refused", status=status, error=_code(said.get("error")))
            raise NotSignedIn("the issuer did not confirm it; sign in again")
        id_token, access_token = said.get("id_token"), said.get("access_token", "")
        if status != 200 or not isinstance(id_token, str) or not isinstance(access_token, str):
            raise self._nonsense(metadata.token, f"status {status}")
        return Given(id_token, access_token)

    def userinfo(self, access_token: str) -> Mapping[str, Any]:
        """What else it says of whom the token speaks of; empty where it has nothing. Raises OutOfResources."""
        url = self.metadata().userinfo
        if not url or not access_token:
            return {}
        status, said = self._said("GET", url, headers={"Authorization": f"Bearer {access_token}"})
        if status != 200:
            raise self._nonsense(url, f"status {status}")
        return said

    def _ask_again(self, seen: tuple[Key, ...]) -> None:
        """Unless others have done so meanwhile, or just before."""
        if not self._waiting.acquire(blocking=False):
            raise OutOfResources("the keys of the issuer are being asked for")
        try:
            with self._asking:
                pause = AGAIN_SECONDS if self._keys else FIRST_AGAIN_SECONDS
                if self._keys is not seen or self._clock() - self._asked_at < pause:
                    return
                self._asked_at = self._clock()
                self._keys = self._fetched_keys() or self._keys
        finally:
            self._waiting.release()

    def _fetched_keys(self) -> tuple[Key, ...]:
        """None where it does not answer: those that are known stay."""
        try:
            url = self.metadata().keys
            status, said = self._said("GET", url)
        except OutOfResources:
            return ()
        found = keys_of(said, self._settings.algorithms) if status == 200 else ()
        if found:
            self._came_at = self._clock()
        else:
            self._nonsense(url, "no keys that can be used")
        return found

    def _discovered(self) -> Metadata:
        issuer = self._settings.issuer
        url = issuer.rstrip("/") + WELL_KNOWN
        status, said = self._said("GET", url)
        if status != 200 or said.get("issuer") != issuer:
            raise self._nonsense(url, f"status {status}, or another issuer than openid.issuer")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
        authorization, token, keys, userinfo = (str(said.get(name) or "") for name in names)
        for address in (authorization, token, keys, *filter(None, (userinfo,))):
            if not is_address(address) or (issuer.startswith("https:") and address.startswith("http:")):
                raise self._nonsense(url, "an address that is missing, or without https")
        ways = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        named = said.get("authorization_response_iss_parameter_supported") is True
        return Metadata(authorization, token, keys, userinfo, named, "client_secret_basic" not in ways)

    def _said(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer. Raises OutOfResources."""
        until = time.monotonic() + 2 * SECONDS
        try:
            with (
                httpx.Client(verify=self._trusted or True, timeout=SECONDS, follow_redirects=False) as client,
                client.stream(method, url, **more) as answer,
            ):
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES or time.monotonic() > until:
                        raise self._nonsense(url, "too long an answer")
            said = json.loads(body) if body else {}
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._nonsense(url, type(error).__name__) from None
        except (ValueError, RecursionError):
            raise self._nonsense(url, f"status {answer.status_code}, no JSON") from None
        return answer.status_code, said if isinstance(said, dict) else {}

    def _secret(self) -> str:
        path = self._settings.client_secret_file
        try:
            return Path(path).read_text(encoding="utf-8").strip() if path else ""
        except (OSError, ValueError):
            _log.error("openid client secret cannot be read")
            raise OutOfResources("openid.client_secret_file cannot be read; tell the administrator") from None

    def _nonsense(self, url: str, what: str) -> OutOfResources:
        """Told to the log; who signs in can do nothing about it."""
        _log.warning("openid issuer failed", url=url, what=what)
        return OutOfResources("the issuer cannot be asked at the moment; try again later")


def _authorities(settings: OpenIDSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:
        raise ConfigurationError(f"openid.ca_file: cannot be read ({error})") from None


def _basic(name: str, secret: str) -> str:
    """Both percent-encoded first (RFC 6749 2.3.1)."""
    pair = httpx.BasicAuth(quote(name, safe=""), quote(secret, safe=""))
    return str(next(pair.auth_flow(httpx.Request("GET", "http://localhost/"))).headers["Authorization"])


def _code(said: Any) -> str:
    """An error code, if it is one (RFC 6749 5.2)."""
    return said if isinstance(said, str) and said.replace("_", "").isalnum() and len(said) < 40 else ""
