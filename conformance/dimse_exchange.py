"""More of DIMSE than `dimse`: associations looked at closely, requests with every answer kept, and an SCP of our own.

C-MOVE needs somebody to receive. `--move-to AET:PORT` names an AE title that the server knows as this machine; the
suite listens there while a check runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from conformance import dimse, uids
from conformance.objects import Object
from conformance.verdicts import Failed, Skipped, expect

if TYPE_CHECKING:
    from conformance.world import DimsePeer, World

PENDING = dimse.PENDING
KEPT = (uids.VERIFICATION, uids.IMPLICIT)
"""Proposed beside what is asked for: without one accepted context pynetdicom aborts, and nothing is learnt."""


def taken(_: Any) -> int:
    """Success, for whatever comes."""
    return dimse.SUCCESS


@dataclass
class Answers:
    """Every response to one request, and what came in C-STORE sub-operations meanwhile."""

    responses: list[Dataset] = field(default_factory=list)
    identifiers: list[Dataset | None] = field(default_factory=list)
    received: list[Dataset] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The Status of the last response. Raises `Failed` when none came."""
        if not self.responses:
            raise Failed("no response came")
        return dimse.status_of(self.responses[-1])

    @property
    def matches(self) -> list[Dataset]:
        """The Identifiers of pending responses."""
        both = zip(self.responses, self.identifiers, strict=True)
        return [
            found for response, found in both if found is not None and dimse.status_of(response) in PENDING
        ]

    def must(self, *statuses: int) -> Answers:
        """These answers. Raises `Failed` when the last has another Status."""
        wanted = " or ".join(f"{status:04X}" for status in statuses)
        expect(self.status in statuses, f"the last status is {self.status:04X}, not {wanted}")
        return self

    def count(self, kind: str) -> int:
        """Number of Completed, Failed or Warning Sub-operations of the last response. Raises `Failed` without it."""
        value = self.responses[-1].get(f"NumberOf{kind}Suboperations")
        if value is None:
            raise Failed(f"the last response lacks Number of {kind} Sub-operations")
        return int(value)

    @property
    def failed_uids(self) -> list[str]:
        """Failed SOP Instance UID List of the last response."""
        identifier = self.identifiers[-1]
        value = identifier.get("FailedSOPInstanceUIDList") if identifier is not None else None
        if not value:
            return []
        return [value] if isinstance(value, str) else [str(one) for one in value]


def peer_of(w: World) -> DimsePeer:
    """The server's DIMSE side. Raises `Skipped` without one."""
    if w.dimse is None:
        raise Skipped("no --dimse HOST:PORT:AET")
    return w.dimse


def identifier(level: str, **keys: Any) -> Dataset:
    """An Identifier that asks in UTF-8."""
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.SpecificCharacterSet = level, "ISO_IR 192"
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def find(peer: DimsePeer, keys: Dataset, model: str = uids.STUDY_ROOT_FIND, cancel_after: int = 0) -> Answers:
    """C-FIND; after `cancel_after` pending responses C-CANCEL is sent. Raises `Skipped` without the model."""
    answers = Answers()
    with dimse.association(peer, (model, uids.EXPLICIT), KEPT) as held:
        accepted(held, model)
        for response, found in held.send_c_find(keys, model, msg_id=7):
            answers.responses.append(response)
            answers.identifiers.append(found)
            if cancel_after and len(answers.responses) == cancel_after:
                held.send_c_cancel(7, query_model=model)
    return answers


def get(
    peer: DimsePeer,
    keys: Dataset,
    classes: Sequence[str],
    receive: Callable[[Dataset], int] = taken,
    maximum_pdu: int = 0,
    handlers: Sequence[Any] = (),
) -> Answers:
    """C-GET with these storage classes proposed; `receive` gives each sub-operation's status."""
    from pynetdicom import build_role, evt

    answers = Answers()

    def take(event: Any) -> int:
        answers.received.append(event.dataset)
        return receive(event.dataset)

    model = uids.STUDY_ROOT_GET
    proposed = [(model, uids.EXPLICIT), KEPT, *((one, uids.EXPLICIT) for one in classes)]
    roles = [build_role(one, scp_role=True) for one in classes]
    with dimse.association(
        peer, *proposed, roles=roles, handlers=[(evt.EVT_C_STORE, take), *handlers], maximum_pdu=maximum_pdu
    ) as held:
        accepted(held, model)
        _collect(held.send_c_get(keys, model), answers)
    return answers


def move(peer: DimsePeer, keys: Dataset, destination: str, receive: Callable[[Any], int] = taken) -> Answers:
    """C-MOVE to `destination`, with the suite listening where `--move-to` says. Raises `Skipped` without it."""
    answers = Answers()

    def take(event: Any) -> int:
        answers.received.append(event.dataset)
        return receive(event)

    model = uids.STUDY_ROOT_MOVE
    with listening(peer, take), dimse.association(peer, (model, uids.EXPLICIT), KEPT) as held:
        accepted(held, model)
        _collect(held.send_c_move(keys, destination, model, msg_id=9), answers)
    return answers


def _collect(responses: Iterator[tuple[Dataset, Dataset | None]], answers: Answers) -> None:
    for response, found in responses:
        answers.responses.append(response)
        answers.identifiers.append(found)


def accepted(held: Any, model: str) -> None:
    """Raise `Skipped` unless the server has taken this SOP class."""
    if not any(one.abstract_syntax == model for one in held.accepted_contexts):
        raise Skipped(f"{model} is not accepted")


@contextmanager
def listening(peer: DimsePeer, store: Callable[[Any], int], *handlers: Any) -> Iterator[None]:
    """An SCP at the port of `--move-to` that takes CT and MR and gives them to `store`. Raises `Skipped`."""
    if not peer.destination_port:
        raise Skipped("no --move-to AET:PORT")
    from pynetdicom import AE, evt

    ae = AE(peer.destination)
    for sop_class in (uids.CT, uids.MR):
        ae.add_supported_context(sop_class, [uids.EXPLICIT, uids.IMPLICIT])
    ae.add_supported_context(uids.VERIFICATION)
    ae.add_supported_context(uids.COMMITMENT, scu_role=True, scp_role=True)
    ae.add_supported_context(uids.UPS_EVENT, scu_role=True, scp_role=True)
    bound = [(evt.EVT_C_STORE, store), (evt.EVT_C_ECHO, taken), *handlers]
    try:
        server = ae.start_server(("", peer.destination_port), block=False, evt_handlers=bound)
    except OSError as problem:
        raise Skipped(f"cannot listen at port {peer.destination_port}: {problem}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            server.shutdown()


def store_bytes(peer: DimsePeer, sop_class: str, sop_instance: str, data: bytes, syntax: str) -> int:
    """C-STORE of bytes, whatever they are, under these UIDs; the Status."""
    from pynetdicom import _config

    head = Object("head", _identity(sop_class, sop_instance), syntax).file()
    with dimse.association(peer, (sop_class, syntax)) as held, TemporaryDirectory() as folder:
        expect(held.accepted_contexts, f"transfer syntax {syntax} was not accepted by DIMSE")
        path = Path(folder) / "object.dcm"
        path.write_bytes(head[: _data_set_offset(head)] + data)
        before, _config.STORE_SEND_CHUNKED_DATASET = _config.STORE_SEND_CHUNKED_DATASET, True
        try:
            return dimse.status_of(held.send_c_store(path))
        finally:
            _config.STORE_SEND_CHUNKED_DATASET = before


def _identity(sop_class: str, sop_instance: str) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, sop_instance
    return ds


def _data_set_offset(whole: bytes) -> int:
    return 144 + int.from_bytes(whole[140:144], "little")


def data_set_bytes(one: Object) -> bytes:
    """The data set of an object as C-STORE carries it."""
    whole = one.file()
    return whole[_data_set_offset(whole) :]


def store_again(peer: DimsePeer, one: Object) -> int:
    """C-STORE of an object as it is; the Status."""
    with dimse.association(peer, (str(one.dataset.SOPClassUID), one.transfer_syntax)) as held:
        expect(held.accepted_contexts, f"transfer syntax {one.transfer_syntax} was not accepted by DIMSE")
        return dimse.status_of(held.send_c_store(dcmread(BytesIO(one.file()))))
