"""Storage Commitment over HTTP (PS3.18 chapter 13, Annex J); a service of its own, so not claimed where POST is not."""

from __future__ import annotations

import json
import time
from typing import Any

from conformance import native_model
from conformance.client import JSON, Answer
from conformance.media import write_multipart
from conformance.native_model import text
from conformance.objects import Object, new_uid
from conformance.registry import check
from conformance.verdicts import Failed, Level, Skipped, expect
from conformance.world import World

XML = "application/dicom+xml"
COMMITTED, FAILED, STUDIES, FAILED_STUDIES = "00081199", "00081198", "00081110", "0008119B"
SECONDS = 30
CT = ("ct1", "ct2")


def _reference(one: Object, uid: str = "", sop_class: str = "") -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [sop_class or str(one.dataset.SOPClassUID)]},
        "00081155": {"vr": "UI", "Value": [uid or one.uid]},
    }


def _request(*references: dict[str, Any]) -> dict[str, Any]:
    return {COMMITTED: {"vr": "SQ", "Value": list(references)}}


def _by_study(one: Object) -> dict[str, Any]:
    kinds = {
        "0008114A": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [one.uid]}}]},
        "00081150": {"vr": "UI", "Value": [str(one.dataset.SOPClassUID)]},
    }
    series = {
        "00081112": {"vr": "SQ", "Value": [kinds]},
        "0020000E": {"vr": "UI", "Value": [str(one.dataset.SeriesInstanceUID)]},
    }
    study = {
        "00081115": {"vr": "SQ", "Value": [series]},
        "0020000D": {"vr": "UI", "Value": [str(one.dataset.StudyInstanceUID)]},
    }
    return {STUDIES: {"vr": "SQ", "Value": [study]}}


def _post(w: World, transaction: str, item: dict[str, Any]) -> Answer:
    body = json.dumps([item]).encode()
    return _claimed(w.post(f"/commitment-requests/{transaction}", body, JSON))


def _claimed(answer: Answer) -> Answer:
    if answer.status in (404, 405, 501):
        raise Skipped(f"Storage Commitment is not claimed: POST answers {answer.status}")
    return answer


def _result(w: World, transaction: str, answer: Answer) -> dict[str, Any]:
    """The Storage Commitment Response Module, waiting for it as Retry-After says. Raises `Failed` after a while."""
    end = time.monotonic() + SECONDS
    while answer.must(200, 202).status == 202:
        expect(not answer.raw, "202 has a payload (13.4.3.3)")
        if time.monotonic() > end:
            raise Failed(f"still 202 after {SECONDS} s")
        wait = answer.headers.get("retry-after", "1")
        time.sleep(min(int(wait) if wait.isdigit() else 1, 5))
        answer = w.get(f"/commitment-requests/{transaction}", JSON)
    found = answer.json()
    return dict(found[0] if isinstance(found, list) and found else found)


def _uids(item: dict[str, Any], tag: str) -> list[str]:
    return sorted(text(one, "00081155") for one in item.get(tag, {}).get("Value", []))


def _commit(w: World, item: dict[str, Any]) -> dict[str, Any]:
    transaction = new_uid()
    return _result(w, transaction, _post(w, transaction, item))


@check("COM.1", "instances that are stored are committed", "13.4, J.2", needs=CT)
def committed(w: World) -> None:
    found = _commit(w, _request(*(_reference(w[name]) for name in CT)))
    expect(
        _uids(found, COMMITTED) == sorted(w[name].uid for name in CT), "Referenced SOP Sequence is another"
    )
    expect(FAILED not in found, "there is a Failed SOP Sequence")


@check("COM.2", "an instance that is not there fails, with a reason", "J.2, PS3.3 C.14.1.1", needs=CT)
def not_there(w: World) -> None:
    absent = new_uid()
    found = _commit(w, _request(_reference(w["ct1"]), _reference(w["ct1"], absent)))
    expect(_uids(found, COMMITTED) == [w["ct1"].uid], "Referenced SOP Sequence is another")
    expect(_uids(found, FAILED) == [absent], "Failed SOP Sequence is another")
    reason = native_model.first(found[FAILED]["Value"][0], "00081197")
    expect(isinstance(reason, int), f"Failure Reason {reason!r}")


@check("COM.3", "an instance of another SOP class fails", "J.2, PS3.3 C.14.1.1 (0119H)", needs=CT)
def class_conflict(w: World) -> None:
    found = _commit(w, _request(_reference(w["ct1"], sop_class="1.2.840.10008.5.1.4.1.1.4")))
    expect(_uids(found, FAILED) == [w["ct1"].uid], "it is not in Failed SOP Sequence")


@check("COM.4", "references by study and series", "J.1, J.2", needs=CT)
def by_study(w: World) -> None:
    found = _commit(w, _by_study(w["ct1"]))
    expect(STUDIES in found and FAILED_STUDIES not in found, f"attributes {sorted(found)}")
    expect(w["ct1"].uid in json.dumps(found[STUDIES]), "Referenced Study Sequence does not name the instance")


@check("COM.5", "the result can be had again by GET", "13.5", needs=CT)
def result_check(w: World) -> None:
    transaction = new_uid()
    first = _result(w, transaction, _post(w, transaction, _request(_reference(w["ct1"]))))
    again = _result(w, transaction, w.get(f"/commitment-requests/{transaction}", JSON))
    expect(_uids(again, COMMITTED) == _uids(first, COMMITTED), "GET says something else")


@check("COM.6", "a Transaction UID in use: 409", "Table 13.4.3-1", needs=CT)
def in_use(w: World) -> None:
    transaction = new_uid()
    _post(w, transaction, _request(_reference(w["ct1"]))).must(200, 202)
    _post(w, transaction, _request(_reference(w["ct2"]))).must(409)


@check("COM.7", "an unknown Transaction UID: 404", "Table 13.5.3-1", needs=CT)
def unknown(w: World) -> None:
    _post(w, new_uid(), _request(_reference(w["ct1"]))).must(200, 202)
    w.get(f"/commitment-requests/{new_uid()}", JSON).must(404)


def _refused(number: int, title: str, body: bytes, content_type: str, *statuses: int) -> None:
    @check(f"COM.{number}", title, "Table 13.4.3-1, 8.5", needs=CT)
    def run(w: World) -> None:
        _post(w, new_uid(), _request(_reference(w["ct1"]))).must(200, 202)
        w.post(f"/commitment-requests/{new_uid()}", body, content_type).must(*statuses)


_refused(8, "a payload that is no JSON: 400", b'{"00081199":', JSON, 400)
_refused(9, "a request that refers to nothing: 400", b"[{}]", JSON, 400)
_refused(10, "another Content-Type: 415", b"a,b", "text/csv", 415, 400)


@check("COM.11", "a request in XML", "13.1.3", needs=CT)
def in_xml(w: World) -> None:
    transaction, body = new_uid(), native_model.write_xml(_request(_reference(w["ct1"])))
    answer = _claimed(w.post(f"/commitment-requests/{transaction}", body, XML))
    expect(_uids(_result(w, transaction, answer), COMMITTED) == [w["ct1"].uid], "not committed")


@check("COM.12", "a request as multipart", "13.1.3, B.29", needs=CT)
def in_multipart(w: World) -> None:
    transaction = new_uid()
    payload = json.dumps([_request(_reference(w["ct1"]))]).encode()
    content_type, body = write_multipart([(JSON, payload, "")], JSON)
    answer = _claimed(w.post(f"/commitment-requests/{transaction}", body, content_type))
    expect(_uids(_result(w, transaction, answer), COMMITTED) == [w["ct1"].uid], "not committed")


@check("COM.13", "the result as XML", "13.1.3, J.2", needs=CT)
def result_in_xml(w: World) -> None:
    transaction = new_uid()
    _result(w, transaction, _post(w, transaction, _request(_reference(w["ct1"]))))
    answer = w.get(f"/commitment-requests/{transaction}", XML).must(200)
    found = native_model.read_xml(answer.one_or_more_parts()[0].body)
    expect(_uids(found, COMMITTED) == [w["ct1"].uid], "the XML says something else")


@check("COM.14", "the Transaction UID is not in the result", "13.4.1.1", Level.OPTIONAL, CT)
def no_transaction(w: World) -> None:
    expect("00081195" not in _commit(w, _request(_reference(w["ct1"]))), "(0008,1195) is there")
