"""Questions and moves that are made to do harm (reliability.md D12, D13)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.network.requestor import Proposal
from door import Door, keep, open_door, response
from identifiers import data_set, encoded
from objects import secondary_capture
from test_dimse_find import STUDY_ROOT, ask, find
from test_dimse_moves import final, moving, small

NAMES = ("ANNA^A", "AN%A^A", "AN_A^A", "AN;A^A", "O'NEIL^A")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A study of each name."""
    with open_door(tmp_path_factory.mktemp("attacks") / "data") as door:
        keep(door, *(secondary_capture(PatientName=name, StudyID=str(at)) for at, name in enumerate(NAMES)))
        yield door


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "169.254.169.254", "localhost:PORT", "../../etc/hosts", "RECEIVER\\X"]
)
def test_d12_a_destination_is_a_configured_title_and_no_address(door: Door, name: str) -> None:
    """D12: A801, and nobody is called: destinations are only those that are configured."""
    keep(door, small())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        destination = name.replace("PORT", str(listener.getsockname()[1]))[:16]
        with moving(door, destination) as (association, _):
            assert final(association).Status in (0xA801, 0xA900)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("AN%A^A", {"1"}),
        ("AN_A^A", {"2"}),
        ("%", set()),
        ("_____^A", set()),
        ("'; DROP TABLE study; --", set()),
        ("O'NEIL^A", {"4"}),
        ('" OR 1=1 --', set()),
        ("AN?A^A", {"0", "1", "2", "3"}),
        ("*", {"0", "1", "2", "3", "4"}),
    ],
)
def test_d13_what_sql_might_carry_out_is_a_value(named: Door, pattern: str, found: set[str]) -> None:
    """D13: only * and ? are wildcards."""
    matches, status = ask(named, data_set("STUDY", StudyID="", PatientName=pattern))
    assert status.Status == 0
    assert {match.StudyID for match in matches} == found


def test_d13_nul_and_a_hundred_thousand_wildcards(named: Door) -> None:
    """D13: no match or a refusal, soon."""
    begin = time.monotonic()
    for value in (b"ANNA\0^A ", b"*a" * 50_000, b"?" * 100_000, b"*" * 100_000):
        raw = encoded(data_set("STUDY", StudyID=""), implicit=True)
        raw = raw.replace(
            b"\x20\0\x10\0", b"\x10\0\x10\0" + len(value).to_bytes(4, "little") + value + b"\x20\0\x10\0", 1
        )
        with named.open(Proposal(STUDY_ROOT, (ImplicitVRLittleEndian,))) as association:
            find(association, raw)
            while (answer := response(association).command).Status in (0xFF00, 0xFF01):
                pass
            assert answer.Status in (0, 0xA700, 0xA900, 0xC000)
    assert time.monotonic() - begin < 10


def test_d13_a_list_of_a_hundred_thousand_uids(named: Door) -> None:
    """D13: more than SQLite takes variables (32 766): asked for in portions, or refused in words."""
    many = [f"1.2.999.{number}" for number in range(100_000)]
    raw = encoded(data_set("STUDY", StudyID="", StudyInstanceUID=many), implicit=True)
    begin = time.monotonic()
    with named.open(Proposal(STUDY_ROOT, (ImplicitVRLittleEndian,))) as association:
        find(association, raw)
        answer = response(association).command
    assert answer.Status in (0, 0xA700, 0xA900)
    assert answer.Status == 0 or answer.ErrorComment
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_d13_everything_of_everything_is_capped(tmp_path: Path, level: str) -> None:
    """D13: A700 once it is more than is allowed, with as many as are."""
    keys: dict[str, Any] = {
        "PATIENT": {"PatientID": "*", "PatientName": "*"},
        "STUDY": {"StudyInstanceUID": "", "PatientName": "*"},
        "SERIES": {"SeriesInstanceUID": "", "Modality": "*"},
        "IMAGE": {"SOPInstanceUID": ""},
    }[level]
    root = STUDY_ROOT if level != "PATIENT" else "1.2.840.10008.5.1.4.1.2.1.1"
    with open_door(tmp_path / "data", limits__maximum_query_results=3) as door:
        keep(door, *(secondary_capture(PatientID=str(number)) for number in range(5)))
        association = door.associate([(root, [ExplicitVRLittleEndian])])
        try:
            statuses = [status.Status for status, _ in association.send_c_find(data_set(level, **keys), root)]
        finally:
            association.release()
    assert [status & 0xFF00 for status in statuses[:-1]] == [0xFF00] * 3
    assert statuses[-1] == 0xA700
