"""What tests say to the HL7 door, and messages to say."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import Any

import hl7
from hl7.client import MLLPClient

from archive.bootstrap.building import Archive
from archive.dicom.worklist import keyword_form
from archive.hl7.framing import framed

Acknowledgment = tuple[str, str, str]
"""MSA-1, MSA-2, MSA-3."""


@dataclass(frozen=True)
class Door:
    """Where it listens, and the archive behind it."""

    archive: Archive
    port: int
    stop: threading.Event
    worker: threading.Thread
    secured_port: int

    def send(self, message: str, encoding: str = "utf-8") -> Acknowledgment:
        """One message over a connection of its own, by python-hl7's client."""
        with MLLPClient("127.0.0.1", self.port, encoding) as client:
            return acknowledged(client.send_message(message), encoding)

    def connect(self) -> socket.socket:
        """A connection that gives up after some time."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def entries(self) -> list[dict[str, Any]]:
        """The worklist by keyword; the one step of each beside the rest, and its state."""
        found = []
        for one in self.archive.worklist.all():
            whole = keyword_form.written(one.data_set)
            [step] = whole.pop("ScheduledProcedureStepSequence")
            found.append({**whole, **step, "state": one.state})
        return found


def acknowledged(answer: bytes, encoding: str = "utf-8") -> Acknowledgment:
    """What an acknowledgment says; it has to be one."""
    assert answer.startswith(b"\x0b")
    assert answer.endswith(b"\x1c\r")
    parsed = hl7.parse(answer[1:-2].decode(encoding))
    assert str(parsed.segment("MSH")[9]).startswith("ACK")
    msa = [str(field) for field in parsed.segment("MSA")]
    return (*msa, "", "")[1:4]  # type: ignore[return-value]


def received(connection: socket.socket) -> bytes:
    """One frame, or what came before the end of the connection."""
    answer = b""
    while not answer.endswith(b"\x1c\r") and (piece := connection.recv(4096)):
        answer += piece
    return answer


def sent(connection: socket.socket, message: str | bytes) -> Acknowledgment:
    connection.sendall(framed(message if isinstance(message, bytes) else message.encode()))
    return acknowledged(received(connection))


def segment(name: str, **fields: str) -> str:
    """A segment with these fields, by number: `f3="…"`."""
    numbers = {int(number[1:]): value for number, value in fields.items()}
    last = max(numbers, default=0)
    return "|".join([name, *(numbers.get(number, "") for number in range(1, last + 1))])


def header(
    kind: str = "ORM^O01", control_id: str = "M1", charset: str = "UNICODE UTF-8", **fields: str
) -> str:
    """MSH, whose first field is the separator itself."""
    others = {
        "f2": "RIS",
        "f3": "HOSP",
        "f4": "ARCHIVE",
        "f5": "HOSP",
        "f6": "20261122093000",
        "f10": "P",
        "f11": "2.3.1",
    }
    whole = {"f1": "^~\\&", **others, "f8": kind, "f9": control_id, "f17": charset}
    whole |= {f"f{int(number[1:]) - 1}": value for number, value in fields.items()}
    return segment("MSH", **whole)


PID = segment("PID", f3="4711^^^HOSP", f5="Doe^Jane^M^Jr^Dr", f7="19700131", f8="F")
PV1 = segment("PV1", f2="I", f3="WARD^12^B", f8="12^House^Gregory", f15="B6", f16="VIP", f19="V99")


def orc(control: str = "NW", **fields: str) -> str:
    return segment("ORC", **{"f1": control, "f2": "PL1", "f3": "F1", "f7": "^^^202611231015^^S", **fields})


def obr(**fields: str) -> str:
    given = {
        "f1": "1",
        "f4": "CTH^CT head^L^P1^Head protocol^LP",
        "f12": "fragile",
        "f13": "allergic to nuts",
        "f16": "99^Wilson^James",
        "f18": "ACC1",
        "f19": "RP1",
        "f20": "SPS1",
        "f24": "CT",
        "f30": "WALK",
        "f31": "^headache",
        "f34": "7&Operator&Olga",
        **fields,
    }
    return segment("OBR", **given)


ZDS = segment("ZDS", f1="1.2.3.4^HOSP^Application^DICOM")


def order(*segments: str, **fields: str) -> str:
    """An order with these segments behind PID and PV1, else a usual one."""
    return "\r".join([header(**fields), PID, PV1, *(segments or (orc(), obr(), ZDS))]) + "\r"
