"""The options of `archive ae add` and `set`, made from the table of rules: a rule that is added there has its option.

A list has two options, one that puts a value in and one that takes it out; what is not named stays as it is.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import typer

from archive.security.identity import password_hash
from archive.security.operations import ALL_OPERATIONS, Operation
from archive.security.rule_facts import FACTS, Fact, Kind
from archive.security.rules import DEFAULT_RULES, Rules
from archive.security.titles import unescaped

ALL = "all"
_REMOVED = "no_"
_TYPES = {Kind.FLAG: bool, Kind.NUMBER: int, Kind.TEXT: str}
_ASKED_FOR = "set_password"


@dataclass(frozen=True, slots=True)
class Changes:
    """What the options say; None and empty lists are not said."""

    said: Mapping[str, Any] = field(default_factory=dict)

    def applied(self, rules: Rules) -> Rules:
        """The rules with these changes. Raises ConfigurationError for no password where one was announced."""
        values: dict[str, Any] = {}
        for fact in FACTS:
            if fact.name == "operations":
                values[fact.name] = self._operations(rules.operations)
            elif fact.kind is Kind.LIST:
                values[fact.name] = self._list(fact, getattr(rules, fact.name))
            elif self.said[fact.name] is not None:
                values[fact.name] = self.said[fact.name]
        if self.said[_ASKED_FOR]:
            values["password_hash"] = password_hash(_password())
        return replace(rules, **values)

    def _list(self, fact: Fact, now: tuple[str, ...]) -> tuple[str, ...]:
        added, removed = (self._texts(fact, prefix) for prefix in ("", _REMOVED))
        return tuple(value for value in (*now, *added) if value not in removed or value in added)

    def _texts(self, fact: Fact, prefix: str) -> list[str]:
        texts = self.said[prefix + fact.name] or []
        return [unescaped(text) for text in texts] if fact.name == "aliases" else list(texts)

    def _operations(self, now: Iterable[Operation]) -> frozenset[Operation]:
        """Denied first: `--deny all --allow store`."""
        denied = _named(self.said[f"{_REMOVED}operations"] or [])
        return (frozenset(now) - denied) | _named(self.said["operations"] or [])


NO_CHANGES = Changes()


def ruled(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each rule. It is called with the last parameter, `changes`, made of them."""

    @functools.wraps(command)
    def called(**options: Any) -> None:
        said = {parameter.name: options.pop(parameter.name) for parameter in _PARAMETERS}
        command(**options, changes=Changes(said))

    own = list(inspect.signature(command, eval_str=True).parameters.values())
    called.__signature__ = inspect.Signature([*own[:-1], *_PARAMETERS])  # type: ignore[attr-defined]
    called.__annotations__ = {}
    return called


def described(rules: Rules) -> list[tuple[str, str]]:
    """Every rule and its value, as a person reads it. A password is only said to be there."""
    rows = [(fact.name, _shown(getattr(rules, fact.name))) for fact in FACTS]
    return [*rows, ("password", "set" if rules.password_hash else "not set")]


def differing(rules: Rules) -> list[str]:
    """The names of the rules that are not what they are by default."""
    return [fact.name for fact in FACTS if getattr(rules, fact.name) != getattr(DEFAULT_RULES, fact.name)]


def _shown(value: Any) -> str:
    if isinstance(value, frozenset):
        return ALL if value == ALL_OPERATIONS else ", ".join(sorted(one.value for one in value)) or "none"
    if isinstance(value, tuple):
        return ", ".join(one or '""' for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _named(names: Iterable[str]) -> frozenset[Operation]:
    found: set[Operation] = set()
    for name in names:
        found |= ALL_OPERATIONS if name == ALL else {Operation(name)}
    return frozenset(found)


def _password() -> str:
    """Typed twice without being shown, or the first line of what is piped in: never an argument, which everybody on
    the machine can read."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise typer.BadParameter("no password came on standard input", param_hint="--set-password")
    return password


def _parameters() -> Iterable[inspect.Parameter]:
    for fact in FACTS:
        if fact.kind is Kind.LIST:
            yield _parameter(fact.name, list[str], fact.sentence, fact, fact.add)
            yield _parameter(
                _REMOVED + fact.name, list[str], f"The opposite of {fact.add}.", fact, fact.remove
            )
        elif fact.kind is Kind.FLAG:
            yield _parameter(fact.name, bool, fact.sentence, fact, f"{fact.option}/--no-{fact.option[2:]}")
        else:
            yield _parameter(fact.name, _TYPES[fact.kind], fact.sentence, fact, fact.option)
    sentence = "Ask for the password of the user, or read it from standard input."
    option = typer.Option("--set-password", help=sentence, show_default=False)
    yield inspect.Parameter(
        _ASKED_FOR, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]
    )


def _parameter(name: str, kind: Any, sentence: str, fact: Fact, spelling: str) -> inspect.Parameter:
    choices = (*fact.choices, ALL) if fact.name == "operations" else fact.choices
    if choices:
        sentence += f" One of: {', '.join(repr(choice) for choice in choices)}."
    option = typer.Option(spelling, help=sentence, show_default=False, callback=_checking(choices))
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _checking(choices: tuple[str, ...]) -> Callable[[Any], Any] | None:
    if not choices:
        return None

    def check(value: Any) -> Any:
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            if one not in choices:
                raise typer.BadParameter(f"{one!r} is none of {', '.join(choices)}")
        return value

    return check


_PARAMETERS = tuple(_parameters())
