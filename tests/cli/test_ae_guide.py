"""docs/ae-titles.md has every rule, with its options and its sentence, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from archive.security.rule_facts import FACTS, Fact, Kind

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "ae-titles.md"


def row(fact: Fact) -> str:
    """The line of the table for this rule."""
    options = (fact.option,)
    if fact.kind is Kind.LIST:
        options = (fact.add, fact.remove)
    elif fact.kind is Kind.FLAG:
        options = (fact.option, f"--no-{fact.option[2:]}")
    choices = ", ".join(f"`{choice}`" for choice in fact.choices if choice)
    sentence = f"{fact.sentence} {choices}." if choices else fact.sentence
    return f"| `{fact.name}` | {', '.join(f'`{option}`' for option in options)} | {sentence} |"


def test_the_guide_has_every_rule() -> None:
    written = re.findall(r"^\| `[a-z_]+` \| `--.*$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert written == [row(fact) for fact in FACTS]
