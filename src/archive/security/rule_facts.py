"""Every rule of an AE title once: what an administrator has to know of it, and what its values may be.

The options of `archive ae`, the members of the JSON of /api/ae-titles and the table in docs/ae-titles.md are made from
these rows. A rule that has none can be set by nobody; a test asks for one for each.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from archive.dicom.charsets import is_known
from archive.dicom.errors import InvalidEntry
from archive.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from archive.security.operations import Operation
from archive.security.rules import Rules
from archive.security.titles import LONGEST, is_title
from archive.security.views import view_of

MOST_VALUES = 64
"""Of one list."""
_LONGEST_TEXT = 256
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_CHARACTER_SETS = re.compile(r"[A-Z0-9 _]{0,16}(\\[A-Z0-9 _]{0,16}){0,15}")


class Kind(enum.Enum):
    """What a value is."""

    FLAG = "true or false"
    NUMBER = "a number"
    TEXT = "a text"
    LIST = "texts"


@dataclass(frozen=True, slots=True)
class Fact:
    """One rule. `name` is the field of Rules. `add` and `remove` are the options that a value of a list is put in
    and taken out with."""

    name: str
    kind: Kind
    sentence: str
    choices: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = 0
    add: str = ""
    remove: str = ""

    @property
    def option(self) -> str:
        """`--require-tls`."""
        return "--" + self.name.replace("_", "-")


def _list(name: str, option: str, sentence: str) -> Fact:
    return Fact(name, Kind.LIST, sentence, add=f"--{option}", remove=f"--no-{option}")


_OPERATIONS = tuple(operation.value for operation in Operation)

FACTS: tuple[Fact, ...] = (
    _list("addresses", "address", "A further address or network, such as 192.0.2.0/24, that it calls from."),
    Fact(
        "operations", Kind.LIST, "What it may ask for.", choices=_OPERATIONS, add="--allow", remove="--deny"
    ),
    _list("destinations", "destination", "An AE title that its C-MOVE may send to; none: any known one."),
    _list("called", "called", "A title that it may call us by, also one only it uses; none: any of ours."),
    _list("aliases", "alias", 'What it sends instead of its title, "" for a blank one; \\xNN for a byte.'),
    Fact("any_case", Kind.FLAG, "Compare AE titles that it sends without regard to case."),
    Fact(
        "maximum_associations",
        Kind.NUMBER,
        "Associations that it may have at one time; 0: no limit of its own.",
        maximum=10000,
    ),
    Fact("associations", Kind.NUMBER, "Associations at a time when we send to it.", minimum=1, maximum=16),
    Fact(
        "duplicates",
        Kind.TEXT,
        "What becomes of other content under a stored SOP Instance UID; empty: as dimse.duplicates says.",
        choices=("", "reject", "keep", "replace", "conflict"),
    ),
    Fact("tls", Kind.FLAG, "We call it over TLS."),
    Fact("require_tls", Kind.FLAG, "It has to call us over TLS."),
    Fact("certificate", Kind.TEXT, "The certificate it shows us: sha256:HEX, or a name that is in it."),
    Fact(
        "identity",
        Kind.TEXT,
        "The user identity it has to give (PS3.7 D.3.3.7).",
        choices=("", "password", "token"),
    ),
    Fact("user", Kind.TEXT, "Name of that user; of a token, its subject (empty: any)."),
    Fact("character_set", Kind.TEXT, "Specific Character Set of answers when a query names none."),
    Fact("transfer_syntax", Kind.TEXT, "UID of the transfer syntax it likes best; empty: as stored."),
    Fact("notify", Kind.FLAG, "Tell it when a study has become available (PS3.4 annex R)."),
    _list(
        "see",
        "see",
        "Which studies it sees, such as 'institution=St. Mary*; modality=CT'; none: all of them.",
    ),
    Fact("relational", Kind.FLAG, "Queries may leave out the keys of the levels above, negotiated or not."),
)

BY_NAME = {fact.name: fact for fact in FACTS}


def checked(rules: Rules) -> Rules:
    """The rules without what is said twice. Raises InvalidEntry for a value that cannot be."""
    for fact in FACTS:
        _check(fact, getattr(rules, fact.name))
    for name, check in _CHECKS.items():
        value = getattr(rules, name)
        for one in value if isinstance(value, tuple) else (value,):
            if not check(one):
                raise InvalidEntry(f"{name}: {one!r} cannot be: {_WHAT[name]}")
    if rules.identity == "password" and not (rules.user and rules.password_hash):
        raise InvalidEntry("identity: a password needs a user and a password: give --user and --set-password")
    view_of(rules.see)  # which says best itself what is wrong
    lists = [fact.name for fact in FACTS if fact.kind is Kind.LIST and fact.name != "operations"]
    once: dict[str, Any] = {name: tuple(dict.fromkeys(getattr(rules, name))) for name in lists}
    return replace(rules, **once)


def _check(fact: Fact, value: Any) -> None:
    if fact.kind is Kind.LIST:
        if len(value) > MOST_VALUES:
            raise InvalidEntry(f"{fact.name}: more than {MOST_VALUES} values")
    elif fact.kind is Kind.NUMBER:
        if not fact.minimum <= value <= fact.maximum:
            raise InvalidEntry(f"{fact.name}: a number from {fact.minimum} to {fact.maximum}")
    elif fact.choices and value not in fact.choices:
        raise InvalidEntry(f"{fact.name}: one of {', '.join(repr(choice) for choice in fact.choices)}")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _is_alias(text: str) -> bool:
    return len(text) <= LONGEST and text == text.strip(" \0")


def _is_certificate(text: str) -> bool:
    if text.startswith("sha256:"):
        return _FINGERPRINT.fullmatch(text) is not None
    return len(text) <= _LONGEST_TEXT and text.isprintable() and text == text.strip()


def _is_character_set(text: str) -> bool:
    return _CHARACTER_SETS.fullmatch(text) is not None and all(map(is_known, text.split("\\")))


_CHECKS: dict[str, Callable[[str], bool]] = {
    "addresses": _is_network,
    "destinations": is_title,
    "called": lambda text: text == "*" or is_title(text),
    "aliases": _is_alias,
    "certificate": _is_certificate,
    "user": lambda text: len(text) <= _LONGEST_TEXT and text.isprintable(),
    "character_set": _is_character_set,
    "transfer_syntax": lambda text: not text or text in TRANSFER_SYNTAXES,
}
_WHAT = {
    "addresses": "an address, or a network whose host bits are zero",
    "destinations": "an AE title has 1 to 16 printable ASCII characters and no backslash",
    "called": "an AE title has 1 to 16 printable ASCII characters and no backslash; * is any",
    "aliases": f"no more than {LONGEST} characters, without spaces at the ends",
    "certificate": "sha256: and 64 hexadecimal digits in lower case, or a name",
    "user": f"no more than {_LONGEST_TEXT} printable characters",
    "character_set": "defined terms of Specific Character Set (0008,0005), such as ISO_IR 192, divided by backslashes",
    "transfer_syntax": "the UID of a transfer syntax that is known here",
}
