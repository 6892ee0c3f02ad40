"""Run as a program: `archive` commands that are killed amid what they do (reliability.md 4.3).

It reads orders, a line of JSON each: `{"arguments": […], "at": N}`. For each it forks; the child runs the command and
is killed just before the Nth call that changes a file system or commits a transaction (0: never). The answer is a
line: the exit code as of `subprocess`, how many such calls there were, and what was said. It imports the archive once,
which takes longer than all the rest.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from typing import Any

from archive.cli import commands
from archive.index import transactions
from archive.services import reindexing, restoring

CALLS = ("fsync", "fdatasync", "link", "rename", "replace", "unlink", "mkdir", "rmdir")
FAILED = 99


def arm(at: int, trace: int) -> None:
    lock, count = threading.Lock(), 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal count
            with lock:
                count += 1
                os.write(trace, b".")
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return function(*given, **named)

        return call

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    transactions.commit = counted(transactions.commit)


def in_a_process_of_its_own(order: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as trace:
        child = os.fork()
        if not child:
            code: Any = FAILED
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                reindexing.AT_ONCE = restoring.AT_ONCE = 2
                arm(order["at"], trace.fileno())
                sys.argv = ["archive", *order["arguments"]]
                commands.main()
                code = 0
            except SystemExit as ended:
                code = ended.code or 0
            except BaseException:  # noqa: BLE001 - whatever it is, it is told
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        for file in (said, trace):
            file.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "calls": len(trace.read()),
            "said": said.read().decode(errors="replace"),
        }


def main() -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(in_a_process_of_its_own(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
