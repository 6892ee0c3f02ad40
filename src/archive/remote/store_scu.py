"""C-STORE as SCU: stored instances to another application entity, their bytes untouched.

Every (SOP class, transfer syntax) pair gets a presentation context of its own, so that what the receiver
takes is known before the first byte is sent; an instance whose pair it does not take fails alone, with a
reason. An association has room for 128 contexts (PS3.8 9.3.2.2): more pairs mean several associations, one
after the other.

An instance that fails does not end the transfer. Only a receiver that cannot be reached, or that breaks two
associations in a row without having stored anything, is given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from pynetdicom.dimse_primitives import C_STORE

from archive.dicom.errors import ArchiveError, AssociationAborted, PeerFailure
from archive.dicom.instance import StoredInstance
from archive.network.association import Association, Context
from archive.network.commands import request_of
from archive.remote.peer import Peer

MAXIMUM_CONTEXTS = 128
_STRIKES = 2
_WARNINGS = frozenset({0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000)})
"""PS3.7 Annex C and PS3.4 Table B.2-1: stored, but."""

NO_CONTEXT = 0x0122
NO_BYTES = 0x0110
NO_STATUS = 0x0110
NO_ASSOCIATION = 0xA702

Pair = tuple[str, str]
DataSets = Callable[[StoredInstance], AbstractContextManager[Iterable[bytes]]]
"""Opens the encoded data set of an instance; raises NotFound before anything was sent."""


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What every C-STORE-RQ of a transfer says. The move originator is the SCU of the C-MOVE (PS3.7
    9.1.1.1)."""

    priority: int = 0
    move_originator_ae_title: str = ""
    move_originator_message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance: the receiver's status, or ours when it was never sent."""

    instance: StoredInstance
    status: int
    reason: str = ""

    @property
    def warned(self) -> bool:
        """Stored, but."""
        return self.status in _WARNINGS

    @property
    def failed(self) -> bool:
        """Not stored."""
        return self.status != 0 and not self.warned


def pair(instance: StoredInstance) -> Pair:
    """The abstract and transfer syntax that an instance needs."""
    return instance.SOPClassUID, instance.transfer_syntax_uid


def batches(instances: Iterable[StoredInstance]) -> list[tuple[list[Pair], list[StoredInstance]]]:
    """The instances with the contexts they need, as few associations as possible, otherwise in their
    order."""
    by_pair: dict[Pair, int] = {}
    filled: list[tuple[list[Pair], list[StoredInstance]]] = []
    for instance in instances:
        key = pair(instance)
        if key not in by_pair:
            by_pair[key] = len(by_pair) // MAXIMUM_CONTEXTS
            if by_pair[key] == len(filled):
                filled.append(([], []))
            filled[by_pair[key]][0].append(key)
        filled[by_pair[key]][1].append(instance)
    return filled


def send_all(
    peer: Peer, instances: Iterable[StoredInstance], data_set: DataSets, request: StoreRequest
) -> Generator[Outcome, None, None]:
    """Send them, one outcome for each. Closing the iterator early releases the association."""
    for pairs, batch in batches(instances):
        yield from _send_batch(peer, pairs, deque(batch), data_set, request)


def store(
    association: Association,
    instance: StoredInstance,
    data_set: DataSets,
    request: StoreRequest,
    message_id: int,
) -> Outcome:
    """One C-STORE over an open association. Raises PeerFailure when the association is lost."""
    context = context_for(association, instance)
    if context is None:
        reason = f"not taken: {instance.transfer_syntax_uid} of {instance.SOPClassUID}"
        return Outcome(instance, NO_CONTEXT, reason)
    try:
        source = data_set(instance)
        pieces = source.__enter__()
    except ArchiveError as missing:
        return Outcome(instance, NO_BYTES, missing.reason)
    try:
        _send(association, context, _command(instance, request, message_id), pieces)
    finally:
        source.__exit__(None, None, None)
    answer = _response(association, message_id)
    if answer.Status is None:
        return Outcome(instance, NO_STATUS, "the receiver answered without a status")
    return Outcome(instance, answer.Status, str(answer.ErrorComment or ""))


def context_for(association: Association, instance: StoredInstance) -> Context | None:
    """The accepted context in which we may send this instance as it is stored."""
    fitting = (
        context
        for context in association.contexts.values()
        if context.as_scu and (context.abstract_syntax, context.transfer_syntax) == pair(instance)
    )
    return next(fitting, None)


def _send_batch(
    peer: Peer,
    pairs: Sequence[Pair],
    waiting: deque[StoredInstance],
    data_set: DataSets,
    request: StoreRequest,
) -> Generator[Outcome, None, None]:
    strikes, reason = 0, ""
    while waiting and strikes < _STRIKES:
        try:
            with _association(peer, pairs) as association:
                for outcome in _over(association, waiting, data_set, request):
                    strikes = strikes if outcome.failed else 0
                    yield outcome
        except _Lost as lost:
            strikes, reason = strikes + 1, lost.reason
            yield Outcome(waiting.popleft(), NO_ASSOCIATION, reason)
        except PeerFailure as failure:
            strikes, reason = _STRIKES, failure.reason
    yield from (Outcome(instance, NO_ASSOCIATION, reason) for instance in waiting)


class _Lost(AssociationAborted):
    """The association broke while an instance was on its way."""


def _over(
    association: Association, waiting: deque[StoredInstance], data_set: DataSets, request: StoreRequest
) -> Generator[Outcome, None, None]:
    """Send what waits; an instance leaves the queue when its outcome is known."""
    message_id = 0
    while waiting:
        message_id = message_id % 0xFFFF + 1
        try:
            outcome = store(association, waiting[0], data_set, request, message_id)
        except PeerFailure as failure:
            raise _Lost(failure.reason) from failure
        waiting.popleft()
        yield outcome


@contextmanager
def _association(peer: Peer, pairs: Sequence[Pair]) -> Iterator[Association]:
    """Open, and released whatever happens, unless it is broken."""
    association = peer.associate([(abstract, (transfer,)) for abstract, transfer in pairs])
    try:
        yield association
    except _Lost:
        association.abort()
        raise
    except GeneratorExit:
        _release(association)
        raise
    _release(association)


def _release(association: Association) -> None:
    """What was stored is stored, however the other side takes its leave."""
    with suppress(PeerFailure):
        association.release()


def _command(instance: StoredInstance, request: StoreRequest, message_id: int) -> C_STORE:
    return request_of(
        C_STORE,
        MessageID=message_id,
        AffectedSOPClassUID=instance.SOPClassUID,
        AffectedSOPInstanceUID=instance.SOPInstanceUID,
        Priority=request.priority,
        MoveOriginatorApplicationEntityTitle=request.move_originator_ae_title or None,
        MoveOriginatorMessageID=request.move_originator_message_id,
    )


def _send(association: Association, context: Context, command: C_STORE, pieces: Iterable[bytes]) -> None:
    """A data set that breaks off half way cannot be taken back: `send` aborts the association."""
    try:
        association.send(context.id, command, pieces)
    except PeerFailure:
        raise
    except ArchiveError as damage:
        raise AssociationAborted("the stored bytes of an instance cannot be read") from damage


def _response(association: Association, message_id: int) -> C_STORE:
    message = association.receive()
    if message is None:
        raise AssociationAborted("the receiver released the association without an answer")
    command = message.command
    if not isinstance(command, C_STORE) or command.MessageIDBeingRespondedTo != message_id:
        association.abort()
        raise AssociationAborted("the receiver answered something else than the C-STORE-RSP")
    return command
