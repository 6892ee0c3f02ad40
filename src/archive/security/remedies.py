"""Commands that an administrator can type, made of what callers sent: quoted for the shell."""

from __future__ import annotations

import shlex


def command(verb: str, *words: str) -> str:
    """`archive ae VERB …`."""
    return shlex.join(("archive", "ae", verb, *words))


def option(name: str, value: str) -> tuple[str, ...]:
    """An option with a value that a stranger chose: it may look like an option itself."""
    return (f"{name}={value}",) if value.startswith("-") else (name, value)
