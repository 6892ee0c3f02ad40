"""docs/media.md names every option of `archive export` and `archive import`, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from archive.cli.commands import app

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "media.md"
_EVERYWHERE = {"--config", "--data", "--help", "--verbose"}


def test_the_guide_has_every_option() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {
        option
        for name in ("export", "import")
        for parameter in commands[name].params
        for option in parameter.opts
        if option.startswith("--")
    }
    text = GUIDE.read_text(encoding="utf-8")
    written = set(re.findall(r"`(--[a-z-]+)", text))
    assert written - _EVERYWHERE == options - _EVERYWHERE
