"""C-STORE end to end: bytes kept exactly, the right status for every refusal, and nothing left behind by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
)
from pynetdicom import sop_class
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_STORE, N_GET

from archive.dicom.errors import AssociationRejected
from archive.network.association import Association
from archive.network.commands import request_of
from archive.network.requestor import Proposal, open_association
from door import Door, context_id, open_door, response, store
from objects import ct, encoded, mr, new_uid, secondary_capture

CT = Proposal(CTImageStorage, (ExplicitVRLittleEndian,))
VERIFICATION = Proposal("1.2.840.10008.1.1", (ImplicitVRLittleEndian,))
STUDY_FIND = Proposal("1.2.840.10008.5.1.4.1.2.2.1", (ImplicitVRLittleEndian,))


def echo_status(association: Association) -> int:
    request = request_of(C_ECHO, MessageID=99, AffectedSOPClassUID=VERIFICATION.abstract_syntax)
    association.send(context_id(association, VERIFICATION.abstract_syntax), request)
    return int(response(association).command.Status)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEG2000Lossless]
)
def test_bytes_are_kept_exactly(door: Door, syntax: str) -> None:
    made = ct()
    data = encoded(made, ExplicitVRLittleEndian if syntax == JPEG2000Lossless else syntax)
    with door.open(Proposal(CTImageStorage, (syntax,))) as association:
        answer = store(association, data, CTImageStorage, made.SOPInstanceUID)
    assert answer.Status == 0
    assert answer.AffectedSOPInstanceUID == made.SOPInstanceUID
    stored = door.stored()[made.SOPInstanceUID]
    assert stored.transfer_syntax_uid == syntax
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert door.data_set(made.SOPInstanceUID) == data


def test_private_class_in_a_private_transfer_syntax(door: Door) -> None:
    private_class, private_syntax = "1.2.840.113619.4.30", "1.2.999.1.1"
    made = secondary_capture(SOPClassUID=private_class)
    with door.open(Proposal(private_class, (private_syntax,))) as association:
        answer = store(association, encoded(made), private_class, made.SOPInstanceUID)
    assert answer.Status == 0
    assert door.stored()[made.SOPInstanceUID].transfer_syntax_uid == private_syntax
    assert door.data_set(made.SOPInstanceUID) == encoded(made)


def test_every_storage_class_is_negotiated(door: Door) -> None:
    classes = sorted(sop_class._STORAGE_CLASSES.values())
    for batch in (classes[:120], classes[120:]):
        with door.open(*(Proposal(uid, (JPEG2000Lossless, "1.2.3.4")) for uid in batch)) as association:
            accepted = {(c.abstract_syntax, c.transfer_syntax) for c in association.contexts.values()}
        assert accepted == {(uid, JPEG2000Lossless) for uid in batch}


def test_the_same_object_again(door: Door) -> None:
    made = ct()
    with door.open(CT) as association:
        for number in (1, 2, 3):
            answer = store(association, encoded(made), CTImageStorage, made.SOPInstanceUID, message_id=number)
            assert (answer.Status, answer.MessageIDBeingRespondedTo) == (0, number)
    assert len(door.files()) == 1


def test_the_same_uid_with_other_content_is_kept_out(door: Door) -> None:
    made = ct()
    other = ct(SOPInstanceUID=made.SOPInstanceUID, SeriesDescription="other")
    with door.open(CT) as association:
        assert store(association, encoded(made), CTImageStorage, made.SOPInstanceUID).Status == 0
        answer = store(association, encoded(other), CTImageStorage, made.SOPInstanceUID)
        assert answer.Status == 0x0111
        assert answer.ErrorComment
        third = ct()
        assert store(association, encoded(third), CTImageStorage, third.SOPInstanceUID).Status == 0
    assert door.data_set(made.SOPInstanceUID) == encoded(made)
    assert set(door.stored()) == {made.SOPInstanceUID, third.SOPInstanceUID}


def test_coercion_is_a_warning(tmp_path: Path) -> None:
    """S6, PS3.4 table B.2-1: B000, and again for a re-send, which is the same object."""
    made = ct(InstitutionName="Elsewhere")
    coercion = {"InstitutionName": "General"}
    with open_door(tmp_path / "data", coercion=coercion) as door, door.open(CT) as association:
        for _ in range(2):
            answer = store(association, encoded(made), CTImageStorage, made.SOPInstanceUID)
            assert answer.Status == 0xB000
            assert answer.ErrorComment
        other = ct(InstitutionName="General")
        assert store(association, encoded(other), CTImageStorage, other.SOPInstanceUID).Status == 0
        assert len(door.files()) == 2


def test_coercion_by_rules_and_compression(tmp_path: Path) -> None:
    """dimse.md 1.2: B000 names the elements that were coerced; compression is nothing that a sender hears of."""
    made, other = ct(StationName="OLD"), ct(StationName="NEW")
    wanted = {
        "coercion_rules": [{"calling": "*", "map": {"StationName": {"OLD": "RENAMED"}}}],
        "compression": [{"transfer_syntax": "JPEG2000Lossless", "modality": "CT"}],
    }
    with open_door(tmp_path / "data", **wanted) as door, door.open(CT) as association:
        for _ in range(2):
            answer = store(association, encoded(made), CTImageStorage, made.SOPInstanceUID)
            assert answer.Status == 0xB000
        assert store(association, encoded(other), CTImageStorage, other.SOPInstanceUID).Status == 0
        syntaxes = {one.transfer_syntax_uid for one in door.stored().values()}
        assert (syntaxes, len(door.files())) == ({JPEG2000Lossless}, 2)


@pytest.mark.parametrize("kept", [1, 7, 0.3, 0.9, -2])
def test_a_truncated_object(door: Door, kept: float) -> None:
    made = ct()
    whole = encoded(made)
    cut = whole[: int(kept * len(whole))] if 0 < kept < 1 else whole[: int(kept)]
    with door.open(CT, VERIFICATION) as association:
        answer = store(association, cut, CTImageStorage, made.SOPInstanceUID)
        assert 0xC000 <= answer.Status <= 0xCFFF
        assert answer.ErrorComment
        assert echo_status(association) == 0
    assert door.files() == []
    assert door.stored() == {}


def refused(door: Door, data: bytes | None, sop_class_uid: str, sop_instance_uid: str) -> Any:
    """Refused, nothing left behind, and the association goes on."""
    with door.open(CT, VERIFICATION) as association:
        answer = store(
            association,
            data,
            sop_class_uid,
            sop_instance_uid,
            context=context_id(association, CTImageStorage),
        )
        assert answer.ErrorComment
        assert echo_status(association) == 0
    assert door.files() == []
    return answer


def test_another_sop_instance_uid_than_the_command_s(door: Door) -> None:
    """Reliability: O9."""
    answer = refused(door, encoded(ct()), CTImageStorage, new_uid())
    assert answer.Status == 0xA900
    assert answer.OffendingElement == [0x00080018]


def test_another_sop_class_than_the_context_s(door: Door) -> None:
    """Reliability: O9."""
    made = mr()
    in_data_set = refused(door, encoded(made), CTImageStorage, made.SOPInstanceUID)
    assert in_data_set.Status == 0xA900
    in_command = refused(door, encoded(made), MRImageStorage, made.SOPInstanceUID)
    assert in_command.Status == 0xA900


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1..2", "/tmp/x", "1" * 65, "１.２"])
def test_uids_that_are_none(door: Door, uid: str) -> None:
    answer = refused(door, encoded(ct()), CTImageStorage, uid)
    assert answer.Status == 0xA900


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
def test_an_object_without_its_identity(door: Door, keyword: str) -> None:
    made = ct()
    uid = str(made.SOPInstanceUID)
    del made[keyword]
    answer = refused(door, encoded(made), CTImageStorage, uid)
    assert answer.Status == 0xA900


def test_no_data_set(door: Door) -> None:
    assert refused(door, None, CTImageStorage, new_uid()).Status == 0xC000


def test_no_data_set_and_garbage(door: Door) -> None:
    answer = refused(door, b"GET / HTTP/1.1\r\n" * 9, CTImageStorage, new_uid())
    assert answer.Status == 0xC000


def test_too_large(tmp_path: Path) -> None:
    made = ct()
    with (
        open_door(tmp_path / "data", limits__maximum_object_bytes=300_000) as door,
        door.open(CT) as association,
    ):
        answer = store(association, encoded(made), CTImageStorage, made.SOPInstanceUID)
        assert answer.Status == 0xA700
        small = ct(Rows=8, Columns=8, PixelData=bytes(128))
        assert store(association, encoded(small), CTImageStorage, small.SOPInstanceUID).Status == 0
        assert len(door.files()) == 1


def test_no_room(tmp_path: Path) -> None:
    made = ct()
    with (
        open_door(tmp_path / "data", storage__minimum_free_bytes=1 << 60) as door,
        door.open(CT, VERIFICATION) as association,
    ):
        answer = store(association, encoded(made), CTImageStorage, made.SOPInstanceUID)
        assert answer.Status == 0xA700
        assert answer.ErrorComment
        assert echo_status(association) == 0
        assert door.files() == []


def test_an_operation_that_was_not_agreed_upon(door: Door) -> None:
    """PS3.7 10.1.2 and C.5: N-GET is none of those of a storage class, and has a status of its own for that."""
    with door.open(CT, VERIFICATION) as association:
        request = request_of(
            N_GET, MessageID=5, RequestedSOPClassUID=CTImageStorage, RequestedSOPInstanceUID="1.2"
        )
        association.send(context_id(association, CTImageStorage), request, [b"junk" * 1000])
        answer = response(association).command
        assert isinstance(answer, N_GET)
        assert (answer.Status, answer.MessageIDBeingRespondedTo) == (0x0211, 5)
        assert echo_status(association) == 0


def test_an_operation_in_another_s_context(door: Door) -> None:
    with door.open(CT, VERIFICATION, STUDY_FIND) as association:
        request = request_of(C_FIND, MessageID=5, AffectedSOPClassUID=CTImageStorage, Priority=0)
        association.send(context_id(association, CTImageStorage), request, [b"junk"])
        assert response(association).command.Status == 0x0122
        request = request_of(C_FIND, MessageID=6, AffectedSOPClassUID="1.2.3", Priority=0)
        association.send(context_id(association, STUDY_FIND.abstract_syntax), request, [b"junk"])
        assert response(association).command.Status == 0x0122
        assert echo_status(association) == 0


def test_a_sender_that_goes_away_leaves_nothing(door: Door) -> None:
    made = ct()
    association = door.open(CT)
    request = request_of(
        C_STORE, MessageID=1, AffectedSOPClassUID=CTImageStorage, AffectedSOPInstanceUID=made.SOPInstanceUID
    )
    data = encoded(made)

    def halfway() -> Iterator[bytes]:
        yield data[:200_000]
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        association.send(context_id(association, CTImageStorage), request, halfway())
    with door.open(CT) as again:
        assert store(again, data, CTImageStorage, made.SOPInstanceUID).Status == 0
    assert len(door.files()) == 1


def test_wrong_called_ae_title(door: Door) -> None:
    with pytest.raises(AssociationRejected) as rejected:
        open_association(
            "127.0.0.1", door.port, calling_ae_title="X", called_ae_title="OTHER", contexts=[VERIFICATION]
        )
    assert (rejected.value.result, rejected.value.source, rejected.value.diagnostic) == (1, 1, 7)
    assert door.archive.refusals.associations()[0].refused.called == "OTHER"
