"""Who asks for an association: what the A-ASSOCIATE-RQ and the connection say of it, before anyone judges."""

from __future__ import annotations

from dataclasses import dataclass, field

USER, USER_AND_PASSCODE, KERBEROS, SAML, JWT = range(1, 6)
"""Types of a user identity (PS3.7 Table D.3-14)."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate with which the peer has proved itself; its chain has been verified. `subject` is the
    common name, `names` are the DNS names among the alternative ones, `sha256` is of the whole certificate, in
    lower-case hexadecimal."""

    subject: str
    names: tuple[str, ...]
    sha256: str

    def is_known_as(self, wanted: str) -> bool:
        """Whether this is the certificate that an entry asks for: `sha256:` and the hash of the whole of it, with
        or without colons, or else its common name or one of its DNS names."""
        kind, _, rest = wanted.partition(":")
        if kind.lower() == "sha256":
            return rest.replace(":", "").strip().lower() == self.sha256
        return bool(wanted) and (
            wanted == self.subject or wanted.lower() in {name.lower() for name in self.names}
        )


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User identity negotiation (PS3.7 D.3.3.7.1): user name, and passcode, or a ticket, assertion or token in
    `primary`. What is secret stays out of `repr`, and so out of logs."""

    kind: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(repr=False, default=b"")
    answer_wanted: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. The titles are as sent, in latin-1, without the spaces and NULs around them: blank, non-ASCII
    or control characters are possible. `secured`: over TLS."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    secured: bool = False
    certificate: Certificate | None = None
    identity: UserIdentity | None = None
