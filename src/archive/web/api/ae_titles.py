"""/api/ae-titles: the known AE titles and their rules; changing them; and C-ECHO, which says at which step it fails."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import NotFound
from archive.remote import echo_scu
from archive.remote.peer import peer_of
from archive.security.ae_titles import AETitle
from archive.security.identity import password_hash
from archive.security.operations import Operation
from archive.security.rule_facts import FACTS, Kind
from archive.security.rules import DEFAULT_RULES, Rules
from archive.web.api import json_body
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_TYPES: dict[Kind, type] = {Kind.FLAG: bool, Kind.NUMBER: int, Kind.TEXT: str, Kind.LIST: list}
_MEMBERS = {"title": str, "host": str, "port": int, "rules": dict}
_CHANGES = {name: kind for name, kind in _MEMBERS.items() if name != "title"}
_RULES = {**{fact.name: _TYPES[fact.kind] for fact in FACTS}, "password": str, "has_password": bool}
_OPERATIONS = frozenset(operation.value for operation in Operation)


def search(archive: Archive, _asked: Asked) -> Answer:
    """All of them, by name."""
    return json_body.answer([form(entry) for entry in archive.ae_titles.all()])


def retrieve(archive: Archive, asked: Asked) -> Answer:
    """One. Raises NotFound."""
    entry = archive.ae_titles.get(asked.path["title"])
    if entry is None:
        raise _unknown()
    return json_body.answer(form(entry))


def put(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Make known or change: what the body does not name gets its default, but a password stays until another one is
    given. Raises RequestRefused, InvalidEntry."""

    def act(value: Any) -> Answer:
        said = json_body.members(value, _MEMBERS)
        title = asked.path["title"]
        if said.get("title", title) != title:
            raise RequestRefused("the title in the body is not that of the URL")
        if "host" not in said or "port" not in said:
            raise RequestRefused("an AE title needs host and port")
        known = archive.ae_titles.get(title)
        rules = _rules(said.get("rules", {}), known.rules if known else DEFAULT_RULES)
        entry = archive.ae_titles.add(title, said["host"], said["port"], rules, by=asked.actor)
        return json_body.answer(form(entry), 200 if known else 201)

    return json_body.taker(asked, act)


def change(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Change what the body names of a known one, of its rules as well; the rest stays. Raises RequestRefused, NotFound,
    InvalidEntry."""

    def act(value: Any) -> Answer:
        said = json_body.members(value, _CHANGES)
        known = archive.ae_titles.get(asked.path["title"])
        if known is None:
            raise _unknown()
        rules = replace(known.rules, **_named(said.get("rules", {}), known.rules))
        host, port = said.get("host", known.host), said.get("port", known.port)
        return json_body.answer(form(archive.ae_titles.add(known.title, host, port, rules, by=asked.actor)))

    return json_body.taker(asked, act)


def remove(archive: Archive, asked: Asked) -> Answer:
    """Forget one. Raises NotFound."""
    if not archive.ae_titles.remove(asked.path["title"], by=asked.actor):
        raise _unknown()
    return Answer(204)


def echo(archive: Archive, asked: Asked) -> Answer:
    """Ask it whether it is there (C-ECHO), and say how far that came. Raises NotFound."""
    entry = archive.ae_titles.get(asked.path["title"])
    if entry is None:
        raise _unknown()
    began = time.monotonic()
    outcome = echo_scu.echo(peer_of(entry, archive.settings))
    said = {
        "ok": outcome.ok,
        "step": outcome.step.name.lower(),
        "reason": outcome.reason or outcome.step.value,
        "milliseconds": round((time.monotonic() - began) * 1000),
    }
    return json_body.answer(said)


def form(entry: AETitle) -> dict[str, Any]:
    """An entry as JSON. A password is only said to be there."""
    rules = {fact.name: _value(getattr(entry.rules, fact.name)) for fact in FACTS}
    rules["has_password"] = bool(entry.rules.password_hash)
    return {"title": entry.title, "host": entry.host, "port": entry.port, "rules": rules}


def _value(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(operation.value for operation in value)
    return list(value) if isinstance(value, tuple) else value


def _rules(value: Any, known: Rules) -> Rules:
    return Rules(**_named(value, known))


def _named(value: Any, known: Rules) -> dict[str, Any]:
    """The rules that are named, and the password, which stays until another one is given."""
    said = dict(json_body.members(value, _RULES))
    said.pop("has_password", None)  # as it comes from GET
    password = said.pop("password", None)
    for name, values in said.items():
        if isinstance(values, list):
            said[name] = _texts(name, values)
    kept = password_hash(password) if password is not None else known.password_hash
    return {**said, "password_hash": kept}


def _texts(name: str, values: list[Any]) -> tuple[str, ...] | frozenset[Operation]:
    if not all(isinstance(one, str) for one in values):
        raise RequestRefused(f"the member {name} has to be an array of texts")
    if name != "operations":
        return tuple(values)
    if not set(values) <= _OPERATIONS:
        raise RequestRefused(f"operations are {', '.join(sorted(_OPERATIONS))}")
    return frozenset(map(Operation, values))


def _unknown() -> NotFound:
    return NotFound("this AE title is not known; GET /api/ae-titles lists those that are")
