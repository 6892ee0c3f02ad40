"""The console's page of one AE title: what it sees, and its rules, made of the same rows as the options of `archive ae`
and the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archive.dicom.errors import NotFound
from archive.security.ae_titles import AETitle
from archive.security.rule_facts import FACTS, Fact, Kind
from archive.security.rules import DEFAULT_RULES
from archive.web.api import ae_titles
from archive.web.console import pages, seeing
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_BYTES = 256
_ASKED = tuple(fact for fact in FACTS if fact.name != "see")
"""What it sees has a form of its own."""


def page(archive: Archive, asked: Asked) -> Answer:
    """What holds for it, to be changed. Raises NotFound, InvalidEntry."""
    entry = archive.ae_titles.get(asked.path["title"])
    if entry is None:
        raise NotFound("this AE title is not known: see AE titles")
    said = ae_titles.form(entry)
    usual = ae_titles.form(AETitle(entry.title, entry.host, entry.port, DEFAULT_RULES))["rules"]
    return pages.render(
        archive,
        asked,
        "ae-title.html",
        one=said,
        facts=[_field(fact, said["rules"][fact.name], usual[fact.name]) for fact in _ASKED],
        seen=seeing.about(entry.rules.view),
        has_password=said["rules"]["has_password"],
    )


def _field(fact: Fact, value: Any, usual: Any) -> dict[str, Any]:
    """A rule as a form has it: values of a list are lines, `""` one that is empty."""
    lines = [line_of(each) for each in value] if fact.kind is Kind.LIST else []
    return {
        "name": fact.name,
        "called": fact.name.replace("_", " ").capitalize().replace("Tls", "TLS").replace(" tls", " TLS"),
        "kind": fact.kind.name,
        "sentence": fact.sentence,
        "choices": fact.choices,
        "minimum": fact.minimum,
        "maximum": fact.maximum,
        "value": value,
        "lines": "\n".join(lines),
        "rows": min(max(len(lines), 1) + 1, 8),
        "differs": value != usual,
    }


def line_of(value: str) -> str:
    r"""A value as a line, in which \xNN is a byte that cannot be shown, and "" a value that is empty."""
    return "".join(map(_shown, value)) or '""'


def _shown(each: str) -> str:
    hidden = each == "\\" or (ord(each) < _BYTES and not each.isprintable())
    return f"\\x{ord(each):02x}" if hidden else each
