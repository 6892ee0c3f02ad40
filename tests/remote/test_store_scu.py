"""Sending stored instances: bytes untouched, one outcome each, and no failure that takes the others with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
)
from pynetdicom import evt, sop_class

from archive.dicom.errors import NotAcceptable, NotFound
from archive.dicom.instance import StoredInstance
from archive.dicom.pixels.encoders import LOSSLESS
from archive.remote.peer import Peer
from archive.remote.proposals import MAXIMUM_CONTEXTS, batches
from archive.remote.store_scu import NO_CONTEXT, Objects, Outcome, StoreRequest
from archive.remote.transfer import Transfer
from receivers import (
    dead_port,
    receiver,
    receiver_that_never_answers,
    receiver_without_status,
    silent_listener,
)

CT_EXPLICIT = (CTImageStorage, ExplicitVRLittleEndian)
MR_JPEG_2000 = (MRImageStorage, JPEG2000Lossless)
CONTEXTS = [(CTImageStorage, [ExplicitVRLittleEndian]), (MRImageStorage, [JPEG2000Lossless])]


def stored(number: int, pair: tuple[str, str] = CT_EXPLICIT) -> StoredInstance:
    uid = f"1.2.{number}"
    return StoredInstance("1.1", "1.1.1", uid, pair[0], pair[1], f"key{number}", 0, len(content(uid)), "")


def content(uid: str) -> bytes:
    return uid.encode() * 100_000


@contextmanager
def opened(instance: StoredInstance, transfer_syntax_uid: str) -> Iterator[list[bytes]]:
    """As stored; in another syntax its bytes say so."""
    whole = content(instance.SOPInstanceUID)
    if transfer_syntax_uid != instance.transfer_syntax_uid:
        whole = transfer_syntax_uid.encode() + whole
    yield [whole[:7], whole[7:70_000], whole[70_000:]]


def as_stored(instance: StoredInstance) -> list[str]:
    return [instance.transfer_syntax_uid]


def everything(transfer: Transfer) -> list[Outcome]:
    """All outcomes, by instance: in which order they come is left to the associations."""
    outcomes = []
    with transfer:
        while (outcome := transfer.next(20)) is not None:
            outcomes.append(outcome)
    return sorted(outcomes, key=lambda outcome: int(outcome.instance.SOPInstanceUID.split(".")[-1]))


def sent(
    peer: Peer,
    instances: list[StoredInstance],
    *,
    objects: Objects = Objects(as_stored, opened),  # noqa: B008 - frozen
    associations: int = 1,
    preferred: str = "",
    **request: object,
) -> list[Outcome]:
    asked = StoreRequest(**request)  # type: ignore[arg-type]
    return everything(
        Transfer(peer, instances, objects, asked, associations=associations, preferred=preferred)
    )


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
    assert outcomes[1].reason == f"transfer syntax not taken: {ImplicitVRLittleEndian}"
    assert outcomes[1].status == NO_CONTEXT
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
    def some(instance: StoredInstance, transfer_syntax_uid: str) -> Iterator[list[bytes]]:
        if instance.SOPInstanceUID == "1.2.2":
            raise NotFound("gone")
        with opened(instance, transfer_syntax_uid) as pieces:
            yield pieces

    with receiver(CONTEXTS) as received:
        outcomes = sent(received.peer(), [stored(n) for n in (1, 2, 3)], objects=Objects(as_stored, some))
    assert [outcome.failed for outcome in outcomes] == [False, True, False]
    assert outcomes[1].reason == "gone"
    assert received.associations == 1


def test_bytes_that_break_off_cost_one_association() -> None:
    @contextmanager
    def some(instance: StoredInstance, _: str) -> Iterator[Iterator[bytes]]:
        yield broken() if instance.SOPInstanceUID == "1.2.2" else iter([content(instance.SOPInstanceUID)])

    def broken() -> Iterator[bytes]:
        yield b"12"
        raise NotFound("shorter than recorded")

    with receiver(CONTEXTS) as received:
        outcomes = sent(received.peer(), [stored(n) for n in (1, 2, 3)], objects=Objects(as_stored, some))
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


def test_cancelled_while_one_is_on_its_way() -> None:
    """dimse.md 1.4 row "C-CANCEL-MOVE": what arrives within the grace counts, what has not begun does not."""
    arrived, go_on = threading.Event(), threading.Event()

    def answer(event: evt.Event) -> int:
        arrived.set()
        assert go_on.wait(20)
        return 0

    with receiver(CONTEXTS, answer) as received:
        with Transfer(
            received.peer(), [stored(n) for n in range(1, 9)], Objects(as_stored, opened), StoreRequest()
        ) as transfer:
            assert arrived.wait(20)
            threading.Timer(0.2, go_on.set).start()
            outcomes = transfer.cancel(20)
        assert [outcome.status for outcome in outcomes] == [0]
        wait_for(lambda: received.released == 1)
    assert len(received.objects) == 1


def test_cancelled_amid_a_receiver_that_does_not_answer() -> None:
    """Two associations, both stuck: cut off, two failures, and nothing else was begun."""
    with receiver_that_never_answers() as (port, taken):
        peer = Peer("127.0.0.1", port, called_ae_title="X", calling_ae_title="Y")
        objects, instances = Objects(as_stored, opened), [stored(n) for n in range(1, 9)]
        with Transfer(peer, instances, objects, StoreRequest(), associations=2) as transfer:
            assert taken.acquire(timeout=20)
            assert taken.acquire(timeout=20)
            assert transfer.next(0.01) is None
            begun = time.monotonic()
            outcomes = transfer.cancel(0.1)
            assert time.monotonic() - begun < 10
            assert transfer.next(0) is None
        assert not taken.acquire(blocking=False)
    assert len(outcomes) == 2
    assert all(outcome.failed and "cancelled" in outcome.reason for outcome in outcomes)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + 20, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def test_more_pairs_than_an_association_holds() -> None:
    """dimse.md 1.4 row "Presentation contexts > 128 split over associations"."""
    syntaxes = [f"1.2.840.99999.1.{n}" for n in range(MAXIMUM_CONTEXTS + 12)]
    instances = [stored(n, (CTImageStorage, syntax)) for n, syntax in enumerate(syntaxes)]
    again = stored(999, (CTImageStorage, syntaxes[0]))
    planned = batches([*instances, again])
    assert [len(batch.contexts) for batch in planned] == [128, 12 + 3 + 3]
    assert again in planned[0].waiting
    assert sum(len(batch.waiting) for batch in planned) == len(instances) + 1
    for batch in planned:
        assert (CTImageStorage, (ExplicitVRLittleEndian,)) in batch.contexts


def test_stored_and_uncompressed_syntaxes_are_both_offered() -> None:
    (batch,) = batches([stored(1, MR_JPEG_2000), stored(2)], preferred=JPEGLSLossless)
    offered = list(batch.contexts)
    for uid, compressed in ((MRImageStorage, JPEG2000Lossless), (CTImageStorage, ExplicitVRLittleEndian)):
        for syntax in (compressed, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless):
            assert (uid, (syntax,)) in offered
        assert (uid, LOSSLESS) in offered


def test_the_best_form_that_is_taken() -> None:
    """In the order of the forms, whatever the order of the contexts; a form that cannot be made leaves the next."""

    @contextmanager
    def some(instance: StoredInstance, transfer_syntax_uid: str) -> Iterator[list[bytes]]:
        if transfer_syntax_uid == ExplicitVRLittleEndian:
            raise NotAcceptable("cannot be decoded")
        with opened(instance, transfer_syntax_uid) as pieces:
            yield pieces

    forms = [JPEGLSLossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless]
    both = [(MRImageStorage, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])]
    for objects, expected in (
        (Objects(lambda _: forms, opened), ExplicitVRLittleEndian),
        (Objects(lambda _: forms, some), ImplicitVRLittleEndian),
        (Objects(lambda _: list(reversed(forms)), opened), ImplicitVRLittleEndian),
    ):
        with receiver(both) as received:
            (outcome,) = sent(received.peer(), [stored(1, MR_JPEG_2000)], objects=objects)
        assert outcome.status == 0
        assert received.objects[0][1] == expected
        assert received.objects[0][2].startswith(expected.encode())
    only_explicit = [(MRImageStorage, [ExplicitVRLittleEndian])]
    with receiver(only_explicit) as received:
        (outcome,) = sent(received.peer(), [stored(1, MR_JPEG_2000)], objects=Objects(lambda _: forms, some))
    assert (outcome.status, outcome.reason) == (NO_CONTEXT, "cannot be decoded")


def test_what_a_receiver_is_known_to_prefer() -> None:
    objects = Objects(lambda _: [JPEGLSLossless, ExplicitVRLittleEndian], opened)
    with receiver([(CTImageStorage, [ExplicitVRLittleEndian, JPEGLSLossless])]) as received:
        sent(received.peer(), [stored(1)], objects=objects, preferred=JPEGLSLossless)
    assert received.objects[0][1] == JPEGLSLossless


def test_several_associations_at_a_time() -> None:
    """dimse.md 1.4 row "Several parallel store associations": both have to have one before either goes on."""
    together = threading.Barrier(2)

    def answer(event: evt.Event) -> int:
        together.wait(20)
        return 0

    with receiver(CONTEXTS, answer) as received:
        outcomes = sent(received.peer(), [stored(n) for n in range(1, 9)], associations=2)
    assert [outcome.status for outcome in outcomes] == [0] * 8
    assert len(received.by_uid) == 8
    assert received.associations == 2


def test_no_more_associations_than_instances() -> None:
    with receiver(CONTEXTS) as received:
        sent(received.peer(), [stored(1)], associations=4)
    assert received.associations == 1


def test_a_receiver_that_lets_in_fewer_associations_gets_everything() -> None:
    with receiver(CONTEXTS, maximum_associations=1) as received:
        outcomes = sent(received.peer(), [stored(n) for n in range(1, 9)], associations=4)
    assert [outcome.status for outcome in outcomes] == [0] * 8
    assert len(received.by_uid) == 8


def test_a_fault_of_ours_fails_what_it_hit_and_the_rest(recwarn: pytest.WarningsRecorder) -> None:
    def broken(instance: StoredInstance) -> list[str]:
        raise RuntimeError("a fault")

    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        with receiver(CONTEXTS) as received:
            outcomes = sent(received.peer(), [stored(1), stored(2)], objects=Objects(broken, opened))
    finally:
        threading.excepthook = hook
    assert [outcome.failed for outcome in outcomes] == [True, True]


def test_several_associations_one_after_the_other() -> None:
    classes = sorted(sop_class._STORAGE_CLASSES.values())[: MAXIMUM_CONTEXTS + 2]
    instances = [stored(n, (uid, ExplicitVRLittleEndian)) for n, uid in enumerate(classes)]
    with receiver([(uid, [ExplicitVRLittleEndian]) for uid in classes]) as received:
        outcomes = sent(received.peer(), instances)
    assert not [outcome.reason for outcome in outcomes if outcome.failed]
    assert len(received.by_uid) == len(instances)
    assert received.associations == 4  # with the uncompressed syntaxes beside that of each class


def test_uids_with_leading_zeros_go_back_as_they_came(tmp_path: Path) -> None:
    lenient = StoredInstance("1.1", "1.1.1", "1.02.3", *CT_EXPLICIT, "k", 0, 4, "")
    with receiver(CONTEXTS) as received, pytest.warns(UserWarning, match="VR UI"):
        outcomes = sent(received.peer(), [lenient])
    assert [outcome.status for outcome in outcomes] == [0]


def test_nothing_to_send_opens_nothing() -> None:
    with receiver(CONTEXTS) as received:
        assert sent(received.peer(), []) == []
    assert received.associations == 0
