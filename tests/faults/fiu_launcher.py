"""Run as a program: `archive serve` whose DIMSE workers' calls to the system fail when a file says so, by libfiu.

`LD_PRELOAD=fiu_posix_preload.so python fiu_launcher.py CONTROL serve …`: as long as the file CONTROL is there, the
calls that it names fail; CONTROL.seen tells that this is so now. Its lines are `NAME ERRNO PROBABILITY`; NAME is
libfiu's, such as posix/io/sync/fsync. SQLite's calls are met as well as Python's. The other doors are left alone:
there a socket that cannot be written would fail before the store.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from pathlib import Path
from typing import Any

from archive.cli import commands
from archive.supervisor import worker

PAUSE = 0.005


def obey(control: Path) -> None:
    """Enable what the file says when it comes, and disable it when it goes. Meanwhile nothing is opened here."""
    fiu = ctypes.CDLL("libfiu.so.0")
    fiu.fiu_init(0)
    name, number, pointer = ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p
    fiu.fiu_enable_random.argtypes = (name, number, pointer, ctypes.c_uint, ctypes.c_float)
    while True:
        while not control.exists():
            time.sleep(PAUSE)
        lines = [line.split() for line in control.read_text().splitlines()]
        control.with_suffix(".seen").touch()
        for point, error, probability in lines:
            fiu.fiu_enable_random(point.encode(), 1, int(error), 0, float(probability))
        while control.exists():
            time.sleep(PAUSE)
        for point, *_ in lines:
            fiu.fiu_disable(point.encode())
        control.with_suffix(".seen").unlink(missing_ok=True)


def main() -> None:
    """Serve."""
    control = Path(sys.argv.pop(1))
    work, build = worker.work, worker.build

    def watched(*given: Any) -> None:
        if any(getattr(one, "door", "") == "dimse" for one in given):
            worker.build = obedient
        work(*given)

    def obedient(*given: Any, **options: Any) -> Any:
        threading.Thread(target=obey, args=(control,), daemon=True).start()
        return build(*given, **options)

    worker.work = watched
    commands.main()


if __name__ == "__main__":
    main()
