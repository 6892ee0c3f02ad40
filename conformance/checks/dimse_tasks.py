"""Storage commitment, modality worklist, performed procedure steps: not claimed, not asked (PS3.4 J, K, F)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydicom.dataset import Dataset

from conformance import dimse, objects, uids
from conformance.dimse_exchange import KEPT, accepted, find, listening, peer_of, taken
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World

SECONDS = 90
"""Servers may wait for instances that are on their way."""
PROCESSING_FAILURE = 0x0110


def _item(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def _commit(w: World, references: Sequence[tuple[str, str]]) -> tuple[int, Dataset]:
    """Event Type ID and Event Information of the report on these (SOP class, SOP instance).

    It may come on the same association, which stays open, or on a new one to `--move-to`."""
    from pynetdicom import evt

    came = threading.Event()
    reports: list[tuple[int, Dataset]] = []

    def note(event: Any) -> tuple[int, None]:
        reports.append((int(event.event_type), event.event_information))
        came.set()
        return dimse.SUCCESS, None

    request = _item(TransactionUID=objects.new_uid())
    request.ReferencedSOPSequence = [
        _item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid) for sop_class, uid in references
    ]
    peer = peer_of(w)
    asking = replace(peer, calling=peer.destination or peer.calling)
    handlers = [(evt.EVT_N_EVENT_REPORT, note)]
    with (
        listening(peer, taken, *handlers),
        dimse.association(asking, (uids.COMMITMENT, uids.EXPLICIT), handlers=handlers) as held,
    ):
        if not held.accepted_contexts:
            raise Skipped("storage commitment is not accepted")
        status, _ = held.send_n_action(request, 1, uids.COMMITMENT, uids.COMMITMENT_INSTANCE)
        code = dimse.status_of(status)
        expect(code == dimse.SUCCESS, f"N-ACTION ends with {code:04X}")
        expect(came.wait(SECONDS), f"no N-EVENT-REPORT within {SECONDS} s")
    kind, report = reports[0]
    expect(report.get("TransactionUID") == request.TransactionUID, "the report has another Transaction UID")
    return kind, report


def _uids(report: Dataset, keyword: str) -> list[str]:
    return sorted(str(one.ReferencedSOPInstanceUID) for one in report.get(keyword) or [])


@check("DIM.60", "what is stored is committed: event 1", "PS3.4 J.3.3", Level.OPTIONAL, ["ct1", "ct2"])
def committed(w: World) -> None:
    kind, report = _commit(w, [(uids.CT, w[name].uid) for name in ("ct1", "ct2")])
    expect(kind == 1, f"Event Type ID {kind}")
    wanted = sorted(w[name].uid for name in ("ct1", "ct2"))
    expect(_uids(report, "ReferencedSOPSequence") == wanted, "Referenced SOP Sequence is another")
    expect("FailedSOPSequence" not in report, "there is a Failed SOP Sequence")


@check(
    "DIM.61",
    "what is not there fails with a reason: event 2",
    "PS3.4 J.3.3, PS3.3 C.14.1.1",
    Level.OPTIONAL,
    ["ct1"],
)
def not_committed(w: World) -> None:
    absent = objects.new_uid()
    kind, report = _commit(w, [(uids.CT, w["ct1"].uid), (uids.CT, absent)])
    expect(kind == 2, f"Event Type ID {kind}")
    expect(_uids(report, "ReferencedSOPSequence") == [w["ct1"].uid], "Referenced SOP Sequence is another")
    expect(_uids(report, "FailedSOPSequence") == [absent], "Failed SOP Sequence is another")
    reason = report.FailedSOPSequence[0].get("FailureReason")
    expect(reason == 0x0112, f"Failure Reason {reason}, not 0112H (no such object instance)")


def _worklist(w: World, **keys: Any) -> list[Dataset]:
    step = _item(Modality="", ScheduledStationAETitle="", ScheduledProcedureStepStartDate="")
    asked = _item(SpecificCharacterSet="ISO_IR 192", PatientName="", PatientID="", AccessionNumber="", **keys)
    asked.ScheduledProcedureStepSequence = [step]
    return find(peer_of(w), asked, uids.WORKLIST).must(dimse.SUCCESS).matches


@check("DIM.62", "the worklist answers, whatever is on it", "PS3.4 K.4.1.1", Level.OPTIONAL)
def worklist(w: World) -> None:
    """The suite cannot fill a worklist; each answer has to have the step that was asked for."""
    for item in _worklist(w):
        expect(
            item.get("ScheduledProcedureStepSequence"), "an answer lacks Scheduled Procedure Step Sequence"
        )


@check("DIM.63", "a worklist entry that does not exist is not found", "PS3.4 K.2.2", Level.OPTIONAL)
def empty_worklist(w: World) -> None:
    found = _worklist(w, RequestedProcedureID=f"NONE{w.run}")
    expect(not found, f"{len(found)} entries came")


def _step(w: World, status: str) -> Dataset:
    """What F.7.2.1 wants of an N-CREATE, of a step that nobody scheduled."""
    scheduled = _item(
        StudyInstanceUID=objects.new_uid(), AccessionNumber="", RequestedProcedureID="",
        RequestedProcedureDescription="", ScheduledProcedureStepID="", ScheduledProcedureStepDescription="",
        ReferencedStudySequence=[], ScheduledProtocolCodeSequence=[],
    )  # fmt: skip
    return _item(
        SpecificCharacterSet="ISO_IR 192", ScheduledStepAttributesSequence=[scheduled],
        PatientName="Step^Suite", PatientID=f"CONF{w.run}-PPS", PatientBirthDate="", PatientSex="",
        ReferencedPatientSequence=[], PerformedProcedureStepID="PPS1", PerformedStationAETitle="CONFORMANCE",
        PerformedStationName="", PerformedLocation="", PerformedProcedureStepStartDate="20240301",
        PerformedProcedureStepStartTime="101500", PerformedProcedureStepStatus=status,
        PerformedProcedureStepDescription="", PerformedProcedureTypeDescription="", ProcedureCodeSequence=[],
        PerformedProcedureStepEndDate="", PerformedProcedureStepEndTime="", Modality="CT", StudyID="",
        PerformedProtocolCodeSequence=[], PerformedSeriesSequence=[],
    )  # fmt: skip


def _finished(w: World) -> Dataset:
    series = _item(
        PerformingPhysicianName="", ProtocolName="Suite", OperatorsName="", SeriesDescription="",
        SeriesInstanceUID=str(w["ct1"].dataset.SeriesInstanceUID), RetrieveAETitle="",
        ReferencedImageSequence=[], ReferencedNonImageCompositeSOPInstanceSequence=[],
    )  # fmt: skip
    return _item(
        PerformedProcedureStepStatus="COMPLETED", PerformedProcedureStepEndDate="20240301",
        PerformedProcedureStepEndTime="102500", PerformedSeriesSequence=[series],
    )  # fmt: skip


def _perform(w: World, created: Dataset, *changes: Dataset) -> list[int]:
    """The statuses of an N-CREATE and of N-SETs after it."""
    uid = objects.new_uid()
    with dimse.association(peer_of(w), (uids.PERFORMED_STEP, uids.EXPLICIT), KEPT) as held:
        accepted(held, uids.PERFORMED_STEP)
        answers = [held.send_n_create(created, uids.PERFORMED_STEP, uid)]
        answers += [held.send_n_set(change, uids.PERFORMED_STEP, uid) for change in changes]
    return [dimse.status_of(status) for status, _ in answers]


@check(
    "DIM.64",
    "a performed procedure step begins and ends",
    "PS3.4 F.7.2.1, F.7.2.2",
    Level.OPTIONAL,
    ["ct1"],
)
def performed(w: World) -> None:
    found = _perform(w, _step(w, "IN PROGRESS"), _finished(w))
    expect(found == [0, 0], f"statuses {[f'{status:04X}' for status in found]}")


@check("DIM.65", "a completed step is not changed any more: 0110", "PS3.4 F.7.2.2.2", Level.OPTIONAL, ["ct1"])
def performed_again(w: World) -> None:
    found = _perform(w, _step(w, "IN PROGRESS"), _finished(w), _finished(w))
    expect(found[2] == PROCESSING_FAILURE, f"the second N-SET ends with {found[2]:04X}")


@check("DIM.66", "a step does not begin completed", "PS3.4 F.7.2.1.2", Level.OPTIONAL, ["ct1"])
def begins_completed(w: World) -> None:
    (status,) = _perform(w, _step(w, "COMPLETED"))
    expect(0x0100 <= status < 0x0300 or status >> 12 in (0xA, 0xC), f"N-CREATE ends with {status:04X}")
