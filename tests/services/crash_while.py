"""Run as a program: an archive that is killed at one step of what it does (reliability.md 4.3).

It reads orders, a line of JSON each: `{"data": …, "index": …, "policy": …, "settings": {…}, "do": NAME | [NAME, …]}`
with what the acts need (`file`, `files`, `number`, `study`, …), and where it is to die: `"point": NAME, "at": N` for
the Nth time that a point of `reliability.failpoints` is passed, or `"step": N` for the Nth point that is passed at all.
For each it forks, and answers with a line: the exit code as of `subprocess` (NEVER_REACHED when the end was reached),
what was said on stderr, and the points that were passed. It imports the archive once, which takes longer than all the
rest.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import InstanceConflict
from archive.dicom.instance import Scope, Source
from archive.dicom.patient_key import PatientKey
from archive.dicom.receiving.commitment import Reference
from archive.jobs.worker import work
from archive.services.conflicts import Decision
from archive.settings.whole import Settings
from reliability import failpoints

NEVER_REACHED = 3
FAILED = 4
FUTURE = 1e6
SOURCE = Source("STOW-RS", "192.0.2.1")

Order = dict[str, Any]


def store(archive: Archive, order: Order) -> None:
    with archive.ingest.part10(SOURCE) as reception, suppress(InstanceConflict):
        reception.write(Path(order["file"]).read_bytes())
        reception.finish()


def store_together(archive: Archive, order: Order) -> None:
    """As STOW-RS does with the objects of one request."""
    receptions = [archive.ingest.part10(SOURCE) for _ in order["files"]]
    try:
        for reception, file in zip(receptions, order["files"], strict=True):
            reception.write(Path(file).read_bytes())
        for settled in archive.ingest.finish(receptions):
            settled.result()
    finally:
        for reception in receptions:
            reception.__exit__()


def settle(archive: Archive, _: Order) -> None:
    """What is left to the jobs, also what waits for a while."""
    while work(archive, now=lambda: time.time() + FUTURE):
        pass
    archive.store.sweep(0)


def spool(archive: Archive, _: Order) -> None:
    """As parts are kept until they are put together."""
    spooled = archive.ingest.spool()
    spooled.write(b"part")
    spooled.close()


def commit_to(archive: Archive, order: Order) -> None:
    references = [Reference(sop_class, uid) for sop_class, uid in order["references"]]
    archive.commitment.begin(order["transaction"], references, SOURCE)


def merge(archive: Archive, _: Order) -> None:
    archive.corrections.merge(PatientKey("1"), PatientKey("2"), {"PatientName": "Roe"}, "test")


ACTS: dict[str, Callable[[Archive, Order], object]] = {
    "store": store,
    "store together": store_together,
    "delete": lambda archive, order: archive.deletion.delete(Scope(study_instance_uids=(order["study"],))),
    "restore": lambda archive, order: archive.rejections.restore(order["number"], "test"),
    "drop rejected": lambda archive, order: archive.rejections.drop(order["number"], "test"),
    "merge": merge,
    "work": lambda archive, _: work(archive, now=lambda: time.time() + FUTURE),
    "settle": settle,
    "spool": spool,
    "commit to": commit_to,
}
ACTS |= {
    each.value: lambda archive, order, decision=each: archive.conflicts.decide(  # type: ignore[misc]
        order["number"], decision, "test"
    )
    for each in Decision
}


def settings_of(order: Order) -> Settings:
    overrides = {"dimse.duplicates": order["policy"], "index.url": order["index"]}
    overrides |= {"storage.minimum_free_bytes": 0, **order.get("settings", {})}
    return replace(config.load(environment={}, overrides=overrides), data=Path(order["data"]))


def opened(order: Order) -> Archive:
    archive = building.build(settings_of(order))
    archive.database.check()
    return archive


def act(archive: Archive, order: Order) -> None:
    """Do all that is asked for."""
    asked = order["do"]
    for name in [asked] if isinstance(asked, str) else asked:
        ACTS[name](archive, order)


def fatal(order: Order, trace: int) -> failpoints.Strike:
    """Kills us where the order says, and notes what was passed until then."""
    lock, passed = threading.Lock(), dict[str, int]()

    def strike(name: str) -> None:
        with lock:
            passed[name] = passed.get(name, 0) + 1
            os.write(trace, f"{name}\n".encode())
            is_the_point = (name, passed[name]) == (order.get("point"), order.get("at", 1))
            if is_the_point or sum(passed.values()) == order.get("step"):
                os.kill(os.getpid(), signal.SIGKILL)

    return strike


def obey(order: Order, trace: int) -> int:
    archive = opened(order)
    if "point" in order and order["point"] not in failpoints.names():
        raise KeyError(order["point"])
    failpoints.arm(fatal(order, trace))
    act(archive, order)
    return NEVER_REACHED


def in_a_process_of_its_own(order: Order) -> dict[str, Any]:
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as trace:
        child = os.fork()
        if not child:
            code = FAILED
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                code = obey(order, trace.fileno())
            except Exception:  # noqa: BLE001 - whatever it is, it is told on stderr
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        trace.seek(0)
        return {
            "returncode": os.waitstatus_to_exitcode(status),
            "stderr": said.read().decode(errors="replace"),
            "passed": trace.read().decode().splitlines(),
        }


def main() -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(in_a_process_of_its_own(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
