"""Links to studies for people without an account: what a share is, and when it ends.

Only digests are kept of the secrets: of the one in the link, and of those of the sessions that it opened. `Shared` is
what a principal brings that came by a share.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from dataclasses import dataclass, field
from functools import cached_property

from archive.dicom.deidentifying.actions import Options
from archive.dicom.deidentifying.replacing import Replacements
from archive.dicom.errors import InvalidEntry
from archive.security.views import View

MOST_STUDIES = 100
MOST_USES = 10_000
MOST_ATTEMPTS = 100
LONGEST_TEXT = 200
SHORTEST_PASSCODE, LONGEST_PASSCODE = 6, 100
"""With ten attempts at six digits one of 100,000 who have stolen the link gets in."""
DAY = 86400.0
_SECRET_BYTES = 32


class State(enum.Enum):
    """Whether a link opens. The value is how it is written."""

    OPEN = "open"
    REVOKED = "revoked"
    EXPIRED = "expired"
    USED_UP = "used up"
    LOCKED = "locked"
    """By wrong passcodes."""
    EMPTY = "empty"
    """All of its studies have been deleted."""
    ORPHANED = "orphaned"
    """Who made it may not share any more."""
    HIDDEN = "hidden"
    """Who made it sees none of its studies any more."""


class Use(enum.Enum):
    """What somebody did with a share. The value is how it is written."""

    OPENED = "opened"
    DOWNLOADED = "downloaded"
    REFUSED = "refused"


class Reach(enum.Enum):
    """How far a resource of the HTTP door is open to who came by a share."""

    NONE = enum.auto()
    VIEW = enum.auto()
    """Pictures, frames, metadata, single values: what viewers need."""
    DOWNLOAD = enum.auto()
    """Whole objects, or all that is large in them: where the share allows it."""


ENDED = frozenset({State.REVOKED, State.EXPIRED, State.EMPTY, State.ORPHANED, State.HIDDEN})
"""The states in which nobody sees anything any more. In the others nobody else gets in."""


FOR_EVER = frozenset({State.REVOKED, State.EXPIRED, State.EMPTY})
"""Those out of which no share comes back."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to share: with whom and why, for how long, how often."""

    studies: tuple[str, ...]
    recipient: str
    purpose: str = ""
    days: float = 7.0
    passcode: str = field(default="", repr=False)
    most_attempts: int = 10
    most_uses: int = 0
    """0: as often as one likes."""
    may_download: bool = False
    deidentified: Options | None = None
    """None: as the studies are."""


@dataclass(frozen=True)
class Deidentified:
    """How a share is de-identified: `secret`, which nobody is told, decides what stands in the place of UIDs and
    dates."""

    secret: str = field(repr=False)
    options: Options

    @cached_property
    def replacements(self) -> Replacements:
        """What stands for what."""
        return Replacements(bytes.fromhex(self.secret))

    @property
    def room(self) -> str:
        """What the place of its copy is called."""
        return hashlib.sha256(b"room:" + self.secret.encode()).hexdigest()[:32]

    @staticmethod
    def new(options: Options) -> Deidentified:
        """With a secret of its own."""
        return Deidentified(secrets.token_hex(_SECRET_BYTES), options)


@dataclass(frozen=True, slots=True)
class Share:
    """A link to studies, but for its secret. Moments are seconds since the epoch, and 0 for what has not happened."""

    id: int
    made_by: str
    recipient: str
    purpose: str
    studies: tuple[str, ...]
    created_at: float
    expires_at: float
    revoked_at: float = 0.0
    passcode_hash: str = field(default="", repr=False)
    failed: int = 0
    most_attempts: int = 10
    uses: int = 0
    most_uses: int = 0
    may_download: bool = False
    is_orphaned: bool = False
    view: View | None = None
    """What its maker sees at this moment; None: everything. It shows nobody more than that."""
    hidden: frozenset[str] = frozenset()
    """Those of its studies that its maker does not see at this moment."""
    deidentified: Deidentified | None = None

    @property
    def visible(self) -> tuple[str, ...]:
        """Those of its studies that it shows."""
        return tuple(uid for uid in self.studies if uid not in self.hidden)

    @property
    def shown(self) -> tuple[str, ...]:
        """The Study Instance UIDs under which who comes by it finds them."""
        if self.deidentified is None:
            return self.visible
        return tuple(map(self.deidentified.replacements.uid, self.visible))

    @property
    def user(self) -> str:
        """What whoever comes by it is called in the audit trail; no person can have a name with a colon."""
        return f"share:{self.id}"

    def state(self, now: float) -> State:
        """Whether it opens at this moment; of several reasons the one that is for ever."""
        reasons = (
            (State.REVOKED, self.revoked_at > 0),
            (State.ORPHANED, self.is_orphaned),
            (State.EXPIRED, now >= self.expires_at),
            (State.EMPTY, not self.studies),
            (State.HIDDEN, not self.shown),
            (State.LOCKED, bool(self.passcode_hash) and self.failed >= self.most_attempts),
            (State.USED_UP, 0 < self.most_uses <= self.uses),
        )
        return next((state for state, holds in reasons if holds), State.OPEN)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has opened a share, in one browser."""

    id: int
    share_id: int
    created_at: float
    used_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Used:
    """One use of a share, as it is listed."""

    share_id: int
    time: float
    address: str
    what: Use


@dataclass(frozen=True, slots=True)
class Shared:
    """By which share somebody is here: `digest` is that of the secret of their session."""

    share_id: int
    session_id: int
    digest: str = field(repr=False)
    recipient: str
    may_download: bool
    deidentified: Deidentified | None = None
    studies: tuple[str, ...] = ()
    """As the archive has them; not to be told where they are de-identified."""
    visible: tuple[str, ...] = ()
    """Those of them that it showed when the request came."""


def check(wanted: Wanted, longest_days: float) -> Wanted:
    """What is wanted, tidied. Raises InvalidEntry."""
    studies = tuple(dict.fromkeys(wanted.studies))
    if not 1 <= len(studies) <= MOST_STUDIES:
        raise InvalidEntry(f"studies: 1 to {MOST_STUDIES} of them")
    if not 0 < wanted.days <= longest_days:
        raise InvalidEntry(f"days: more than none, and at most {longest_days:g} (shares.longest_days)")
    if not 0 <= wanted.most_uses <= MOST_USES:
        raise InvalidEntry(f"uses: 1 to {MOST_USES}; 0 for as many as one likes")
    if not 1 <= wanted.most_attempts <= MOST_ATTEMPTS:
        raise InvalidEntry(f"attempts: 1 to {MOST_ATTEMPTS}")
    passcode = wanted.passcode
    if passcode and not SHORTEST_PASSCODE <= len(passcode) <= LONGEST_PASSCODE:
        raise InvalidEntry(f"passcode: {SHORTEST_PASSCODE} to {LONGEST_PASSCODE} characters, or none")
    recipient, purpose = _line("recipient", wanted.recipient), _line("purpose", wanted.purpose)
    if not recipient:
        raise InvalidEntry("recipient: say for whom the share is")
    return Wanted(
        studies, recipient, purpose, wanted.days, passcode, wanted.most_attempts, wanted.most_uses, wanted.may_download,
        wanted.deidentified,
    )  # fmt: skip


def new_secret() -> str:
    """A secret that nobody guesses: 256 bits, fit for a path."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def digest(secret: str) -> str:
    """What is kept of it. No salt and no cost, as nobody guesses it; no digest of a token or session is alike."""
    return hashlib.sha256(b"share:" + secret.encode("utf-8", "surrogatepass")).hexdigest()


def _line(what: str, text: str) -> str:
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise InvalidEntry(f"{what}: at most {LONGEST_TEXT} characters, all of them printable")
    return text.strip()
