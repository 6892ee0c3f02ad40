"""Somebody who deletes what others have just stored, with the ledger as witness: what is gone has to stay gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.loads.http import BrokenOff
from reliability.ledger import Entry, Ledger
from reliability.target import Target
from reliability.web import Web

WHOLE = 16
"""Instances of a study as senders make it."""
ONE_IN = 3
_BETWEEN = 0.3


@contextmanager
def deleting(ledger: Ledger, target: Target, able: bool = True) -> Iterator[None]:
    """As long as the block lasts, or the server, one in three of the studies that were stored whole is deleted. Not
    `able`: none is."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(ledger, target, stop), daemon=True)
    if able:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if able:
            thread.join()


def _run(ledger: Ledger, target: Target, stop: threading.Event) -> None:
    seen: set[str] = set()
    try:
        with Web(target) as web:
            while not stop.wait(_BETWEEN):
                for study, entries in whole_studies(ledger).items():
                    if study not in seen:
                        seen.add(study)
                        if len(seen) % ONE_IN == 1:
                            delete(ledger, web, study, entries)
    except (OSError, EOFError, BrokenOff):
        return  # the server is gone


def delete(ledger: Ledger, web: Web, study: str, entries: list[Entry]) -> None:
    """DELETE a study."""
    uids = [entry.uid for entry in entries]
    ledger.deleting(uids)
    status = web.delete(f"/studies/{study}")
    ledger.deleted(uids, status in (200, 204))


def whole_studies(ledger: Ledger) -> dict[str, list[Entry]]:
    """Studies of which all instances were acknowledged, and none is being deleted."""
    studies: dict[str, list[Entry]] = {}
    for entry in ledger.entries():
        if entry.is_due:
            studies.setdefault(entry.study, []).append(entry)
    return {study: entries for study, entries in studies.items() if len(entries) == WHOLE}
