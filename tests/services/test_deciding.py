"""Deciding about conflicts: bytes are pointed to by one or the other, never by none, and no patient gets mixed up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import ArchiveError, Gone, InstanceConflict, NotFound
from archive.dicom.instance import Scope
from archive.jobs.worker import work
from archive.services.conflicts import WAITING, Conflicts, Decision, State
from archive.services.duplicates import Policy
from held import aside, check, digest, files, settle_down, store, stored, version_of
from objects import new_uid, secondary_capture
from suites.sqlite import prepare

DAY = 86_400.0


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    """On both engines, with the policy `conflict`."""
    overrides = {"dimse.duplicates": "conflict", "index.url": index_url, "storage.minimum_free_bytes": 0}
    settings = replace(config.load(environment={}, overrides=overrides), data=tmp_path / "data")
    prepare(settings)
    built = building.build(settings)
    yield built
    built.close()


def conflicting(archive: Archive, other: Dataset | None = None) -> tuple[Dataset, Dataset, int]:
    first = secondary_capture()
    second = other or version_of(first)
    if other is not None:
        first = version_of(other, PatientComments="the first")
    store(archive, first)
    return first, second, store(archive, second).conflict_id


def decide(archive: Archive, number: int, decision: Decision) -> str:
    return archive.conflicts.decide(number, decision, "test").state


def test_accepting_puts_the_copy_in_the_place_of_what_is_stored(archive: Archive) -> None:
    first, second, number = conflicting(archive)
    assert decide(archive, number, Decision.ACCEPT) == State.ACCEPTED
    assert stored(archive) == {first.SOPInstanceUID: digest(second)}
    assert {key: one.state for key, one in aside(archive).items()} == {digest(first): State.REPLACED}
    check(archive)


def test_of_several_versions_that_are_accepted_the_newest_is_shown(archive: Archive) -> None:
    first = secondary_capture()
    later = [version_of(first, PatientComments=f"version {number}") for number in range(3)]
    for one in (first, *later):
        store(archive, one)
    decided, failed = archive.conflicts.decide_all(
        archive.conflicts.open_in(first.StudyInstanceUID, 10), Decision.ACCEPT, "test"
    )
    assert (len(decided), failed) == (3, {})
    assert stored(archive) == {first.SOPInstanceUID: digest(later[-1])}
    check(archive)


def test_accepting_can_be_taken_back(archive: Archive) -> None:
    first, second, number = conflicting(archive)
    for shown, held in ((second, first), (first, second), (second, first)):
        decide(archive, number, Decision.ACCEPT)
        assert stored(archive) == {first.SOPInstanceUID: digest(shown)}
        (number,) = (one.id for one in aside(archive).values())
        assert set(aside(archive)) == {digest(held)}
    check(archive)


def test_the_sender_of_an_accepted_copy_is_told_success(archive: Archive) -> None:
    _, second, number = conflicting(archive)
    decide(archive, number, Decision.ACCEPT)
    again = store(archive, second)
    assert (again.already_there, again.warning) == (True, 0)


def test_keeping_leaves_what_is_stored_and_the_copy_for_a_while(archive: Archive) -> None:
    first, second, number = conflicting(archive)
    assert decide(archive, number, Decision.KEEP) == State.KEPT
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}
    assert set(aside(archive)) == {digest(second)}
    assert archive.conflicts.last(states=WAITING) == []
    with pytest.raises(InstanceConflict):
        decide(archive, number, Decision.KEEP)
    assert decide(archive, number, Decision.ACCEPT) == State.ACCEPTED  # on second thoughts
    check(archive)


def test_a_copy_that_was_decided_about_stays_so_when_it_comes_again(archive: Archive) -> None:
    _, second, number = conflicting(archive)
    decide(archive, number, Decision.KEEP)
    assert store(archive, second).conflict_id == number
    assert archive.conflicts.get(number).state == State.KEPT


def test_dropping_deletes_the_copy(archive: Archive) -> None:
    first, second, number = conflicting(archive)
    assert decide(archive, number, Decision.DROP) == State.DROPPED
    assert aside(archive) == {}
    with pytest.raises(NotFound):
        archive.conflicts.open_copy(number)
    for decision in Decision:
        with pytest.raises(InstanceConflict):
            decide(archive, number, decision)
    settle_down(archive)
    assert len(files(archive)) == 1
    assert store(archive, second).conflict_id == number  # nobody has it any more: it waits again
    assert archive.conflicts.get(number).state == State.OPEN
    check(archive)
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}


def test_a_dropped_copy_can_be_read_to_its_end(archive: Archive) -> None:
    """Also by who has just asked where it is: the bytes go a little later."""
    _, _, number = conflicting(archive)
    one = archive.conflicts.get(number)
    decide(archive, number, Decision.DROP)
    while work(archive):
        pass
    with archive.store.open(one.blob_key) as blob:
        assert blob.length == one.blob_length


def test_another_patient_is_never_accepted_into_a_study(archive: Archive) -> None:
    """A study that shows images of two patients is the worst thing an archive can do."""
    first = secondary_capture(PatientID="A")
    store(archive, first)
    other = version_of(first, PatientID="B", SOPInstanceUID=new_uid())
    number = store(archive, other).conflict_id
    with pytest.raises(InstanceConflict, match="delete that study"):
        decide(archive, number, Decision.ACCEPT)
    assert set(aside(archive)) == {digest(other)}
    archive.deletion.delete(Scope(study_instance_uids=(first.StudyInstanceUID,)))
    assert decide(archive, number, Decision.ACCEPT) == State.ACCEPTED
    assert stored(archive) == {other.SOPInstanceUID: digest(other)}
    check(archive)


def test_a_series_of_another_study_is_accepted_once_it_is_gone_there(archive: Archive) -> None:
    first = secondary_capture()
    store(archive, first)
    other = version_of(first, StudyInstanceUID=new_uid(), SOPInstanceUID=new_uid())
    number = store(archive, other).conflict_id
    with pytest.raises(InstanceConflict, match="delete that series"):
        decide(archive, number, Decision.ACCEPT)
    archive.deletion.delete(Scope((first.StudyInstanceUID,), (first.SeriesInstanceUID,)))
    decide(archive, number, Decision.ACCEPT)
    assert stored(archive) == {other.SOPInstanceUID: digest(other)}
    check(archive)


def test_an_instance_that_stands_elsewhere_moves(archive: Archive) -> None:
    """What had the UID leaves its study, which keeps its other instances, and is kept aside."""
    first = secondary_capture()
    neighbour = version_of(first, SOPInstanceUID=new_uid())
    moved = version_of(first, StudyInstanceUID=new_uid(), SeriesInstanceUID=new_uid())
    store(archive, first)
    store(archive, neighbour)
    number = store(archive, moved).conflict_id
    decide(archive, number, Decision.ACCEPT)
    assert stored(archive) == {
        neighbour.SOPInstanceUID: digest(neighbour),
        first.SOPInstanceUID: digest(moved),
    }
    found = archive.retrieve.instances(Scope(study_instance_uids=(first.StudyInstanceUID,)))
    assert [one.SOPInstanceUID for one in found] == [neighbour.SOPInstanceUID]
    assert {key: one.state for key, one in aside(archive).items()} == {digest(first): State.REPLACED}
    check(archive)


def test_an_instance_that_stands_elsewhere_does_not_move_to_another_patient(archive: Archive) -> None:
    first, host = secondary_capture(PatientID="A"), secondary_capture(PatientID="C")
    store(archive, first)
    store(archive, host)
    moved = version_of(host, PatientID="A", SOPInstanceUID=first.SOPInstanceUID)
    number = store(archive, moved).conflict_id
    with pytest.raises(InstanceConflict, match="another patient"):
        decide(archive, number, Decision.ACCEPT)
    assert set(stored(archive).values()) == {digest(first), digest(host)}
    check(archive)


def test_a_copy_of_what_is_stored_meanwhile_takes_its_place(archive: Archive) -> None:
    first, second, number = conflicting(archive)
    archive.deletion.delete(Scope(study_instance_uids=(first.StudyInstanceUID,)))
    store(archive, second)
    assert decide(archive, number, Decision.ACCEPT) == State.ACCEPTED
    assert stored(archive) == {second.SOPInstanceUID: digest(second)}
    assert aside(archive) == {}
    settle_down(archive)
    assert len(files(archive)) == 1
    check(archive)


def test_damaged_bytes_are_not_accepted(archive: Archive) -> None:
    first, _, number = conflicting(archive)
    path = archive.settings.data / "objects" / archive.conflicts.get(number).blob_key
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(NotFound, match="damaged"):
        decide(archive, number, Decision.ACCEPT)
    path.write_bytes(whole[:-1])
    with pytest.raises(NotFound, match="damaged"):
        decide(archive, number, Decision.ACCEPT)
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}
    assert archive.conflicts.get(number).state == State.OPEN


def test_what_was_refused_can_only_be_ticked_off(archive: Archive) -> None:
    first = secondary_capture()
    store(archive, first)
    archive.ingest.policy_of = lambda _: Policy.REJECT
    with pytest.raises(InstanceConflict) as refused:
        store(archive, version_of(first))
    number = refused.value.conflict_id
    for decision in (Decision.ACCEPT, Decision.KEEP):
        with pytest.raises(InstanceConflict):
            decide(archive, number, decision)
    assert decide(archive, number, Decision.DROP) == State.DROPPED
    assert archive.conflicts.last(states=WAITING) == []


def test_an_unknown_number(archive: Archive) -> None:
    with pytest.raises(NotFound) as unknown:
        decide(archive, 4711, Decision.ACCEPT)
    assert not isinstance(unknown.value, Gone)


@pytest.mark.parametrize("decision", [Decision.ACCEPT, Decision.DROP])
def test_many_deciders_at_once(archive: Archive, decision: Decision) -> None:
    """One decides; the others are told so, or find it decided."""
    first, second, number = conflicting(archive)

    def attempt(_: int) -> bool:
        try:
            decide(archive, number, decision)
        except (InstanceConflict, NotFound):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(attempt, range(8)))
    assert done.count(True) == 1
    shown = second if decision is Decision.ACCEPT else first
    assert stored(archive) == {first.SOPInstanceUID: digest(shown)}
    check(archive)


def test_accepting_and_dropping_at_once(archive: Archive) -> None:
    """Bytes that became what is stored are never deleted."""
    for _ in range(5):
        _, second, number = conflicting(archive)

        def attempt(decision: Decision, number: int = number) -> None:
            with contextlib.suppress(ArchiveError):
                decide(archive, number, decision)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(attempt, (Decision.ACCEPT, Decision.DROP)))
        check(archive)
        if archive.conflicts.get(number).state == State.ACCEPTED:
            assert stored(archive)[second.SOPInstanceUID] == digest(second)


def test_many_are_decided_each_by_itself(archive: Archive) -> None:
    _, _, one = conflicting(archive)
    _, _, two = conflicting(archive)
    decided, failed = archive.conflicts.decide_all([one, 4711, two], Decision.KEEP, "test")
    assert ([each.id for each in decided], list(failed)) == ([one, two], [4711])
    assert decided[0].settled_by == "test"


def test_copies_expire_after_the_decision(archive: Archive) -> None:
    first, second, number = conflicting(archive)
    _, open_still, _ = conflicting(archive)
    decide(archive, number, Decision.ACCEPT)
    assert archive.conflicts.expire(30) == 0
    later = Conflicts(archive.store, archive.database, now=lambda: time.time() + 31 * DAY)
    assert later.expire(0) == 0
    assert later.expire(30) == 1
    assert State.EXPIRED in [one.state for one in archive.conflicts.last()]
    assert stored(archive)[first.SOPInstanceUID] == digest(second)
    assert set(aside(archive)) == {digest(open_still)}
    check(archive)


def test_the_differences_are_told(archive: Archive) -> None:
    first = secondary_capture(PatientID="A", PatientComments="old")
    second = version_of(first, PatientComments="new", PixelData=bytes(64), AccessionNumber="7")
    store(archive, first)
    number = store(archive, second).conflict_id
    told = {one.keyword: one for one in archive.conflicts.differences(number)}
    assert set(told) == {"PatientComments", "PixelData", "AccessionNumber"}
    assert told["PatientComments"].stored["Value"] == ["old"]
    assert told["PatientComments"].copy["Value"] == ["new"]
    assert told["PixelData"].stored["7FE00010"]["sha256"] != told["PixelData"].copy["7FE00010"]["sha256"]


def test_the_differences_of_patients_are_told_where_the_instance_is_not_stored(archive: Archive) -> None:
    first = secondary_capture(PatientID="A", PatientName="One^A")
    store(archive, first)
    other = version_of(first, PatientID="B", PatientName="Two^B", SOPInstanceUID=new_uid())
    number = store(archive, other).conflict_id
    told = {one.keyword: one for one in archive.conflicts.differences(number)}
    assert set(told) == {"PatientID", "PatientName"}
    assert (told["PatientID"].stored["Value"], told["PatientID"].copy["Value"]) == (["A"], ["B"])
