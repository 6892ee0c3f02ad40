"""Who is who, and who did what."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from archive.settings.values import Address, setting

TOKEN_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Those of a public key: who can check a token cannot make one."""


@dataclass(frozen=True)
class TokenSettings:
    """JSON Web Tokens that AE titles give as user identity."""

    issuer: str = setting("", 'Who makes the tokens: "iss" in them.')
    audience: str = setting("", 'Whom they have to be for: "aud" in them.')
    jwks_file: str = setting("", "File with the public keys of the issuer, a JWK Set (RFC 7517).")
    key_file: str = setting("", "Instead, or besides: file with one public key, PEM.")
    algorithm: str = setting(
        "RS256", "The one algorithm that the key of key_file is for.", choices=TOKEN_ALGORITHMS
    )
    leeway_seconds: int = setting(30, "Seconds by which clocks may differ.", 0)


@dataclass(frozen=True)
class OpenIDSettings:
    """OpenID Connect: an issuer that knows people and programs, so that they need no account here."""

    issuer: str = setting("", "URL of the issuer, as it writes itself; empty: off.")
    client_id: str = setting("", "What the archive is called there.")
    client_secret_file: str = setting("", "File with the secret of the client; empty: a public client.")
    audience: str = setting("", 'Whom access tokens have to be for ("aud"); empty: client_id.')
    scopes: tuple[str, ...] = setting(("openid", "profile"), "What is asked for when somebody signs in.")
    roles_claim: str = setting(
        "", 'The claim with the roles, dots lead into it: "realm_access.roles"; empty: roles, or groups.'
    )
    roles: tuple[str, ...] = setting(
        (), 'Their roles as roles here, "pacs-viewers=viewer"; empty: roles are given here, none at first.'
    )
    view_claim: str = setting(
        "",
        "The claim with the studies that somebody sees; without it in a token nobody gets in. Empty: said here.",
    )
    views: tuple[str, ...] = setting(
        (),
        'Its values as views, "st-marys -> institution=St. Mary*", * for all; empty: they are views themselves.',
    )
    name_claim: str = setting("preferred_username", 'The claim with the name; where it is not there, "sub".')
    algorithms: tuple[str, ...] = setting(
        ("RS256", "ES256", "PS256", "EdDSA"), "The algorithms that tokens may be signed with."
    )
    leeway_seconds: int = setting(30, "Seconds by which clocks may differ.", 0)
    ca_file: str = setting("", "Certificates, PEM, to check that of the issuer with; empty: the system's.")
    label: str = setting("Sign in with your organisation", "What the button says on the page to sign in at.")


def check_openid(settings: OpenIDSettings) -> None:
    """Raises ValueError with a sentence."""
    if not settings.issuer:
        return
    if not is_address(settings.issuer) or "?" in settings.issuer or "#" in settings.issuer:
        raise ValueError("issuer: must be a URL with https, or with http and a host that is this machine")
    if not settings.client_id:
        raise ValueError("client_id: what the archive is called at the issuer is missing")
    if "openid" not in settings.scopes:
        raise ValueError("scopes: openid has to be among them")
    if not settings.algorithms or not set(settings.algorithms) <= set(TOKEN_ALGORITHMS):
        raise ValueError(f"algorithms: some of {', '.join(TOKEN_ALGORITHMS)}")
    if any(not (theirs.strip() and ours.strip()) for theirs, _, ours in map(_divided, settings.roles)):
        raise ValueError('roles: lines are "THEIRS=OURS", such as "pacs-viewers=viewer"')
    _check_views(settings)


def _check_views(settings: OpenIDSettings) -> None:
    if not all(theirs and view for theirs, view in map(named_view, settings.views)):
        raise ValueError('views: lines are "THEIRS -> VIEW", such as "st-marys -> institution=St. Mary*"')
    if settings.views and not settings.view_claim:
        raise ValueError("view_claim: the claim whose values views are about is missing")


def named_view(entry: str) -> tuple[str, str]:
    """What the issuer says, and what is seen by who it says that of."""
    theirs, _, view = entry.partition("->")
    return theirs.strip(), view.strip()


def is_address(url: str) -> bool:
    """Whether nobody between us and this URL can read or change what is said: https, or this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and Address(host, 0).is_loopback)


def _divided(entry: str) -> tuple[str, str, str]:
    return entry.rpartition("=")


@dataclass(frozen=True)
class SignInSettings:
    """How people, and programs over HTTP, prove who they are."""

    required: str = setting(
        "auto",
        "auto: where HTTP can be reached from other machines; always; never: a proxy does it all.",
        choices=("auto", "always", "never"),
    )
    idle_minutes: int = setting(60, "Minutes after which a session that nobody uses ends.", 1)
    session_hours: int = setting(12, "Hours after which one has to sign in again.", 1)
    second_factor: str = setting(
        "optional",
        "Who has to have a second factor beside a password here: optional, administrators or everybody.",
        choices=("optional", "administrators", "everybody"),
    )


@dataclass(frozen=True)
class ShareSettings:
    """Links to studies, for people without an account."""

    longest_days: int = setting(90, "Days that a link may last at most.", 1)
    idle_minutes: int = setting(20, "Minutes after which who came by a link has to open it again.", 1)


@dataclass(frozen=True)
class AuditSettings:
    """The audit trail (PS3.15 A.5): who did what."""

    source_id: str = setting("", "What the archive calls itself in it; empty: its AE title.")
    site_id: str = setting("", "The site that it belongs to.")
    required: bool = setting(False, "True lets nothing out that cannot be recorded first.")
    syslog: str = setting("", "HOST:PORT of a syslog receiver over TLS, usually port 6514; empty: none.")
