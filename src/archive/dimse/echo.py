"""C-ECHO (PS3.4 annex A)."""

from __future__ import annotations

from archive.dimse.exchange import Exchange
from archive.dimse.statuses import SUCCESS, Status


def answer(exchange: Exchange) -> Status:
    """We are here."""
    return exchange.respond(Status(SUCCESS))
