"""Storage commitment over HTTP (PS3.18 chapter 13, Annex J, examples B.27 to B.29)."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from lxml import etree
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from archive.jobs import worker
from archive.services import commitment
from objects import ct, part10
from web_door import Door, parts

JSON, XML = "application/dicom+json", "application/dicom+xml"
NO_SUCH_OBJECT = 0x0112


def value(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def item(data_set: Dataset) -> dict[str, Any]:
    return {"00081150": value("UI", data_set.SOPClassUID), "00081155": value("UI", data_set.SOPInstanceUID)}


def flat(*data_sets: Dataset) -> dict[str, Any]:
    return {"00081199": value("SQ", *map(item, data_sets))}


def nested(data_set: Dataset) -> dict[str, Any]:
    """Table J.1-1, by study, series and SOP Class."""
    instance = {"00081155": value("UI", data_set.SOPInstanceUID)}
    group = {"00081150": value("UI", data_set.SOPClassUID), "0008114A": value("SQ", instance)}
    series = {"0020000E": value("UI", data_set.SeriesInstanceUID), "00081112": value("SQ", group)}
    study = {"0020000D": value("UI", data_set.StudyInstanceUID), "00081115": value("SQ", series)}
    return {"00081110": value("SQ", study)}


def stored(door: Door) -> Dataset:
    data_set = ct()
    assert door.store(part10(data_set)).status_code == 200
    return data_set


def ask(
    door: Door, body: Any, *, uid: str = "", content_type: str = JSON, accept: str = JSON
) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = {"Content-Type": content_type, "Accept": accept}
    return door.client.post(
        f"{door.base}/commitment-requests/{uid or generate_uid()}", content=content, headers=headers
    )


def test_committed_and_failed(door: Door) -> None:
    """B.27: an object with the committed ones and one with the failed ones and their reason."""
    there, missing = stored(door), ct()
    answer = ask(door, flat(there, missing))
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    failed = item(missing) | {"00081197": value("US", NO_SUCH_OBJECT)}
    assert answer.json() == {"00081199": value("SQ", item(there)), "00081198": value("SQ", failed)}


def test_by_study_and_series(door: Door) -> None:
    """B.28: the answer has the form of the request; an instance in another series is not there."""
    there, elsewhere = stored(door), stored(door)
    assert ask(door, nested(there)).json() == nested(there)
    elsewhere.SeriesInstanceUID = generate_uid()
    (study,) = ask(door, nested(elsewhere)).json()["0008119B"]["Value"]
    (series,) = study["00081115"]["Value"]
    assert series["0020000E"] == value("UI", elsewhere.SeriesInstanceUID)
    (group,) = series["00081112"]["Value"]
    assert group["0008114A"]["Value"] == [
        {"00081155": value("UI", elsewhere.SOPInstanceUID), "00081197": value("US", NO_SUCH_OBJECT)}
    ]


def test_xml_and_multipart(door: Door) -> None:
    """B.29: several documents in one request; the answer in XML, alone and in a part."""
    data_sets = [stored(door), stored(door)]
    documents = [
        f"""<?xml version="1.0" encoding="UTF-8"?>
        <NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">
        <DicomAttribute tag="00081199" vr="SQ" keyword="ReferencedSOPSequence"><Item number="1">
        <DicomAttribute tag="00081150" vr="UI"><Value number="1">{one.SOPClassUID}</Value></DicomAttribute>
        <DicomAttribute tag="00081155" vr="UI"><Value number="1">{one.SOPInstanceUID}</Value></DicomAttribute>
        </Item></DicomAttribute></NativeDicomModel>""".encode()
        for one in data_sets
    ]
    body = b"".join(b"--B\r\n\r\n" + document + b"\r\n" for document in documents) + b"--B--\r\n"
    related = f'multipart/related; type="{XML}"'
    answer = ask(door, body, content_type=f"{related}; boundary=B", accept=XML)
    assert answer.headers["content-type"] == XML
    uids = etree.fromstring(answer.content).xpath("//*[@keyword='ReferencedSOPInstanceUID']/*/text()")
    assert uids == [one.SOPInstanceUID for one in data_sets]
    answer = ask(door, documents[0], content_type=XML, accept=related)
    ((headers, document),) = parts(answer)
    assert headers["Content-Type"] == XML
    assert b"ReferencedSOPSequence" in document


def test_a_transaction_uid_in_use_is_a_conflict(door: Door) -> None:
    uid, body = generate_uid(), flat(stored(door))
    first = ask(door, body, uid=uid)
    assert ask(door, body, uid=uid).status_code == 409
    again = door.client.get(f"{door.base}/commitment-requests/{uid}", headers={"Accept": JSON})
    assert (again.status_code, again.json()) == (200, first.json())
    assert door.client.get(f"{door.base}/commitment-requests/{generate_uid()}").status_code == 404


def test_a_long_one_is_worked_on(empty_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """202 without a body and with Retry-After, for the request and for each check, until the jobs have done it."""
    monkeypatch.setattr(commitment, "AT_ONCE_BYTES", 1)
    door, uid = empty_door, generate_uid()
    data_set = stored(door)
    url = f"{door.base}/commitment-requests/{uid}"
    for answer in (ask(door, flat(data_set), uid=uid), door.client.get(url)):
        assert (answer.status_code, answer.content) == (202, b"")
        assert int(answer.headers["retry-after"]) > 0
        assert "content-type" not in answer.headers
    assert ask(door, flat(data_set), uid=uid).status_code == 409
    assert worker.work(door.archive) == 1
    assert door.client.get(url).json() == flat(data_set)


def test_what_was_deleted_is_not_committed_to(door: Door) -> None:
    data_set = stored(door)
    assert door.client.delete(f"{door.base}/studies/{data_set.StudyInstanceUID}").status_code == 204
    assert "00081199" not in ask(door, flat(data_set)).json()


_NO_UID = {"00081199": value("SQ", {"00081150": value("UI", "1.2")})}
_BAD_UID = {"00081199": value("SQ", {"00081150": value("UI", "1.2"), "00081155": value("UI", "1..2")})}
_NO_SERIES = {"00081110": value("SQ", {"0020000D": value("UI", "1.2")})}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[[]]",
        {},
        {"00081199": value("LO", "x")},
        _NO_UID,
        _BAD_UID,
        _NO_SERIES,
        b"[" * 3000,
        b"[{},{}]",
        b'{"00081199":{"vr":"SQ","Value":[' * 3000,
    ],
)
def test_requests_that_cannot_be_understood(door: Door, body: Any) -> None:
    answer = ask(door, body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_other_refusals(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    body = flat(ct())
    assert ask(door, body, uid="1..2").status_code == 400
    assert ask(door, body, content_type="text/plain").status_code == 415
    assert ask(door, body, content_type="multipart/related; type=image/png; boundary=B").status_code == 415
    assert ask(door, body, content_type=f"multipart/related; type={JSON}; boundary=B").status_code == 400
    assert ask(door, body, accept="image/png").status_code == 406
    doctype = b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel/>'
    assert ask(door, doctype, content_type=XML).status_code == 400
    monkeypatch.setattr("archive.web.commitment.MAXIMUM_BYTES", 100)
    assert ask(door, b" " * 101).status_code == 413
    monkeypatch.setattr("archive.dicom.receiving.commitment.MAXIMUM_REFERENCES", 1)
    monkeypatch.setattr("archive.web.commitment.MAXIMUM_BYTES", 10_000)
    assert ask(door, flat(ct(), ct())).status_code == 413
