"""Who is who, and who did what."""

from __future__ import annotations

from dataclasses import dataclass

from archive.settings.values import setting

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
class SignInSettings:
    """How people, and programs over HTTP, prove who they are."""

    required: str = setting(
        "auto",
        "auto: where HTTP can be reached from other machines; always; never: a proxy does it all.",
        choices=("auto", "always", "never"),
    )
    idle_minutes: int = setting(60, "Minutes after which a session that nobody uses ends.", 1)
    session_hours: int = setting(12, "Hours after which one has to sign in again.", 1)


@dataclass(frozen=True)
class AuditSettings:
    """The audit trail (PS3.15 A.5): who did what."""

    source_id: str = setting("", "What the archive calls itself in it; empty: its AE title.")
    site_id: str = setting("", "The site that it belongs to.")
    required: bool = setting(False, "True lets nothing out that cannot be recorded first.")
    syslog: str = setting("", "HOST:PORT of a syslog receiver over TLS, usually port 6514; empty: none.")
