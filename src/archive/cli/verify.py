"""`archive verify`: whether all bytes are there and are what they were, and what mends those that are not.

The plan that it prints is what `--repair` carries out, as far as the archive can do it alone: what is only in the
quarantine comes back, and files that nothing points to go there. Nothing is ever deleted, and nothing that is stored is
changed. What needs the object once more, from its sender or a backup, is said object by object.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Annotated

import typer
from rich.console import Console

from archive.bootstrap.building import Archive
from archive.cli import opening, progress, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.services.orphans import DAY, Orphan
from archive.services.verification import Damage, Examined, Fault, Held, Level

AT_ONCE = 4
"""Files that are read at a time."""
MOST_SHOWN = 1000
HEADINGS = ["What", "In", "SOP Instance UID", "Study Instance UID", "Key", "What mends it"]

AGAIN = "archive import FILE, with the object from its sender or a backup: the same object takes its place"
ASIDE = {
    "conflict": "archive conflicts drop, or nothing: it goes when its time is over",
    "rejected_copy": "archive rejections drop, or restore its file from a backup",
    "rejection": "have the rejection note sent again",
    "corrected_object": "nothing: former bytes, which go when their time is over",
    "rewritten": "archive patients retry: it is written anew",
}
"""What mends what is no stored instance, by the table that holds it."""
PUT_BACK = "archive verify --repair: it is in the quarantine, and comes back"
SET_ASIDE = "archive verify --repair: sets it aside; archive import quarantine/NAME if it is wanted"

LevelOption = Annotated[
    Level,
    typer.Option(
        help="exists: there is a file; size: of the right length; checksum: all of it is read and compared."
    ),
]
Repair = Annotated[bool, typer.Option("--repair", help="Carry the plan out, as far as that needs nobody.")]
Found = Annotated[
    bool,
    typer.Option("--found", help="Look at nothing: show what is known to be damaged, and what is set aside."),
]
Grace = Annotated[
    float,
    typer.Option(
        "--grace-hours",
        min=0,
        help="Files that nothing points to count from this age; 0 only while nobody stores anything.",
    ),
]


def verify(
    config_file: ConfigOption = None,
    data: DataOption = None,
    level: LevelOption = Level.CHECKSUM,
    repair: Repair = False,
    found: Found = False,
    grace_hours: Grace = DAY / 3600,
) -> None:
    """Look at all bytes that are stored, and for files that nothing points to. Ends with 1 where something is wrong."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        if found:
            raise typer.Exit(_show_found(opened))
        damaged = _verified(opened, level, repair)
        orphans = _orphans(opened, grace_hours * 3600)
        if repair:
            _set_aside(opened, orphans)
            orphans = []
        shown = {one.held.blob_key for one in damaged.shown}
        in_quarantine = {one.key for one in opened.store.aside() if one.key in shown}
    rows = [_row(one.held, str(one.fault), one.held.blob_key in in_quarantine) for one in damaged.shown]
    tables.show(HEADINGS, [*rows, *(_orphan_row(one) for one in orphans[:MOST_SHOWN])])
    _sum_up(damaged, orphans)
    raise typer.Exit(1 if damaged.faults or orphans else 0)


@dataclass(slots=True)
class Damaged:
    """How much is damaged, and the first of it: where a disk has gone that is everything."""

    faults: Counter[str] = field(default_factory=Counter)
    shown: list[Examined] = field(default_factory=list)

    def add(self, found: list[Examined]) -> None:
        """These are damaged as well."""
        self.faults.update(str(one.fault) for one in found)
        self.shown += found[: MOST_SHOWN - len(self.shown)]


def _verified(opened: Archive, level: Level, repair: bool) -> Damaged:
    """What is damaged, noted in the index, with a progress bar on stderr; and repaired, as far as that needs nobody."""
    totals = opened.verification.totals()
    examine = partial(opened.verification.examined, level=level)
    damaged = Damaged()
    with progress.bar() as bar, ThreadPoolExecutor(AT_ONCE) as executor:
        task = bar.add_task("Verifying", total=totals.number)
        for some in opened.verification.held():
            found = []
            for one in progress.as_done(executor, examine, some, 2 * AT_ONCE):
                found.append(one)
                bar.advance(task)
            bad = opened.verification.note(found)
            damaged.add(_recovered(opened, bad) if repair else bad)
    opened.verification.forget_what_went()
    return damaged


def _orphans(opened: Archive, grace_seconds: float) -> list[Orphan]:
    with Console(stderr=True).status("Looking for files that nothing points to"):
        return opened.orphans.found(grace_seconds)


def _recovered(opened: Archive, damaged: list[Examined]) -> list[Examined]:
    """Fetch from the quarantine what is there; what is damaged still."""
    left = []
    for one in damaged:
        if one.fault is Fault.MISSING and opened.verification.recover(one.held):
            opened.verification.note([Examined(one.held, None, Level.CHECKSUM)])
            typer.echo(f"Put back: {one.held.SOPInstanceUID}")
        else:
            left.append(one)
    return left


def _set_aside(opened: Archive, orphans: list[Orphan]) -> None:
    for one in opened.orphans.set_aside(orphans):
        typer.echo(f"Set aside: {one.key}")


def _show_found(opened: Archive) -> int:
    """What is known; 1 where anything is."""
    damages = opened.verification.found(MOST_SHOWN)
    aside = list(islice(opened.store.aside(), MOST_SHOWN))
    damaged = {one.blob_key for one in damages}
    in_quarantine = {one.key for one in opened.store.aside() if one.key in damaged}
    rows = [_row(one, one.fault, one.blob_key in in_quarantine) for one in damages]
    rows += [
        [f"set aside {tables.when(one.at)}", "quarantine", "", "", one.name, one.reason] for one in aside
    ]
    tables.show(HEADINGS, rows)
    return 1 if rows else 0


def _row(one: Held | Damage, fault: str, is_aside: bool) -> list[str]:
    mends = PUT_BACK if fault == Fault.MISSING and is_aside else ASIDE.get(one.holder, AGAIN)
    return [fault, one.holder, one.SOPInstanceUID, one.StudyInstanceUID, one.blob_key, mends]


def _orphan_row(one: Orphan) -> list[str]:
    return ["orphan", f"{one.length} bytes of {tables.when(one.changed_at)}", "", "", one.key, SET_ASIDE]


def _sum_up(damaged: Damaged, orphans: list[Orphan]) -> None:
    found = [f"{number} {fault}" for fault, number in sorted(damaged.faults.items())]
    found += [f"{len(orphans)} that nothing points to"] if orphans else []
    more = max(damaged.faults.total(), len(orphans)) > MOST_SHOWN
    text = ", ".join(found) or "nothing is wrong"
    typer.echo(f"archive: {text}{f'; the first {MOST_SHOWN} of each are shown' if more else ''}", err=True)
