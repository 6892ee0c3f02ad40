"""dimse.md 1.4: what a C-MOVE promises its requestor while a destination takes its time, refuses, or is none of his."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_MOVE

from archive.dicom.instance import StoredInstance
from archive.dimse import sub_operations
from archive.dimse.answers import failed_instances
from archive.dimse.statuses import SUB_OPERATIONS_WARNING
from archive.dimse.sub_operations import Tally
from archive.network.association import Association
from archive.network.commands import decode_command, encode_command, request_of, response_to
from archive.network.requestor import Proposal
from archive.remote.store_scu import Outcome
from archive.security.rules import Rules
from door import Door, cancel, context_id, keep, open_door, response
from identifiers import data_set, encoded
from objects import ct, mr
from receivers import receiver, receiver_that_never_answers

MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
PATIENT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
CT = (CTImageStorage, [ExplicitVRLittleEndian])
MR = (MRImageStorage, [ExplicitVRLittleEndian])
STUDY = "1.2.3.4"
BY_STUDY = data_set("STUDY", StudyInstanceUID=STUDY)


def small(make: Callable[..., Dataset] = ct, **keywords: Any) -> Dataset:
    return make(**{"Rows": 8, "Columns": 8, "PixelData": bytes(128), "StudyInstanceUID": STUDY, **keywords})


@contextmanager
def moving(
    door: Door,
    destination: str = "RECEIVER",
    identifier: Dataset = BY_STUDY,
    root: str = MOVE,
    message_id: int = 3,
) -> Iterator[tuple[Association, int]]:
    """A C-MOVE that has been asked for."""
    with door.open(Proposal(root, (ImplicitVRLittleEndian,))) as association:
        context = context_id(association, root)
        request = request_of(
            C_MOVE, MessageID=message_id, AffectedSOPClassUID=root, Priority=0, MoveDestination=destination
        )
        association.send(context, request, [encoded(identifier, implicit=True)])
        yield association, context


def final(association: Association) -> Any:
    """The response that is not pending."""
    while (command := response(association).command).Status == 0xFF00:
        pass
    return command


def counts(command: Any) -> tuple[int | None, int, int, int]:
    """Remaining, completed, failed, warning."""
    return (
        command.NumberOfRemainingSuboperations,
        command.NumberOfCompletedSuboperations,
        command.NumberOfFailedSuboperations,
        command.NumberOfWarningSuboperations,
    )


# --- who may send where ---


def test_a_destination_that_the_requestor_may_not_name(door: Door) -> None:
    """0124, whether the destination is known or not: who may not send there need not learn which ones there are."""
    keep(door, small())
    door.archive.ae_titles.add("WORKSTATION", "127.0.0.1", 104, Rules(destinations=("ALLOWED",)))
    with receiver([CT]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        door.archive.ae_titles.add("ALLOWED", "127.0.0.1", received.port)
        for destination in ("RECEIVER", "NOWHERE"):
            with moving(door, destination) as (association, _):
                refused = final(association)
            assert refused.Status == 0x0124
            assert "no right" in refused.ErrorComment
        assert received.associations == 0
        with moving(door, "ALLOWED") as (association, _):
            assert final(association).Status == 0
    assert len(received.objects) == 1


def test_the_right_to_an_unknown_destination_does_not_make_it_known(door: Door) -> None:
    door.archive.ae_titles.add("WORKSTATION", "127.0.0.1", 104, Rules(destinations=("NOWHERE",)))
    with moving(door, "NOWHERE") as (association, _):
        assert final(association).Status == 0xA801


# --- whose patient ---


def test_the_issuer_tells_two_patients_of_the_same_id_apart(door: Door) -> None:
    ours = small(PatientID="P9", IssuerOfPatientID="OURS", StudyInstanceUID="1.2.1")
    theirs = small(PatientID="P9", IssuerOfPatientID="THEIRS", StudyInstanceUID="1.2.2")
    keep(door, ours, theirs)
    with receiver([CT]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        for issuer, expected in (("THEIRS", [theirs]), ("NOBODY", []), ("", [ours, theirs])):
            received.objects.clear()
            asked = data_set("PATIENT", PatientID="P9", IssuerOfPatientID=issuer)
            with moving(door, identifier=asked, root=PATIENT_MOVE) as (association, _):
                assert final(association).Status == 0
            assert set(received.by_uid) == {one.SOPInstanceUID for one in expected}


# --- while it is under way ---


def test_pending_responses_come_while_one_object_takes_its_time(tmp_path: Path) -> None:
    """dimse.md 1.4 row "Pending responses at a configurable interval"."""
    told = threading.Event()

    def answer(event: evt.Event) -> int:
        assert told.wait(20)
        return 0

    with open_door(tmp_path / "data", dimse__pending_interval=1) as door, receiver([CT], answer) as received:
        keep(door, small())
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        with moving(door) as (association, _):
            pending = [response(association).command for _ in range(2)]
            told.set()
            assert final(association).Status == 0
    assert [(one.Status, counts(one)) for one in pending] == [(0xFF00, (1, 0, 0, 0))] * 2


def test_an_interval_of_none_reports_each(tmp_path: Path) -> None:
    with open_door(tmp_path / "data", dimse__pending_interval=0) as door, receiver([CT]) as received:
        keep(door, *(small() for _ in range(4)))
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        with moving(door) as (association, _):
            commands = [response(association).command for _ in range(5)]
    assert [counts(one)[:2] for one in commands] == [(4, 0), (3, 1), (2, 2), (1, 3), (None, 4)]
    assert [one.Status for one in commands] == [0xFF00] * 4 + [0]


def test_cancel_amid_a_destination_that_does_not_answer(door: Door) -> None:
    """At once: the destination has two minutes by the settings. What it was given counts as failed, as it may have it
    or not; what was not begun remains (PS3.4 C.4.2.3.1)."""
    keep(door, *(small() for _ in range(5)))
    with receiver_that_never_answers() as (port, taken):
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", port)
        with moving(door) as (association, context):
            assert taken.acquire(timeout=20)
            begun = time.monotonic()
            cancel(association, context, 3)
            command = final(association)
            assert time.monotonic() - begun < 20
    assert (command.Status, counts(command)) == (0xFE00, (4, 0, 1, 0))


def test_a_requestor_that_goes_away_ends_its_move(door: Door) -> None:
    keep(door, *(small() for _ in range(5)))
    with receiver_that_never_answers() as (port, taken):
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", port)
        with moving(door) as (association, _):
            assert taken.acquire(timeout=20)
            association.abort()
        deadline, pause = time.monotonic() + 20, threading.Event()
        while any(thread.name.startswith("transfer-") for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            pause.wait(0.02)
        assert not taken.acquire(blocking=False)


def test_several_associations_to_one_destination(door: Door) -> None:
    """The rule `associations` of its entry: two objects have to be on their way at a time."""
    together = threading.Barrier(2)

    def answer(event: evt.Event) -> int:
        together.wait(20)
        return 0

    keep(door, *(small() for _ in range(6)))
    with receiver([CT], answer) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port, Rules(associations=2))
        with moving(door) as (association, _):
            command = final(association)
    assert (command.Status, counts(command)) == (0, (None, 6, 0, 0))
    assert (received.associations, len(received.by_uid)) == (2, 6)


def test_a_second_move_over_the_same_association(door: Door) -> None:
    keep(door, small(), small(mr))
    with receiver([CT, MR]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        with moving(door) as (association, context):
            assert final(association).Status == 0
            request = request_of(
                C_MOVE, MessageID=4, AffectedSOPClassUID=MOVE, Priority=0, MoveDestination="RECEIVER"
            )
            association.send(context, request, [encoded(BY_STUDY, implicit=True)])
            assert final(association).Status == 0
    assert len(received.objects) == 4
    assert [request.MoveOriginatorMessageID for *_, request in received.objects] == [3, 3, 4, 4]


def test_the_originator_is_named_as_it_is_known(door: Door) -> None:
    """dimse.md 1.4 row "Move Originator AET": the C-MOVE SCU, by its title where it calls by an alias."""
    keep(door, small())
    door.archive.ae_titles.add("READING_1", "127.0.0.1", 104, Rules(aliases=("WORKSTATION",)))
    with receiver([CT]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        with moving(door, message_id=9) as (association, _):
            assert final(association).Status == 0
    (request,) = (request for *_, request in received.objects)
    assert request.MoveOriginatorApplicationEntityTitle == "READING_1"
    assert request.MoveOriginatorMessageID == 9


def test_the_destination_is_called_by_the_title_that_was_called(tmp_path: Path) -> None:
    """One of several of ours, so that a destination that knows only that one lets us in."""
    with (
        open_door(tmp_path / "data", dimse__more_ae_titles=["SECOND"]) as door,
        receiver([CT], only_from=["SECOND"]) as received,
    ):
        keep(door, small())
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        with moving(door) as (association, _):
            assert final(association).Status == 0xA702
        ae_title = "SECOND"
        with door.open(Proposal(MOVE, (ImplicitVRLittleEndian,)), called_ae_title=ae_title) as association:
            request = request_of(
                C_MOVE, MessageID=4, AffectedSOPClassUID=MOVE, Priority=0, MoveDestination="RECEIVER"
            )
            association.send(context_id(association, MOVE), request, [encoded(BY_STUDY, implicit=True)])
            assert final(association).Status == 0


# --- counts ---


def outcomes(count: int, status: int) -> Iterator[Outcome]:
    for number in range(count):
        stored = StoredInstance("1.1", "1.2", f"1.3.{number}", *CT[:1], ExplicitVRLittleEndian, "k", 0, 0, "")
        yield Outcome(stored, status)


def test_more_sub_operations_than_a_count_can_say() -> None:
    """dimse.md 1.4 row ">65 535 matches": the counts are US, so they stop at 65535, and the comment says the rest."""
    tally = Tally(70_001)
    assert tally.pending_counts["NumberOfRemainingSuboperations"] == 70_001
    for outcome in (*outcomes(70_000, 0), *outcomes(1, 0xA700)):
        tally.add(outcome)
    assert (tally.remaining, tally.completed, len(tally.failed)) == (0, 70_000, 1)
    assert tally.status.code == SUB_OPERATIONS_WARNING
    assert "70000 completed, 1 failed, 0 warnings" in tally.status.comment
    request = request_of(C_MOVE, MessageID=1, AffectedSOPClassUID=MOVE)
    answer = decode_command(encode_command(response_to(request, 0xB000, **tally.counts), False)).primitive
    assert answer.NumberOfCompletedSuboperations == 0xFFFF
    assert answer.NumberOfFailedSuboperations == 1


def test_a_success_of_very_many_says_how_many() -> None:
    tally = Tally(70_000)
    for outcome in outcomes(70_000, 0):
        tally.add(outcome)
    assert (tally.status.code, tally.status.comment) == (0, "70000 completed, 0 failed, 0 warnings")
    assert Tally(0).status.comment == ""


def test_a_failed_list_that_is_too_long_for_explicit_vr() -> None:
    uids = [f"1.2.826.0.1.{number}" for number in range(100_000, 110_000)]
    explicit, implicit = failed_instances(uids, implicit=False), failed_instances(uids, implicit=True)
    assert explicit[4:6] == b"UI"
    assert int.from_bytes(explicit[6:8], "little") == len(explicit) - 8 <= 0xFFFF
    assert implicit.count(b"\\") == len(uids) - 1
    assert explicit.count(b"\\") < len(uids) - 1


def test_the_polling_for_a_cancel_is_short() -> None:
    """A person who cancels looks at the screen."""
    assert sub_operations.POLLING_SECONDS <= 0.25
