"""Storing over HTTP: every part has its own fate, and a bad body leaves nothing behind (S1-S7, H2, H3, O1, O6)."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from archive.web.http.exchange import Asked
from archive.web.stow import store
from objects import LargeObject, mr, new_uid, part10, secondary_capture, series
from web_door import Door, multipart

MULTIPART = {"Content-Type": "multipart/related; type=application/dicom; boundary=BOUNDARY"}
TINY = {"limits__maximum_object_bytes": 20_000}


def failures(response: httpx.Response) -> list[tuple[str, int]]:
    """SOP Instance UID and Failure Reason of what was refused; the UID is empty in Other Failures Sequence."""
    module = response.json()
    found = [*module.get("00081198", {}).get("Value", ()), *module.get("0008119A", {}).get("Value", ())]
    return [(item.get("00081155", {}).get("Value", [""])[0], item["00081197"]["Value"][0]) for item in found]


def stored_uids(response: httpx.Response) -> list[str]:
    """SOP Instance UIDs of what was stored."""
    return [item["00081155"]["Value"][0] for item in response.json().get("00081199", {}).get("Value", ())]


def test_the_answer_is_exactly_dicom_json(door: Door) -> None:
    answer = door.store(part10(mr()))
    assert answer.headers["content-type"] == "application/dicom+json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_answer_in_xml_when_only_that_is_taken(door: Door) -> None:
    data_set = mr()
    answer = door.store(part10(data_set), Accept="application/dicom+xml")
    assert answer.headers["content-type"] == "application/dicom+xml"
    assert f'<Value number="1">{data_set.SOPInstanceUID}</Value>' in answer.text
    assert 'keyword="ReferencedSOPSequence"' in answer.text


def test_one_bad_part_does_not_fail_the_others(empty_door: Door) -> None:
    first, second, third = series(mr, 3)
    cut_off = part10(second)[:-100]
    answer = empty_door.store(part10(first), b"not DICOM", cut_off, b"", part10(third))
    assert answer.status_code == 202
    assert stored_uids(answer) == [first.SOPInstanceUID, third.SOPInstanceUID]
    assert sorted(failures(answer)) == sorted([("", 0xC000), (second.SOPInstanceUID, 0xC000), ("", 0xC000)])
    assert "C000" in answer.headers["warning"]
    assert empty_door.leftovers() == []


def test_a_part_with_bad_headers_does_not_fail_the_others(empty_door: Door) -> None:
    first, second, third = (part10(data_set) for data_set in series(mr, 3))
    body = multipart(first, second, third).replace(
        b"Content-Type: application/dicom\r\n\r\n" + second, b"no header\r\n\r\n" + second
    )
    answer = empty_door.client.post("/dicom-web/studies", content=body, headers=MULTIPART)
    assert answer.status_code == 202
    assert len(stored_uids(answer)) == 2
    assert failures(answer) == [("", 0xC000)]
    assert "no header" in answer.headers["warning"]
    assert empty_door.leftovers() == []


@pytest.mark.parametrize("coding", ["gzip", "deflate, gzip", "x"])
def test_content_codings_are_refused_by_name(door: Door, coding: str) -> None:
    """O3: a bomb is never inflated, and an honest client hears what to change (RFC 9110 15.5.16)."""
    body = gzip.compress(multipart(part10(mr())))
    answer = door.client.post(
        "/dicom-web/studies", content=body, headers=MULTIPART | {"Content-Encoding": coding}
    )
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.text
    assert answer.headers["accept-encoding"] == "identity"
    assert door.store(part10(mr()), **{"Content-Encoding": "identity"}).status_code == 200


def test_nothing_stored_is_409_with_the_reasons(empty_door: Door) -> None:
    answer = empty_door.store(b"not DICOM")
    assert answer.status_code == 409
    assert failures(answer) == [("", 0xC000)]
    assert empty_door.client.get("/dicom-web/studies").status_code == 204
    assert empty_door.leftovers() == []


def test_other_content_under_the_same_uid_is_kept_out(door: Door) -> None:
    data_set = mr(PatientComments="first")
    assert door.store(part10(data_set)).status_code == 200
    data_set.PatientComments = "second"
    answer = door.store(part10(data_set))
    assert answer.status_code == 409
    assert failures(answer) == [(data_set.SOPInstanceUID, 0x0111)]


def test_store_to_a_study_refuses_another_study(door: Door) -> None:
    right, wrong = mr(), mr()
    path = f"/dicom-web/studies/{right.StudyInstanceUID}"
    answer = door.store(part10(right), part10(wrong), path=path)
    assert answer.status_code == 202
    assert failures(answer) == [(wrong.SOPInstanceUID, 0xA900)]
    assert door.store(part10(mr()), path="/dicom-web/studies/1..2").status_code == 400


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1..2", "1.2/3", "１.２"])
def test_uids_that_are_none(empty_door: Door, uid: str) -> None:
    data_set = mr()
    raw = part10(data_set).replace(
        data_set.SeriesInstanceUID.encode(), _fitted(uid, data_set.SeriesInstanceUID)
    )
    answer = empty_door.store(raw)
    assert answer.status_code == 409
    assert failures(answer)[0][1] in (0xA900, 0xC000)
    assert empty_door.leftovers() == []


def _fitted(uid: str, replaced: str) -> bytes:
    """As many bytes as the UID that stands there; too long ones grow from within."""
    raw = uid.encode()
    return raw[: len(replaced)].ljust(len(replaced), b"/")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("multipart/related; type=application/dicom", 400),
        ("multipart/related; type=application/dicom; boundary=" + "x" * 71, 400),
        ('multipart/related; type=application/dicom; boundary=""', 400),
        ("multipart/related; type=text/plain; boundary=BOUNDARY", 415),
        ("multipart/form-data; boundary=BOUNDARY", 415),
        ("application/json", 415),
        ("nonsense", 415),
    ],
)
def test_content_types(door: Door, content_type: str, status: int) -> None:
    answer = door.client.post(
        "/dicom-web/studies", content=multipart(part10(mr())), headers={"Content-Type": content_type}
    )
    assert answer.status_code == status
    assert "application/dicom" in answer.text or "boundary" in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"--BOUNDARY--", b"nothing like it", b"--BOUNDARY\n\nx\n--BOUNDARY--\n", b"x" * 100_000_000],
    ids=["empty", "no part", "no boundary", "LF", "100 MB preamble"],
)
def test_malformed_bodies_are_400(door: Door, body: bytes) -> None:
    try:
        answer = door.client.post("/dicom-web/studies", content=body, headers=MULTIPART)
    except (httpx.WriteError, httpx.ReadError):
        return  # the server has answered and gone while we still wrote
    assert answer.status_code == 400


def test_a_body_without_its_last_boundary_fails_the_last_part_only(empty_door: Door) -> None:
    first, second = series(mr, 2)
    body = multipart(part10(first), part10(second)).removesuffix(b"\r\n--BOUNDARY--\r\n")
    answer = empty_door.client.post("/dicom-web/studies", content=body, headers=MULTIPART)
    assert answer.status_code == 202
    assert stored_uids(answer) == [first.SOPInstanceUID]
    assert failures(answer) == [(second.SOPInstanceUID, 0xC000)]
    assert empty_door.leftovers() == []


def test_a_nested_multipart_is_a_failed_part(door: Door) -> None:
    inner = multipart(part10(mr()))
    body = b"--OUTER\r\nContent-Type: multipart/related; boundary=BOUNDARY\r\n\r\n" + inner + b"\r\n--OUTER--"
    headers = {"Content-Type": "multipart/related; type=application/dicom; boundary=OUTER"}
    answer = door.client.post("/dicom-web/studies", content=body, headers=headers)
    assert answer.status_code == 409
    assert failures(answer) == [("", 0xC000)]


def test_many_empty_parts_take_linear_time(door: Door) -> None:
    body = b"--BOUNDARY\r\n\r\n\r\n" * 60_000 + b"--BOUNDARY--"
    answer = door.client.post("/dicom-web/studies", content=body, headers=MULTIPART)
    assert answer.status_code == 400
    assert len(failures(answer)) == 50_001


def test_chunked_with_any_cuts(door: Door) -> None:
    data_sets = series(mr, 3)
    body = multipart(*(part10(data_set) for data_set in data_sets))

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 7919):
            yield body[start : start + 7919]

    answer = door.client.post("/dicom-web/studies", content=pieces(), headers=MULTIPART)
    assert answer.status_code == 200
    assert len(stored_uids(answer)) == 3


def test_a_large_object_streams_in_and_out(door: Door) -> None:
    large = LargeObject(pixel_bytes=40 << 20)

    def body() -> Iterator[bytes]:
        yield b"--BOUNDARY\r\n\r\n"
        yield from large.pieces()
        yield b"\r\n--BOUNDARY--"

    answer = door.client.post("/dicom-web/studies", content=body(), headers=MULTIPART)
    assert answer.status_code == 200, answer.text
    url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    fetched = door.client.get(url, headers={"Accept": "application/dicom"})
    assert fetched.content == b"".join(large.pieces())


def test_a_reader_who_goes_away_leaves_the_server_well(door: Door) -> None:
    large = LargeObject(pixel_bytes=40 << 20)
    stored = door.client.post(
        "/dicom-web/studies", content=b"".join(large.pieces()), headers={"Content-Type": "application/dicom"}
    )
    url = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    with door.client.stream("GET", url) as answer:
        next(answer.iter_raw(1000))
    assert door.client.get("/health/live").status_code == 200


def test_expect_100_continue_spares_the_body_of_a_refused_request(door: Door) -> None:
    for content_type, expected in (("text/plain", b"HTTP/1.1 415 "), ("application/dicom", b"HTTP/1.1 100 ")):
        with socket.create_connection(("127.0.0.1", door.port)) as raw:
            head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
            raw.sendall(head.encode() + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
            assert raw.recv(4096).startswith(expected)


def test_a_connection_cut_amid_a_body_leaves_nothing(empty_door: Door) -> None:
    body = multipart(part10(mr()))
    with socket.create_connection(("127.0.0.1", empty_door.port)) as raw:
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        raw.sendall(
            head.encode() + f"Content-Type: {MULTIPART['Content-Type']}\r\n\r\n".encode() + body[:-5000]
        )
    while empty_door.client.get("/metrics").text.count('status="499"') == 0:
        pass  # the server has noticed when it has counted
    assert empty_door.leftovers() == []
    assert empty_door.client.get("/dicom-web/instances").status_code == 204


def test_an_object_over_the_limit_is_413_and_fails_alone(open_door: Callable[..., Door]) -> None:
    door = open_door(**TINY)
    assert door.store(part10(mr())).status_code == 413
    small = secondary_capture()
    answer = door.store(part10(mr()), part10(small))
    assert answer.status_code == 202
    assert stored_uids(answer) == [small.SOPInstanceUID]
    assert failures(answer)[0][1] == 0xA700


def test_a_body_over_the_limit_is_413(open_door: Callable[..., Door]) -> None:
    door = open_door(http__maximum_body_bytes=1000)
    raw = http.client.HTTPConnection("127.0.0.1", door.port)
    raw.putrequest("POST", "/dicom-web/studies")
    raw.putheader("Content-Type", "application/dicom")
    raw.putheader("Content-Length", "4294967296")
    raw.endheaders()
    assert raw.getresponse().status == 413
    raw.close()
    chunked = door.client.post(
        "/dicom-web/studies", content=iter([b"x" * 2000]), headers={"Content-Type": "application/dicom"}
    )
    assert chunked.status_code == 413


def test_no_room_is_503_with_retry_after(open_door: Callable[..., Door]) -> None:
    door = open_door(storage__minimum_free_bytes=1 << 62)
    answer = door.store(part10(mr()))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert failures(answer)[0][1] == 0xA700


def test_a_body_that_stands_still_is_408(open_door: Callable[..., Door]) -> None:
    door = open_door(http__idle_deadline=1)
    with socket.create_connection(("127.0.0.1", door.port)) as raw:
        raw.sendall(
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
        )
        raw.sendall(b"Content-Length: 1000\r\n\r\nabc")
        assert raw.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_patients_name_is_in_no_answer_and_no_log(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    """The canary of H19."""
    canary = "ZZCANARY^PHI"
    raw = part10(mr(PatientName=canary))
    answers: list[Any] = [door.store(raw[:-50]), door.store(raw), door.store(raw.replace(b"P1", b"P2"))]
    answers.append(door.client.get("/dicom-web/studies", params={"PatientName": canary, "limit": "x"}))
    answers.append(door.client.get(f"/dicom-web/{canary}"))
    answers.append(door.client.get("/metrics"))
    assert not any(canary in answer.text or canary in json.dumps(dict(answer.headers)) for answer in answers)
    out, err = capfd.readouterr()
    assert canary not in out + err


def test_a_stored_object_is_found_by_the_client_library(door: Door) -> None:
    dicomweb_client = pytest.importorskip("dicomweb_client")
    from io import BytesIO

    from pydicom import dcmread

    client = dicomweb_client.DICOMwebClient(door.base)
    data_sets = series(mr, 3, StudyInstanceUID=new_uid())
    client.store_instances([dcmread(BytesIO(part10(data_set))) for data_set in data_sets])
    study = data_sets[0].StudyInstanceUID
    assert len(client.search_for_instances(study)) == 3
    assert {one.SOPInstanceUID for one in client.retrieve_study(study)} == {
        one.SOPInstanceUID for one in data_sets
    }
    [frame] = client.retrieve_instance_frames(
        study, data_sets[0].SeriesInstanceUID, data_sets[0].SOPInstanceUID, frame_numbers=[1]
    )
    assert frame == data_sets[0].PixelData
    [metadata] = (
        client.retrieve_instance_metadata(study, data_sets[0].SeriesInstanceUID, data_sets[0].SOPInstanceUID),
    )
    assert client.retrieve_bulkdata(metadata["7FE00010"]["BulkDataURI"]) == [data_sets[0].PixelData]


def test_the_answer_has_the_order_of_the_parts(empty_door: Door) -> None:
    """Several are made safe at a time, and large ones take longer."""
    data_sets = [mr(Rows=rows, Columns=512) for rows in (2048, 16, 1024, 8, 4, 512, 2, 16, 8, 1024, 1)]
    answer = empty_door.store(*(part10(data_set) for data_set in data_sets))
    assert stored_uids(answer) == [data_set.SOPInstanceUID for data_set in data_sets]
    assert empty_door.leftovers() == []


def test_one_object_many_times_in_one_request_is_stored_once(empty_door: Door) -> None:
    data_set = mr()
    answer = empty_door.store(*[part10(data_set)] * 12)
    assert answer.status_code == 200
    assert stored_uids(answer) == [data_set.SOPInstanceUID] * 12
    [found] = empty_door.client.get("/dicom-web/instances").json()
    assert found["00080018"]["Value"] == [data_set.SOPInstanceUID]
    assert empty_door.leftovers() == []


def test_what_was_complete_is_safe_when_the_request_is_closed(empty_door: Door) -> None:
    data_sets = series(mr, 6)
    asked = Asked({}, "", {"content-type": MULTIPART["Content-Type"]}, empty_door.base)
    taker = store(empty_door.archive, asked)
    assert taker.feed(multipart(*(part10(data_set) for data_set in data_sets)) + b"x")
    taker.close()
    found = empty_door.client.get(f"/dicom-web/studies/{data_sets[0].StudyInstanceUID}/instances").json()
    assert len(found) == 6
    assert empty_door.leftovers() == []
