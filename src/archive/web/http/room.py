"""How many connections one worker holds: when they are too many, the idle ones make room.

Else whoever opens connections and says nothing would use up what files and connections to the index are opened with.
Who is in the middle of a request keeps the connection; clients open one that was idle again by themselves (RFC 9112
9.5).
"""

from __future__ import annotations

from typing import Protocol as Interface


class Guest(Interface):
    """A connection."""

    @property
    def is_silent(self) -> bool:
        """Whether it has not asked for anything yet."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""

    def give_way(self) -> None:
        """Be cut."""


class Room:
    """Of one worker, used by its event loop alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[Guest, None] = {}

    def enter(self, guest: Guest) -> bool:
        """True when there is room for it, after the longest silent one has gone, or else the longest idle one."""
        if len(self._held) >= self._most and not self._make_room():
            return False
        self._held[guest] = None
        return True

    def leave(self, guest: Guest) -> None:
        """It has ended, or was never let in."""
        self._held.pop(guest, None)

    def _make_room(self) -> bool:
        silent = next((guest for guest in self._held if guest.is_silent), None)
        chosen = silent or next((guest for guest in self._held if guest.is_idle), None)
        if chosen is None:
            return False
        self.leave(chosen)
        chosen.give_way()
        return True
