"""An association in either role: whole messages in and out of one blocking thread (PS3.7, PS3.8).

The state machine of PS3.8 9.2 shrinks to very little when one thread reads and writes: between messages a
P-DATA-TF, A-RELEASE-RQ or A-ABORT may come, within a message the last two of these end it, and all else is
answered with A-ABORT.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from archive.dicom.errors import AssociationAborted
from archive.network import pdu
from archive.network.caller import Caller
from archive.network.commands import Command, decode_command, encode_command
from archive.network.pdu import COMMAND, LAST, AbortReason, Fragment
from archive.network.transport import Wire

_SHORT_PDU = 1 << 10
"""Most that an A-RELEASE or A-ABORT may claim; PS3.8 gives them 4 bytes."""
_BATCH = 1 << 18
"""Bytes gathered before they are sent."""

_P = ParamSpec("_P")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on what a peer may make us hold. `maximum_pdu_length` is what we announce (PS3.8 D.1)."""

    maximum_pdu_length: int = 262144
    maximum_object_bytes: int = 1 << 40
    maximum_identifier_bytes: int = 1 << 24
    maximum_command_bytes: int = 1 << 16


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context. The roles are ours: `as_scp` for what we serve, `as_scu` for what we
    may ask for in this association (C-STORE in C-GET)."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool
    as_scp: bool


@dataclass(slots=True)
class Message:
    """A DIMSE message. `command` is a primitive of pynetdicom.dimse_primitives without data set; values are
    as sent, unchecked (a UID may be no UID), and an absent one is None. `data`: the encoded data set in
    pieces as they come from the network, None without data set. What is not read is dropped by the next
    `receive`."""

    context: Context
    command: Any
    data: Iterator[bytes] | None
    number: int = 0
    """Its place in the association, by which `Association.pass_on` knows it."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the two ends have agreed on. `contexts`: the accepted ones by ID; `peer_maximum`: the longest
    P-DATA-TF that the peer takes, 0 for any; `extended`: the answered service class application information by
    SOP Class UID (PS3.7 D.3.3.5); `identity_answer`: the server response to our user identity; `admitted`: what
    the acceptor's policy returned for the caller, None where we are the requestor."""

    contexts: Mapping[int, Context]
    peer_maximum: int = 0
    extended: Mapping[str, bytes] = field(default_factory=dict)
    identity_answer: bytes | None = None
    admitted: Any = None


def _ending(
    method: Callable[Concatenate[Association, _P], _Result],
) -> Callable[Concatenate[Association, _P], _Result]:
    """Whatever is raised inside ends the association, with A-ABORT unless the peer is gone. A method of an association
    that has ended already raises AssociationAborted."""

    @wraps(method)
    def ending(self: Association, /, *args: _P.args, **kwargs: _P.kwargs) -> _Result:
        if self.ended:
            raise AssociationAborted("the association has ended")
        try:
            return method(self, *args, **kwargs)
        except AssociationAborted as aborted:
            self._end(pdu.abort_pdu(aborted.diagnostic) if aborted.diagnostic is not None else b"")
            raise
        except BaseException:
            self.abort()
            raise

    return ending


class Association:
    """Whole messages over one connection; `contexts` are the accepted ones by ID.

    Every method that waits raises AssociationAborted when the association ends otherwise than by release, or
    has ended already; the connection is closed then.
    """

    def __init__(self, wire: Wire, caller: Caller, agreement: Agreement, limits: Limits) -> None:
        self.caller = caller
        self.calling_ae_title = caller.calling_ae_title
        self.called_ae_title = caller.called_ae_title
        self.peer_address = caller.address
        """Of the other end, whoever called."""
        self.contexts = agreement.contexts
        self.extended = agreement.extended
        self.identity_answer = agreement.identity_answer
        self.admitted = agreement.admitted
        self.maximum_pdu_length = min(agreement.peer_maximum or pdu.UNLIMITED_PDU, pdu.UNLIMITED_PDU)
        self.ended = False
        self.waiting_since: float | None = None
        """Point of the monotonic clock since when `receive` waits for the peer to begin a message."""
        self._wire = wire
        self._limits = limits
        self._fragments: deque[Fragment] = deque()
        """Of the PDU last read; views of the buffer of the wire, so nothing is read while there are some."""
        self._cancelled: set[int] = set()
        self._message = 0
        self._data_context: int | None = None
        """Presentation context of the data set that is being read; None between messages."""
        self._data_room = 0
        wire.grow(2 * (limits.maximum_pdu_length + pdu.HEADER.size))

    @_ending
    def receive(self) -> Message | None:
        """The next message; None: the peer released the association, and we answered.

        C-CANCEL-RQ is not returned; `cancelled` knows it.
        """
        while self._data_context is not None:
            self._next_piece(self._message)
        while (received := self._receive_command()) is not None:
            context, command = received
            if not command.is_cancel:
                return self._begin(context, command)
            self._cancelled.add(command.primitive.MessageIDBeingRespondedTo)
        return None

    def pass_on(self, message: Message, take: Callable[[memoryview], object]) -> None:
        """Gives `take` what is left of the data set of this message, as `data` would but not copied: each piece is
        valid only during the call. What `take` raises passes on, and the association goes on."""
        while (piece := self._piece(message.number)) is not None:
            take(piece)

    @_ending
    def arriving(self, seconds: float) -> bool:
        """Whether the peer begins something within so many seconds, so that `receive` has not to wait for it."""
        while self._data_context is not None:
            self._next_piece(self._message)
        if self._fragments:
            return True
        now = time.monotonic()
        self.waiting_since = self.waiting_since or now
        arrives = self._wire.arriving(now + seconds)
        if arrives:
            self.waiting_since = None
        return arrives

    @_ending
    def send(self, context_id: int, primitive: Any, data: Iterable[bytes | memoryview] | None = None) -> None:
        """Sends a request or response: a primitive with MessageIDBeingRespondedTo is a response. With `data`
        the message has a data set. An exception that comes out of `data` aborts the association and passes
        on."""
        encoded = encode_command(primitive, data is not None)
        batch: list[bytes | memoryview] = []
        size = 0
        for buffers in self._p_data(context_id, encoded, data):
            batch += buffers
            size += sum(map(len, buffers))
            if size >= _BATCH:
                self._wire.write(batch)
                batch, size = [], 0
        self._wire.write(batch)

    @_ending
    def send_each(self, context_id: int, primitive: Any, data_sets: Iterable[bytes]) -> None:
        """Sends a message with this command set for each of these data sets, all together."""
        encoded = encode_command(primitive, has_data_set=True)
        command = list(pdu.p_data(context_id, COMMAND, [encoded], self.maximum_pdu_length))
        batch: list[bytes | memoryview] = []
        for data_set in data_sets:
            for buffers in (*command, *pdu.p_data(context_id, 0, [data_set], self.maximum_pdu_length)):
                batch += buffers
        self._wire.write(batch)

    @_ending
    def cancelled(self, message_id: int) -> bool:
        """Whether C-CANCEL-RQ for this request has arrived. Looks at what is there, without blocking; sees nothing
        new while the data set of the request is still to be read."""
        if self._data_context is None and not self._fragments:
            while (arrived := self._wire.arrived()) is not None and self._take_cancel(*arrived):
                pass
        return message_id in self._cancelled

    def release(self) -> None:
        """A-RELEASE-RQ, waits for the answer, closes. Does nothing if the association has ended."""
        if not self.ended:
            self._release()

    def abort(self) -> None:
        """A-ABORT as service user, closes. Never raises."""
        if not self.ended:
            self._end(pdu.abort_pdu())

    def interrupt(self) -> None:
        """Aborts from another thread: the one that works with the association gets AssociationAborted."""
        self._wire.interrupt(pdu.abort_pdu())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    @_ending
    def _release(self) -> None:
        self._wire.write([pdu.RELEASE_RQ])
        deadline = time.monotonic() + self._wire.deadlines.release
        pdu_type = 0
        while pdu_type != pdu.A_RELEASE_RP:
            pdu_type, body = self._wire.read_pdu(self._admit_header, deadline, deadline)
            if pdu_type == pdu.A_RELEASE_RQ:  # both at once (PS3.8 7.2.2.6)
                self._wire.write([pdu.RELEASE_RP])
            elif pdu_type == pdu.A_ABORT:
                raise _aborted(body)
        self._end()

    def _end(self, farewell: bytes = b"") -> None:
        self.ended = True
        self._wire.close(farewell)

    def _begin(self, context: Context, command: Command) -> Message:
        self._message += 1
        self._cancelled.discard(command.primitive.MessageID)
        if not command.has_data_set:
            return Message(context, command.primitive, None, self._message)
        self._data_context = context.id
        self._data_room = (
            self._limits.maximum_object_bytes
            if command.is_store_request
            else self._limits.maximum_identifier_bytes
        )
        pieces = iter(partial(self._copied_piece, self._message), None)
        return Message(context, command.primitive, pieces, self._message)

    def _receive_command(self) -> tuple[Context, Command] | None:
        encoded = bytearray()
        fragment = self._next_fragment(between_messages=True)
        if fragment is None:
            return None
        context = self.contexts.get(fragment[0])
        if context is None:
            raise AssociationAborted("an unknown presentation context", AbortReason.INVALID_PDU_PARAMETER)
        while True:
            context_id, control, part = fragment
            if context_id != context.id or not control & COMMAND:
                raise AssociationAborted("no command set", AbortReason.UNEXPECTED_PDU_PARAMETER)
            if len(encoded) + len(part) > self._limits.maximum_command_bytes:
                raise AssociationAborted("the command set is too long", AbortReason.INVALID_PDU_PARAMETER)
            encoded += part
            if control & LAST:
                return context, decode_command(encoded)
            fragment = self._within_message()

    def _copied_piece(self, message: int) -> bytes | None:
        piece = self._piece(message)
        return None if piece is None else bytes(piece)

    @_ending
    def _piece(self, message: int) -> memoryview | None:
        return self._next_piece(message)

    def _next_piece(self, message: int) -> memoryview | None:
        """The next bytes of the data set of that message, valid until the next read; None at its end, or when a later
        message has begun."""
        while message == self._message and self._data_context is not None:
            context_id, control, part = self._within_message()
            if context_id != self._data_context or control & COMMAND:
                raise AssociationAborted("no data set fragment", AbortReason.UNEXPECTED_PDU_PARAMETER)
            self._data_room -= len(part)
            if self._data_room < 0:
                raise AssociationAborted("the data set is too long", AbortReason.NOT_SPECIFIED)
            if control & LAST:
                self._data_context = None
            if len(part):
                return part
        return None

    def _within_message(self) -> Fragment:
        fragment = self._next_fragment(between_messages=False)
        if fragment is None:
            raise AssociationAborted("A-RELEASE-RQ within a message", AbortReason.UNEXPECTED_PDU)
        return fragment

    def _next_fragment(self, between_messages: bool) -> Fragment | None:
        if self._fragments:
            return self._fragments.popleft()
        pdu_type, body = self._read_pdu(between_messages)
        if pdu_type == pdu.P_DATA_TF:
            first, *others = pdu.fragments(body)
            self._fragments.extend(others)
            return first
        if pdu_type == pdu.A_ABORT:
            raise _aborted(body)
        if pdu_type == pdu.A_RELEASE_RQ:
            if between_messages:
                self._end(pdu.RELEASE_RP)
            return None
        raise AssociationAborted("an unexpected PDU", AbortReason.UNEXPECTED_PDU)

    def _read_pdu(self, between_messages: bool) -> tuple[int, memoryview]:
        now = time.monotonic()
        if not between_messages:
            return self._wire.read_pdu(self._admit_header, now + self._wire.deadlines.pdu)
        self.waiting_since = now
        try:
            return self._wire.read_pdu(self._admit_header, now + self._wire.deadlines.idle)
        finally:
            self.waiting_since = None

    def _admit_header(self, pdu_type: int, length: int) -> None:
        if not pdu.A_ASSOCIATE_RQ <= pdu_type <= pdu.A_ABORT:
            raise AssociationAborted("an unknown PDU type", AbortReason.UNRECOGNIZED_PDU)
        if pdu_type < pdu.P_DATA_TF:
            raise AssociationAborted("an unexpected PDU", AbortReason.UNEXPECTED_PDU)
        longest = self._limits.maximum_pdu_length if pdu_type == pdu.P_DATA_TF else _SHORT_PDU
        if length > longest:
            raise AssociationAborted("a PDU longer than agreed", AbortReason.INVALID_PDU_PARAMETER)

    def _take_cancel(self, pdu_type: int, body: memoryview) -> bool:
        """Consumes a PDU that is a C-CANCEL-RQ and nothing else. What else there is stays for `receive`."""
        self._admit_header(pdu_type, len(body))
        if pdu_type == pdu.A_ABORT:
            raise _aborted(body)
        if pdu_type != pdu.P_DATA_TF:
            return False
        parts = pdu.fragments(body)
        if len(parts) != 1 or parts[0][1] & (COMMAND | LAST) != COMMAND | LAST:
            return False
        command = decode_command(bytes(parts[0][2]))
        if command.is_cancel:
            self._cancelled.add(command.primitive.MessageIDBeingRespondedTo)
            self._wire.skip(body)
        return command.is_cancel

    def _p_data(
        self, context_id: int, command: bytes, data: Iterable[bytes | memoryview] | None
    ) -> Iterator[list[bytes | memoryview]]:
        yield from pdu.p_data(context_id, COMMAND, [command], self.maximum_pdu_length)
        if data is not None:
            yield from pdu.p_data(context_id, 0, data, self.maximum_pdu_length)


def _aborted(body: memoryview) -> AssociationAborted:
    source, reason = (body[2], body[3]) if len(body) >= 4 else (0, 0)
    return AssociationAborted(f"the peer aborted the association (source {source}, reason {reason})")
