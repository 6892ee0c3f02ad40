"""The Worklist Service, UPS-RS (PS3.18 chapter 11): a service of its own, so not claimed where /workitems is not there.

Bodies go in the DICOM JSON Model as arrays of one, and UIDs as the bare query string that the URI templates have.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from conformance.client import JSON, XML
from conformance.objects import new_uid
from conformance.registry import check
from conformance.verdicts import Level, expect
from conformance.workitems import (
    LABEL,
    STATE,
    TRANSACTION_UID,
    changed,
    claimed,
    completed,
    created,
    held,
    new,
    sent,
    value,
    warned,
)
from conformance.world import World, query, uids_of

MISSING, INCORRECT = "The Transaction UID is missing.", "The Transaction UID is incorrect."
INCONSISTENT = "The submitted request is inconsistent with the state of the UPS Instance."
UNCLAIMED = "The target URI did not reference a claimed Workitem."
NOT_CURRENT = "The submitted request is inconsistent with the current state of the Workitem."
ALREADY = "The UPS is already in the requested state of {}."
SOP_INSTANCE_UID = "00080018"
ALWAYS_RETURNED = (
    "00741000",
    "00741200",
    "00741204",
    "00741202",
    "00404005",
    "00404041",
    "00100010",
    "00100020",
)
"""Some with Return Key Type 1 or 2 in PS3.4 Table CC.2.5-3."""


@check("UPS.1", "a created Workitem has a URL", "11.4.3")
def creates(w: World) -> None:
    uid = new_uid()
    answer = sent(w, "POST", f"?{uid}", created(w)).must(201)
    location = answer.headers.get("location", "")
    expect(answer.resolve(location).endswith(f"/workitems/{uid}"), f"Location is {location!r}")


@check("UPS.2", "a created Workitem is SCHEDULED and holds what was sent", "11.4.2, 11.5.3.3")
def holds(w: World) -> None:
    item = held(w, new(w, ProcedureStepLabel="Suite: ümlaut"))
    expect(value(item, STATE) == "SCHEDULED", f"its state is {value(item, STATE)!r}")
    expect(value(item, LABEL) == "Suite: ümlaut", f"its label is {value(item, LABEL)!r}")


@check("UPS.3", "a Workitem is created once: 409", "11.4.2, Table 11.4.3-1")
def once(w: World) -> None:
    sent(w, "POST", f"?{new(w)}", created(w)).must(409)


@check("UPS.4", "what is not as N-CREATE asks is refused: 400", "Table 11.4.3-1")
def not_created(w: World) -> None:
    sent(w, "POST", f"?{new_uid()}", created(w, ProcedureStepState="IN PROGRESS")).must(400)
    sent(w, "POST", f"?{new_uid()}", created(w, ScheduledProcedureStepPriority=None)).must(400)


@check("UPS.5", "a Workitem comes in XML, in a part", "Table 11.1.3-1, 11.5.3.3")
def in_xml(w: World) -> None:
    uid = new(w)
    answer = w.get(f"/workitems/{uid}", XML).must(200).must_be("multipart/related")
    [part] = answer.parts()
    expect(uid.encode() in part.body and b"NativeDicomModel" in part.body, "the part is another")


@check("UPS.6", "a Workitem that is not there: 404", "Table 11.5.3-1")
def unknown(w: World) -> None:
    new(w)
    sent(w, "GET", f"/{new_uid()}").must(404)
    sent(w, "PUT", f"/{new_uid()}/state", created(w)).must(400, 404)


@check("UPS.7", "a search matches, and returns what it has to", "11.9.2, PS3.4 Table CC.2.5-3")
def searched(w: World) -> None:
    uid = new(w, ProcedureStepLabel="Sought")
    other = new(w, ProcedureStepLabel="Other")
    found = w.search("/workitems", WorklistLabel=f"CONF{w.run}", ProcedureStepLabel="Sought")
    uids = uids_of(found, SOP_INSTANCE_UID)
    expect(uid in uids and other not in uids, "the matches are others")
    lacking = [tag for tag in ALWAYS_RETURNED if tag not in found[0]]
    expect(not lacking, f"a match lacks {', '.join(lacking)}")
    expect(TRANSACTION_UID not in found[0] or not value(found[0], TRANSACTION_UID), "Transaction UID is told")


@check("UPS.8", "a search that matches nothing: 204", "Table 11.9.3-1")
def nothing(w: World) -> None:
    new(w)
    w.get(query("/workitems", WorklistLabel=f"CONF{w.run}", SOPInstanceUID=new_uid()), JSON).must(204)


@check("UPS.9", "pages: a limit holds, and the rest follows", "Table 11.9.3-1, 8.3.4.4")
def pages(w: World) -> None:
    made = {new(w, ProcedureStepLabel="Paged") for _ in range(3)}
    keys = {"WorklistLabel": f"CONF{w.run}", "ProcedureStepLabel": "Paged"}
    first = w.get(query("/workitems", **keys, limit="2"), JSON).must(200, 206)
    rest = w.get(query("/workitems", **keys, limit="2", offset="2"), JSON).must(200)
    uids = [uids_of(answer.items(), SOP_INSTANCE_UID) for answer in (first, rest)]
    expect(len(uids[0]) == 2, f"{len(uids[0])} came where the limit is 2")
    expect(set(uids[0] + uids[1]) == made, "the pages together are not the matches")


@check("UPS.10", "search results in XML", "Table 11.1.3-1")
def searched_xml(w: World) -> None:
    uid = new(w)
    answer = w.get(query("/workitems", SOPInstanceUID=uid), XML).must(200).must_be("multipart/related")
    expect(uid.encode() in answer.parts()[0].body, "the part is another")


@check("UPS.11", "the Transaction UID is told to nobody", "11.5.2")
def secret(w: World) -> None:
    uid, transaction_uid = claimed(w)
    answers = [w.get(f"/workitems/{uid}", accept).must(200) for accept in (JSON, XML)]
    answers.append(w.get(query("/workitems", SOPInstanceUID=uid, includefield="all"), JSON).must(200))
    expect(all(transaction_uid.encode() not in one.body for one in answers), "it is in an answer")


@check("UPS.12", "no change of state without the right Transaction UID", "11.7.3, Table 11.7.3-1")
def locked(w: World) -> None:
    uid, _ = claimed(w)
    warned(changed(w, uid, "CANCELED").must(400, 409), MISSING)
    warned(changed(w, uid, "CANCELED", new_uid()).must(400, 409), INCORRECT)
    expect(value(held(w, uid), STATE) == "IN PROGRESS", "the state has changed")


@check("UPS.13", "no transition that is none", "11.7.3, PS3.4 Table CC.1.1-2")
def transitions(w: World) -> None:
    warned(changed(w, new(w), "COMPLETED", new_uid()).must(400, 409), INCONSISTENT)
    uid, transaction_uid = claimed(w)
    warned(changed(w, uid, "IN PROGRESS", transaction_uid).must(400, 409), INCONSISTENT)


@check("UPS.14", "not completed before it is told what was done", "11.7.2, PS3.4 Table CC.2.5-3")
def not_yet(w: World) -> None:
    uid, transaction_uid = claimed(w)
    changed(w, uid, "COMPLETED", transaction_uid).must(400, 409)
    expect(value(held(w, uid), STATE) == "IN PROGRESS", "the state has changed")


@check("UPS.15", "completed once; again with a Warning", "11.7.3.2")
def completes(w: World) -> None:
    uid, transaction_uid = completed(w)
    expect(value(held(w, uid), STATE) == "COMPLETED", "the state is another")
    warned(changed(w, uid, "COMPLETED", transaction_uid), ALREADY.format("COMPLETED"))


@check("UPS.16", "its performer cancels it; again with a Warning", "11.7.3.2")
def cancels(w: World) -> None:
    uid, transaction_uid = claimed(w)
    changed(w, uid, "CANCELED", transaction_uid).must(200)
    warned(changed(w, uid, "CANCELED", transaction_uid), ALREADY.format("CANCELED"))


@check("UPS.17", "its performer updates it, and nobody else", "11.6.2, 11.6.3")
def updated(w: World) -> None:
    uid, transaction_uid = claimed(w)
    change = Dataset()
    change.ProcedureStepLabel = "Changed"
    warned(sent(w, "POST", f"/{uid}?{new_uid()}", change).must(400, 409), UNCLAIMED, NOT_CURRENT)
    expect(value(held(w, uid), LABEL) == "Suite", "it was changed")
    sent(w, "POST", f"/{uid}?{transaction_uid}", change).must(200)
    expect(value(held(w, uid), LABEL) == "Changed", "it was not changed")


@check("UPS.18", "a completed Workitem is not updated: 400", "11.6.2")
def ended(w: World) -> None:
    uid, transaction_uid = completed(w)
    warned(sent(w, "POST", f"/{uid}?{transaction_uid}", created(w)).must(400), UNCLAIMED, NOT_CURRENT)


@check("UPS.19", "a cancellation of a SCHEDULED Workitem is accepted and done", "11.8.3, PS3.4 CC.2.2.3")
def requested(w: World) -> None:
    uid = new(w)
    sent(w, "POST", f"/{uid}/cancelrequest").must(202)
    expect(value(held(w, uid), STATE) == "CANCELED", "the state is another")
    warned(sent(w, "POST", f"/{uid}/cancelrequest"), ALREADY.format("CANCELED"))


@check("UPS.20", "a COMPLETED Workitem is not canceled: 409", "Table 11.8.3-1")
def too_late(w: World) -> None:
    uid, _ = completed(w)
    sent(w, "POST", f"/{uid}/cancelrequest").must(409)


@check("UPS.21", "matching in a sequence and on a range", "11.9.2, 8.3.4.1", Level.OPTIONAL)
def deeper(w: World) -> None:
    uid = new(w, ScheduledProcedureStepStartDateTime="20240401080000")
    keys = {"WorklistLabel": f"CONF{w.run}", "ScheduledWorkitemCodeSequence__CodeValue": "110001"}
    found = w.search("/workitems", **keys, ScheduledProcedureStepStartDateTime="20240401-20240402")
    expect(uids_of(found, SOP_INSTANCE_UID) == [uid], "the matches are others")
    none = w.search("/workitems", **keys | {"ScheduledWorkitemCodeSequence__CodeValue": "X"})
    expect(not none, "a code matches that is not there")


@check("UPS.22", "a Workitem in XML is taken", "11.4.1.4, Table 11.1.3-1")
def from_xml(w: World) -> None:
    first = new(w, ProcedureStepLabel="From XML")
    [part] = w.get(f"/workitems/{first}", XML).must(200).parts()
    uid = new_uid()
    body = part.body.replace(first.encode(), uid.encode())
    w.post(f"/workitems?{uid}", body, "application/dicom+xml").must(201)
    expect(value(held(w, uid), LABEL) == "From XML", "its label is another")
