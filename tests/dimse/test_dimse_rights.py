"""Who may call by which title, and ask for what: AE titles, rights and user identities over the wire."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association as PynetdicomAssociation
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_MOVE
from pynetdicom.pdu_primitives import (
    SOPClassCommonExtendedNegotiation,
    UserIdentityNegotiation,
)

from archive.dicom.errors import AssociationRejected
from archive.network.commands import request_of
from archive.network.requestor import Proposal
from archive.security.identity import password_hash
from archive.security.operations import ALL_OPERATIONS, Operation
from archive.security.rules import Rules
from archive.services.ae_titles import FRESH_SECONDS
from door import Door, context_id, open_door, response, store
from objects import ct, encoded

VERIFICATION = "1.2.840.10008.1.1"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
TRANSFERS = (ImplicitVRLittleEndian,)
BY_OPERATION = {
    Operation.ECHO: VERIFICATION,
    Operation.STORE: CTImageStorage,
    Operation.FIND: STUDY_FIND,
    Operation.MOVE: STUDY_MOVE,
    Operation.GET: STUDY_GET,
}
KNOWN = "WORKSTATION"


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Door]:
    """A door that does not trust this machine, so that tests can be strangers, and that has two titles."""
    with open_door(
        tmp_path / "data", dimse__trust_this_machine=False, dimse__more_ae_titles=["TEACHING"]
    ) as opened:
        yield opened


def known(door: Door, **rules: Any) -> None:
    door.archive.ae_titles.add(KNOWN, "127.0.0.1", 104, Rules(**rules))


def associate(
    door: Door, called: str = "ARCHIVE", calling: str = KNOWN, **options: Any
) -> PynetdicomAssociation:
    ae = AE(calling)
    for uid in BY_OPERATION.values():
        ae.add_requested_context(uid, list(TRANSFERS))
    return ae.associate("127.0.0.1", door.port, ae_title=called, **options)


def rejection(association: PynetdicomAssociation) -> tuple[int, int, int]:
    assert association.is_rejected
    primitive = association.acceptor.primitive
    return primitive.result, primitive.result_source, primitive.diagnostic


def reasons(door: Door) -> list[str]:
    return [one.refused.reason for one in door.archive.refusals.associations()]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_several_titles_on_one_port(strict: Door) -> None:
    """dimse.md 1.1: each may be called, and who may call which is a rule; the answers name the one that was called."""
    known(strict)
    for called in ("ARCHIVE", "TEACHING"):
        association = associate(strict, called)
        assert association.is_established
        association.release()
    assert rejection(associate(strict, "OTHER")) == (1, 1, 7)
    known(strict, called=("TEACHING",))
    assert rejection(associate(strict, "ARCHIVE")) == (1, 1, 7)
    association = associate(strict, "TEACHING")
    assert association.is_established
    association.release()


def test_a_stranger_is_told_so(strict: Door) -> None:
    assert rejection(associate(strict)) == (1, 1, 3)
    known(strict)
    association = associate(strict)
    assert association.is_established
    association.release()
    (kept,) = strict.archive.refusals.associations()
    assert kept.refused.remedy == f"archive ae add {KNOWN} 127.0.0.1 104"


def raw_titles(door: Door, calling: bytes, called: bytes = b"ARCHIVE") -> None:
    """Associate and echo with these bytes as AE titles, as devices in the field send them."""
    with door.open(
        Proposal(VERIFICATION, TRANSFERS),
        calling_ae_title=calling.decode("latin-1"),
        called_ae_title=called.decode("latin-1"),
    ) as association:
        association.send(
            context_id(association, VERIFICATION),
            request_of(C_ECHO, MessageID=1, AffectedSOPClassUID=VERIFICATION),
        )
        assert response(association).command.Status == 0


@pytest.mark.parametrize(
    ("sent", "called", "rules"),
    [
        (b"", b"ARCHIVE", {"aliases": ("",)}),
        (b"workstation", b"archive", {"any_case": True}),
        ("RÖNTGEN".encode("latin-1"), b"ARCHIVE", {"aliases": ("RÖNTGEN",)}),
        ("RÖNTGEN".encode(), b"ARCHIVE", {"aliases": ("RÖNTGEN",)}),
        (b"A\\B", b"ARCHIVE", {"aliases": ("A\\B",)}),
        (b"WORKSTATION", b"OLDPACS", {"called": ("OLDPACS",)}),
        (b"WORKSTATION", b"", {"called": ("*",)}),
    ],
)
def test_odd_titles_are_served_when_the_entry_says_so(
    strict: Door, sent: bytes, called: bytes, rules: dict[str, Any]
) -> None:
    """T5: pynetdicom aborts these; without the rule they are rejected with a reason, and with it they are served."""
    known(strict)
    with pytest.raises(AssociationRejected) as refused:
        raw_titles(strict, sent, called)
    expected = 7 if called != b"ARCHIVE" else 3
    assert (refused.value.result, refused.value.source, refused.value.diagnostic) == (1, 1, expected)
    known(strict, **rules)
    raw_titles(strict, sent, called)


def test_padding_with_nul_is_padding(strict: Door) -> None:
    """T5."""
    known(strict)
    raw_titles(strict, b"WORKSTATION\0\0", b"ARCHIVE\0\0\0\0")


def test_an_alias_is_kept_under_the_title_of_its_entry(strict: Door) -> None:
    """What comes from a nameless ultrasound is known as the ultrasound's."""
    known(strict, aliases=("",), duplicates="reject")
    data_set = ct()
    context = Proposal(CTImageStorage, (ExplicitVRLittleEndian,))
    with strict.open(context, calling_ae_title="") as association:
        data = encoded(data_set)
        assert store(association, data, CTImageStorage, data_set.SOPInstanceUID).Status == 0
        bad = store(association, data[:-10], CTImageStorage, data_set.SOPInstanceUID)
        assert bad.Status == 0xC000
    (kept,) = strict.archive.refusals.objects()
    assert kept.refused.calling == KNOWN
    assert (kept.refused.status, kept.refused.SOPClassUID) == ("C000", CTImageStorage)
    assert kept.SOPInstanceUID == data_set.SOPInstanceUID
    assert kept.refused.transfer_syntax_uid == ExplicitVRLittleEndian


@pytest.mark.parametrize("operation", BY_OPERATION)
def test_contexts_of_an_operation_without_a_right_are_rejected_by_the_user(
    door: Door, operation: Operation
) -> None:
    """PS3.8 Table 9-18, result 1; the other contexts are accepted, and the refusal is kept with its remedy."""
    known(door, operations=ALL_OPERATIONS - {operation})
    association = associate(door)
    rejected = {context.abstract_syntax: context.result for context in association.rejected_contexts}
    assert rejected == {BY_OPERATION[operation]: 1}
    association.release()
    (kept,) = door.archive.refusals.associations()
    assert kept.refused.reason == f"{KNOWN} has no right to {operation.value}"
    assert kept.refused.remedy == f"archive ae set {KNOWN} --allow {operation.value}"


def test_a_right_that_is_taken_away_ends_within_a_second(door: Door) -> None:
    """0124 with a comment (PS3.7 annex C) for each request, and back again; the association goes on."""
    known(door)
    with door.open(
        Proposal(VERIFICATION, TRANSFERS),
        Proposal(STUDY_FIND, TRANSFERS),
        Proposal(CTImageStorage, (ExplicitVRLittleEndian,)),
    ) as association:

        def asked() -> Any:
            request = request_of(C_FIND, MessageID=1, AffectedSOPClassUID=STUDY_FIND, Priority=0)
            association.send(context_id(association, STUDY_FIND), request, [b""])
            return response(association).command

        assert asked().Status != 0x0124
        known(door, operations=frozenset((Operation.ECHO,)))
        refused = asked()
        assert refused.Status == 0x0124
        assert refused.ErrorComment == f"{KNOWN} has no right to find"
        data_set = ct()
        stored = store(association, encoded(data_set), CTImageStorage, data_set.SOPInstanceUID)
        assert stored.Status == 0x0124
        assert door.stored() == {}
        assert door.files() == []
        known(door)
        assert asked().Status != 0x0124
        door.archive.ae_titles.remove(KNOWN)
        assert asked().ErrorComment == "this AE title is not known any more"
    kept = door.archive.refusals.objects()
    assert [one.refused.remedy for one in kept] == [f"archive ae set {KNOWN} --allow store"]


def test_another_process_takes_a_right_away(door: Door) -> None:
    known(door)
    with door.open(Proposal(VERIFICATION, TRANSFERS)) as association:

        def status() -> int:
            request = request_of(C_ECHO, MessageID=1, AffectedSOPClassUID=VERIFICATION)
            association.send(context_id(association, VERIFICATION), request)
            return int(response(association).command.Status)

        assert status() == 0
        began = time.monotonic()
        other = type(door.archive.ae_titles)(door.archive.database, ["ARCHIVE"])
        other.add(KNOWN, "127.0.0.1", 104, Rules(operations=frozenset()))
        wait_for(lambda: status() == 0x0124)
        assert time.monotonic() - began < FRESH_SECONDS + 10


def test_who_may_only_retrieve_may_be_sent_to(door: Door) -> None:
    """C-GET proposes the storage SOP classes with the SCP role: the right to get is enough for these, and it does not
    become a right to store."""
    known(door, operations=frozenset((Operation.GET,)))
    with door.open(
        Proposal(CTImageStorage, (ExplicitVRLittleEndian,), as_scp=True), Proposal(STUDY_GET, TRANSFERS)
    ) as association:
        assert len(association.contexts) == 2
        data_set = ct()
        answer = store(association, encoded(data_set), CTImageStorage, data_set.SOPInstanceUID)
        assert answer.Status == 0x0124
    assert door.stored() == {}


def test_a_limit_per_ae_title(door: Door) -> None:
    """dimse.md 1.1 and T17: 2/3/2 for one too many, and the seat is free as soon as one has left."""
    known(door, maximum_associations=1)
    first = associate(door)
    assert rejection(associate(door)) == (2, 3, 2)
    other = associate(door, calling="OTHER")
    assert other.is_established
    other.release()
    first.release()
    wait_for(lambda: (again := associate(door)).is_established and again.release() is None)


def identity(kind: int, primary: bytes, secondary: bytes = b"") -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type = kind
    item.primary_field = primary
    item.secondary_field = secondary
    item.positive_response_requested = True
    return item


def test_a_user_name_and_password(door: Door) -> None:
    """PS3.7 D.3.3.7 with pynetdicom's requestor: 1/2/1 without or with a wrong one; an answer with the right one."""
    known(door, identity="password", user="ct", password_hash=password_hash("s3cret"))
    assert rejection(associate(door)) == (1, 2, 1)
    assert rejection(associate(door, ext_neg=[identity(2, b"ct", b"guess")])) == (1, 2, 1)
    association = associate(door, ext_neg=[identity(2, b"ct", b"s3cret")])
    assert association.is_established
    assert association.acceptor.user_identity is not None
    association.release()
    assert reasons(door) == [
        "the user name or password is wrong",
        "the AE has to give a user name and password",
    ]


def test_an_identity_that_nobody_asked_for_is_not_answered(door: Door) -> None:
    """So that a requestor which wanted to be told does not think it was verified."""
    association = associate(door, ext_neg=[identity(2, b"ct", b"anything")])
    assert association.is_established
    assert association.acceptor.user_identity is None
    association.release()


@pytest.mark.parametrize(
    ("service_class", "accepted"), [("1.2.840.10008.4.2", True), ("1.2.840.10008.5.1.4.1.2", False)]
)
def test_common_extended_negotiation_says_what_a_private_class_is(
    door: Door, service_class: str, accepted: bool
) -> None:
    """PS3.7 D.3.3.6: one of storage is stored, one of another service class is no object of ours."""
    private = "1.2.826.0.1.3680043.9.9999.1"
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid = private
    item.service_class_uid = service_class
    ae = AE(KNOWN)
    ae.add_requested_context(private, ExplicitVRLittleEndian)
    ae.add_requested_context(VERIFICATION)
    association = ae.associate("127.0.0.1", door.port, ae_title="ARCHIVE", ext_neg=[item])
    results = {context.abstract_syntax: context.result for context in association.rejected_contexts}
    association.release()
    assert results == ({} if accepted else {private: 3})


def test_what_the_network_turns_away_is_kept_too(tmp_path: Path) -> None:
    """T17: too many in all, with what would help."""
    with open_door(tmp_path / "data", dimse__maximum_associations=1) as door:
        first = associate(door)
        assert rejection(associate(door)) == (2, 3, 2)
        first.release()
        wait_for(lambda: len(door.archive.refusals.associations()) > 0)
        (kept, *_) = door.archive.refusals.associations()
    assert "dimse.maximum_associations" in kept.refused.remedy


@pytest.mark.parametrize(
    ("wanted", "rules", "status", "remedy"),
    [
        ("NOWHERE", {}, 0xA801, "archive ae add NOWHERE HOST 104"),
        ("WS 2", {"destinations": ("WS1",)}, 0x0124, f"archive ae set {KNOWN} --destination 'WS 2'"),
    ],
)
def test_a_move_that_goes_nowhere_is_kept_with_its_remedy(
    door: Door, wanted: str, rules: dict[str, Any], status: int, remedy: str
) -> None:
    """dimse.md 1.1: the move destinations that an AE may use. The requestor's user hears a number, its administrator
    the rest."""
    known(door, **rules)
    with door.open(Proposal(STUDY_MOVE, TRANSFERS)) as association:
        request = request_of(
            C_MOVE, MessageID=1, AffectedSOPClassUID=STUDY_MOVE, Priority=0, MoveDestination=wanted
        )
        association.send(context_id(association, STUDY_MOVE), request, [b""])
        assert response(association).command.Status == status
    wait_for(lambda: len(door.archive.refusals.associations()) == 1)
    (kept,) = door.archive.refusals.associations()
    assert (kept.refused.calling, kept.refused.remedy) == (KNOWN, remedy)


@pytest.mark.parametrize(
    ("called", "named"), [("TEACHING", "TEACHING"), ("OLDPACS", "OLDPACS"), ("", "ARCHIVE")]
)
def test_answers_name_the_title_that_was_called(strict: Door, called: str, named: str) -> None:
    """PS3.4 C.4.1.1.3.2: Retrieve AE Title is where this requestor retrieves from, so a title that it may call."""
    known(strict, called=("TEACHING", "OLDPACS", "*"))
    keep_one(strict)
    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    keys.StudyInstanceUID = ""
    with strict.open(Proposal(STUDY_FIND, TRANSFERS), called_ae_title=called) as association:
        request = request_of(C_FIND, MessageID=1, AffectedSOPClassUID=STUDY_FIND, Priority=0)
        association.send(
            context_id(association, STUDY_FIND), request, [encoded(keys, ImplicitVRLittleEndian)]
        )
        answer = response(association)
        assert answer.data is not None
        found = dcmread(BytesIO(b"".join(answer.data)), force=True)
        assert response(association).command.Status == 0
    assert found.RetrieveAETitle == named


def keep_one(door: Door) -> None:
    data_set = ct()
    with door.open(
        Proposal(CTImageStorage, (ExplicitVRLittleEndian,)), called_ae_title="TEACHING"
    ) as association:
        assert store(association, encoded(data_set), CTImageStorage, data_set.SOPInstanceUID).Status == 0


def test_tls_on_the_port_without_has_a_remedy(door: Door) -> None:
    with socket.create_connection(("127.0.0.1", door.port)) as caller:
        caller.sendall(b"\x16\x03\x01\x00\x05" + bytes(5))
        wait_for(lambda: len(door.archive.refusals.associations()) == 1)
    (kept,) = door.archive.refusals.associations()
    assert kept.refused.remedy.startswith("let it call the port of tls.listen")
