"""Run as a program: an index whose nth file cannot be opened, once, by libfiu; then whether it takes a change.

`LD_PRELOAD=fiu_posix_preload.so python short_of_files.py INDEX NTH`: prints how many files were to be opened, and what
came of the change. Another process has the index open meanwhile, as the other workers have.
"""

from __future__ import annotations

import ctypes
import errno
import sqlite3
import subprocess
import sys
from pathlib import Path

from archive.dicom.errors import OutOfResources
from archive.index.database import Database

OPENING = b"posix/io/oc/open"
ANOTHER = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM ae_title'); print(); input()"
Ask = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint)


def fail(database: Database, nth: int) -> int:
    """Ask it something meanwhile; how many files were to be opened for that."""
    opened = 0

    @Ask
    def fails(*_: object) -> int:
        nonlocal opened
        opened += 1
        return int(opened == nth)

    fiu = ctypes.CDLL("libfiu.so.0")
    fiu.fiu_init(0)
    fiu.fiu_enable_external.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, Ask)
    fiu.fiu_enable_external(OPENING, 1, errno.EMFILE, 0, fails)
    try:
        with database.read() as connection:
            connection.exec_driver_sql("SELECT title FROM ae_title").all()
    except OutOfResources:
        pass
    finally:
        fiu.fiu_disable(OPENING)
    return opened


def main() -> None:
    """Make the index, have it fail, and write."""
    path, nth = Path(sys.argv[1]), int(sys.argv[2])
    sqlite3.connect(path).close()
    database = Database.in_file(path)
    database.migrate()
    database.close()
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()  # it has it open
        opened = fail(database, nth)
        try:
            database.check()
            outcome = "changed"
        except OutOfResources as error:
            outcome = error.reason
        other.stdin.write(b"\n")
    database.close()
    print(opened, outcome)


if __name__ == "__main__":
    main()
