"""Audit messages over syslog: RFC 5424 messages over TLS in the frames of RFC 5425 (PS3.15 A.6).

Syslog acknowledges nothing. A connection therefore carries a batch, is closed by us in the way of TLS, and counts when
the receiver has closed it too: it has read all that came before.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from archive.audit import xml
from archive.audit.messages import Message
from archive.dicom.errors import PeerFailure

PRIORITY = 10 * 8 + 5
"""Facility security/authorization, severity notice."""
APP_NAME, MESSAGE_ID = "archive", "DICOM+RFC3881"
SECONDS = 20.0
_BOM = b"\xef\xbb\xbf"
_NOT_PRINTABLE = re.compile("[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Told:
    """A message on its way: with its place in the chain and its hash, so that whoever keeps it holds an anchor."""

    position: int
    hash: str
    message: Message


def frame(one: Told, host: str) -> bytes:
    """As it goes over the wire. The SD-ID is of the number that is for examples (RFC 5612): we own none."""
    name = _NOT_PRINTABLE.sub("_", host)[:255] or "-"
    process = _NOT_PRINTABLE.sub("_", one.message.source_id)[:128] or "-"
    head = f"<{PRIORITY}>1 {xml.moment(one.message.time)} {name} {APP_NAME} {process} {MESSAGE_ID}"
    chain = f'[chain@32473 position="{one.position}" hash="{one.hash}"]'
    text = f"{head} {chain} ".encode() + _BOM + xml.document(one.message)
    return b"%d %b" % (len(text), text)


def send(address: tuple[str, int], context: ssl.SSLContext, batch: Iterable[Told]) -> None:
    """All of a batch, over a connection of its own. Raises PeerFailure unless the receiver has read it to its end."""
    own = socket.gethostname()
    try:
        with (
            socket.create_connection(address, timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=address[0]) as secured,
        ):
            for one in batch:
                secured.sendall(frame(one, own))
            _part(secured)
    except (OSError, ValueError) as error:
        reason = (
            getattr(error, "verify_message", "") or getattr(error, "strerror", "") or type(error).__name__
        )
        raise PeerFailure(
            f"the syslog receiver at {address[0]}:{address[1]} cannot be told: {reason}"
        ) from None


def _part(secured: ssl.SSLSocket) -> None:
    """Say that nothing follows, and wait until the other end says so, or closes the connection in order."""
    with contextlib.suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
        plain = secured.unwrap()
        plain.close()
