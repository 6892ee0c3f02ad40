"""The people who may sign in, and what each of them has signed in with. What is changed here is in effect at once, in
every worker: each request asks the index whose secret it brings."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable

from archive.dicom.errors import InvalidEntry, NotFound
from archive.index import people
from archive.index.database import Database
from archive.security.identity import password_hash
from archive.security.people import Credential, Kind, Person, check_password, digest, name_of, new_secret
from archive.security.roles import Role

DAY = 86400.0
LONGEST_TEXT = 200


class People:
    """Those that the index knows."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> list[Person]:
        """Everybody, by name."""
        with self._database.read() as connection:
            return people.everybody(connection)

    def get(self, name: str) -> Person:
        """Who has this name. Raises NotFound, InvalidEntry."""
        with self._database.read() as connection:
            found = people.get(connection, name_of(name))
        if found is None:
            raise _unknown(name)
        return found

    def add(self, name: str, full_name: str, roles: Iterable[Role], password: str = "") -> Person:
        """Make somebody known; without a password they can use tokens alone. Raises InvalidEntry."""
        kept = password_hash(check_password(password)) if password else ""
        one = Person(name_of(name), _line(full_name), frozenset(roles), kept)
        if not self._database.write(lambda c: people.add(c, one, self._clock())):
            raise InvalidEntry(f"name: {one.name} is taken")
        return one

    def change(
        self,
        name: str,
        *,
        full_name: str | None = None,
        roles: Iterable[Role] | None = None,
        disabled: bool | None = None,
    ) -> Person:
        """Change what is said of somebody; what is not named stays. Whoever is disabled is out at once. Raises
        NotFound, InvalidEntry."""
        one = self.get(name)
        changed = dataclasses.replace(
            one,
            full_name=one.full_name if full_name is None else _line(full_name),
            roles=one.roles if roles is None else frozenset(roles),
            disabled=one.disabled if disabled is None else disabled,
        )
        self._keep(changed)
        return changed

    def set_password(self, name: str, password: str) -> None:
        """Give somebody another password: every session of theirs ends, their tokens stay. Raises NotFound,
        InvalidEntry."""
        changed = dataclasses.replace(self.get(name), password_hash=password_hash(check_password(password)))
        self._keep(changed)
        self._database.write(lambda c: people.revoke_all(c, changed.name, Kind.SESSION))

    def remove(self, name: str) -> None:
        """Forget somebody: out at once, with all tokens. Raises NotFound, InvalidEntry."""
        if not self._database.write(lambda c: people.remove(c, name_of(name))):
            raise _unknown(name)

    def issue(self, name: str, label: str, days: float, roles: Iterable[Role] = ()) -> tuple[str, Credential]:
        """A new token of somebody, for so many days: its secret, which is told once, and what is kept of it. `roles`
        narrow what it may do. Raises NotFound, InvalidEntry."""
        one, now, secret = self.get(name), self._clock(), new_secret(Kind.TOKEN)
        if not days > 0:
            raise InvalidEntry("days: more than none")
        narrowed = frozenset(roles)
        made = Credential(0, one.name, Kind.TOKEN, _line(label), narrowed, now, now, now + days * DAY)
        if not self._database.write(lambda c: people.keep(c, one, digest(secret), made)):
            raise NotFound(f"{one.name} may not sign in: `archive user set {one.name} --enable`")
        return secret, made

    def credentials(self, name: str | None = None) -> list[Credential]:
        """Sessions and tokens, of one or of all, the newest first. Raises InvalidEntry."""
        wanted = None if name is None else name_of(name)
        with self._database.read() as connection:
            found = people.credentials(connection, wanted)
        return [one for one in found if one.expires_at > self._clock()]

    def revoke(self, key: int) -> None:
        """End a session or a token: the next request that brings it is refused. Raises NotFound."""
        if not self._database.write(lambda c: people.revoke(c, key)):
            raise NotFound("there is no such session or token; it may have ended")

    def _keep(self, one: Person) -> None:
        if not self._database.write(lambda c: people.change(c, one, self._clock())):
            raise _unknown(one.name)


def _line(text: str) -> str:
    if len(text) > LONGEST_TEXT or not (text.isprintable()):
        raise InvalidEntry(f"a name or label has at most {LONGEST_TEXT} characters, all of them printable")
    return text.strip()


def _unknown(name: str) -> NotFound:
    return NotFound(f"nobody is called {name_of(name)}; `archive user list` shows who is known")
