"""SCUs of storage commitment that listen for its results: pynetdicom's AE on a port that the system chooses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

Answer = Callable[[evt.Event], int]
WELL_KNOWN = "1.2.840.10008.1.20.1.1"


@dataclass
class Told:
    """What came: Event Type ID, Event Information and the calling AE title of each report; the roles of each
    association as they were proposed, SCU and SCP."""

    port: int = 0
    reports: list[tuple[int, Dataset, str]] = field(default_factory=list)
    roles: list[tuple[bool, bool]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    def handler(self, answer: Answer) -> Answer:
        """Notes reports, and answers them."""

        def on_report(event: evt.Event) -> tuple[int, None]:
            assert event.request.AffectedSOPInstanceUID == WELL_KNOWN
            calling = event.assoc.requestor.ae_title
            self.reports.append((event.request.EventTypeID, event.event_information, calling))
            self.came.set()
            return answer(event), None

        return on_report


@contextmanager
def listening(
    answer: Answer = lambda event: 0,
    *,
    roles: tuple[bool | None, bool | None] = (False, True),
    ae_title: str = "MODALITY",
    sop_class: str = StorageCommitmentPushModel,
    only_from: tuple[str, ...] = (),
) -> Iterator[Told]:
    """A console that waits for reports. `roles`: which of the requestor's it grants, SCU and SCP; None: silence."""
    told = Told()

    def on_requested(event: evt.Event) -> None:
        items = event.assoc.requestor.role_selection.values()
        told.roles.extend((bool(item.scu_role), bool(item.scp_role)) for item in items)

    ae = AE(ae_title)
    ae.require_calling_aet = list(only_from)
    ae.add_supported_context(sop_class, scu_role=roles[0], scp_role=roles[1])
    handlers = [(evt.EVT_N_EVENT_REPORT, told.handler(answer)), (evt.EVT_REQUESTED, on_requested)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    told.port = server.server_address[1]
    try:
        yield told
    finally:
        server.shutdown()


def action(transaction_uid: str, *references: tuple[str, str]) -> Dataset:
    """Action Information: what is to be kept, as SOP Class UID and SOP Instance UID."""
    asked = Dataset()
    asked.TransactionUID = transaction_uid
    asked.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
        asked.ReferencedSOPSequence.append(item)
    return asked


def committed(information: Dataset) -> list[str]:
    """The SOP Instance UIDs that are promised."""
    return [item.ReferencedSOPInstanceUID for item in information.get("ReferencedSOPSequence", [])]


def failed(information: Dataset) -> dict[str, int]:
    """Failure Reason of the others."""
    items = information.get("FailedSOPSequence", [])
    return {item.ReferencedSOPInstanceUID: item.FailureReason for item in items}
