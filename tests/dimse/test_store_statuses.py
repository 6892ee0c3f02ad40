"""Every status of C-STORE with Error Comment and Offending Element (PS3.4 table B.2-1, dimse.md 1.2), as DCMTK and as
pynetdicom hear it; and nothing is left behind by what was refused. Traps T8 and T13 of the libraries are among them."""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config

from archive.dimse import server
from archive.network.requestor import Proposal
from archive.security.operations import Operation
from archive.security.rules import Rules
from door import AE_TITLE, Door, context_id, open_door
from door import store as raw_store
from objects import ct, data_set_bytes, encoded, mr, part10
from test_dimse_dcmtk import tool

HANGING_PROTOCOL = "1.2.840.10008.5.1.4.38.1"
Send = Callable[[Door, Path], "Heard"]


@dataclass(frozen=True)
class Heard:
    """What a sender was told."""

    status: int
    comment: str
    offending: tuple[int, ...]


def by_dcmtk(door: Door, path: Path) -> Heard:
    """storescu shows the whole response when it is told to debug."""
    program = tool("storescu")
    if program is None:
        pytest.skip("DCMTK's tools are not installed")
    command = [program, "-d", "-aec", AE_TITLE, "127.0.0.1", str(door.port), str(path)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    status = re.search(r"DIMSE Status +: 0x([0-9a-f]{4})", said)
    assert status, said
    comment = re.search(r"\(0000,0902\) LO \[(.*?)\]", said)
    offending = re.search(r"\(0000,0901\) AT (.*?) +#", said)
    tags = re.findall(r"\(([0-9a-f]{4}),([0-9a-f]{4})\)", offending[1]) if offending else []
    return Heard(
        int(status[1], 16),
        comment[1] if comment else "",
        tuple(int(group + element, 16) for group, element in tags),
    )


def by_pynetdicom(door: Door, path: Path) -> Heard:
    """Sent as the file is, without being read."""
    association = door.associate([(CTImageStorage, [ExplicitVRLittleEndian])], ae_title="STORESCU")
    with ExitStack() as stack:
        stack.callback(association.release)
        stack.callback(setattr, _config, "STORE_SEND_CHUNKED_DATASET", _config.STORE_SEND_CHUNKED_DATASET)
        _config.STORE_SEND_CHUNKED_DATASET = True
        status = association.send_c_store(path)
    offending = status.get("OffendingElement", [])
    tags = [offending] if isinstance(offending, int) else list(offending or [])
    return Heard(status.Status, status.get("ErrorComment", ""), tuple(int(tag) for tag in tags))


@pytest.fixture(params=[by_dcmtk, by_pynetdicom])
def send(request: pytest.FixtureRequest) -> Send:
    return request.param


def without_study() -> bytes:
    return part10(ct(StudyInstanceUID=None))


def named_as(named: Dataset, data_set: Dataset) -> bytes:
    """A file whose File Meta Information, which pynetdicom makes the command from, is that of another object; DCMTK
    makes it from the data set."""
    file = part10(named)
    return file[: len(file) - len(data_set_bytes(file))] + data_set_bytes(part10(data_set))


def too_deep() -> bytes:
    """Seventy sequences inside each other, in a private attribute behind the pixel data."""
    begin = bytes.fromhex("e17f1010") + b"SQ\0\0" + bytes.fromhex("ffffffff feff00e0 ffffffff")
    end = bytes.fromhex("feff0de0 00000000 feffdde0 00000000")
    creator = bytes.fromhex("e17f1000") + b"LO\4\0DEEP"
    return part10(ct()) + creator + 70 * begin + 70 * end


@dataclass(frozen=True)
class Case:
    """A file, the settings it meets, and what its sender is to hear."""

    make: Callable[[], bytes]
    status: int
    offending: tuple[int, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    leaves: int = 0


CASES = {
    "A700 no room": Case(lambda: part10(ct()), 0xA700, (), {"storage__minimum_free_bytes": 1 << 60}),
    "A700 too large": Case(lambda: part10(ct()), 0xA700, (), {"limits__maximum_object_bytes": 300_000}),
    "A900 no study": Case(without_study, 0xA900, (0x0020000D,)),
    "C000 too deep": Case(too_deep, 0xC000, (0x7FE11010,)),
    "B000 coerced": Case(
        lambda: part10(ct(InstitutionName="Elsewhere")),
        0xB000,
        (0x00080080,),
        {"coercion": {"InstitutionName": "General"}},
        leaves=1,
    ),
}


CONTRADICTIONS = {
    "A900 another instance": Case(lambda: named_as(ct(), ct()), 0xA900, (0x00080018,)),
    "A900 another class": Case(lambda: named_as(ct(), mr()), 0xA900, (0x00080016,)),
    "0122 of no patient": Case(
        lambda: named_as(ct(), ct(SOPClassUID=HANGING_PROTOCOL)), 0x0122, (0x00080016,)
    ),
}
"""DCMTK does not send these: it makes the command from the data set."""


def heard_by(send: Send, case: Case, tmp_path: Path) -> None:
    path = tmp_path / "object.dcm"
    path.write_bytes(case.make())
    with open_door(tmp_path / "data", **case.settings) as door:
        heard = send(door, path)
        assert (heard.status, heard.offending) == (case.status, case.offending), heard
        assert heard.comment
        assert len(door.files()) == case.leaves


@pytest.mark.parametrize("case", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_command_that_the_data_set_contradicts(case: Case, tmp_path: Path) -> None:
    heard_by(by_pynetdicom, case, tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_status_is_told_with_comment_and_element(case: Case, send: Send, tmp_path: Path) -> None:
    heard_by(send, case, tmp_path)


def versions(tmp_path: Path) -> tuple[Path, Path]:
    first = ct()
    second = copy.deepcopy(first)
    second.SeriesDescription = "another version"
    for number, each in enumerate((first, second)):
        (tmp_path / f"{number}.dcm").write_bytes(part10(each))
    return tmp_path / "0.dcm", tmp_path / "1.dcm"


@pytest.mark.parametrize(
    ("policy", "status", "offending", "leaves"),
    [
        ("reject", 0x0111, (), 1),
        ("keep", 0xB000, (0x00080018,), 2),
        ("replace", 0x0000, (), 2),
        ("conflict", 0xB000, (0x00080018,), 2),
    ],
)
def test_what_the_policies_tell(
    policy: str, status: int, offending: tuple[int, ...], leaves: int, send: Send, tmp_path: Path
) -> None:
    first, second = versions(tmp_path)
    with open_door(tmp_path / "data", dimse__duplicates=policy) as door:
        assert send(door, first) == Heard(0, "", ())
        heard = send(door, second)
        assert (heard.status, heard.offending) == (status, offending)
        assert bool(heard.comment) == bool(status)
        assert len(door.files()) == leaves
        assert send(door, first).status in ((0,) if policy != "replace" else (0, 0xB000))


def test_an_ae_title_has_its_own_policy(send: Send, tmp_path: Path) -> None:
    first, second = versions(tmp_path)
    with open_door(tmp_path / "data", dimse__duplicates="reject") as door:
        door.archive.ae_titles.add("STORESCU", "127.0.0.1", 104, Rules(duplicates="replace"))
        assert (send(door, first).status, send(door, second).status) == (0, 0)
        (held,) = door.archive.conflicts.last()
        assert (held.state, held.calling_ae_title) == ("replaced", "STORESCU")


def test_a_fault_of_ours_is_0110(send: Send, door: Door, tmp_path: Path, monkeypatch: Any) -> None:
    """And the association goes on: the comment says where to look, and nothing about the object."""

    def fails(*_: Any) -> None:
        raise RuntimeError("PatientName is Doe^Jane")

    monkeypatch.setattr("archive.services.arrivals.Arrival.judge", fails)
    path = tmp_path / "object.dcm"
    path.write_bytes(part10(ct()))
    heard = send(door, path)
    assert heard.status == 0x0110
    assert "log" in heard.comment
    assert "Doe" not in heard.comment
    assert door.files() == []


def test_a_right_that_is_taken_meanwhile_is_0124(
    send: Send, door: Door, tmp_path: Path, monkeypatch: Any
) -> None:
    """An administrator takes the right between the negotiation and the request."""
    without = Rules(operations=frozenset(Operation) - {Operation.STORE})
    door.archive.ae_titles.add("STORESCU", "127.0.0.1", 104, Rules())
    attempt = server._attempt

    def taken(*arguments: Any) -> Any:
        door.archive.ae_titles.add("STORESCU", "127.0.0.1", 104, without)
        return attempt(*arguments)

    monkeypatch.setattr(server, "_attempt", taken)
    path = tmp_path / "object.dcm"
    path.write_bytes(part10(ct()))
    heard = send(door, path)
    assert heard.status == 0x0124
    assert heard.comment
    assert door.files() == []


@pytest.mark.parametrize("named", [HANGING_PROTOCOL, "1.2.840.10008.5.1.4.31", "1.2.840.10008.1.1"])
def test_a_command_for_what_is_never_stored_here(named: str, door: Door) -> None:
    """T13: 0122, and the association goes on, where pynetdicom aborts it."""
    made = ct()
    with door.open(Proposal(CTImageStorage, (ImplicitVRLittleEndian,))) as association:
        context = context_id(association, CTImageStorage)
        data = encoded(made, ImplicitVRLittleEndian)
        answer = raw_store(association, data, named, made.SOPInstanceUID, context=context)
        assert (answer.Status, answer.OffendingElement) == (0x0122, [0x00000002])
        assert answer.ErrorComment
        good = raw_store(association, data, CTImageStorage, made.SOPInstanceUID, context=context)
        assert good.Status == 0


def test_the_disk_fills_while_an_object_comes_in(door: Door, monkeypatch: Any) -> None:
    """T8: A700 from the reserve on, not a lost association; and room again is noticed at once."""
    made = ct(Rows=2048, Columns=2048, PixelData=bytes(2 * 2048 * 2048))
    looked: list[int] = []
    monkeypatch.setattr("archive.storage.local_room.os.statvfs", lambda _: Room(looked))
    door.archive.store._room._minimum_free_bytes = 1  # type: ignore[attr-defined]
    with door.open(Proposal(CTImageStorage, (ExplicitVRLittleEndian,))) as association:
        answer = raw_store(association, encoded(made), CTImageStorage, made.SOPInstanceUID)
        assert answer.Status == 0xA700
        assert answer.ErrorComment
        assert len(looked) == 2
        assert door.files() == []
        monkeypatch.undo()
        assert raw_store(association, encoded(made), CTImageStorage, made.SOPInstanceUID).Status == 0


class Room:
    """Of a file system: some at the first look, none at the second."""

    f_frsize = 4096
    f_flag = f_files = 0

    def __init__(self, looked: list[int]) -> None:
        looked.append(1)
        self.f_bavail = 1000 if len(looked) == 1 else 0
