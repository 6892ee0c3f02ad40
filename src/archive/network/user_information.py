"""The user information of A-ASSOCIATE-RQ and -AC between bytes and values (PS3.7 annex D.3.3, PS3.8 annex D).

An item that is not known is skipped (PS3.8 9.3.1); one whose lengths do not fit ends the association.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct

from archive.dicom.errors import AssociationAborted
from archive.dicom.identifiers import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from archive.network.caller import UserIdentity
from archive.network.pdu import AbortReason

_ITEM = Struct(">BxH")
_LENGTH = Struct(">H")

_MAXIMUM_LENGTH, _CLASS_UID, _ASYNCHRONOUS, _ROLE, _VERSION_NAME = 0x51, 0x52, 0x53, 0x54, 0x55
_EXTENDED, _COMMON_EXTENDED, _IDENTITY, _IDENTITY_ANSWER = 0x56, 0x57, 0x58, 0x59


@dataclass(frozen=True, slots=True)
class CommonExtended:
    """SOP class common extended negotiation (PS3.7 D.3.3.6): the service class of a SOP class that we may not
    know, and the more general SOP classes that it can be taken for."""

    service_class_uid: str
    related_general: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The items of PS3.7 annex D. `roles`: SCU and SCP role by SOP Class UID; `asynchronous`: an operations
    window is there; `extended`: service class application information by SOP Class UID; `identity_answer`: the
    server response, which may be empty, None without one."""

    maximum_pdu_length: int = 0
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME
    asynchronous: bool = False
    roles: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    common: Mapping[str, CommonExtended] = field(default_factory=dict)
    identity: UserIdentity | None = None
    identity_answer: bytes | None = None


def malformed() -> AssociationAborted:
    """For a length that does not fit."""
    return AssociationAborted(
        "an A-ASSOCIATE PDU whose lengths do not fit", AbortReason.INVALID_PDU_PARAMETER
    )


def items(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The items and sub-items in `data`: type and body. Raises AssociationAborted if a length does not fit."""
    position = 0
    while position < len(data):
        if len(data) - position < _ITEM.size:
            raise malformed()
        kind, length = _ITEM.unpack_from(data, position)
        position += _ITEM.size
        if position + length > len(data):
            raise malformed()
        yield kind, data[position : position + length]
        position += length


def item(kind: int, *parts: bytes) -> bytes:
    """An item or sub-item as bytes."""
    body = b"".join(parts)
    return _ITEM.pack(kind, len(body)) + body


def text(value: memoryview | bytes) -> str:
    """In latin-1, without the spaces and NULs around it."""
    return bytes(value).decode("latin-1").strip(" \0")


def decode(data: memoryview) -> UserInformation:
    """Reads the body of the user information item. Raises AssociationAborted if a length does not fit."""
    found: dict[int, memoryview] = {}
    roles, extended, common = {}, {}, {}
    for kind, value in items(data):
        if kind == _ROLE:
            uid, scu, scp = _role(value)
            roles[uid] = (scu, scp)
        elif kind == _EXTENDED:
            uid_part, information = _counted(value)
            extended[text(uid_part)] = bytes(information)
        elif kind == _COMMON_EXTENDED:
            uid_part, rest = _counted(value)
            common[text(uid_part)] = _common(rest)
        else:
            found[kind] = value
    maximum = found.get(_MAXIMUM_LENGTH, memoryview(bytes(4)))
    if len(maximum) != 4:
        raise malformed()
    return UserInformation(
        int.from_bytes(maximum, "big"),
        text(found.get(_CLASS_UID, memoryview(b""))),
        text(found.get(_VERSION_NAME, memoryview(b""))),
        _ASYNCHRONOUS in found,
        roles,
        extended,
        common,
        _identity(found[_IDENTITY]) if _IDENTITY in found else None,
        bytes(_counted(found[_IDENTITY_ANSWER])[0]) if _IDENTITY_ANSWER in found else None,
    )


def encode(information: UserInformation) -> Iterable[bytes]:
    """The sub-items as bytes, in the order of their types but for the version name."""
    yield item(_MAXIMUM_LENGTH, information.maximum_pdu_length.to_bytes(4, "big"))
    yield item(_CLASS_UID, information.implementation_class_uid.encode("ascii"))
    if information.asynchronous:
        yield item(_ASYNCHRONOUS, b"\0\1\0\1")
    for uid, (scu, scp) in information.roles.items():
        yield item(_ROLE, _count(uid.encode("ascii")), bytes((scu, scp)))
    yield item(_VERSION_NAME, information.implementation_version_name.encode("ascii"))
    for uid, application_information in information.extended.items():
        yield item(_EXTENDED, _count(uid.encode("ascii")), application_information)
    for uid, common in information.common.items():
        related = b"".join(_count(each.encode("ascii")) for each in common.related_general)
        service = _count(common.service_class_uid.encode("ascii"))
        yield item(_COMMON_EXTENDED, _count(uid.encode("ascii")), service, _count(related))
    if (identity := information.identity) is not None:
        header = bytes((identity.kind, identity.answer_wanted))
        yield item(_IDENTITY, header, _count(identity.primary), _count(identity.secondary))
    if information.identity_answer is not None:
        yield item(_IDENTITY_ANSWER, _count(information.identity_answer))


def _count(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


def _counted(data: memoryview) -> tuple[memoryview, memoryview]:
    """What is behind a length of two bytes, and the rest."""
    if len(data) < _LENGTH.size:
        raise malformed()
    end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    if end > len(data):
        raise malformed()
    return data[_LENGTH.size : end], data[end:]


def _role(value: memoryview) -> tuple[str, bool, bool]:
    uid, roles = _counted(value)
    if len(roles) != 2:
        raise malformed()
    return text(uid), bool(roles[0]), bool(roles[1])


def _common(data: memoryview) -> CommonExtended:
    service, rest = _counted(data)
    related, _ = _counted(rest) if len(rest) else (memoryview(b""), rest)
    general = []
    while len(related):
        uid, related = _counted(related)
        general.append(text(uid))
    return CommonExtended(text(service), tuple(general))


def _identity(data: memoryview) -> UserIdentity:
    if len(data) < 2:
        raise malformed()
    primary, rest = _counted(data[2:])
    secondary, _ = _counted(rest) if len(rest) else (b"", rest)
    return UserIdentity(data[0], bytes(primary), bytes(secondary), bool(data[1]))
