"""/api/people and /api/credentials: who may sign in, with which roles, and what they have signed in with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archive.dicom.errors import NotFound
from archive.security.people import Credential, Person
from archive.security.roles import Role, roles_named
from archive.security.views import texts_of
from archive.web.api import json_body, listing, session
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_CHANGES = {"full_name": str, "roles": list, "disabled": bool, "password": str, "see": list}
_MEMBERS = {"name": str, **_CHANGES}
_DIGITS = 18


def search(archive: Archive, _asked: Asked) -> Answer:
    """All of them, by name."""
    return json_body.answer([form(one) for one in archive.people.all()])


def retrieve(archive: Archive, asked: Asked) -> Answer:
    """One. Raises NotFound, InvalidEntry."""
    return json_body.answer(form(archive.people.get(asked.path["person"])))


def add(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Make somebody known; without a password they can use tokens alone. Raises RequestRefused, InvalidEntry."""

    def act(value: Any) -> Answer:
        said = json_body.members(value, _MEMBERS)
        if "name" not in said or "roles" not in said:
            raise RequestRefused("somebody who is made known needs name and roles")
        if said.get("disabled"):
            raise RequestRefused("somebody who may not sign in need not be made known")
        roles = roles_of(said["roles"])
        password = _password(asked, said) or ""
        one = archive.people.add(
            said["name"],
            said.get("full_name", ""),
            roles,
            password,
            seen(said.get("see", [])),
            by=asked.actor,
        )
        return json_body.answer(form(one), 201)

    return json_body.taker(asked, act)


def change(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Change what the body names; the rest stays. Raises RequestRefused, InvalidEntry, NotFound, LastAdministrator."""

    def act(value: Any) -> Answer:
        said = json_body.members(value, _CHANGES)
        roles = roles_of(said["roles"]) if "roles" in said else None
        one = archive.people.change(
            asked.path["person"],
            full_name=said.get("full_name"),
            roles=roles,
            disabled=said.get("disabled"),
            password=_password(asked, said),
            see=seen(said["see"]) if "see" in said else None,
            by=asked.actor,
        )
        return json_body.answer(form(one))

    return json_body.taker(asked, act)


def remove(archive: Archive, asked: Asked) -> Answer:
    """Forget one: out at once. Raises NotFound, InvalidEntry, LastAdministrator."""
    archive.people.remove(asked.path["person"], by=asked.actor)
    return Answer(204)


def reset_second_factor(archive: Archive, asked: Asked) -> Answer:
    """Take off the second factor of who has lost it. Raises NotFound, InvalidEntry."""
    archive.second_factors.remove(asked.path["person"], by=asked.actor)
    return Answer(204)


def credentials(archive: Archive, asked: Asked) -> Answer:
    """What one has signed in with, and is in force. Raises NotFound, InvalidEntry."""
    one = archive.people.get(asked.path["person"])
    return json_body.answer([credential_form(each) for each in archive.people.credentials(one.name)])


def revoke(archive: Archive, asked: Asked) -> Answer:
    """End a session or a token of anybody. Raises NotFound."""
    archive.people.revoke(number(asked), by=asked.actor)
    return Answer(204)


def form(one: Person) -> dict[str, Any]:
    """Somebody as JSON. A password is only said to be there."""
    return {
        "name": one.name,
        "full_name": one.full_name,
        "roles": sorted(role.value for role in one.roles),
        "disabled": one.disabled,
        "has_password": bool(one.password_hash),
        "has_second_factor": one.has_second_factor,
        "see": list(texts_of(one.view)),
    }


def credential_form(one: Credential) -> dict[str, Any]:
    """A session or a token as JSON."""
    return {
        "id": one.id,
        "name": one.name,
        "kind": one.kind.value,
        "label": one.label,
        "roles": sorted(role.value for role in one.roles),
        "see": list(texts_of(one.view)),
        "created_at": listing.moment(one.created_at),
        "used_at": listing.moment(one.used_at),
        "expires_at": listing.moment(one.expires_at),
    }


def roles_of(names: list[Any]) -> frozenset[Role]:
    """The roles of these names. Raises RequestRefused, InvalidEntry."""
    if not all(isinstance(name, str) for name in names):
        raise RequestRefused("roles are texts")
    return roles_named(names)


def seen(lines: list[Any]) -> list[str]:
    """What somebody is to see, a text for each grant; none: everything. The texts are read where they are kept, as
    those of the command line. Raises RequestRefused."""
    if not all(isinstance(line, str) for line in lines):
        raise RequestRefused(
            "see is an array of texts, such as institution=St. Mary*; modality=CT; [] is all studies"
        )
    return lines


def number(asked: Asked) -> int:
    """That of a session or a token. Raises NotFound."""
    text = asked.path["credential"]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise NotFound("there is no session or token of this number")
    return int(text)


def _password(asked: Asked, said: dict[str, Any]) -> str | None:
    if "password" not in said:
        return None
    session.check_private(asked)
    given: str = said["password"]
    return given
