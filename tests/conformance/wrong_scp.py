"""DIMSE peers that are wrong on purpose: every check of the suite's DIMSE half must fail at one of them.

One refuses whatever it is asked, one agrees to whatever it is asked and does nothing of it, one says in the wrong
words that it lets nobody in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.acse import ACSE
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

from conformance import objects, uids
from conformance.checks.dimse_associations import PRINTING, UNKNOWN_SYNTAX
from conformance.checks.dimse_workitems import CLASSES
from conformance.world import DimsePeer

QUERIES = (
    uids.STUDY_ROOT_FIND,
    uids.PATIENT_ROOT_FIND,
    uids.STUDY_ROOT_GET,
    uids.STUDY_ROOT_MOVE,
    uids.WORKLIST,
)
STORED = (uids.CT, uids.MR, uids.SEGMENTATION)
SYNTAXES = [
    uids.IMPLICIT,
    uids.EXPLICIT,
    uids.BIG_ENDIAN,
    uids.DEFLATED,
    uids.RLE,
    uids.JPEG_LOSSLESS,
    uids.JPEG_BASELINE,
]
OUT_OF_RESOURCES = 0xA700


def entity(*more: str) -> AE:
    """An AE with everything that the suite proposes, and more."""
    ae = AE("WRONG")
    for sop_class in (uids.VERIFICATION, *QUERIES, uids.COMMITMENT, uids.PERFORMED_STEP, *CLASSES, *more):
        ae.add_supported_context(sop_class, SYNTAXES)
    for sop_class in STORED:
        ae.add_supported_context(sop_class, SYNTAXES, scu_role=True, scp_role=True)
    return ae


@contextmanager
def serving(ae: AE, handlers: list[Any], destination_port: int = 0) -> Iterator[DimsePeer]:
    """This AE at a port that the system chooses."""
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        port = server.server_address[1]
        yield DimsePeer("127.0.0.1", port, "WRONG", destination="SUITE", destination_port=destination_port)
    finally:
        server.shutdown()


def _once(status: int) -> Callable[[evt.Event], tuple[int, None]]:
    return lambda event: (status, None)


def refusing(destination_port: int) -> Any:
    """Accepts every association and fails every request."""

    def moved(event: evt.Event) -> Iterator[Any]:
        yield "127.0.0.1", destination_port, {"contexts": [build_context(uids.CT)]}
        yield 1
        yield OUT_OF_RESOURCES, None

    def got(event: evt.Event) -> Iterator[Any]:
        yield 1
        yield OUT_OF_RESOURCES, None

    single = [(evt.EVT_C_ECHO, lambda event: 0x0122), (evt.EVT_C_STORE, lambda event: OUT_OF_RESOURCES)]
    many = [(evt.EVT_C_FIND, lambda event: iter([(OUT_OF_RESOURCES, None)]))]
    retrieves = [(evt.EVT_C_MOVE, moved), (evt.EVT_C_GET, got)]
    kinds = (evt.EVT_N_ACTION, evt.EVT_N_CREATE, evt.EVT_N_GET, evt.EVT_N_SET)
    normalized = [(kind, _once(0x0110)) for kind in kinds]
    return serving(entity(), [*single, *many, *retrieves, *normalized], destination_port)


def agreeable(destination_port: int) -> Any:
    """Success to everything: what it finds and sends is no answer, and it promises what nobody asked for."""

    def found(event: evt.Event) -> Iterator[Any]:
        for _ in range(9):
            yield 0xFF00, _junk()
        yield 0x0000, None

    def moved(event: evt.Event) -> Iterator[Any]:
        yield "127.0.0.1", destination_port, {"contexts": [build_context(uids.CT)]}
        yield 0

    def got(event: evt.Event) -> Iterator[Any]:
        if event.identifier.QueryRetrieveLevel == "FOLDER":
            yield 0
            return
        event.assoc.requestor.maximum_length = 1 << 17
        yield 1
        large = _junk()
        large.PixelData = bytes(70_000)
        yield 0xFF00, large

    ae = entity()
    ae.add_supported_context(PRINTING, [UNKNOWN_SYNTAX])
    ae.add_supported_context(uids.STUDY_ROOT_FIND, [*SYNTAXES, UNKNOWN_SYNTAX])
    handlers = [
        (evt.EVT_C_ECHO, lambda event: 0x0000),
        (evt.EVT_C_STORE, lambda event: 0x0000),
        (evt.EVT_C_FIND, found),
        (evt.EVT_C_MOVE, moved),
        (evt.EVT_C_GET, got),
        (evt.EVT_N_CREATE, _once(0x0000)),
        (evt.EVT_N_SET, _once(0x0000)),
        (evt.EVT_SOP_EXTENDED, lambda event: dict.fromkeys(event.app_info, b"\1\1\1\1\1")),
    ]
    return serving(ae, handlers, destination_port)


def wide_window(acse: ACSE) -> AsynchronousOperationsWindowNegotiation:
    """An answer of pynetdicom's that promises more than was offered; by itself it never does."""
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = item.maximum_number_operations_performed = 20
    return item


def _junk() -> Dataset:
    """An object that nobody asked for."""
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = uids.CT, objects.new_uid()
    return data_set


def closed(destination_port: int) -> Any:
    """Lets nobody in, and blames the calling AE title for it."""
    ae = entity()
    ae.require_calling_aet = ["SOMEBODY"]
    return serving(ae, [], destination_port)
