"""HL7 v2 over MLLP: bytes of a connection to messages, and what they order or say of patients.

The first byte says the size of the pieces. Cut otherwise, the messages are the same; each is understood or refused with
one of our errors, which its sender is then told.
"""

from __future__ import annotations

from archive.dicom.errors import ArchiveError
from archive.hl7 import patients
from archive.hl7.acknowledging import acknowledgment
from archive.hl7.answering import NotTaken, is_order, worded
from archive.hl7.framing import Frames, framed
from archive.hl7.message import Message
from archive.hl7.orders import orders

_MOST_BYTES = 4096
_AUTHORITIES = ("HOSPITAL",)


def hl7(data: bytes) -> None:
    """A connection."""
    if not data:
        return
    step, raw = 1 + data[0] % 64, data[1:]
    whole, cut = _messages(raw, max(1, len(raw))), _messages(raw, step)
    assert whole == cut[: len(whole)], "other pieces, other messages"
    for message in whole:
        _understood(message)
    _understood(raw)


def _messages(raw: bytes, step: int) -> list[bytes]:
    """Those before the first that cannot be read."""
    frames = Frames(_MOST_BYTES)
    found: list[bytes] = []
    try:
        for start in range(0, len(raw), step):
            found += frames.feed(raw[start : start + step])
    except ArchiveError as refused:
        assert refused.reason
    return found


def _understood(raw: bytes) -> None:
    message = None
    try:
        message = Message(raw, "UNICODE UTF-8")
        if is_order(message):
            orders(message, _AUTHORITIES)
        else:
            _news(message)
    except (ArchiveError, NotTaken) as refused:
        assert acknowledgment(message, worded(refused))


def _news(message: Message) -> None:
    patients.event(message)
    patients.action(message)
    for read in (patients.update, patients.merges, patients.move):
        try:
            read(message, _AUTHORITIES)
        except ArchiveError as refused:
            assert refused.reason


# --- seeds ---

_HEADER = "MSH|^~\\&|RIS|HOSPITAL|ARCHIVE|RADIOLOGY|20260101120000||{}|1|P|2.5.1||||||8859/1"
_PATIENT = "PID|||1^^^HOSPITAL&1.2.3&ISO~2^^^OTHER||Plover^Bird^^^Dr||19700101|F"
_ORDER = (
    "ORC|NW|P1|F1||SC||^^^20260102100000\r"
    "OBR|1|P1|F1|CT^CT of the thorax^L|||||||||||^Heron|||A1|||||CT|||^^^20260102100000\r"
    "ZDS|1.2.3.4^ARCHIVE^Application^DICOM"
)


def hl7_seeds() -> list[bytes]:
    """An order, and each kind of news."""
    texts = [
        "\r".join((_HEADER.format("ORM^O01"), _PATIENT, "PV1||I|WARD", _ORDER)),
        "\r".join((_HEADER.format("ADT^A08"), "EVN||20260101", _PATIENT)),
        "\r".join((_HEADER.format("ADT^A40"), _PATIENT, "MRG|7^^^HOSPITAL")),
        "\r".join((_HEADER.format("ADT^A47"), _PATIENT, "MRG|7^^^HOSPITAL")),
        "\r".join((_HEADER.format("ADT^A43"), _PATIENT, "MRG|7^^^HOSPITAL")),
    ]
    messages = [framed(text.encode()) for text in texts]
    return [*(b"\x09" + message for message in messages), b"\x1f" + b"".join(messages)]
