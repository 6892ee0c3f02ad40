"""What an application entity may ask of us over DIMSE: the unit of its rights."""

from __future__ import annotations

import enum


class Operation(enum.Enum):
    """One kind of request. The value is how an administrator writes it."""

    ECHO = "echo"
    STORE = "store"
    FIND = "find"
    MOVE = "move"
    GET = "get"
    COMMIT = "commit"
    WORKLIST = "worklist"
    MPPS = "mpps"
    UPS = "ups"

    @property
    def command(self) -> str:
        """The DIMSE service that it is asked with (PS3.7 7.5)."""
        return _COMMANDS[self]


_COMMANDS = {
    Operation.ECHO: "C-ECHO",
    Operation.STORE: "C-STORE",
    Operation.FIND: "C-FIND",
    Operation.MOVE: "C-MOVE",
    Operation.GET: "C-GET",
    Operation.COMMIT: "N-ACTION",
    Operation.WORKLIST: "C-FIND",
    Operation.MPPS: "N-CREATE, N-SET",
    Operation.UPS: "N-CREATE, N-SET, N-GET, N-ACTION, C-FIND",
}

ALL_OPERATIONS = frozenset(Operation)
