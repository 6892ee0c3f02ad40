"""A real archive behind a real DIMSE door in this process, and SCUs that speak with it.

`Scu` sends raw bytes over our own requestor, for what a well-behaved toolkit would not send; the tests of ordinary
traffic use pynetdicom's AE (`associate`).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association as PynetdicomAssociation
from pynetdicom.dimse_primitives import C_CANCEL, C_STORE

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope, StoredInstance
from archive.dimse import server
from archive.network.association import Association, Message
from archive.network.commands import request_of
from archive.network.requestor import Proposal, open_association
from suites.sqlite import prepare

AE_TITLE = "ARCHIVE"


@dataclass(frozen=True)
class Door:
    """Where it listens, and the archive behind it."""

    archive: Archive
    port: int
    data: Path

    def stored(self) -> dict[str, StoredInstance]:
        """Everything in the index, by SOP Instance UID."""
        return {found.SOPInstanceUID: found for found in self.archive.retrieve.instances(Scope())}

    def data_set(self, sop_instance_uid: str) -> bytes:
        """The stored bytes of a data set."""
        instance = self.stored()[sop_instance_uid]
        with self.archive.retrieve.open(instance) as blob:
            return blob.read(instance.data_set_offset, instance.data_set_length)

    def files(self) -> list[Path]:
        """Every file of the store, published or not."""
        folders = [self.data / "objects", self.data / "spool"]
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    def associate(
        self, contexts: Sequence[tuple[str, Sequence[str]]], **options: Any
    ) -> PynetdicomAssociation:
        """An association of pynetdicom's AE."""
        ae = AE(options.pop("ae_title", "WORKSTATION"))
        for abstract, transfers in contexts:
            ae.add_requested_context(abstract, list(transfers))
        association = ae.associate("127.0.0.1", self.port, ae_title=AE_TITLE, **options)
        assert association.is_established
        return association

    def open(
        self,
        *contexts: Proposal,
        calling_ae_title: str = "WORKSTATION",
        called_ae_title: str = AE_TITLE,
    ) -> Association:
        """An association of our own requestor; use it in a `with`."""
        return open_association(
            "127.0.0.1",
            self.port,
            calling_ae_title=calling_ae_title,
            called_ae_title=called_ae_title,
            contexts=contexts,
        )


@contextmanager
def open_door(folder: Path, **overrides: Any) -> Iterator[Door]:
    """Settings by path, dots as double underscores: `limits__maximum_object_bytes=1000`."""
    values = {path.replace("__", "."): value for path, value in overrides.items()}
    defaults = {"data": str(folder), "storage.minimum_free_bytes": 0, "drain_seconds": 1}
    settings = config.load(environment={}, overrides={**defaults, **values})
    prepare(settings)
    archive = building.build(settings)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = threading.Thread(target=server.run, args=(archive, listener, lambda: None, stop))
        worker.start()
        try:
            yield Door(archive, listener.getsockname()[1], folder)
        finally:
            stop.set()
            worker.join()
            archive.close()


def context_id(association: Association, abstract_syntax: str, transfer_syntax: str | None = None) -> int:
    """The accepted context for this."""
    return next(
        context.id
        for context in association.contexts.values()
        if context.abstract_syntax == abstract_syntax and transfer_syntax in (None, context.transfer_syntax)
    )


def store(
    association: Association,
    data: bytes | None,
    sop_class_uid: str,
    sop_instance_uid: str,
    context: int | None = None,
    message_id: int = 1,
) -> Any:
    """C-STORE of these bytes; the response primitive."""
    request = request_of(
        C_STORE,
        MessageID=message_id,
        AffectedSOPClassUID=sop_class_uid,
        AffectedSOPInstanceUID=sop_instance_uid,
        Priority=0,
    )
    context = context or context_id(association, sop_class_uid)
    # in pieces of odd length, as PDVs are
    pieces = None if data is None else [data[at : at + 40_001] for at in range(0, len(data), 40_001)]
    association.send(context, request, pieces)
    return response(association).command


def keep(door: Door, *objects: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> list[bytes]:
    """Store pydicom data sets by C-STORE; the bytes that were sent."""
    from objects import encoded

    classes = dict.fromkeys(each.SOPClassUID for each in objects)
    with door.open(*(Proposal(uid, (transfer_syntax,)) for uid in classes)) as association:
        sent = [encoded(each, transfer_syntax) for each in objects]
        for each, data in zip(objects, sent, strict=True):
            assert store(association, data, each.SOPClassUID, each.SOPInstanceUID).Status == 0
    return sent


def response(association: Association) -> Message:
    """The next message; the association must not be released instead."""
    message = association.receive()
    assert message is not None
    return message


def cancel(association: Association, context: int, message_id: int) -> None:
    """C-CANCEL-RQ."""
    association.send(context, request_of(C_CANCEL, MessageIDBeingRespondedTo=message_id))
