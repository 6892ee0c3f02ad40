"""TABLE of the steps at which a process can die, and the means to have it die there, from outside.

A step is a function of the archive; just before it has begun and just after it has done its work are points. The
archive knows nothing of this: its functions are exchanged in the process that is to die, before it begins. A test goes
through all points, and fails where one is never passed; another holds this table against what the code calls.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Strike = Callable[[str], None]
"""Called with the name of each point that is passed, before anything else happens."""


@dataclass(frozen=True, slots=True)
class Step:
    """A function, as `module:qualified.name`, and the names of the points before and after it, empty for none."""

    place: str
    before: str = ""
    after: str = ""


_BLOB = "archive.storage.local:LocalBlobWriter"
_STORE = "archive.storage.local:LocalStore"

STEPS: tuple[Step, ...] = (
    # an object on its way in
    Step(f"{_STORE}._new_folder", "", "folder made"),
    Step(f"{_STORE}.create", "", "blob begun"),
    Step(f"{_BLOB}._write_out", "", "piece written"),
    Step(f"{_BLOB}.read_back", "", "read back"),
    Step("archive.services.arrivals:Arrival.judge", "", "judged"),
    Step(f"{_STORE}.publish_all", "received together", "published together"),
    Step(f"{_BLOB}.publish", "received", "published"),
    Step(f"{_BLOB}._hand_to_disk", "", "handed to the disk"),
    Step(f"{_BLOB}._sync", "unsynced", "synced"),
    Step(f"{_BLOB}._link", "", "linked"),
    Step("archive.storage.local:_sync_folder", "folder unsynced", "folder synced"),
    Step(f"{_BLOB}._leave_spool", "", "left the spool"),
    Step(f"{_BLOB}.discard", "discarding", "discarded"),
    # the index
    Step("archive.index.transactions:commit", "changed", "committed"),
    # what follows
    Step("archive.jobs.worker:_claim", "", "claimed"),
    Step("archive.jobs.worker:_attempt", "", "attempted"),
    Step("archive.jobs.worker:_settle", "", "settled"),
    Step(f"{_STORE}._remove", "deleting", "deleted"),
    Step(f"{_STORE}.sweep", "", "swept"),
    Step(f"{_STORE}.spool", "", "spool opened"),
)
"""Those that an archive passes in one process, in the order of an object's path."""

OF_A_SERVER: tuple[Step, ...] = (
    Step("archive.dimse.exchange:Exchange.respond", "answering by DIMSE", "answered by DIMSE"),
    Step("archive.web.stow:Store.finish", "", "answering by STOW-RS"),
    Step("archive.index.migrate:upgrade", "", "migrated"),
)
"""Those that only a server passes."""


def names(steps: tuple[Step, ...] = STEPS) -> list[str]:
    """Of all points of these steps."""
    return [name for step in steps for name in (step.before, step.after) if name]


def arm(strike: Strike, steps: tuple[Step, ...] = STEPS) -> None:
    """From now on whoever passes a point calls `strike`, in this process and those forked from it."""
    for step in steps:
        owner, name, function = _found(step.place)
        setattr(owner, name, _wrapped(function, step, strike))


def _found(place: str) -> tuple[Any, str, Callable[..., Any]]:
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    return owner, name, getattr(owner, name)


def _wrapped(function: Callable[..., Any], step: Step, strike: Strike) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if step.before:
            strike(step.before)
        result = function(*args, **kwargs)
        if step.after:
            strike(step.after)
        return result

    return call
