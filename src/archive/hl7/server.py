"""Connections that bring messages: who may, how many, and how long each may take.

MLLP has no sign-in, so addresses decide: this machine, and those that the administrator names; over TLS the certificate
as well, as `tls.client_certificates` has it. A thread for each connection, as senders are few and keep theirs for days;
messages of one connection are taken one after the other, which is what the protocol promises to a sender.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from archive.bootstrap.building import Archive
from archive.dicom.errors import ArchiveError, SecurityFailure
from archive.hl7.acknowledging import acknowledgment
from archive.hl7.answering import answer, worded
from archive.hl7.framing import Frames, framed
from archive.network.acceptor import Listener
from archive.network.streams import Plain, Secured
from archive.settings.doors import HL7Settings

_log = structlog.get_logger()

_TURN = 0.1
"""Seconds between looks at `stop`."""
_PIECE = 1 << 16
Secure = Callable[[], ssl.SSLContext]


def run(
    archive: Archive, listeners: Sequence[Listener], heartbeat: Callable[[], None], stop: threading.Event
) -> None:
    """Serve on these until `stop` is set and running messages have been answered. Blocks."""
    poll = select.poll()
    served = {listener.socket.fileno(): listener for listener in listeners}
    for listener in listeners:
        listener.socket.setblocking(False)
        poll.register(listener.socket, select.POLLIN)
    running: list[threading.Thread] = []
    while not stop.is_set():
        heartbeat()
        running = [thread for thread in running if thread.is_alive()]
        for number, _ in poll.poll(_TURN * 1000):
            _accept(archive, served[number], running, stop)
    deadline = time.monotonic() + archive.settings.drain_seconds
    for thread in running:
        while thread.is_alive() and time.monotonic() < deadline:
            heartbeat()
            thread.join(_TURN)


def _accept(
    archive: Archive, listener: Listener, running: list[threading.Thread], stop: threading.Event
) -> None:
    try:
        connection, peer = listener.socket.accept()
    except BlockingIOError:
        return  # it was gone before it was taken
    except OSError as error:
        _log.warning("no connection", error=type(error).__name__)
        time.sleep(_TURN / 2)  # out of descriptors perhaps, and the listener stays readable
        return
    address = peer[0].removeprefix("::ffff:")
    settings = archive.settings.hl7
    refused = "" if may_send(address, settings) else "address is not among hl7.senders"
    if len(running) >= settings.maximum_connections:
        refused = refused or "more than hl7.maximum_connections"
    if refused:
        _log.warning("sender refused", sender=address, reason=refused)
        connection.close()
        return
    whole = (archive, connection, listener.secure, address, stop)
    thread = threading.Thread(target=_attend, args=whole, name="hl7", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        _log.warning("sender refused", sender=address, reason="no thread can be started")
        connection.close()
        return
    running.append(thread)


def may_send(address: str, settings: HL7Settings) -> bool:
    """Whether orders are taken from this address: from this machine always."""
    try:
        sender = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return sender.is_loopback or any(
        sender in ipaddress.ip_network(network, strict=False) for network in settings.senders
    )


def _attend(
    archive: Archive, connection: socket.socket, secure: Secure | None, address: str, stop: threading.Event
) -> None:
    """The life of one connection. Nothing escapes."""
    reason = "closed by the sender"
    try:
        with contextlib.closing(connection):
            stream = _stream(connection, secure, archive.settings.hl7)
            with contextlib.closing(stream):
                reason = _converse(archive, stream, address, stop)
    except SecurityFailure as error:
        reason = error.reason
    except (OSError, EOFError) as error:
        reason = type(error).__name__
    _log.info("sender gone", sender=address, reason=reason)


def _stream(connection: socket.socket, secure: Secure | None, settings: HL7Settings) -> Plain:
    """The bytes of a connection, over TLS where that is agreed on in time. Raises SecurityFailure, OSError,
    EOFError."""
    if secure is None:
        return Plain(connection)
    stream = Secured(connection, secure(), None)
    stream.handshake(time.monotonic() + settings.message_deadline)
    return stream


def _converse(archive: Archive, stream: Plain, address: str, stop: threading.Event) -> str:
    """Answer message after message; why it ended. Raises OSError."""
    settings = archive.settings.hl7
    frames = Frames(settings.maximum_message_bytes)
    room = memoryview(bytearray(_PIECE))
    began: float | None = None
    while True:
        limit = settings.idle_deadline if began is None else settings.message_deadline
        piece = _received(stream, room, (began or time.monotonic()) + limit, stop)
        if isinstance(piece, str):
            return piece
        try:
            for message in frames.feed(piece):
                _send(stream, answer(archive, message, address), settings)
                began = None
        except ArchiveError as error:
            _send(stream, acknowledgment(None, worded(error)), settings)
            return error.reason
        if not frames.within:
            began = None
        elif began is None:
            began = time.monotonic()


def _received(stream: Plain, room: memoryview, deadline: float, stop: threading.Event) -> bytes | str:
    """The next bytes, or why there are none. A message on its way in when the archive stops is not waited for: without
    acknowledgment it is sent again."""
    while True:
        try:
            count = stream.receive(room, _TURN)
        except TimeoutError:
            if stop.is_set():
                return "the archive stops"
            if time.monotonic() > deadline:
                return "silent for too long"
            continue
        if time.monotonic() > deadline:
            return "too slow with a message"
        return bytes(room[:count]) or "closed by the sender"


def _send(stream: Plain, message: bytes, settings: HL7Settings) -> None:
    stream.send([framed(message)], settings.message_deadline)
