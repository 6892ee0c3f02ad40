"""/api/throughput and the plot on the status page: what passes the HTTP door is counted once, and truly."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain

import pytest

from archive.security.roles import Role
from archive.services.throughput import SPANS, Sums
from objects import part10, secondary_capture
from web_door import Door

AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
ALONE = {"Accept": "application/dicom; transfer-syntax=*"}


def now(door: Door) -> Sums:
    """What was counted so far, the record of now with it."""
    one = door.archive.throughput
    was, one._clock = one._clock, lambda: time.monotonic() + 300
    try:
        records = one.history(SPANS[1]).records
    finally:
        one._clock = was
    counted = [each for each in records if each is not None]
    return Sums(
        *(
            sum(getattr(each, name) for each in counted)
            for name in ("received_objects", "received_bytes", "sent_objects", "sent_bytes")
        )
    )


def settled(door: Door, expected: Sums) -> Sums:
    """An answer is counted when it has gone out, which its reader may see first."""
    deadline = time.monotonic() + 30
    while now(door) != expected and time.monotonic() < deadline:
        pass
    return now(door)


def test_both_ways_are_counted(empty_door: Door) -> None:
    files = [secondary_capture(), secondary_capture()]
    files[1].StudyInstanceUID = files[0].StudyInstanceUID
    sent = [part10(one) for one in files]
    assert empty_door.store(*sent).status_code == 200
    received = now(empty_door)
    assert received.received_objects == 2
    assert 0 < received.received_bytes < sum(map(len, sent))
    study = f"/dicom-web/studies/{files[0].StudyInstanceUID}"
    got = empty_door.client.get(study, headers=AS_STORED)
    assert got.status_code == 200
    expected = Sums(2, received.received_bytes, 2, len(got.content))
    assert settled(empty_door, expected) == expected
    for headers in ({"If-None-Match": got.headers["etag"]}, {}):
        answer = empty_door.client.request(
            "GET" if headers else "HEAD", study, headers={**AS_STORED, **headers}
        )
        assert answer.status_code == (304 if headers else 200)
    zipped = empty_door.client.get(study, headers={"Accept": "application/zip"})
    expected = Sums(2, received.received_bytes, 4, expected.sent_bytes + len(zipped.content))
    assert settled(empty_door, expected) == expected


def test_a_part_of_an_object_is_bytes(empty_door: Door) -> None:
    data_set = secondary_capture()
    assert empty_door.store(part10(data_set)).status_code == 200
    before = now(empty_door)
    instance = (
        f"/dicom-web/studies/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}"
        f"/instances/{data_set.SOPInstanceUID}"
    )
    part = empty_door.client.get(instance, headers={**ALONE, "Range": "bytes=0-99"})
    assert part.status_code == 206
    frame = empty_door.client.get(f"{instance}/frames/1", headers={"Accept": "*/*"})
    assert frame.status_code == 200
    assert empty_door.client.get("/dicom-web/studies").status_code == 200
    expected = Sums(1, before.received_bytes, 0, 100 + len(frame.content))
    assert settled(empty_door, expected) == expected


def test_refused_is_not_received(empty_door: Door) -> None:
    assert empty_door.store(part10(secondary_capture())[:-10]).status_code == 409
    assert now(empty_door) == Sums()


def test_the_answer(empty_door: Door) -> None:
    data_set = secondary_capture(PatientName="Canary^Name", PatientID="CANARY")
    assert empty_door.store(part10(data_set)).status_code == 200
    answer = empty_door.client.get("/api/throughput")
    told = answer.json()
    for span in SPANS:
        one = told[span.name]
        assert one["seconds"] == span.seconds
        series = list(chain(one["received"].values(), one["sent"].values()))
        assert [len(numbers) for numbers in series] == [span.records] * 4
        assert {number is None or number >= 0 for numbers in series for number in numbers} == {True}
    assert "canary" not in answer.text.lower()


@pytest.mark.parametrize("span", ["hour", "day"])
def test_the_page(empty_door: Door, span: str) -> None:
    for headers in ({}, {"HX-Request": "true"}):
        page = empty_door.client.get(f"/status?span={span}", headers=headers)
        assert page.status_code == 200
        assert page.text.count("<svg ") == 2
        assert f"Throughput, last {span}" in page.text
    whole = empty_door.client.get(f"/status?span={span}").text
    assert f'hx-get="/status?span={span}"' in whole
    assert "before the start of the archive" in whole


def test_no_other_span(empty_door: Door) -> None:
    assert empty_door.client.get("/status?span=<b>").status_code == 400


def test_who_may_see_it(open_door: Callable[..., Door]) -> None:
    door = open_door(sign_in__required="always")
    for role in Role:
        door.archive.people.add(role.value, "", [role])
        secret, _ = door.archive.people.issue(role.value, "", 1)
        told = door.client.get("/api/throughput", headers={"Authorization": f"Bearer {secret}"}).status_code
        assert told == (200 if role in (Role.ADMINISTRATOR, Role.AUDITOR) else 403)
    assert door.client.get("/api/throughput").status_code == 401
