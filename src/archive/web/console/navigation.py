"""What the head of every page leads to. An entry is shown to whom its page would be shown."""

from __future__ import annotations

from dataclasses import dataclass

from archive.security.people import Principal
from archive.security.roles import Right


@dataclass(frozen=True, slots=True)
class Entry:
    """A page that is led to, by its path of ours."""

    label: str
    path: str
    right: Right


ENTRIES: tuple[Entry, ...] = (
    Entry("Studies", "/", Right.SEE),
    Entry("Upload", "/upload", Right.STORE),
    Entry("Shares", "/shares", Right.SHARE),
    Entry("AE titles", "/ae-titles", Right.ADMINISTER),
    Entry("Conflicts", "/conflicts", Right.CORRECT),
    Entry("Deletions", "/deletions", Right.DELETE),
    Entry("Holds", "/holds", Right.HOLD),
    Entry("Work", "/work", Right.ADMINISTER),
    Entry("People", "/people", Right.ADMINISTER),
    Entry("Status", "/status", Right.OBSERVE),
    Entry("Audit", "/audit", Right.AUDIT),
)


def entries_for(principal: Principal) -> tuple[Entry, ...]:
    """Those that somebody may open, in their order."""
    if principal.share is not None:
        return ()  # who came by a share has no pages here
    return tuple(entry for entry in ENTRIES if principal.may(entry.right))


def current(path: str) -> str:
    """The path of the entry that a page belongs to; empty where it is below none."""
    below = [entry.path for entry in ENTRIES if path == entry.path or path.startswith(f"{entry.path}/")]
    return max(below, key=len, default="/" if path.startswith("/study/") else "")
