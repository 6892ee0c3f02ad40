"""People, and the sessions and tokens that they have signed in with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from archive.index import second_factors, shares
from archive.index.database import Connection
from archive.index.people_schema import comes_from_issuer, credential, person, spent_state
from archive.index.sql import insert_unless_there
from archive.security.people import BARRED, Credential, Kind, Person
from archive.security.roles import Role, roles_named
from archive.security.views import View

_PERSON = (
    person.c.name,
    person.c.full_name,
    person.c.roles,
    person.c.password_hash,
    person.c.disabled_at,
    person.c.issuer,
    person.c.subject,
    person.c.see,
    second_factors.HAS_ONE,
)
_CREDENTIAL = (
    credential.c.id,
    person.c.name,
    credential.c.kind,
    credential.c.label,
    credential.c.roles,
    credential.c.see,
    credential.c.created_at,
    credential.c.used_at,
    credential.c.expires_at,
)


def everybody(connection: Connection) -> list[Person]:
    """All of them, by name."""
    return [_person(*row) for row in connection.execute(sa.select(*_PERSON).order_by(person.c.name))]


def get(connection: Connection, name: str) -> Person | None:
    """Who has this name."""
    row = connection.execute(sa.select(*_PERSON).where(person.c.name == name)).first()
    return _person(*row) if row else None


def administrators(connection: Connection) -> frozenset[str]:
    """Who administers the archive, which nobody does who has a view, and may sign in; nobody changes them until the
    transaction ends."""
    named = sa.select(person.c.name, person.c.roles).where(
        person.c.disabled_at == 0, person.c.see == "", person.c.roles.contains(Role.ADMINISTRATOR.value)
    )
    rows = connection.execute(named.order_by(person.c.name).with_for_update())
    return frozenset(name for name, _ in rows)


def add(connection: Connection, one: Person, now: float) -> bool:
    """Make somebody known; False where the name is taken."""
    values = {"name": one.name, "added_at": now, **_values(one, now)}
    values |= {"issuer": one.issuer, "subject": one.subject}
    return insert_unless_there(connection, person, values) is not None


def at_issuer(connection: Connection, issuer: str, subject: str) -> Person | None:
    """Who this is that an issuer speaks of."""
    theirs = comes_from_issuer, person.c.issuer == issuer, person.c.subject == subject
    row = connection.execute(sa.select(*_PERSON).where(*theirs)).first()
    return _person(*row) if row else None


def describe(connection: Connection, one: Person, *, view: bool = False) -> None:
    """Keep what an issuer says of somebody, and nothing else: whether they may sign in is said here, and what they see
    as well unless `view`."""
    values = {"full_name": one.full_name, "roles": _text(one.roles)}
    values |= {"see": _see(one.view)} if view else {}
    connection.execute(sa.update(person).where(person.c.name == one.name).values(values))


def bar(connection: Connection, name: str, now: float) -> None:
    """Forget somebody of an issuer but for who they are there, so that they do not come back: their name is free,
    what they had signed in with is void."""
    revoke_all(connection, name)
    shares.revoke_all_of(connection, name, now)
    barred = sa.literal(BARRED) + sa.cast(person.c.id, sa.Text())
    values = {"name": barred, "full_name": "", "roles": "", "disabled_at": now}
    connection.execute(sa.update(person).where(person.c.name == name).values(values))


def spend(connection: Connection, digest: str, until: float, now: float) -> bool:
    """Remember until then that this was used; False where it was before."""
    connection.execute(sa.delete(spent_state).where(spent_state.c.expires_at <= now))
    return insert_unless_there(connection, spent_state, {"digest": digest, "expires_at": until}) is not None


def change(connection: Connection, one: Person, now: float) -> bool:
    """Keep what is said of somebody now; False where there is nobody of that name. What a disabled person had signed
    in with is void, and what they had shared is shared no longer."""
    changed = sa.update(person).where(person.c.name == one.name).values(_values(one, now))
    if one.disabled:
        revoke_all(connection, one.name)
        shares.revoke_all_of(connection, one.name, now)
    return connection.execute(changed).rowcount > 0


def remove(connection: Connection, name: str, now: float) -> bool:
    """Forget somebody, and what they had signed in with or shared; False where there is nobody of that name."""
    revoke_all(connection, name)
    shares.revoke_all_of(connection, name, now)
    second_factors.remove(connection, name)
    return connection.execute(sa.delete(person).where(person.c.name == name)).rowcount > 0


def keep(connection: Connection, of: Person, digest: str, one: Credential) -> bool:
    """Keep a session or a token of somebody; False where they may not sign in any more, or have another password
    than they had, or a second factor that they had not."""
    factor = second_factors.HAS_ONE if of.has_second_factor else ~second_factors.HAS_ONE
    as_it_was = person.c.name == of.name, person.c.password_hash == of.password_hash, factor
    found = sa.select(person.c.id).where(*as_it_was, person.c.disabled_at == 0)
    key = connection.execute(found.with_for_update()).scalar()
    if key is None:
        return False
    values = {
        "person_id": key,
        "kind": one.kind.value,
        "digest": digest,
        "label": one.label,
        "roles": _text(one.roles),
        "see": _see(one.view),
        "created_at": one.created_at,
        "used_at": one.used_at,
        "expires_at": one.expires_at,
    }
    connection.execute(sa.insert(credential).values(values))
    return True


def whose(connection: Connection, digest: str) -> tuple[Person, Credential] | None:
    """Whose session or token this is."""
    joined = sa.join(credential, person, credential.c.person_id == person.c.id)
    found = sa.select(*_PERSON, *_CREDENTIAL).select_from(joined).where(credential.c.digest == digest)
    row = connection.execute(found).first()
    if row is None:
        return None
    return _person(*row[: len(_PERSON)]), _credential(*row[len(_PERSON) :])


def used(connection: Connection, key: int, now: float) -> None:
    """Remember when a session or token was used last."""
    connection.execute(sa.update(credential).where(credential.c.id == key).values(used_at=now))


def credentials(connection: Connection, name: str | None = None) -> list[Credential]:
    """The sessions and tokens of somebody, or of everybody, the newest first."""
    joined = sa.join(credential, person, credential.c.person_id == person.c.id)
    found = sa.select(*_CREDENTIAL).select_from(joined).order_by(credential.c.id.desc())
    if name is not None:
        found = found.where(person.c.name == name)
    return [_credential(*row) for row in connection.execute(found)]


def revoke(connection: Connection, key: int, name: str | None = None) -> str:
    """End a session or token, of somebody where a name is given: whose it was, empty where there is none."""
    of = sa.select(person.c.name).where(person.c.id == credential.c.person_id).scalar_subquery()
    ended = sa.delete(credential).where(credential.c.id == key)
    if name is not None:
        ended = ended.where(of == name)
    whose_it_was: str | None = connection.execute(ended.returning(of)).scalar()
    return whose_it_was or ""


def sign_out(connection: Connection, digest: str) -> str:
    """End the session of this secret: whose it was, empty where there is none."""
    of = sa.select(person.c.name).where(person.c.id == credential.c.person_id).scalar_subquery()
    ended = sa.delete(credential).where(
        credential.c.digest == digest, credential.c.kind == Kind.SESSION.value
    )
    name: str | None = connection.execute(ended.returning(of)).scalar()
    return name or ""


def revoke_all(connection: Connection, name: str, kind: Kind | None = None) -> None:
    """End all sessions and tokens of somebody, or those of one kind."""
    theirs = sa.select(person.c.id).where(person.c.name == name)
    ended = sa.delete(credential).where(credential.c.person_id.in_(theirs))
    connection.execute(ended if kind is None else ended.where(credential.c.kind == kind.value))


def end_sessions_but(connection: Connection, name: str, digest: str) -> None:
    """End all sessions of somebody but the one of this secret."""
    theirs = sa.select(person.c.id).where(person.c.name == name)
    sessions = credential.c.person_id.in_(theirs), credential.c.kind == Kind.SESSION.value
    connection.execute(sa.delete(credential).where(*sessions, credential.c.digest != digest))


def forget_expired(connection: Connection, now: float) -> None:
    """Those that nobody can use any more."""
    connection.execute(sa.delete(credential).where(credential.c.expires_at <= now))


def _values(one: Person, now: float) -> dict[str, Any]:
    return {
        "full_name": one.full_name,
        "roles": _text(one.roles),
        "see": _see(one.view),
        "password_hash": one.password_hash,
        "disabled_at": now if one.disabled else 0.0,
    }


def _text(roles: Iterable[Role]) -> str:
    return ",".join(sorted(role.value for role in roles))


def _roles(text: str) -> frozenset[Role]:
    return roles_named(text.split(",")) if text else frozenset()


def _see(view: View | None) -> str:
    return "" if view is None else json.dumps(view.texts)


def _view(see: str) -> View | None:
    return View.read(json.loads(see)) if see else None


def _person(
    name: str,
    full_name: str,
    roles: str,
    password_hash: str,
    disabled_at: float,
    issuer: str,
    subject: str,
    see: str,
    has_second_factor: bool,
) -> Person:
    return Person(
        name,
        full_name,
        _roles(roles),
        password_hash,
        disabled_at > 0,
        issuer,
        subject,
        _view(see),
        bool(has_second_factor),
    )


def _credential(
    key: int,
    name: str,
    kind: str,
    label: str,
    roles: str,
    see: str,
    created: float,
    used_at: float,
    expires: float,
) -> Credential:
    return Credential(key, name, Kind(kind), label, _roles(roles), created, used_at, expires, _view(see))
