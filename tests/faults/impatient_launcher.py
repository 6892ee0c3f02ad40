"""Run as a program: `archive serve`, whose index waits half a second for another process and not ten or thirty."""

from __future__ import annotations

from archive.cli import commands
from archive.index import database, group_commit

HALF_A_SECOND = 500

if __name__ == "__main__":
    ours = f"PRAGMA busy_timeout = {database.BUSY_TIMEOUT_MS}"
    assert ours in database._PRAGMAS
    database._PRAGMAS = tuple(
        one.replace(str(database.BUSY_TIMEOUT_MS), str(HALF_A_SECOND)) for one in database._PRAGMAS
    )
    group_commit.TURN_SECONDS = HALF_A_SECOND / 1000
    commands.main()
