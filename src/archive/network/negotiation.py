"""A-ASSOCIATE-RQ and -AC between bytes and values, and which contexts are accepted (PS3.8 9.3, annex D; PS3.7
D.3).

These are read here, not by pynetdicom's `pdu`, because they come from strangers: that decoder raises KeyError
on an item it does not know (PS3.8 9.3.1 says to skip those), refuses blank or non-ASCII AE titles where we
want to answer with the right A-ASSOCIATE-RJ, and makes an object of each of the 100,000 transfer syntaxes
that fit into one PDU. Its encoders are the oracle in the tests.

Who asks is not known while this is read, so reading must stay cheap: each list of transfer syntaxes and each UID
is made once for a request, however often it is named in it, and a list is taken apart by one `split`.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from itertools import islice
from struct import Struct
from typing import Protocol

from archive.dicom.errors import CallerRefused
from archive.network import user_information
from archive.network.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, HEADER
from archive.network.user_information import CommonExtended, UserInformation, item, items, malformed, text

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_PROTOCOL_VERSION = 1
MAXIMUM_CONTEXTS = 128
_SMALLEST_PDU = 64
"""Below this a PDV has no room worth the name; every implementation announces 4096 or more."""

_FIXED = Struct(">H2x16s16s32x")
_CONTEXT = Struct(">BxBx")
_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)

_APPLICATION_CONTEXT, _CONTEXT_RQ, _CONTEXT_AC, _USER_INFORMATION = 0x10, 0x20, 0x21, 0x50
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX = 0x30, 0x40
_ITEM_HEADER = 4
_MOST_ITEMS = 128
"""Of one presentation context, behind its abstract syntax; what comes after them is not looked at. PS3.6 registers half
as many transfer syntaxes."""
_TRANSFER_SYNTAX_ITEM = bytes((_TRANSFER_SYNTAX, 0, 0))
"""How it begins, before the low byte of its length."""


class Result(enum.IntEnum):
    """Result of a presentation context (PS3.8 Table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class Admitted(Protocol):
    """What a policy says of a caller that it has let in; kept as `Association.admitted`."""

    @property
    def identity_answer(self) -> bytes | None:
        """The server response to a user identity (PS3.7 D.3.3.7.2); None: no answer. It is sent only to who asked
        for one."""

    def negotiate(
        self,
        abstract_syntax: str,
        transfer_syntaxes: tuple[str, ...],
        as_scu: bool,
        common: CommonExtended | None,
    ) -> str | Result | None:
        """The transfer syntax to accept a context with; None: abstract syntax not supported (result 3); "": none
        of the transfer syntaxes is (result 4); a Result: rejected with that one, USER_REJECTION (1) where the
        caller has no right. Roles that the requestor proposes are granted; `as_scu`: it offers to be SCP, so that
        we may be SCU (C-STORE in C-GET). `common`: what it says about a SOP class that we may not know."""

    def extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """The answer to SOP class extended negotiation of an accepted SOP class (PS3.7 D.3.3.5); None: none."""

    def leave(self) -> None:
        """The association has ended, or never came about. Called once; never raises."""


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
    application_context, contexts, information = "", [], UserInformation()
    read = _Read()
    for kind, value in items(body[_FIXED.size :]):
        if kind == _APPLICATION_CONTEXT:
            application_context = text(value)
        elif kind == _CONTEXT_RQ:
            contexts.append(_proposed_context(value, read))
        elif kind == _USER_INFORMATION:
            information = user_information.decode(value)
    return AssociateRequest(
        text(called), text(calling), tuple(contexts), information,
        application_context, version, (called, calling),
    )  # fmt: skip


def decode_accept(body: memoryview) -> AssociateAccept:
    """Reads the body of an A-ASSOCIATE-AC. Raises AssociationAborted if a length does not fit."""
    _, called, calling = _fixed(body)
    results, information = [], UserInformation()
    for kind, value in items(body[_FIXED.size :]):
        if kind == _CONTEXT_AC:
            results.append(_context_result(value))
        elif kind == _USER_INFORMATION:
            information = user_information.decode(value)
    return AssociateAccept(tuple(results), information, (called, calling))


def encode_request(request: AssociateRequest) -> bytes:
    """The whole A-ASSOCIATE-RQ."""
    contexts = b"".join(
        item(
            _CONTEXT_RQ,
            _CONTEXT.pack(context.id, 0),
            item(_ABSTRACT_SYNTAX, context.abstract_syntax.encode("ascii")),
            *(item(_TRANSFER_SYNTAX, uid.encode("ascii")) for uid in context.transfer_syntaxes),
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
        item(
            _CONTEXT_AC,
            _CONTEXT.pack(result.id, result.result),
            item(_TRANSFER_SYNTAX, (result.transfer_syntax or _IMPLICIT_VR_LITTLE_ENDIAN).encode("ascii")),
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


def answer(request: AssociateRequest, admitted: Admitted, maximum_pdu_length: int) -> AssociateAccept:
    """What to accept of a checked request. Roles are granted as proposed; a context whose requestor wants
    neither role is rejected (PS3.7 D.3.3.4). An asynchronous operations window is answered 1,1: no answer
    would make old senders push without bound. Common extended negotiation has no answer (PS3.7 D.3.3.6)."""
    theirs = request.user_information
    results = tuple(_result(context, admitted, theirs) for context in request.contexts)
    accepted = {result.id for result in results if result.result == Result.ACCEPTANCE}
    classes = {context.abstract_syntax for context in request.contexts if context.id in accepted}
    answers = {uid: admitted.extended(uid, sent) for uid, sent in theirs.extended.items() if uid in classes}
    ours = UserInformation(
        maximum_pdu_length,
        asynchronous=theirs.asynchronous,
        roles={uid: roles for uid, roles in theirs.roles.items() if uid in classes},
        extended={uid: information for uid, information in answers.items() if information is not None},
        identity_answer=admitted.identity_answer
        if theirs.identity is not None and theirs.identity.answer_wanted
        else None,
    )
    return AssociateAccept(results, ours, request.titles)


def _result(context: ProposedContext, admitted: Admitted, theirs: UserInformation) -> ContextResult:
    uid = context.abstract_syntax
    if theirs.roles.get(uid) == (False, False):
        return ContextResult(context.id, Result.USER_REJECTION, "")
    chosen: str | Result | None = None
    if uid:
        _, as_scp = theirs.roles.get(uid, (True, False))
        chosen = admitted.negotiate(uid, context.transfer_syntaxes, as_scp, theirs.common.get(uid))
    if chosen is None:
        return ContextResult(context.id, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, "")
    if isinstance(chosen, Result):
        return ContextResult(context.id, chosen, "")
    if not chosen:
        return ContextResult(context.id, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, "")
    return ContextResult(context.id, Result.ACCEPTANCE, chosen)


def _fixed(body: memoryview) -> tuple[int, bytes, bytes]:
    if len(body) < _FIXED.size:
        raise malformed()
    version, called, calling = _FIXED.unpack_from(body)
    return version, called, calling


def _uid(value: memoryview | bytes) -> str:
    """The UID, or nothing where there is none that PS3.8 annex F allows."""
    uid = text(value)
    return uid if _UID.fullmatch(uid) else ""


def _numbered(body: memoryview) -> tuple[int, int, memoryview]:
    if len(body) < _CONTEXT.size:
        raise malformed()
    id_, result = _CONTEXT.unpack_from(body)
    return id_, result, body[_CONTEXT.size :]


class _UIDs(dict[bytes, str]):
    """UIDs by the low byte of their length and their bytes, made when first asked for. Raises LookupError where
    the length is another."""

    def __missing__(self, counted: bytes) -> str:
        if counted[0] != len(counted) - 1:
            raise LookupError
        uid = self[counted] = _uid(counted[1:])
        return uid


@dataclass(frozen=True, slots=True)
class _Read:
    """What has been read of one request: lists of transfer syntaxes by their bytes, and single ones."""

    lists: dict[bytes, tuple[str, ...]] = field(default_factory=dict)
    uids: _UIDs = field(default_factory=_UIDs)


def _proposed_context(body: memoryview, read: _Read) -> ProposedContext:
    id_, _, rest = _numbered(body)
    for kind, value in items(rest):
        syntaxes = (
            _listed(bytes(rest[_ITEM_HEADER + len(value) :]), read) if kind == _ABSTRACT_SYNTAX else None
        )
        return _odd_context(id_, rest) if syntaxes is None else ProposedContext(id_, _uid(value), syntaxes)
    return ProposedContext(id_, "", ())


def _listed(data: bytes, read: _Read) -> tuple[str, ...] | None:
    """The transfer syntaxes in `data`, which are items of these and nothing else; None if they are not.

    No UID that is allowed holds the three bytes at which they are split, and where every length is that up to the next
    three, these are the items."""
    known = read.lists.get(data)
    if known is not None:
        return known
    before, *counted = data.split(_TRANSFER_SYNTAX_ITEM, _MOST_ITEMS + 1)
    if before:
        return None
    try:
        found = dict.fromkeys(map(read.uids.__getitem__, counted[:_MOST_ITEMS]))
    except LookupError:
        return None
    found.pop("", None)  # what is no UID
    syntaxes = read.lists[data] = tuple(found)
    return syntaxes


def _odd_context(id_: int, data: memoryview) -> ProposedContext:
    """The same where items come in another order, or are none of those that belong there."""
    abstract_syntax = ""
    transfer_syntaxes: dict[str, None] = {}  # ordered, without repetitions
    for kind, value in islice(items(data), _MOST_ITEMS + 1):
        if kind == _ABSTRACT_SYNTAX:
            abstract_syntax = _uid(value)
        elif kind == _TRANSFER_SYNTAX and (uid := _uid(value)):
            transfer_syntaxes[uid] = None
    return ProposedContext(id_, abstract_syntax, tuple(transfer_syntaxes))


def _context_result(body: memoryview) -> ContextResult:
    id_, result, rest = _numbered(body)
    transfer_syntax = "" if result else next((_uid(v) for k, v in items(rest) if k == _TRANSFER_SYNTAX), "")
    return ContextResult(id_, result, transfer_syntax)


def _associate(
    pdu_type: int, called: bytes, calling: bytes, contexts: bytes, information: UserInformation
) -> bytes:
    body = b"".join(
        (
            _FIXED.pack(_PROTOCOL_VERSION, called, calling),
            item(_APPLICATION_CONTEXT, APPLICATION_CONTEXT.encode("ascii")),
            contexts,
            item(_USER_INFORMATION, *user_information.encode(information)),
        )
    )
    return HEADER.pack(pdu_type, len(body)) + body
