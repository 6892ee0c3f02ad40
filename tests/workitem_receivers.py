"""Subscribers of workitems that listen for N-EVENT-REPORT: pynetdicom's AE on a port that the system chooses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import UnifiedProcedureStepEvent, UnifiedProcedureStepPush

SECONDS = 60.0


@dataclass
class Heard:
    """What came: Event Type ID, workitem and Event Information of each report; the roles that were proposed."""

    port: int = 0
    reports: list[tuple[int, str, Dataset]] = field(default_factory=list)
    roles: list[tuple[bool, bool]] = field(default_factory=list)
    associations: int = 0
    came: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, number: int, seconds: float = SECONDS) -> bool:
        """Whether so many reports have come in time."""
        with self.came:
            return self.came.wait_for(lambda: len(self.reports) >= number, seconds)


@contextmanager
def listening(
    answer: Callable[[evt.Event], int] = lambda event: 0, sop_class: str = UnifiedProcedureStepEvent
) -> Iterator[Heard]:
    """A subscriber, by pynetdicom."""
    heard = Heard()

    def on_report(event: evt.Event) -> tuple[int, None]:
        assert event.request.AffectedSOPClassUID == UnifiedProcedureStepPush
        uid = str(event.request.AffectedSOPInstanceUID)
        with heard.came:
            heard.reports.append((event.request.EventTypeID, uid, event.event_information))
            heard.came.notify_all()
        return answer(event), None

    def on_requested(event: evt.Event) -> None:
        heard.associations += 1
        items = event.assoc.requestor.role_selection.values()
        heard.roles.extend((bool(item.scu_role), bool(item.scp_role)) for item in items)

    ae = AE("WARD")
    ae.add_supported_context(sop_class, scu_role=False, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, on_report), (evt.EVT_REQUESTED, on_requested)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    heard.port = server.server_address[1]
    try:
        yield heard
    finally:
        server.shutdown()
