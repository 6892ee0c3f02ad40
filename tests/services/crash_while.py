"""Run as a program: an archive that is killed at one step of what it does (reliability.md 4.3).

`python crash_while.py '{"data": …, "index": …, "policy": …, "point": …, "do": "store" | "accept" | "keep" | "drop" |
"delete" | "restore" | "drop rejected" | "work", "file": …, "number": …, "settings": {…}}'` ends by SIGKILL, or with 3
when the step was never reached.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from archive import bootstrap, config
from archive.bootstrap import Archive
from archive.dicom.instance import Scope, Source
from archive.dicom.patient_key import PatientKey
from archive.index import transactions
from archive.jobs.worker import work
from archive.services.conflicts import Decision
from archive.storage import local

NEVER_REACHED = 3


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies(owner: Any, name: str, *, before: bool) -> None:
    """The function kills us, before it has done anything or right after; the `at`th time that it is called."""
    original, left = getattr(owner, name), [AT[0]]

    def call(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0]:
            return original(*args, **kwargs)
        if not before:
            original(*args, **kwargs)
        return die()

    setattr(owner, name, call)


def dies_of_discarding(number: int) -> None:
    """The bytes of an object that is shaped go one step after the other."""
    original, left = local.LocalBlobWriter.discard, [number]

    def discard(writer: local.LocalBlobWriter) -> None:
        left[0] -= 1
        if left[0]:
            original(writer)
        else:
            die()

    local.LocalBlobWriter.discard = discard  # type: ignore[method-assign]


AT = [1]

POINTS: dict[str, Callable[[], None]] = {
    "received": lambda: dies(local.LocalBlobWriter, "publish", before=True),
    "published": lambda: dies(local.LocalBlobWriter, "publish", before=False),
    "changed": lambda: dies(transactions, "commit", before=True),
    "committed": lambda: dies(transactions, "commit", before=False),
    "read back": lambda: dies(local.LocalBlobWriter, "read_back", before=False),
    "coerced": lambda: dies_of_discarding(1),
    "compressed": lambda: dies_of_discarding(2),
    "deleted": lambda: dies(local.LocalStore, "delete", before=False),
}


def act(archive: Archive, order: dict[str, Any]) -> None:
    if order["do"] == "store":
        with archive.ingest.part10(Source("STOW-RS", "192.0.2.1")) as reception:
            reception.write(Path(order["file"]).read_bytes())
            reception.finish()
    elif order["do"] == "delete":
        archive.deletion.delete(Scope(study_instance_uids=(order["study"],)))
    elif order["do"] == "restore":
        archive.rejections.restore(order["number"], "test")
    elif order["do"] == "drop rejected":
        archive.rejections.drop(order["number"], "test")
    elif order["do"] == "merge":
        archive.corrections.merge(PatientKey("1"), PatientKey("2"), {"PatientName": "Roe"}, "test")
    elif order["do"] == "work":
        work(archive, now=lambda: time.time() + 1e6)
    else:
        archive.conflicts.decide(order["number"], Decision(order["do"]), "test")


def main() -> int:
    order = json.loads(sys.argv[1])
    overrides = {"dimse.duplicates": order["policy"], "index.url": order["index"]}
    overrides |= {"storage.minimum_free_bytes": 0, **order.get("settings", {})}
    settings = replace(config.load(environment={}, overrides=overrides), data=Path(order["data"]))
    archive = bootstrap.build(settings)
    archive.database.check()
    AT[0] = order.get("at", 1)
    POINTS[order["point"]]()
    act(archive, order)
    return NEVER_REACHED


if __name__ == "__main__":
    sys.exit(main())
