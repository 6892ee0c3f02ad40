"""AE titles: what we know of an application entity. Who is let in by it, `admission` decides."""

from __future__ import annotations

from dataclasses import dataclass

from archive.dicom.errors import InvalidEntry
from archive.security.rule_facts import checked
from archive.security.rules import DEFAULT_RULES, Rules
from archive.security.titles import is_title, normalise

__all__ = ["AETitle", "check", "normalise"]


@dataclass(frozen=True, slots=True)
class AETitle:
    """An application entity that we know: where it listens, and with that, who may call us by its title."""

    title: str
    host: str
    port: int
    rules: Rules = DEFAULT_RULES


def check(entry: AETitle) -> AETitle:
    """The entry with its title normalised; raises InvalidEntry if there can be no such AE (PS3.5 6.2, VR AE), or no
    such rules."""
    title, host = normalise(entry.title), entry.host.strip()
    if not is_title(title):
        raise InvalidEntry(
            "an AE title has 1 to 16 printable ASCII characters and no backslash; for what a device sends instead "
            "of one there are aliases"
        )
    if not 1 <= entry.port <= 65535:
        raise InvalidEntry("a port is a number from 1 to 65535")
    if not host or len(host) > 255 or not host.isprintable():
        raise InvalidEntry("a host is a name or an address")
    return AETitle(title, host, entry.port, checked(entry.rules))
