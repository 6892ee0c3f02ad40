"""A-ASSOCIATE PDUs against pynetdicom's encoders and decoders."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import build_context, build_role
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_items import (
    SOPClassCommonExtendedNegotiationSubItem,
    UserIdentitySubItemAC,
    UserIdentitySubItemRQ,
)
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)

from archive.network.caller import UserIdentity
from archive.network.negotiation import (
    APPLICATION_CONTEXT,
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    Result,
    answer,
    decode_accept,
    decode_request,
    encode_accept,
    encode_request,
)
from archive.network.user_information import CommonExtended, UserInformation
from association_peers import Guest

uids = st.lists(st.integers(0, 99999).map(str), min_size=1, max_size=8).map(
    lambda parts: "1.2." + ".".join(parts)
)
titles = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=1, max_size=16)
ids = st.integers(0, 127).map(lambda number: 2 * number + 1)
application_information = st.dictionaries(uids, st.binary(min_size=1, max_size=9), max_size=3)
identities = st.builds(
    UserIdentity, st.integers(1, 5), st.binary(min_size=1, max_size=300), st.just(b""), st.booleans()
) | st.builds(
    UserIdentity, st.just(2), st.binary(min_size=1), st.binary(min_size=1, max_size=99), st.booleans()
)


def information(**others: st.SearchStrategy[Any]) -> st.SearchStrategy[UserInformation]:
    return st.builds(
        UserInformation,
        st.integers(0, 0xFFFFFFFF),
        uids,
        titles,
        st.booleans(),
        st.dictionaries(uids, st.tuples(st.booleans(), st.booleans()), max_size=3),
        application_information,
        **others,
    )


common = st.dictionaries(
    uids, st.builds(CommonExtended, uids, st.lists(uids, max_size=3).map(tuple)), max_size=3
)
requests = st.builds(
    AssociateRequest,
    titles,
    titles,
    st.lists(
        st.builds(ProposedContext, ids, uids, st.lists(uids, min_size=1, max_size=4, unique=True).map(tuple)),
        min_size=1,
        max_size=5,
    ).map(tuple),
    information(common=common, identity=st.none() | identities),
)


@given(requests)
def test_a_request_comes_back_and_pynetdicom_reads_the_same(request: AssociateRequest) -> None:
    encoded = encode_request(request)
    decoded = decode_request(memoryview(encoded)[6:])
    assert (decoded.called_ae_title, decoded.calling_ae_title) == (
        request.called_ae_title,
        request.calling_ae_title,
    )
    assert (decoded.contexts, decoded.user_information) == (request.contexts, request.user_information)
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(encoded)
    assert theirs.encode() == encoded
    assert [
        (c.context_id, c.abstract_syntax, tuple(c.transfer_syntax)) for c in theirs.presentation_context
    ] == [(c.id, c.abstract_syntax, c.transfer_syntaxes) for c in request.contexts]
    assert theirs.user_information.maximum_length == request.user_information.maximum_pdu_length
    roles = {uid: (bool(r.scu), bool(r.scp)) for uid, r in theirs.user_information.role_selection.items()}
    ours = request.user_information
    assert roles == ours.roles
    extended = theirs.user_information.ext_neg
    assert {str(each.uid): each.app_info for each in extended} == ours.extended
    same_identity(theirs, ours)


def same_identity(theirs: A_ASSOCIATE_RQ, ours: UserInformation) -> None:
    """Common extended negotiation and user identity, as pynetdicom reads them."""
    items = theirs.user_information.user_data
    read = [item for item in items if isinstance(item, SOPClassCommonExtendedNegotiationSubItem)]
    assert {
        str(item.sop_class_uid): CommonExtended(
            str(item.service_class_uid), tuple(map(str, item.related_general_sop_class_identification))
        )
        for item in read
    } == ours.common
    (identity,) = [item for item in items if isinstance(item, UserIdentitySubItemRQ)] or [None]
    assert (identity is None) == (ours.identity is None)
    if identity is not None and ours.identity is not None:
        assert ours.identity == UserIdentity(
            identity.user_identity_type,
            identity.primary_field,
            identity.secondary_field or b"",
            bool(identity.positive_response_requested),
        )


@given(
    st.lists(st.builds(ContextResult, ids, st.integers(0, 4), uids), max_size=5).map(tuple),
    information(identity_answer=st.none() | st.binary(max_size=300)),
)
def test_an_acceptance_comes_back_and_pynetdicom_reads_the_same(
    results: tuple[ContextResult, ...], user_information: UserInformation
) -> None:
    accept = AssociateAccept(results, user_information, (b"CALLED".ljust(16), b"\xff" * 16))
    encoded = encode_accept(accept)
    decoded = decode_accept(memoryview(encoded)[6:])
    assert decoded.titles == accept.titles
    assert decoded.user_information == user_information
    assert [(r.id, r.result) for r in decoded.results] == [(r.id, r.result) for r in results]
    theirs = A_ASSOCIATE_AC()
    theirs.decode(encoded)
    answers = [each for each in theirs.user_information.user_data if isinstance(each, UserIdentitySubItemAC)]
    assert [each.server_response for each in answers] == [
        answer for answer in (user_information.identity_answer,) if answer is not None
    ]
    accepted = [(c.context_id, c.transfer_syntax) for c in theirs.presentation_context if not c.result]
    assert accepted == [(r.id, r.transfer_syntax) for r in decoded.results if not r.result]


def pynetdicom_request(*user_items: Any) -> bytes:
    length, uid, name = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    length.maximum_length_received = 16382
    uid.implementation_class_uid = "1.2.3"
    name.implementation_version_name = "THEIRS"
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = "CALLING", "CALLED"
    contexts = [build_context("1.2.840.10008.1.1"), build_context("1.2.840.10008.5.1.4.1.1.4")]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    primitive.user_information = [length, uid, name, *user_items]
    encoded: bytes = A_ASSOCIATE_RQ(primitive).encode()
    return encoded


def test_a_request_of_pynetdicom() -> None:
    role = build_role("1.2.840.10008.5.1.4.1.1.4", scu_role=False, scp_role=True)
    request = decode_request(memoryview(pynetdicom_request(role))[6:])
    assert (request.called_ae_title, request.calling_ae_title) == ("CALLED", "CALLING")
    assert request.user_information == UserInformation(
        16382, "1.2.3", "THEIRS", roles={"1.2.840.10008.5.1.4.1.1.4": (False, True)}
    )
    assert [context.id for context in request.contexts] == [1, 3]


Choices = dict[str, str | Result | None]


class Chooser(Guest):
    """Chooses for each abstract syntax what it was made with."""

    def __init__(self, choices: Choices, **fields: Any) -> None:
        super().__init__(**fields)
        self.choices = choices

    def negotiate(
        self,
        abstract_syntax: str,
        transfer_syntaxes: tuple[str, ...],
        as_scu: bool,
        common: CommonExtended | None,
    ) -> str | Result | None:
        self.asked.append((abstract_syntax, as_scu, common))
        return self.choices[abstract_syntax]


def test_the_answer_names_each_context_and_grants_the_roles_of_the_accepted() -> None:
    request = AssociateRequest(
        "CALLED",
        "CALLING",
        (
            ProposedContext(1, "1.1", ("1.9", "1.8")),
            ProposedContext(3, "1.2", ("1.9",)),
            ProposedContext(5, "1.3", ("1.9",)),
            ProposedContext(7, "1.4", ("1.9",)),
        ),
        UserInformation(roles={"1.1": (False, True), "1.2": (True, True), "1.4": (False, False)}),
    )
    choices: Choices = {"1.1": "1.8", "1.2": None, "1.3": "", "1.4": "1.9"}
    accept = answer(request, Chooser(choices), 4096)
    assert accept.results == (
        ContextResult(1, Result.ACCEPTANCE, "1.8"),
        ContextResult(3, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, ""),
        ContextResult(5, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, ""),
        ContextResult(7, Result.USER_REJECTION, ""),
    )
    assert accept.user_information.roles == {"1.1": (False, True)}
    assert accept.user_information.maximum_pdu_length == 4096


STORAGE_SERVICE = "1.2.840.10008.4.2"


def context_of(uid: str) -> ProposedContext:
    return ProposedContext(1, uid, ("1.9",))


def test_extended_negotiation_is_answered_for_accepted_sop_classes_only() -> None:
    """PS3.7 D.3.3.5: the answer is the guest's; without one, or without the context, the item is left out."""
    request = AssociateRequest(
        "CALLED",
        "CALLING",
        (
            ProposedContext(1, "1.1", ("1.9",)),
            ProposedContext(3, "1.2", ("1.9",)),
            ProposedContext(5, "1.3", ("1.9",)),
        ),
        UserInformation(
            extended={"1.1": b"\1\1", "1.2": b"\1", "1.3": b"\1", "1.4": b"\1", "1.5.\xe9": b"\1"}
        ),
    )
    guest = Chooser(
        {"1.1": "1.9", "1.2": None, "1.3": "1.9"}, answers={"1.1": b"\1\0", "1.2": b"\1", "1.4": b"\1"}
    )
    accept = answer(request, guest, 4096)
    assert accept.user_information.extended == {"1.1": b"\1\0"}
    assert [asked for asked in guest.asked if len(asked) == 2] == [("1.1", b"\1\1"), ("1.3", b"\1")]
    assert decode_accept(memoryview(encode_accept(accept))[6:]).user_information == accept.user_information


def test_common_extended_negotiation_reaches_the_guest_and_has_no_answer() -> None:
    """PS3.7 D.3.3.6: a SOP class that we do not know is described by its service class."""
    described = CommonExtended(STORAGE_SERVICE, ("1.2.840.10008.5.1.4.1.1.4",))
    request = AssociateRequest("A", "B", (context_of("1.2.3"),), UserInformation(common={"1.2.3": described}))
    guest = Chooser({"1.2.3": "1.9"})
    accept = answer(request, guest, 4096)
    assert guest.asked == [("1.2.3", False, described)]
    assert accept.user_information.common == {}


def test_a_context_without_right_is_a_user_rejection() -> None:
    """PS3.8 Table 9-18: result 1."""
    request = AssociateRequest("A", "B", (context_of("1.2.3"),), UserInformation())
    accept = answer(request, Chooser({"1.2.3": Result.USER_REJECTION}), 4096)
    assert accept.results == (ContextResult(1, Result.USER_REJECTION, ""),)


def test_a_user_identity_is_answered_to_who_asked_for_an_answer() -> None:
    """PS3.7 D.3.3.7: the response is for a requestor that has set positive-response-requested."""
    for wanted, given_, answered in (
        (True, b"ticket", b"ticket"),
        (True, b"", b""),
        (True, None, None),
        (False, b"ticket", None),
    ):
        identity = UserIdentity(3, b"token", answer_wanted=wanted)
        request = AssociateRequest("A", "B", (context_of("1.2.3"),), UserInformation(identity=identity))
        accept = answer(request, Chooser({"1.2.3": "1.9"}, identity_answer=given_), 4096)
        assert accept.user_information.identity_answer == answered
    request = AssociateRequest("A", "B", (context_of("1.2.3"),), UserInformation())
    accept = answer(request, Chooser({"1.2.3": "1.9"}, identity_answer=b"x"), 4096)
    assert accept.user_information.identity_answer is None


def test_secrets_stay_out_of_what_is_printed() -> None:
    identity = UserIdentity(2, b"name", b"secret")
    assert "secret" not in repr(identity) + str(UserInformation(identity=identity))
    assert "name" not in repr(identity)
