"""How an association is negotiated, and what C-STORE refuses (PS3.8 9.3, PS3.7 D.3, PS3.4 B)."""

from __future__ import annotations

from typing import Any

from conformance import dimse, objects, uids
from conformance.dimse_exchange import (
    data_set_bytes,
    find,
    get,
    identifier,
    peer_of,
    store_again,
    store_bytes,
)
from conformance.registry import check
from conformance.verdicts import Failed, Level, Skipped, expect
from conformance.world import World

PRINTING = "1.2.840.10008.5.1.1.9"
UNKNOWN_SYNTAX = "1.2.840.10008.1.2.99999"
SMALL_PDU = 4096


def _results(w: World, *contexts: tuple[str, str]) -> dict[str, int]:
    """Abstract syntax to the result of its presentation context."""
    with dimse.association(peer_of(w), *contexts) as held:
        several = [*held.accepted_contexts, *held.rejected_contexts]
        return {str(one.abstract_syntax): int(one.result) for one in several}


@check("DIM.9", "a service that is not offered: result 3, the others live", "PS3.8 Table 9-18")
def other_service(w: World) -> None:
    """Printing, of which archives know nothing. Of storage classes a server may take those it has never heard of."""
    found = _results(w, (PRINTING, uids.IMPLICIT), (uids.VERIFICATION, uids.IMPLICIT))
    expect(found.get(uids.VERIFICATION) == 0, "Verification is not accepted beside it")
    if found.get(PRINTING) == 0:
        raise Skipped("printing is offered")
    expect(found.get(PRINTING) == 3, f"result {found.get(PRINTING)}")


@check("DIM.10", "no transfer syntax that will do: result 4", "PS3.8 Table 9-18")
def unknown_syntax(w: World) -> None:
    """Where the SOP class is unknown as well, 3 is right."""
    found = _results(w, (uids.STUDY_ROOT_FIND, UNKNOWN_SYNTAX), (uids.VERIFICATION, uids.IMPLICIT))
    expect(found.get(uids.VERIFICATION) == 0, "Verification is not accepted beside it")
    expect(found.get(uids.STUDY_ROOT_FIND) in (3, 4), f"result {found.get(uids.STUDY_ROOT_FIND)}")


@check("DIM.11", "another called AE title, if it is not served: 1, 1, 7", "PS3.8 Table 9-21", Level.OPTIONAL)
def called(w: World) -> None:
    """A server may answer to every title; one that does not has the numbers to say so."""
    peer = peer_of(w)
    other = type(peer)(peer.host, peer.port, "NOSUCHTITLE", peer.calling)
    held = dimse.request(other, (uids.VERIFICATION, uids.IMPLICIT))
    if held.is_established:
        held.release()
        raise Skipped("every called AE title is served")
    expect(held.is_rejected, "no A-ASSOCIATE-RJ came")
    answer = held.acceptor.primitive
    told = (answer.result, answer.result_source, answer.diagnostic)
    expect(told == (1, 1, 7), f"result, source, reason {told}")


@check("DIM.12", "no more operations at a time than were offered", "PS3.7 D.3.3.3", Level.OPTIONAL)
def window(w: World) -> None:
    """Silence means one operation at a time; zero means no limit, which must have been offered."""
    from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

    offered = AsynchronousOperationsWindowNegotiation()
    offered.maximum_number_operations_invoked = offered.maximum_number_operations_performed = 3
    with dimse.association(peer_of(w), (uids.VERIFICATION, uids.IMPLICIT), roles=[offered]) as held:
        found = held.acceptor.asynchronous_operations
    expect(all(1 <= number <= 3 for number in found), f"3 and 3 were offered, {found} came")


@check(
    "DIM.13",
    "extended negotiation of queries promises nothing that was not asked",
    "PS3.4 C.5.1.1",
    Level.OPTIONAL,
)
def extended(w: World) -> None:
    """Only fuzzy matching is asked for; the answer has to leave the others at 0."""
    from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

    asked = SOPClassExtendedNegotiation()
    asked.sop_class_uid = uids.STUDY_ROOT_FIND
    asked.service_class_application_information = b"\x00\x00\x01\x00\x00"
    with dimse.association(peer_of(w), (uids.STUDY_ROOT_FIND, uids.EXPLICIT), roles=[asked]) as held:
        found = dict(held.acceptor.sop_class_extended).get(uids.STUDY_ROOT_FIND)
    if found is None:
        raise Skipped("extended negotiation is not answered")
    wrong = [place for place, byte in enumerate(found[:5], 1) if byte and place != 3]
    expect(not wrong and len(found) <= 6, f"the answer is {found.hex(' ')}")


@check("DIM.14", "P-DATA is no longer than the requestor takes", "PS3.8 D.1.1", needs=["ct3"])
def maximum_length(w: World) -> None:
    from pynetdicom import evt

    longest = [0]

    def note(event: Any) -> None:
        longest[0] = max(longest[0], int(event.pdu.pdu_length))

    ds = w["ct3"].dataset
    keys = identifier("STUDY", StudyInstanceUID=str(ds.StudyInstanceUID))
    handlers = [(evt.EVT_PDU_RECV, note)]
    answers = get(peer_of(w), keys, [uids.CT, uids.MR], maximum_pdu=SMALL_PDU, handlers=handlers)
    expect(answers.received, "nothing came")
    expect(longest[0] <= SMALL_PDU, f"a PDU of {longest[0]} bytes came, {SMALL_PDU} were negotiated")


@check("DIM.15", "the study root model has no PATIENT level", "PS3.4 C.6.2.1")
def level_of_model(w: World) -> None:
    """PATIENT is no level of the study root model, so this is A900, or another failure."""
    status = find(peer_of(w), identifier("PATIENT", PatientID="")).status
    expect(_is_failure(status), f"C-FIND at PATIENT level of the study root ends with {status:04X}")


def _is_failure(status: int) -> bool:
    return status >> 12 in (0xA, 0xC) or 0x0100 <= status < 0x0300


@check("DIM.16", "a data set of another SOP class is not stored", "PS3.4 Table B.2-1 (A9xx)")
def mismatch(w: World) -> None:
    one = objects.part(w.run, "DIM16")
    w.remember(one)
    other = uids.MR if str(one.dataset.SOPClassUID) != uids.MR else uids.CT
    status = store_bytes(peer_of(w), other, one.uid, data_set_bytes(one), one.transfer_syntax)
    expect(_is_failure(status), f"status {status:04X}")


@check("DIM.17", "a data set of another SOP Instance UID is not stored", "PS3.4 B.2.3, Table B.2-1")
def other_instance(w: World) -> None:
    one = objects.part(w.run, "DIM17")
    w.remember(one)
    sop_class = str(one.dataset.SOPClassUID)
    status = store_bytes(peer_of(w), sop_class, objects.new_uid(), data_set_bytes(one), one.transfer_syntax)
    expect(_is_failure(status), f"status {status:04X}")


@check("DIM.18", "half a data set is not stored", "PS3.4 Table B.2-1 (Cxxx)")
def truncated(w: World) -> None:
    """An abort instead of a status says so, too."""
    one = objects.part(w.run, "DIM18")
    w.remember(one)
    whole = data_set_bytes(one)
    sop_class = str(one.dataset.SOPClassUID)
    try:
        status = store_bytes(
            peer_of(w), sop_class, one.uid, whole[: len(whole) // 2 + 1], one.transfer_syntax
        )
    except Failed:
        return
    expect(_is_failure(status), f"status {status:04X}")


@check("DIM.19", "the same object again is a success", "PS3.4 B.2.3", Level.OPTIONAL)
def again(w: World) -> None:
    one = objects.part(w.run, "DIM19")
    peer = peer_of(w)
    w.remember(one)
    statuses = [store_again(peer, one) for _ in range(2)]
    expect(statuses == [0, 0], f"statuses {[f'{status:04X}' for status in statuses]}")


def _as_it_is(number: int, name: str, what: str) -> None:
    @check(f"DIM.{number}", f"{what} is taken by C-STORE", "PS3.5 10, PS3.4 B.3", Level.OPTIONAL, [name])
    def run(w: World) -> None:
        status = store_again(peer_of(w), w[name])
        expect(status == dimse.SUCCESS, f"status {status:04X}")


_as_it_is(20, "rle", "RLE")
_as_it_is(21, "lossless", "lossless JPEG")
_as_it_is(22, "lossy", "baseline JPEG")
_as_it_is(23, "deflated", "deflated explicit VR")
_as_it_is(24, "seg", "a segmentation")
