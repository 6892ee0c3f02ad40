"""Ports for servers that cannot say which one the system chose for them."""

from __future__ import annotations

import secrets
import socket

FIRST, LAST = 20000, 32000
"""Below the ports that Linux gives to clients (ip_local_port_range): none of the thousands of connections that other
tests open can take one in the moment between choosing it and listening."""


def free_port() -> int:
    """A port at which nobody listens now. Not by `random`: its seed is the same in every process of a test run."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
