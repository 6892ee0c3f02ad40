"""Sending stored instances: bytes untouched, one outcome each, and no failure that takes the others with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
)
from pynetdicom import evt, sop_class

from archive.dicom.errors import NotFound
from archive.dicom.instance import StoredInstance
from archive.remote.peer import Peer
from archive.remote.store_scu import MAXIMUM_CONTEXTS, Outcome, StoreRequest, batches, send_all
from receivers import dead_port, receiver, receiver_without_status, silent_listener

CT_EXPLICIT = (CTImageStorage, ExplicitVRLittleEndian)
MR_JPEG_2000 = (MRImageStorage, JPEG2000Lossless)
CONTEXTS = [(CTImageStorage, [ExplicitVRLittleEndian]), (MRImageStorage, [JPEG2000Lossless])]


def stored(number: int, pair: tuple[str, str] = CT_EXPLICIT) -> StoredInstance:
    uid = f"1.2.{number}"
    return StoredInstance("1.1", "1.1.1", uid, pair[0], pair[1], f"key{number}", 0, len(content(uid)), "")


def content(uid: str) -> bytes:
    return uid.encode() * 100_000


@contextmanager
def opened(instance: StoredInstance) -> Iterator[list[bytes]]:
    whole = content(instance.SOPInstanceUID)
    yield [whole[:7], whole[7:70_000], whole[70_000:]]


def sent(peer: Peer, instances: list[StoredInstance], **options: object) -> list[Outcome]:
    return list(send_all(peer, instances, opened, StoreRequest(**options)))  # type: ignore[arg-type]


def test_bytes_arrive_as_they_are() -> None:
    instances = [stored(1), stored(2, MR_JPEG_2000), stored(3)]
    with receiver(CONTEXTS) as received:
        outcomes = sent(received.peer(), instances, priority=1)
    assert [(outcome.status, outcome.failed) for outcome in outcomes] == [(0, False)] * 3
    assert received.by_uid == {one.SOPInstanceUID: content(one.SOPInstanceUID) for one in instances}
    assert {(uid, syntax) for uid, syntax, _, _ in received.objects} == {
        (one.SOPInstanceUID, one.transfer_syntax_uid) for one in instances
    }
    assert received.associations == 1
    assert all(request.Priority == 1 for *_, request in received.objects)


def test_move_originator_is_named() -> None:
    with receiver(CONTEXTS) as received:
        sent(
            received.peer(), [stored(1)], move_originator_ae_title="WORKSTATION", move_originator_message_id=7
        )
    request = received.objects[0][3]
    assert request.MoveOriginatorApplicationEntityTitle == "WORKSTATION"
    assert request.MoveOriginatorMessageID == 7


def test_no_move_originator_unless_moved() -> None:
    with receiver(CONTEXTS) as received:
        sent(received.peer(), [stored(1)])
    assert received.objects[0][3].MoveOriginatorMessageID is None


def test_what_the_receiver_does_not_take_fails_alone() -> None:
    instances = [stored(1), stored(2, (CTImageStorage, ImplicitVRLittleEndian)), stored(3)]
    with receiver(CONTEXTS) as received:
        outcomes = sent(received.peer(), instances)
    assert [outcome.failed for outcome in outcomes] == [False, True, False]
    assert ImplicitVRLittleEndian in outcomes[1].reason
    assert set(received.by_uid) == {"1.2.1", "1.2.3"}


def test_statuses_of_the_receiver() -> None:
    statuses = {"1.2.1": 0xA700, "1.2.2": 0xB007, "1.2.3": 0}
    with receiver(CONTEXTS, lambda event: statuses[event.request.AffectedSOPInstanceUID]) as received:
        outcomes = sent(received.peer(), [stored(1), stored(2), stored(3)])
    assert [(outcome.failed, outcome.warned) for outcome in outcomes] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert outcomes[0].status == 0xA700


def test_an_answer_without_status_fails_alone() -> None:
    with receiver_without_status("1.2.2") as peer:
        outcomes = sent(peer, [stored(n) for n in (1, 2, 3)])
    assert [outcome.failed for outcome in outcomes] == [False, True, False]
    assert "status" in outcomes[1].reason


def test_missing_bytes_fail_alone() -> None:
    @contextmanager
    def some(instance: StoredInstance) -> Iterator[list[bytes]]:
        if instance.SOPInstanceUID == "1.2.2":
            raise NotFound("gone")
        with opened(instance) as pieces:
            yield pieces

    with receiver(CONTEXTS) as received:
        outcomes = list(send_all(received.peer(), [stored(n) for n in (1, 2, 3)], some, StoreRequest()))
    assert [outcome.failed for outcome in outcomes] == [False, True, False]
    assert outcomes[1].reason == "gone"
    assert received.associations == 1


def test_bytes_that_break_off_cost_one_association() -> None:
    @contextmanager
    def some(instance: StoredInstance) -> Iterator[Iterator[bytes]]:
        yield broken() if instance.SOPInstanceUID == "1.2.2" else iter([content(instance.SOPInstanceUID)])

    def broken() -> Iterator[bytes]:
        yield b"12"
        raise NotFound("shorter than recorded")

    with receiver(CONTEXTS) as received:
        outcomes = list(send_all(received.peer(), [stored(n) for n in (1, 2, 3)], some, StoreRequest()))
    assert [outcome.failed for outcome in outcomes] == [False, True, False]
    assert set(received.by_uid) == {"1.2.1", "1.2.3"}
    assert received.associations == 2


def test_a_receiver_that_aborts_once_gets_the_rest() -> None:
    def answer(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == "1.2.2":
            event.assoc.abort()
        return 0

    with receiver(CONTEXTS, answer) as received:
        outcomes = sent(received.peer(), [stored(n) for n in (1, 2, 3, 4)])
    assert [outcome.failed for outcome in outcomes] == [False, True, False, False]
    assert received.associations == 2


def test_a_receiver_that_always_aborts_is_given_up() -> None:
    def answer(event: evt.Event) -> int:
        event.assoc.abort()
        return 0

    with receiver(CONTEXTS, answer) as received:
        outcomes = sent(received.peer(), [stored(n) for n in range(1, 9)])
    assert len(outcomes) == 8
    assert all(outcome.failed and outcome.reason for outcome in outcomes)
    assert received.associations == 2


def test_a_dead_receiver_fails_everything() -> None:
    peer = Peer("127.0.0.1", dead_port(), called_ae_title="X", calling_ae_title="Y", connect_deadline=2)
    outcomes = sent(peer, [stored(1), stored(2)])
    assert [(outcome.status, outcome.failed) for outcome in outcomes] == [(0xA702, True)] * 2
    assert outcomes[0].reason


def test_a_silent_receiver_fails_everything_in_time() -> None:
    with silent_listener() as port:
        peer = Peer("127.0.0.1", port, called_ae_title="X", calling_ae_title="Y", connect_deadline=0.5)
        assert all(outcome.failed for outcome in sent(peer, [stored(1), stored(2)]))


def test_a_receiver_that_rejects_us() -> None:
    with receiver(CONTEXTS, only_from=["OTHER"]) as received:
        outcomes = sent(received.peer(), [stored(1)])
    assert outcomes[0].failed
    assert received.associations == 0


def test_stopping_early_releases_the_association() -> None:
    with receiver(CONTEXTS) as received:
        outcomes = send_all(received.peer(), [stored(n) for n in (1, 2, 3)], opened, StoreRequest())
        next(outcomes)
        outcomes.close()
    assert len(received.objects) == 1
    assert received.released == 1


def test_more_pairs_than_an_association_holds() -> None:
    syntaxes = [f"1.2.840.99999.1.{n}" for n in range(MAXIMUM_CONTEXTS + 12)]
    instances = [stored(n, (CTImageStorage, syntax)) for n, syntax in enumerate(syntaxes)]
    again = stored(999, (CTImageStorage, syntaxes[0]))
    planned = batches([*instances, again])
    assert [len(pairs) for pairs, _ in planned] == [128, 12]
    assert again in planned[0][1]
    assert sum(len(batch) for _, batch in planned) == len(instances) + 1


def test_several_associations_one_after_the_other() -> None:
    classes = sorted(sop_class._STORAGE_CLASSES.values())[: MAXIMUM_CONTEXTS + 2]
    instances = [stored(n, (uid, ExplicitVRLittleEndian)) for n, uid in enumerate(classes)]
    with receiver([(uid, [ExplicitVRLittleEndian]) for uid in classes]) as received:
        outcomes = sent(received.peer(), instances)
    assert not [outcome.reason for outcome in outcomes if outcome.failed]
    assert len(received.by_uid) == len(instances)
    assert received.associations == 2


def test_uids_with_leading_zeros_go_back_as_they_came(tmp_path: Path) -> None:
    lenient = StoredInstance("1.1", "1.1.1", "1.02.3", *CT_EXPLICIT, "k", 0, 4, "")
    with receiver(CONTEXTS) as received, pytest.warns(UserWarning, match="VR UI"):
        outcomes = sent(received.peer(), [lenient])
    assert [outcome.status for outcome in outcomes] == [0]


def test_nothing_to_send_opens_nothing() -> None:
    with receiver(CONTEXTS) as received:
        assert sent(received.peer(), []) == []
    assert received.associations == 0
    assert threading.active_count() >= 1
