"""Sharing studies with people without an account: making links, opening them, taking them back.

Each request of who came by a link asks the index for the share, so that what was revoked a moment ago is refused now. A
passcode is charged for before it is looked at, and a use is counted in the transaction that begins the session: both
hold over any number of workers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from archive.dicom.errors import (
    ArchiveError,
    Gone,
    NotAuthorized,
    NotFound,
    NotSignedIn,
    OutOfResources,
)
from archive.dicom.instance import Scope
from archive.index import shares
from archive.index.database import Connection, Database
from archive.security.actor import Actor
from archive.security.attempts import WAIT_SECONDS, Attempts
from archive.security.identity import AT_A_TIME, password_hash, verifies
from archive.security.people import Principal
from archive.security.roles import Right
from archive.security.shares import (
    DAY,
    ENDED,
    FOR_EVER,
    LONGEST_PASSCODE,
    Deidentified,
    Session,
    Share,
    Shared,
    State,
    Use,
    Used,
    Wanted,
    check,
    digest,
    new_secret,
)
from archive.security.views import View, both
from archive.services.auditing import Auditing
from archive.services.deidentifying import LeftOut
from archive.services.retrieve import Retrieve
from archive.settings.people import ShareSettings

LONGEST_SECRET = 200
USED_SECONDS = 30.0
"""How exactly it is kept when a session was used last."""
DOWNLOAD_SECONDS = 600.0
"""Downloads of one session that are listed as one."""
SESSION_SECONDS = 12 * 3600.0
MOST_WAITING = 8
"""For a turn, as to check a passcode takes 64 MiB."""
FROM_ONE_ADDRESS = 20
"""Failures in a row, at whatever links, until an address has to wait."""
UNKNOWN = "there is no such share: look whether the link is whole, or ask who sent it"
OVER = "the share has ended, or was not used for a while: open its link again"

ENDINGS = {
    State.REVOKED: "this share was taken back: ask who sent it for another",
    State.EXPIRED: "this share has expired: ask who sent it for another",
    State.USED_UP: "this share was opened as often as it may be: ask who sent it for another",
    State.LOCKED: "this share is locked after too many wrong passcodes: ask who sent it for another",
    State.EMPTY: "what was shared has been deleted: ask who sent it",
    State.ORPHANED: "who made this share may not share any more: ask them",
    State.HIDDEN: "who made this share may not see what was shared any more: ask them",
}


class Copies(Protocol):
    """Where the copies of de-identified shares are."""

    def make(self, seen: Retrieve, studies: Sequence[str], how: Deidentified) -> list[LeftOut]: ...

    def discard(self, how: Deidentified) -> None: ...

    def sweep(self, standing: Iterable[Share], ended: Iterable[Share], seen: Retrieve) -> None: ...


class Shares:
    """Those that the index knows. Safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        settings: ShareSettings,
        auditing: Auditing,
        clock: Callable[[], float] = time.time,
        attempts: Attempts | None = None,
        copies: Copies | None = None,
    ) -> None:
        self._copies = copies
        self._database = database
        self._settings = settings
        self._auditing = auditing
        self._clock = clock
        self._from = attempts or Attempts(time.monotonic, FROM_ONE_ADDRESS)
        self._room = threading.Semaphore(AT_A_TIME)
        self._door = threading.Semaphore(MOST_WAITING)

    def make(
        self,
        actor: Actor,
        made_by: str,
        wanted: Wanted,
        seen: Retrieve,
        told: Callable[[LeftOut], object] = lambda _: None,
    ) -> tuple[str, Share]:
        """A new share: the secret of its link, which is told once, and what is kept of it. `seen` finds what the maker
        sees, and nothing else can be shared; `told` hears what cannot be de-identified and is left out. Raises
        InvalidEntry, NotFound, Gone, NotAuthorized, OutOfResources."""
        wanted, now, secret = check(wanted, self._settings.longest_days), self._clock(), new_secret()
        for uid in wanted.studies:
            scope = Scope((uid,))
            if not seen.instances(scope):
                raise seen.missing(scope)
        one = Share(
            0,
            made_by,
            wanted.recipient,
            wanted.purpose,
            wanted.studies,
            now,
            now + wanted.days * DAY,
            passcode_hash=password_hash(wanted.passcode) if wanted.passcode else "",
            most_attempts=wanted.most_attempts,
            most_uses=wanted.most_uses,
            may_download=wanted.may_download,
            deidentified=Deidentified.new(wanted.deidentified) if wanted.deidentified else None,
        )
        return secret, self._kept(actor, one, digest(secret), seen, told)

    def _kept(
        self, actor: Actor, one: Share, of_secret: str, seen: Retrieve, told: Callable[[LeftOut], object]
    ) -> Share:
        """A new share, kept; where it is de-identified its copy is made first."""
        how, copies = one.deidentified, self._copies
        if how is not None and copies is not None:
            for left in copies.make(seen, one.studies, how):
                told(left)

        def change(connection: Connection) -> int:
            key = shares.add(connection, one, of_secret)
            if key is None:
                raise NotAuthorized(f"{one.made_by} is not known here, and cannot share: `archive user add`")
            self._record(connection, actor, replace(one, id=key), "made")
            return key

        try:
            return replace(one, id=self._database.write(change))
        except (NotAuthorized, OutOfResources):  # it is not there
            if how is not None and copies is not None:
                copies.discard(how)
            raise

    def sweep_copies(self, seen: Retrieve) -> None:
        """Remove the copies of de-identified shares that nobody opens any more, and what is no more in the archive from
        the others. Raises OutOfResources."""
        if self._copies is None:
            return
        with self._database.read() as connection:
            found = shares.deidentified(connection)
        now = self._clock()
        ended = [one for one in found if one.state(now) in FOR_EVER]
        self._copies.sweep([one for one in found if one not in ended], ended, seen)

    def listed(self, made_by: str | None = None) -> list[Share]:
        """Those that somebody made, or all; the newest first."""
        with self._database.read() as connection:
            return shares.listed(connection, made_by)

    def get(self, key: int, made_by: str | None = None) -> Share:
        """The share of this number, if it was made by this one. Raises NotFound."""
        with self._database.read() as connection:
            found = shares.get(connection, key)
        if found is None or made_by not in (None, found.made_by):
            raise NotFound("there is no such share")
        return found

    def state_of(self, one: Share) -> State:
        """Whether it opens now."""
        return one.state(self._clock())

    def uses(self, key: int) -> list[Used]:
        """How it was used, the last first."""
        with self._database.read() as connection:
            return shares.uses(connection, key)

    def revoke(self, actor: Actor, key: int, made_by: str | None = None) -> Share:
        """Take a share back: its link and its sessions end at once. Nothing changes where it was before. Raises
        NotFound, OutOfResources."""
        one, now = self.get(key, made_by), self._clock()

        def change(connection: Connection) -> None:
            if shares.revoke(connection, key, now):
                self._record(connection, actor, one, "revoked")

        self._database.write(change)
        return self.get(key)

    def linked(self, secret: str) -> tuple[Share, State]:
        """What a link means, and whether it opens; nothing is counted. Raises NotFound."""
        with self._database.read() as connection:
            found = shares.of_digest(connection, digest(secret)) if len(secret) <= LONGEST_SECRET else None
        if found is None:
            raise NotFound(UNKNOWN)
        return found, found.state(self._clock())

    def open(self, secret: str, passcode: str, actor: Actor) -> tuple[str, Share]:
        """Begin a session by a link, which is one use of it: the session's secret. Raises NotFound, Gone where it opens
        no more, NotSignedIn where the passcode is missing or wrong, OutOfResources."""
        if self._from.must_wait(actor.address):
            raise NotSignedIn(f"too many wrong links or passcodes; try again in {WAIT_SECONDS:.0f} seconds")
        try:
            one, state = self.linked(secret)
        except NotFound as unknown:
            self._from.failed(actor.address)
            self._auditing.signed_in(actor, failed=unknown.reason)
            raise
        who = replace(actor, user=one.user, user_name=one.recipient)
        try:
            self._check_open(state)
            self._check_passcode(one, passcode)
            kept = self._entered(one, secret, actor.address)
        except (Gone, NotSignedIn) as refused:
            self._refuse(one, who, refused.reason)
            raise
        self._from.succeeded(actor.address)
        self._auditing.signed_in(who)
        return kept, one

    def session(self, secret: str) -> tuple[Share, Shared]:
        """The share that a session is of. Raises NotSignedIn where it has ended, OutOfResources."""
        return self._session(digest(secret) if len(secret) <= LONGEST_SECRET else "")

    def principal(self, secret: str) -> Principal:
        """Who came by a share, with what they may: see those of its studies that its maker sees as well, and nothing
        else. Raises NotSignedIn where the session has ended, OutOfResources."""
        one, shared = self.session(secret)
        view: View | None = View.of_studies(one.shown)
        if one.deidentified is None:  # the copy has nothing by which a view could be told
            view = both(view, one.view)
        return Principal(one.user, frozenset({Right.SEE}), by_cookie=True, view=view, share=shared)

    def check_session(self, shared: Shared) -> None:
        """Raises NotSignedIn where a session has ended meanwhile, or its share shows less, OutOfResources."""
        one, _ = self._session(shared.digest)
        if one.hidden.intersection(shared.visible):
            raise NotSignedIn(OVER)

    def leave(self, secret: str) -> int:
        """End a session: of which share it was, 0 where there was none. Raises OutOfResources."""
        return self._database.write(lambda c: shares.leave(c, digest(secret)))

    def downloads(self, shared: Shared, address: str) -> None:
        """Whole objects are about to go out; listed once in a while. The audit trail has each. Never raises."""
        now = self._clock()

        def change(connection: Connection) -> None:
            if shares.downloaded(connection, shared.session_id, now, now - DOWNLOAD_SECONDS):
                shares.note(connection, Used(shared.share_id, now, address, Use.DOWNLOADED))

        with suppress(ArchiveError):
            self._database.write(change)

    def _session(self, of_secret: str) -> tuple[Share, Shared]:
        with self._database.read() as connection:
            found = shares.session(connection, of_secret)
        if found is None:
            raise NotSignedIn(OVER)
        (one, session), now = found, self._clock()
        idle = now - session.used_at > self._settings.idle_minutes * 60.0
        if idle or now >= session.expires_at or one.state(now) in ENDED:
            raise NotSignedIn(OVER)
        if now - session.used_at >= USED_SECONDS:
            with suppress(ArchiveError):  # on a disk that takes nothing one can still read
                self._database.write(lambda c: shares.used(c, session.id, now))
        return one, Shared(
            one.id,
            session.id,
            of_secret,
            one.recipient,
            one.may_download,
            one.deidentified,
            one.studies,
            one.visible,
        )

    def _entered(self, one: Share, secret: str, address: str) -> str:
        kept, now = new_secret(), self._clock()
        session = Session(0, one.id, now, now, min(one.expires_at, now + SESSION_SECONDS))
        if not self._database.write(lambda c: shares.enter(c, one, digest(kept), session, address)):
            self._check_open(self.linked(secret)[1])
            raise Gone(ENDINGS[State.USED_UP])
        return kept

    def _check_open(self, state: State) -> None:
        if state is not State.OPEN:
            raise Gone(ENDINGS[state])

    def _check_passcode(self, one: Share, passcode: str) -> None:
        if not one.passcode_hash:
            return
        if not passcode:
            raise NotSignedIn("this share has a passcode: give it")
        if not self._door.acquire(blocking=False):
            raise OutOfResources("too many are opening shares at the moment")
        try:
            if not self._database.write(lambda c: shares.charge(c, one.id)):
                raise Gone(ENDINGS[State.LOCKED])
            with self._room:
                right = verifies(one.passcode_hash, passcode[: LONGEST_PASSCODE + 1].encode())
        finally:
            self._door.release()
        if not right:
            raise NotSignedIn("the passcode is wrong")
        self._database.write(lambda c: shares.give_back(c, one.id))

    def _refuse(self, one: Share, who: Actor, reason: str) -> None:
        self._from.failed(who.address)
        used = Used(one.id, self._clock(), who.address, Use.REFUSED)
        with suppress(ArchiveError):
            self._database.write(lambda c: shares.note(c, used))
        self._auditing.signed_in(who, failed=reason)

    def _record(self, connection: Connection, actor: Actor, one: Share, done: str) -> None:
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.expires_at))
        how = "download" if one.may_download else "view only"
        passcode = "passcode" if one.passcode_hash else "no passcode"
        times = f"{one.most_uses} uses" if one.most_uses else "any number of uses"
        purpose = f", purpose: {one.purpose}" if one.purpose else ""
        text = (
            f"share {one.id} {done}: for {one.recipient}, until {until}, {how}, {passcode}, {times}{purpose}"
        )
        if one.deidentified is None:
            self._auditing.access_changed(connection, actor, one.studies, one.user, text)
            return
        options = ", ".join(one.deidentified.options.names) or "no options"
        for uid in one.studies:
            shown = one.deidentified.replacements.uid(uid)
            said = f"{text}, de-identified (PS3.15 E, {options}) as study {shown}"
            self._auditing.access_changed(connection, actor, (uid,), one.user, said)
