"""An association in either role: whole messages in and out of one blocking thread (PS3.7, PS3.8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on what a peer may make us hold. `maximum_pdu_length` is what we announce (PS3.8 D.1)."""

    maximum_pdu_length: int = 262144
    maximum_object_bytes: int = 1 << 40
    maximum_identifier_bytes: int = 1 << 24
    maximum_command_bytes: int = 1 << 16


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context. The roles are ours: `as_scp` for what we serve, `as_scu` for what we may
    ask for in this association (C-STORE in C-GET)."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool
    as_scp: bool


@dataclass(slots=True)
class Message:
    """A DIMSE message. `command` is a primitive of pynetdicom.dimse_primitives without data set; values are as
    sent, unchecked (a UID may be no UID), and an absent one is None. `data`: the encoded data set in pieces as they
    come from the network, None without data set. What is not read is dropped by the next `receive`."""

    context: Context
    command: Any
    data: Iterator[bytes] | None


class Association:
    """Whole messages over one connection. AE titles as in the PolicyAcceptor; `contexts` by ID; `contexts` holds
    accepted ones only. Every method that waits raises AssociationAborted when the association has ended otherwise
    than by release; it is closed then."""

    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    contexts: Mapping[int, Context]
    maximum_pdu_length: int

    def receive(self) -> Message | None:
        """The next message; None: the peer released the association, and we answered. C-CANCEL-RQ is not
        returned, `cancelled` knows it."""
        raise NotImplementedError

    def send(self, context_id: int, primitive: Any, data: Iterable[bytes] | None = None) -> None:
        """Sends a request or response: a primitive with MessageIDBeingRespondedTo is a response. With `data` the
        message has a data set. An exception that comes out of `data` aborts the association and passes on."""
        raise NotImplementedError

    def cancelled(self, message_id: int) -> bool:
        """Whether C-CANCEL-RQ for this request has arrived; does not block."""
        raise NotImplementedError

    def release(self) -> None:
        """A-RELEASE-RQ, waits for the answer, closes. Nothing if the association has ended."""
        raise NotImplementedError

    def abort(self) -> None:
        """A-ABORT as service user, closes. Never raises."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        raise NotImplementedError
