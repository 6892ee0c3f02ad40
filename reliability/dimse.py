"""The least of DIMSE as SCU: C-STORE, C-ECHO, C-FIND and C-GET of bytes as they are, over a plain socket.

Nothing of the archive's own network layer, nor of pynetdicom: a fault that both ends share would not be seen, and eight
senders must not cost more than the server. What is not well formed is a `Broken`, as is an association that ends.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reliability.target import Target

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
CALLING_AE_TITLE = "RELIABILITY"

SECONDS = 120.0
_LARGEST_PDU = 131072
_STORE, _GET, _FIND, _ECHO = 0x0001, 0x0010, 0x0020, 0x0030
_RESPONSE = 0x8000
_NO_DATA_SET = 0x0101
_PENDING = (0xFF00, 0xFF01)

_CLASS, _FIELD, _ID, _ID_RESPONDED_TO = 0x0002, 0x0100, 0x0110, 0x0120
_PRIORITY, _DATA_SET, _STATUS, _INSTANCE = 0x0700, 0x0800, 0x0900, 0x1000

Command = dict[int, bytes]


class Broken(OSError):
    """The association was refused, aborted or lost, or what came is no DIMSE."""


@dataclass(frozen=True, slots=True)
class _Proposed:
    abstract_syntax: str
    transfer_syntax: str
    as_scp: bool = False


class Association:
    """An open association; use it in a `with`, which releases it."""

    def __init__(self, target: Target, contexts: Iterable[_Proposed], seconds: float = SECONDS) -> None:
        proposed = list(contexts)
        self._socket = socket.create_connection((target.host, target.dimse_port), seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb", 1 << 18)
        self._largest = _LARGEST_PDU
        self._message_id = 0
        self._received: list[tuple[int, bytes]] = []
        try:
            self._socket.sendall(_request(target.ae_title, proposed))
            accepted = self._accepted()
        except BaseException:
            self.close()
            raise
        self._contexts = {
            one.abstract_syntax: 2 * at + 1 for at, one in enumerate(proposed) if 2 * at + 1 in accepted
        }

    def __enter__(self) -> Association:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._socket.sendall(struct.pack(">BxL4x", 5, 4))
                self._pdu()
        except OSError:
            pass  # it was ours to end, and has ended
        finally:
            self.close()

    def close(self) -> None:
        """End it without a word."""
        self._reader.close()
        self._socket.close()

    def echo(self) -> int:
        """C-ECHO; its status."""
        self._send(VERIFICATION, _ECHO, {_CLASS: _text(VERIFICATION)})
        return self._answer()

    def store(self, SOPClassUID: str, SOPInstanceUID: str, data_set: bytes) -> int:
        """C-STORE; its status. Raises Broken, then nothing is known of the object."""
        command = {
            _CLASS: _text(SOPClassUID),
            _INSTANCE: _text(SOPInstanceUID),
            _PRIORITY: struct.pack("<H", 0),
        }
        self._send(SOPClassUID, _STORE, command, data_set)
        return self._answer()

    def find(self, keys: Mapping[int, str]) -> list[dict[int, str]]:
        """C-FIND of the Study Root model; the answers by tag."""
        self._ask(STUDY_ROOT_FIND, _FIND, keys)
        found: list[dict[int, str]] = []
        while True:
            command, data_set = self._message()
            status = _short(command, _STATUS)
            if status not in _PENDING:
                if status:
                    raise Broken(f"C-FIND ended with {status:04X}")
                return found
            found.append(_decoded(data_set))

    def get(self, keys: Mapping[int, str]) -> Iterator[tuple[str, bytes]]:
        """C-GET of the Study Root model: UID and encoded data set of each instance as it comes. Raises Broken also at
        the end, when the SCP says that not all could be sent."""
        self._ask(STUDY_ROOT_GET, _GET, keys)
        while True:
            command, data_set = self._message()
            if _short(command, _FIELD) == _STORE:
                yield _string(command[_INSTANCE]), data_set
                self._take(command)
            elif (status := _short(command, _STATUS)) not in _PENDING:
                if status:
                    raise Broken(f"C-GET ended with {status:04X}")
                return

    def _ask(self, model: str, field: int, keys: Mapping[int, str]) -> None:
        identifier = b"".join(_element(tag, _text(value)) for tag, value in sorted(keys.items()))
        self._send(model, field, {_CLASS: _text(model), _PRIORITY: struct.pack("<H", 0)}, identifier)

    def _take(self, asked: Command) -> None:
        SOPClassUID = asked[_CLASS]
        answer = {
            _CLASS: SOPClassUID,
            _FIELD: struct.pack("<H", _STORE | _RESPONSE),
            _ID_RESPONDED_TO: asked[_ID],
            _DATA_SET: struct.pack("<H", _NO_DATA_SET),
            _STATUS: struct.pack("<H", 0),
            _INSTANCE: asked[_INSTANCE],
        }
        self._socket.sendall(_pdv(self._context(_string(SOPClassUID)), 3, _command(answer)))

    def _send(self, abstract_syntax: str, field: int, command: Command, data_set: bytes = b"") -> None:
        context, self._message_id = self._context(abstract_syntax), self._message_id % 65535 + 1
        command |= {
            _FIELD: struct.pack("<H", field),
            _ID: struct.pack("<H", self._message_id),
            _DATA_SET: struct.pack("<H", 1 if data_set else _NO_DATA_SET),
        }
        pieces = [_pdv(context, 3, _command(command))]
        step = self._largest - 6
        for start in range(0, len(data_set), step):
            is_last = start + step >= len(data_set)
            pieces.append(_pdv(context, 2 if is_last else 0, data_set[start : start + step]))
        self._socket.sendall(b"".join(pieces))

    def _answer(self) -> int:
        command, _ = self._message()
        if _short(command, _ID_RESPONDED_TO) != self._message_id:
            raise Broken("an answer to something else")
        return _short(command, _STATUS)

    def _context(self, abstract_syntax: str) -> int:
        if abstract_syntax not in self._contexts:
            raise Broken(f"{abstract_syntax} was not accepted")
        return self._contexts[abstract_syntax]

    def _message(self) -> tuple[Command, bytes]:
        command = _parsed(self._fragments())
        if _short(command, _DATA_SET) == _NO_DATA_SET:
            return command, b""
        return command, self._fragments()

    def _fragments(self) -> bytes:
        """Those of one command or one data set, however they are spread over PDUs."""
        pieces = []
        while True:
            if not self._received:
                kind, body = self._pdu()
                if kind != 4:
                    raise Broken(f"PDU {kind} instead of P-DATA")
                self._received = list(_split(body))
            control, piece = self._received.pop(0)
            pieces.append(piece)
            if control & 2:
                return b"".join(pieces)

    def _accepted(self) -> set[int]:
        kind, body = self._pdu()
        if kind != 2:
            raise Broken(f"the association was not accepted: PDU {kind}")
        accepted, at = set(), 68
        while at + 4 <= len(body):
            item, length = struct.unpack_from(">BxH", body, at)
            value = body[at + 4 : at + 4 + length]
            if item == 0x21 and value[2] == 0:
                accepted.add(value[0])
            elif item == 0x50 and value[:1] == b"\x51":
                (largest,) = struct.unpack_from(">L", value, 4)
                self._largest = min(largest or _LARGEST_PDU, _LARGEST_PDU)
            at += 4 + length
        return accepted

    def _pdu(self) -> tuple[int, bytes]:
        head = self._reader.read(6)
        if len(head) < 6:
            raise Broken("the association was lost")
        kind, length = struct.unpack(">BxL", head)
        body = self._reader.read(length)
        if len(body) < length:
            raise Broken("the association was lost")
        return kind, body


def storing(target: Target, sop_classes: Iterable[str], seconds: float = SECONDS) -> Association:
    """An association that stores objects of these SOP Classes, and may C-ECHO."""
    contexts = [_Proposed(each, EXPLICIT_VR_LITTLE_ENDIAN) for each in sop_classes]
    return Association(target, [_Proposed(VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN), *contexts], seconds)


def asking(target: Target, sop_classes: Iterable[str] = (), seconds: float = SECONDS) -> Association:
    """An association for C-FIND, and for C-GET of objects of these SOP Classes."""
    models = [_Proposed(model, IMPLICIT_VR_LITTLE_ENDIAN) for model in (STUDY_ROOT_FIND, STUDY_ROOT_GET)]
    back = [_Proposed(each, EXPLICIT_VR_LITTLE_ENDIAN, as_scp=True) for each in sop_classes]
    return Association(target, [*models, *back], seconds)


def _request(called: str, contexts: list[_Proposed]) -> bytes:
    items = [_item(0x10, b"1.2.840.10008.3.1.1.1")]
    for at, one in enumerate(contexts):
        syntaxes = _item(0x30, one.abstract_syntax.encode()) + _item(0x40, one.transfer_syntax.encode())
        items.append(_item(0x20, bytes((2 * at + 1, 0, 0, 0)) + syntaxes))
    user = _item(0x51, struct.pack(">L", _LARGEST_PDU)) + _item(0x52, b"2.25.208821474912055")
    for one in contexts:
        if one.as_scp:
            name = one.abstract_syntax.encode()
            user += _item(0x54, struct.pack(">H", len(name)) + name + bytes((0, 1)))
    titles = called.ljust(16).encode() + CALLING_AE_TITLE.ljust(16).encode()
    body = struct.pack(">HH", 1, 0) + titles + bytes(32) + b"".join([*items, _item(0x50, user)])
    return struct.pack(">BxL", 1, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _pdv(context: int, control: int, piece: bytes) -> bytes:
    return struct.pack(">BxLLBB", 4, len(piece) + 6, len(piece) + 2, context, control) + piece


def _split(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Control and bytes of each fragment in a P-DATA-TF."""
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        if length < 2 or at + 4 + length > len(body):
            raise Broken("a fragment is longer than its PDU")
        yield body[at + 5], body[at + 6 : at + 4 + length]
        at += 4 + length


def _command(elements: Command) -> bytes:
    encoded = b"".join(_element(number, value) for number, value in sorted(elements.items()))
    return _element(0, struct.pack("<L", len(encoded))) + encoded


def _element(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def _text(value: str) -> bytes:
    """Padded as a UID, or as text (PS3.5 6.2): only UIDs begin with a digit and hold a dot here."""
    encoded = value.encode()
    return encoded + (b"\0" if value[:1].isdigit() else b" ") * (len(encoded) % 2)


def _string(value: bytes) -> str:
    return value.rstrip(b"\0 ").decode("latin-1")


def _short(command: Command, number: int) -> int:
    value = command.get(number, b"")
    if len(value) != 2:
        raise Broken(f"no (0000,{number:04X}) in a command")
    return int.from_bytes(value, "little")


def _parsed(encoded: bytes) -> dict[int, bytes]:
    """Elements of Implicit VR Little Endian, by tag; of a sequence only that it is there."""
    found, at = {}, 0
    while at + 8 <= len(encoded):
        group, number, length = struct.unpack_from("<HHL", encoded, at)
        at += 8
        if at + length > len(encoded):
            raise Broken("an element is longer than what it is in")
        found[group << 16 | number] = encoded[at : at + length]
        at += length
    return found


def _decoded(data_set: bytes) -> dict[int, str]:
    return {tag: _string(value) for tag, value in _parsed(data_set).items()}
