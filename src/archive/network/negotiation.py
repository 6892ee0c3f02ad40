"""A-ASSOCIATE-RQ and -AC between bytes and values, and which contexts are accepted (PS3.8 9.3, annex D; PS3.7
D.3).

These are read here, not by pynetdicom's `pdu`, because they come from strangers: that decoder raises KeyError
on an item it does not know (PS3.8 9.3.1 says to skip those), refuses blank or non-ASCII AE titles where we
want to answer with the right A-ASSOCIATE-RJ, and makes an object of each of the 100,000 transfer syntaxes
that fit into one PDU. Its encoders are the oracle in the tests.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct

from archive.dicom.errors import AssociationAborted, CallerRefused
from archive.dicom.identifiers import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from archive.network.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, HEADER, AbortReason

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_PROTOCOL_VERSION = 1
MAXIMUM_CONTEXTS = 128
_SMALLEST_PDU = 64
"""Below this a PDV has no room worth the name; every implementation announces 4096 or more."""

_FIXED = Struct(">H2x16s16s32x")
_ITEM = Struct(">BxH")
_CONTEXT = Struct(">BxBx")
_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)

_APPLICATION_CONTEXT, _CONTEXT_RQ, _CONTEXT_AC, _USER_INFORMATION = 0x10, 0x20, 0x21, 0x50
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX = 0x30, 0x40
_MAXIMUM_LENGTH, _CLASS_UID, _ASYNCHRONOUS, _ROLE, _VERSION_NAME = 0x51, 0x52, 0x53, 0x54, 0x55


Negotiate = Callable[[str, tuple[str, ...], bool], str | None]
"""As PolicyAcceptor.negotiate: abstract syntax, transfer syntaxes, whether the requestor would be SCP."""


class Result(enum.IntEnum):
    """Result of a presentation context (PS3.8 Table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """One presentation context of a request."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The answer to one presentation context; `transfer_syntax` means something with ACCEPTANCE only."""

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The items of PS3.7 annex D that we heed. `roles`: SCU and SCP role by SOP Class UID; `asynchronous`: an
    operations window is there."""

    maximum_pdu_length: int = 0
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME
    asynchronous: bool = False
    roles: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ. The titles are in latin-1 without the spaces and NULs around them; `titles` as sent."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = _PROTOCOL_VERSION
    titles: tuple[bytes, bytes] = (b"", b"")


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC."""

    results: tuple[ContextResult, ...]
    user_information: UserInformation
    titles: tuple[bytes, bytes] = (b"", b"")


def decode_request(body: memoryview) -> AssociateRequest:
    """Reads the body of an A-ASSOCIATE-RQ. Raises AssociationAborted if a length does not fit."""
    version, called, calling = _fixed(body)
    application_context, contexts, user_information = "", [], UserInformation()
    for kind, item in _items(body[_FIXED.size :]):
        if kind == _APPLICATION_CONTEXT:
            application_context = _text(item)
        elif kind == _CONTEXT_RQ:
            contexts.append(_proposed_context(item))
        elif kind == _USER_INFORMATION:
            user_information = _user_information(item)
    return AssociateRequest(
        _text(called), _text(calling), tuple(contexts), user_information,
        application_context, version, (called, calling),
    )  # fmt: skip


def decode_accept(body: memoryview) -> AssociateAccept:
    """Reads the body of an A-ASSOCIATE-AC. Raises AssociationAborted if a length does not fit."""
    _, called, calling = _fixed(body)
    results, user_information = [], UserInformation()
    for kind, item in _items(body[_FIXED.size :]):
        if kind == _CONTEXT_AC:
            results.append(_context_result(item))
        elif kind == _USER_INFORMATION:
            user_information = _user_information(item)
    return AssociateAccept(tuple(results), user_information, (called, calling))


def encode_request(request: AssociateRequest) -> bytes:
    """The whole A-ASSOCIATE-RQ."""
    contexts = b"".join(
        _item(
            _CONTEXT_RQ,
            _CONTEXT.pack(context.id, 0),
            _item(_ABSTRACT_SYNTAX, context.abstract_syntax.encode("ascii")),
            *(_item(_TRANSFER_SYNTAX, uid.encode("ascii")) for uid in context.transfer_syntaxes),
        )
        for context in request.contexts
    )
    called, calling = (
        title.encode("latin-1", "replace")[:16].ljust(16)
        for title in (request.called_ae_title, request.calling_ae_title)
    )
    return _associate(A_ASSOCIATE_RQ, called, calling, contexts, request.user_information)


def encode_accept(accept: AssociateAccept) -> bytes:
    """The whole A-ASSOCIATE-AC."""
    contexts = b"".join(
        _item(
            _CONTEXT_AC,
            _CONTEXT.pack(result.id, result.result),
            _item(_TRANSFER_SYNTAX, (result.transfer_syntax or _IMPLICIT_VR_LITTLE_ENDIAN).encode("ascii")),
        )
        for result in accept.results
    )
    return _associate(A_ASSOCIATE_AC, *accept.titles, contexts, accept.user_information)


def check_request(request: AssociateRequest) -> None:
    """Raises CallerRefused for what no policy could accept (PS3.8 9.3.4): version, application context,
    contexts that are none, too many, or have even or repeated IDs, a maximum length in which nothing fits."""
    if not request.protocol_version & _PROTOCOL_VERSION:
        raise CallerRefused("protocol version not supported", 1, 2, 2)
    if request.application_context != APPLICATION_CONTEXT:
        raise CallerRefused("application context name not supported", 1, 1, 2)
    ids = [context.id for context in request.contexts]
    if not ids or len(set(ids)) < len(ids) or len(ids) > MAXIMUM_CONTEXTS or not all(id_ % 2 for id_ in ids):
        raise CallerRefused("presentation contexts are missing or wrongly numbered", 1, 2, 1)
    if 0 < request.user_information.maximum_pdu_length < _SMALLEST_PDU:
        raise CallerRefused("maximum length too small to send anything", 1, 2, 1)


def answer(
    request: AssociateRequest,
    negotiate: Negotiate,
    maximum_pdu_length: int,
) -> AssociateAccept:
    """What to accept of a checked request. Roles are granted as proposed; a context whose requestor wants
    neither role is rejected (PS3.7 D.3.3.4). An asynchronous operations window is answered 1,1: no answer
    would make old senders push without bound."""
    wanted = request.user_information.roles
    results = tuple(_result(context, negotiate, wanted) for context in request.contexts)
    accepted = {result.id for result in results if result.result == Result.ACCEPTANCE}
    classes = {context.abstract_syntax for context in request.contexts if context.id in accepted}
    ours = UserInformation(
        maximum_pdu_length,
        asynchronous=request.user_information.asynchronous,
        roles={uid: roles for uid, roles in wanted.items() if uid in classes},
    )
    return AssociateAccept(results, ours, request.titles)


def _result(
    context: ProposedContext,
    negotiate: Negotiate,
    roles: Mapping[str, tuple[bool, bool]],
) -> ContextResult:
    if roles.get(context.abstract_syntax) == (False, False):
        return ContextResult(context.id, Result.USER_REJECTION, "")
    chosen = None
    if context.abstract_syntax:
        _, as_scp = roles.get(context.abstract_syntax, (True, False))
        chosen = negotiate(context.abstract_syntax, context.transfer_syntaxes, as_scp)
    if chosen is None:
        return ContextResult(context.id, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, "")
    if not chosen:
        return ContextResult(context.id, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, "")
    return ContextResult(context.id, Result.ACCEPTANCE, chosen)


def _fixed(body: memoryview) -> tuple[int, bytes, bytes]:
    if len(body) < _FIXED.size:
        raise _malformed()
    version, called, calling = _FIXED.unpack_from(body)
    return version, called, calling


def _items(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    position = 0
    while position < len(data):
        if len(data) - position < _ITEM.size:
            raise _malformed()
        kind, length = _ITEM.unpack_from(data, position)
        position += _ITEM.size
        if position + length > len(data):
            raise _malformed()
        yield kind, data[position : position + length]
        position += length


def _malformed() -> AssociationAborted:
    return AssociationAborted(
        "an A-ASSOCIATE PDU whose lengths do not fit", AbortReason.INVALID_PDU_PARAMETER
    )


def _text(value: memoryview | bytes) -> str:
    return bytes(value).decode("latin-1").strip(" \0")


def _uid(value: memoryview) -> str:
    """The UID, or nothing where there is none that PS3.8 annex F allows."""
    text = _text(value)
    return text if _UID.fullmatch(text) else ""


def _numbered(item: memoryview) -> tuple[int, int, memoryview]:
    if len(item) < _CONTEXT.size:
        raise _malformed()
    id_, result = _CONTEXT.unpack_from(item)
    return id_, result, item[_CONTEXT.size :]


def _proposed_context(item: memoryview) -> ProposedContext:
    id_, _, rest = _numbered(item)
    abstract_syntax = ""
    transfer_syntaxes: dict[str, None] = {}  # ordered, without repetitions
    for kind, value in _items(rest):
        if kind == _ABSTRACT_SYNTAX:
            abstract_syntax = _uid(value)
        elif kind == _TRANSFER_SYNTAX and (uid := _uid(value)):
            transfer_syntaxes[uid] = None
    return ProposedContext(id_, abstract_syntax, tuple(transfer_syntaxes))


def _context_result(item: memoryview) -> ContextResult:
    id_, result, rest = _numbered(item)
    transfer_syntax = "" if result else next((_uid(v) for k, v in _items(rest) if k == _TRANSFER_SYNTAX), "")
    return ContextResult(id_, result, transfer_syntax)


def _user_information(item: memoryview) -> UserInformation:
    found: dict[int, memoryview] = {}
    roles = {}
    for kind, value in _items(item):
        if kind == _ROLE:
            uid, scu, scp = _role(value)
            roles[uid] = (scu, scp)
        else:
            found[kind] = value
    maximum = found.get(_MAXIMUM_LENGTH, memoryview(bytes(4)))
    if len(maximum) != 4:
        raise _malformed()
    return UserInformation(
        int.from_bytes(maximum, "big"),
        _text(found.get(_CLASS_UID, memoryview(b""))),
        _text(found.get(_VERSION_NAME, memoryview(b""))),
        _ASYNCHRONOUS in found,
        roles,
    )


def _role(value: memoryview) -> tuple[str, bool, bool]:
    length = int.from_bytes(value[:2], "big")
    if len(value) != length + 4:
        raise _malformed()
    return _text(value[2 : 2 + length]), bool(value[-2]), bool(value[-1])


def _item(kind: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _ITEM.pack(kind, len(body)) + body


def _associate(
    pdu_type: int, called: bytes, calling: bytes, contexts: bytes, user_information: UserInformation
) -> bytes:
    body = b"".join(
        (
            _FIXED.pack(_PROTOCOL_VERSION, called, calling),
            _item(_APPLICATION_CONTEXT, APPLICATION_CONTEXT.encode("ascii")),
            contexts,
            _item(_USER_INFORMATION, *_user_items(user_information)),
        )
    )
    return HEADER.pack(pdu_type, len(body)) + body


def _user_items(information: UserInformation) -> Iterable[bytes]:
    yield _item(_MAXIMUM_LENGTH, information.maximum_pdu_length.to_bytes(4, "big"))
    yield _item(_CLASS_UID, information.implementation_class_uid.encode("ascii"))
    if information.asynchronous:
        yield _item(_ASYNCHRONOUS, b"\0\1\0\1")
    for uid, (scu, scp) in information.roles.items():
        yield _item(_ROLE, len(uid).to_bytes(2, "big"), uid.encode("ascii"), bytes((scu, scp)))
    yield _item(_VERSION_NAME, information.implementation_version_name.encode("ascii"))
