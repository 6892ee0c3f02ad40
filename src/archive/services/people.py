"""The people who may sign in, and what each of them has signed in with. What is changed here is in effect at once, in
every worker: each request asks the index whose secret it brings. Each change is in the audit trail with who made it
(`by`), in the same transaction."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from archive.audit import codes
from archive.audit.codes import Code
from archive.dicom.errors import InvalidEntry, LastAdministrator, NotFound
from archive.index import people
from archive.index.database import Connection, Database
from archive.security.actor import THE_ARCHIVE, Actor
from archive.security.identity import password_hash
from archive.security.people import (
    BARRED,
    Credential,
    Kind,
    Person,
    check_password,
    digest,
    name_of,
    new_secret,
)
from archive.security.roles import Role
from archive.security.views import View, view_of
from archive.services.auditing import Auditing

DAY = 86400.0
LONGEST_TEXT = 200
LONGEST_DAYS = 3660.0
_LARGEST_NUMBER = 2**63 - 1


class People:
    """Those that the index knows."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.time,
        auditing: Auditing | None = None,
        issuer: str = "",
        *,
        issuer_says_views: bool = False,
    ) -> None:
        """`issuer_says_views`: who comes from the issuer sees what that says, and nothing else can be said here."""
        self._database = database
        self._clock = clock
        self._auditing = auditing
        self._issuer = issuer
        self._issuer_says_views = issuer_says_views

    def all(self) -> list[Person]:
        """Everybody, by name."""
        with self._database.read() as connection:
            return people.everybody(connection)

    def may_be_given_a_view(self, one: Person) -> bool:
        """Whether it is said here what somebody sees, and not by the issuer."""
        return not (self._issuer_says_views and one.issuer and one.issuer == self._issuer)

    def get(self, name: str) -> Person:
        """Who has this name. Raises NotFound, InvalidEntry."""
        with self._database.read() as connection:
            return _known(connection, name)

    def add(
        self,
        name: str,
        full_name: str,
        roles: Iterable[Role],
        password: str = "",
        see: Sequence[str] = (),
        *,
        by: Actor = THE_ARCHIVE,
    ) -> Person:
        """Make somebody known; without a password they can use tokens alone. `see`: what they see of the studies, a
        text for each grant; none: all of them. Raises InvalidEntry."""
        kept = password_hash(check_password(password)) if password else ""
        one = Person(name_of(name), _line(full_name), frozenset(roles), kept, view=view_of(see))

        def act(connection: Connection) -> None:
            if not people.add(connection, one, self._clock()):
                raise InvalidEntry(f"name: {one.name} is taken")
            said = f"{one.name} was made known as {_named(one.roles)}"
            said += f", and sees {one.view}" if one.view is not None else ""
            self._record(connection, by, codes.USER_SECURITY_CHANGED, said, one.name)

        self._database.write(act)
        return one

    def change(
        self,
        name: str,
        *,
        full_name: str | None = None,
        roles: Iterable[Role] | None = None,
        disabled: bool | None = None,
        password: str | None = None,
        see: Sequence[str] | None = None,
        by: Actor = THE_ARCHIVE,
    ) -> Person:
        """Change what is said of somebody; what is not named stays. Whoever is disabled is out at once. With another
        password every session of theirs ends, their tokens stay. `see` as in `add`. Raises NotFound, InvalidEntry,
        LastAdministrator."""
        kept = None if password is None else password_hash(check_password(password))
        wanted: dict[str, Any] = {
            "full_name": None if full_name is None else _line(full_name),
            "roles": None if roles is None else frozenset(roles),
            "disabled": disabled,
            "password_hash": kept,
        }
        named = {member: value for member, value in wanted.items() if value is not None}
        named |= {} if see is None else {"view": view_of(see)}

        def act(connection: Connection) -> Person:
            administrators = people.administrators(connection)
            before = _known(connection, name)
            _check_password_is_here(before, kept)
            self._check_view_is_here(before, see)
            changed = dataclasses.replace(before, **named)
            if not _administers(changed):
                _check_others(administrators, before.name)
            people.change(connection, changed, self._clock())
            if kept is not None:
                people.revoke_all(connection, changed.name, Kind.SESSION)
            for kind, said in _changes(before, changed):
                self._record(connection, by, kind, said, changed.name)
            return changed

        return self._database.write(act)

    def set_password(self, name: str, password: str, *, by: Actor = THE_ARCHIVE) -> None:
        """Give somebody another password: every session of theirs ends, their tokens stay. Raises NotFound,
        InvalidEntry."""
        self.change(name, password=password, by=by)

    def remove(self, name: str, *, by: Actor = THE_ARCHIVE) -> None:
        """Forget somebody: out at once, with all tokens. Of somebody whom the issuer would vouch for again it stays
        known who that is, so that they do not come back; removed once more, they may. Raises NotFound, InvalidEntry,
        LastAdministrator."""
        folded = name_of(name)

        def act(connection: Connection) -> None:
            _check_others(people.administrators(connection), folded)
            one = _known(connection, folded)
            if one.issuer and one.issuer == self._issuer and not one.name.startswith(BARRED):
                people.bar(connection, one.name, self._clock())
            else:
                people.remove(connection, one.name, self._clock())
            self._record(connection, by, codes.USER_SECURITY_CHANGED, f"{folded} was removed", folded)

        self._database.write(act)

    def issue(
        self,
        name: str,
        label: str,
        days: float,
        roles: Iterable[Role] = (),
        see: Sequence[str] = (),
        *,
        by: Actor = THE_ARCHIVE,
    ) -> tuple[str, Credential]:
        """A new token of somebody, for so many days: its secret, which is told once, and what is kept of it. `roles`
        narrow what it may do, `see` what it shows of what its owner sees, whenever it is used: nothing can be said
        that widens it. Raises NotFound, InvalidEntry."""
        one, now, secret = self.get(name), self._clock(), new_secret(Kind.TOKEN)
        if not 0 < days <= LONGEST_DAYS:
            raise InvalidEntry(f"days: more than none, and no more than {LONGEST_DAYS:.0f}")
        narrowed = frozenset(roles)
        made = Credential(
            0, one.name, Kind.TOKEN, _line(label), narrowed, now, now, now + days * DAY, view_of(see)
        )

        def act(connection: Connection) -> None:
            if not people.keep(connection, one, digest(secret), made):
                raise NotFound(f"{one.name} may not sign in: `archive user set {one.name} --enable`")
            said = f"a token of {one.name} was made, for {made.label or 'nothing that is named'}"
            said += f", and shows {made.view}" if made.view is not None else ""
            self._record(connection, by, codes.USER_SECURITY_CHANGED, said, one.name)

        self._database.write(act)
        return secret, made

    def credentials(self, name: str | None = None) -> list[Credential]:
        """Sessions and tokens, of one or of all, the newest first. Raises InvalidEntry."""
        wanted = None if name is None else name_of(name)
        with self._database.read() as connection:
            found = people.credentials(connection, wanted)
        return [one for one in found if one.expires_at > self._clock()]

    def revoke(self, key: int, *, name: str | None = None, by: Actor = THE_ARCHIVE) -> None:
        """End a session or a token, only one of theirs where a name is given: the next request that brings it is
        refused. Raises NotFound, InvalidEntry."""
        wanted = None if name is None else name_of(name)

        def act(connection: Connection) -> None:
            whose = people.revoke(connection, key, wanted) if key <= _LARGEST_NUMBER else ""
            if not whose:
                raise NotFound("there is no such session or token; it may have ended")
            said = f"session or token {key} of {whose} was ended"
            self._record(connection, by, codes.USER_SECURITY_CHANGED, said, whose)

        self._database.write(act)

    def _check_view_is_here(self, one: Person, see: Sequence[str] | None) -> None:
        if see is not None and not self.may_be_given_a_view(one):
            raise InvalidEntry(
                f"see: {one.issuer} says what {one.name} sees (openid.view_claim): change it there"
            )

    def _record(self, connection: Connection, by: Actor, kind: Code, said: str, about: str) -> None:
        if self._auditing is not None:
            self._auditing.configured(connection, by, kind, said, about)


def _changes(before: Person, after: Person) -> Iterable[tuple[Code, str]]:
    """What is told of a change, a sentence for each kind."""
    if before.roles != after.roles:
        was, now = _named(before.roles), _named(after.roles)
        yield codes.SECURITY_ROLES_CHANGED, f"roles of {after.name}: {now}; before: {was}"
    if before.view != after.view:
        told = f"{after.name} sees {_seen(after.view)}; before: {_seen(before.view)}"
        yield codes.SECURITY_ROLES_CHANGED, told
    said = [f"full name {after.full_name!r}"] if before.full_name != after.full_name else []
    said += ["another password"] if before.password_hash != after.password_hash else []
    said += ["disabled" if after.disabled else "enabled"] if before.disabled != after.disabled else []
    if said:
        yield codes.USER_SECURITY_CHANGED, f"{after.name}: {', '.join(said)}"


def _administers(one: Person) -> bool:
    return not one.disabled and one.view is None and Role.ADMINISTRATOR in one.roles


def _check_password_is_here(one: Person, kept: str | None) -> None:
    if kept is not None and one.issuer:
        raise InvalidEntry(f"{one.name} comes from {one.issuer}, and has no password here")


def _check_others(administrators: frozenset[str], name: str) -> None:
    if administrators == {name}:
        raise LastAdministrator(
            f"{name} is the only administrator who may sign in: give somebody else the role administrator first"
        )


def _named(roles: Iterable[Role]) -> str:
    return ", ".join(sorted(role.value for role in roles)) or "nothing"


def _seen(view: View | None) -> str:
    return "all studies" if view is None else str(view)


def _known(connection: Connection, name: str) -> Person:
    found = people.get(connection, name_of(name))
    if found is None:
        raise _unknown(name)
    return found


def _line(text: str) -> str:
    if len(text) > LONGEST_TEXT or not (text.isprintable()):
        raise InvalidEntry(f"a name or label has at most {LONGEST_TEXT} characters, all of them printable")
    return text.strip()


def _unknown(name: str) -> NotFound:
    return NotFound(f"nobody is called {name_of(name)}; `archive user list` shows who is known")
