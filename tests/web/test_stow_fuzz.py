"""Store requests bent in every way end in an answer of the table, never in a fault of ours (S4, S7)."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive.web.http.exchange import Asked
from archive.web.stow import store
from objects import mr, part10, secondary_capture
from stow_bodies import JSON, OCTETS, XML, metadata, model, native_model, related
from web_door import Door

TABLE = {200, 202, 400, 409, 413}
"""Table 10.5.3-1, and 413 of section 8.5."""


def bodies() -> list[bytes]:
    """One of each kind, with everything in it that can be bent."""
    data_set = secondary_capture(PatientName="A^B", WindowCenter=["1", "2"])
    made = model(data_set, "a") | {
        "00081140": {"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": ["x"]}}]}
    }
    picture = ("image/png", "a", b"\x89PNG\r\n\x1a\n" + bytes(60))
    return [
        related([metadata(made, made), (OCTETS, "a", data_set.PixelData)]),
        related([(XML, "", native_model(made)), (OCTETS, "a", data_set.PixelData)]),
        related([("application/dicom", "", part10(data_set)), metadata(made), picture]),
        related([metadata(made), ("image/jpeg", "a", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(40))]),
        related(
            [metadata(made), ("video/mp4", "a", b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x20moov" + bytes(24))]
        ),
    ]


BODIES = bodies()


def answered(door: Door, root: str, body: bytes, cuts: list[int]) -> Any:
    """The answer, with the body in pieces, without a connection in between."""
    content_type = f'multipart/related; type="{root}"; boundary=BOUNDARY'
    taker = store(door.archive, Asked({}, "", {"content-type": content_type}, door.base))
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    try:
        for start, end in itertools.pairwise(edges):
            if not taker.feed(body[start:end]):
                break
        return taker.finish()
    finally:
        taker.close()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.integers(0, len(BODIES) - 1),
    st.sampled_from([JSON, XML, "application/dicom", "image/jpeg"]),
    st.integers(0, 2**32),
    st.lists(st.integers(0, 1 << 20), max_size=4),
)
def test_bent_bodies(door: Door, which: int, root: str, seed: int, cuts: list[int]) -> None:
    body = bytearray(BODIES[which])
    chance = random.Random(seed)
    for _ in range(chance.randrange(8)):
        at = chance.randrange(len(body))
        match chance.randrange(4):
            case 0:
                body[at] = chance.randrange(256)
            case 1:
                del body[at : at + chance.randrange(1, 40)]
            case 2:
                body[at:at] = chance.choice(
                    [b"\0", b'"', b"<", b"\r\n--BOUNDARY\r\n\r\n", b"9" * 30, b"]}", b"\xff"]
                )
            case _:
                to = chance.randrange(len(body))
                body[at : at + 20], body[to : to + 20] = body[to : to + 20], body[at : at + 20]
    answer = answered(door, root, bytes(body), cuts)
    assert answer.status in TABLE
    assert json.loads(answer.body)
    assert door.leftovers() == []


@pytest.mark.parametrize("cut", range(0, 100, 7))
def test_a_body_that_ends_anywhere(door: Door, cut: int) -> None:
    """S7: never a fault, and nothing left behind."""
    for body in BODIES:
        answer = answered(door, JSON, body[: len(body) * cut // 100], [])
        assert answer.status in TABLE
    assert door.leftovers() == []


def test_thousands_of_objects_in_one_array(door: Door) -> None:
    """One at a time is in memory; those that are nothing are counted one by one."""
    text = b"[" + b",".join([b'{"00080018":{"vr":"UI"}}'] * 5000) + b"]"
    answer = answered(door, JSON, related([(JSON, "", text)]), [])
    assert answer.status == 409
    assert len(json.loads(answer.body)["0008119A"]["Value"]) == 5000


def test_more_objects_than_one_answer_can_name(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archive.web.stow.MAXIMUM_PARTS", 10)
    good = model(mr(), "a")
    parts = [metadata(good, *[{}] * 20), (OCTETS, "a", b"\0" * (1 << 15))]
    answer = answered(door, JSON, related(parts), [])
    assert answer.status == 202
    assert any("more than 10" in text for name, text in answer.headers if name == "Warning")
