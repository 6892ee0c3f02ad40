"""People who sign in, and what they sign in with. Only digests are kept of passwords and secrets."""

from __future__ import annotations

import enum
import hashlib
import secrets
import unicodedata
from dataclasses import dataclass, field

from archive.dicom.errors import InvalidEntry
from archive.security.roles import ALL_RIGHTS, WITHIN_A_VIEW, Right, Role, rights_of
from archive.security.shares import Shared
from archive.security.views import View, both

LONGEST_NAME = 128
LONGEST_PASSWORD = 1024
SHORTEST_PASSWORD = 10
"""Characters; NIST SP 800-63B asks for 8 at least, and for no rules about which."""
TOKEN_PREFIX = "dat_"  # noqa: S105 - it is on all of them
BARRED = "removed-"
"""The name of somebody of an issuer who was removed here begins so: they stay known, or they would come back."""
_SECRET_BYTES = 32


class Kind(enum.Enum):
    """What a secret is for."""

    SESSION = "session"
    """Of a browser, after signing in; it ends when nobody uses it."""
    TOKEN = "token"  # noqa: S105 - the name of a kind
    """Of a script or a program, until it expires or is revoked."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in. `disabled`: not at present, and all that was signed in with is void."""

    name: str
    full_name: str = ""
    roles: frozenset[Role] = frozenset()
    password_hash: str = field(default="", repr=False)
    disabled: bool = False
    issuer: str = ""
    """Where they come from (OpenID Connect), and have no password here; empty for a local account."""
    subject: str = ""
    """Who they are there."""
    view: View | None = None
    """What they see of the studies; None: all."""
    has_second_factor: bool = False
    """Whether a code is asked for after the password."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A session or a token of somebody, but for its secret. Moments are seconds since the epoch; `roles` narrow what
    the person may do, and are empty where all of it may be done; `view` narrows what they see, unless it is None."""

    id: int
    name: str
    kind: Kind
    label: str
    roles: frozenset[Role]
    created_at: float
    used_at: float
    expires_at: float
    view: View | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as far as the decision about it goes. `name` is empty where nobody has signed in."""

    name: str
    rights: frozenset[Right]
    by_cookie: bool = False
    """Signed in in a browser, which sends what proves it whatever page asks."""
    view: View | None = None
    """What they see of the studies; None: all. With a view there are only the rights that can be kept within it."""
    share: Shared | None = None
    """By which share they are here, if by one."""
    must_enrol: bool = False
    """They need a second factor and have none: they may do nothing before they have set one up."""

    def __post_init__(self) -> None:
        if self.must_enrol:
            object.__setattr__(self, "rights", self.rights & {Right.ACCOUNT})
        if self.view is not None:
            object.__setattr__(self, "rights", self.rights & WITHIN_A_VIEW)

    def may(self, right: Right | None) -> bool:
        """Whether this is allowed to them."""
        return right is None or right in self.rights


NOBODY = Principal("", frozenset())
UNASKED = Principal("", ALL_RIGHTS)
"""Whoever it is where nobody is asked to sign in."""


def principal(
    person: Person,
    narrowed: frozenset[Role] = frozenset(),
    *,
    by_cookie: bool = False,
    view: View | None = None,
    must_enrol: bool = False,
) -> Principal:
    """What somebody may do; with roles that narrow it, only what these allow as well, and of what the view shows. Their
    account is for themselves: who has found a token must not come by more with it."""
    rights = rights_of(person.roles)
    rights = rights & rights_of(narrowed) if narrowed else rights
    rights = rights if by_cookie else rights - {Right.ACCOUNT}
    return Principal(person.name, rights, by_cookie, both(person.view, view), must_enrol=must_enrol)


def name_of(name: str) -> str:
    """A name as it is compared: "Ada" and "ada" are one. Raises InvalidEntry for one that nobody can have."""
    folded = unicodedata.normalize("NFKC", name).strip().casefold()
    if not folded or len(folded) > LONGEST_NAME or ":" in folded or not folded.isprintable():
        raise InvalidEntry(f"name: 1 to {LONGEST_NAME} characters that can be printed, and no colon")
    return folded


def check_password(password: str) -> str:
    """The password. Raises InvalidEntry for one that is too short to keep anybody out."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidEntry(f"password: at least {SHORTEST_PASSWORD} characters")
    return password


def new_secret(kind: Kind) -> str:
    """A secret that nobody guesses. That of a token says what it is, so that it is found where it has leaked to."""
    return (TOKEN_PREFIX if kind is Kind.TOKEN else "") + secrets.token_urlsafe(_SECRET_BYTES)


def digest(secret: str) -> str:
    """What is kept of it. No salt and no cost: nobody guesses 256 bits."""
    return hashlib.sha256(secret.encode()).hexdigest()
