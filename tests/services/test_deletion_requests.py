"""Deleting with a reason, with approval, and what is left of it: the certificate, and nothing else (reliability.md 3,
"Deletion on demand")."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from pydicom.dataset import Dataset

from archive.bootstrap.building import Archive
from archive.dicom.errors import Gone, InvalidEntry, NotAuthorized, NotFound, OnHold, Retained
from archive.dicom.instance import Scope
from archive.index.audit import Sought
from archive.jobs.worker import work
from archive.security.actor import Actor
from archive.services import certificates
from archive.services.deletion_requests import Order, State, Target
from corrected import opened_archive
from deleting_here import ADA, BOB, ask, hold, places, scope_of, target_of
from held import check, settle_down, store, version_of
from objects import new_uid, secondary_capture
from rejecting_here import reject
from rejection_notes import PATIENT_SAFETY
from test_crashes_of_duplicates import Crashing


@pytest.fixture
def opened(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url) as made:
        yield made


@pytest.fixture
def approving(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url, **{"deletion.approval": True}) as made:
        yield made


def study(number: int = 2, **keywords: object) -> list[Dataset]:
    uid = new_uid()
    return [secondary_capture(StudyInstanceUID=uid, **keywords) for _ in range(number)]


def is_there(archive: Archive, one: Dataset) -> bool:
    return bool(archive.retrieve.instances(scope_of(one)))


def test_a_certificate_lists_what_was_destroyed(opened: Archive) -> None:
    objects = study()
    for one in objects:
        store(opened, one)
    stored = {one.SOPInstanceUID: one for one in opened.retrieve.instances(scope_of(objects[0]))}
    made = ask(opened, objects[0])
    assert (made.state, made.instances, made.asked_by) == (State.DELETED, 2, "ada")
    with pytest.raises(NotFound):
        opened.deletions.certificate(made.id)
    settle_down(opened)
    text = opened.deletions.certificate(made.id)
    told = orjson.loads(text)
    assert told["reason"] == "asked to be forgotten"
    assert {
        (each["SOPInstanceUID"], each["storage_key"], each["sha256"], each["bytes"])
        for each in told["objects"]
    } == {(uid, one.blob_key, one.sha256, one.blob_length) for uid, one in stored.items()}
    assert "backup" in " ".join(told["may_remain"]).lower()
    done = opened.deletions.get(made.id)
    assert done.state == State.DONE
    assert done.certificate_sha256 == hashlib.sha256(text.encode()).hexdigest()
    with opened.database.read() as connection:
        from archive.index import audit

        recorded = audit.search(connection, Sought(StudyInstanceUID=objects[0].StudyInstanceUID), 10)
    assert any(done.certificate_sha256 in one.entry.message for one in recorded)
    worded = certificates.worded(text)
    assert all(uid in worded for uid in stored)
    assert not list(opened.store.keys())
    with pytest.raises(Gone):
        ask(opened, objects[0])


def test_the_certificate_comes_with_the_last_bytes(opened: Archive) -> None:
    """A job of many may run twice, and before others."""
    objects = study(3)
    for one in objects:
        store(opened, one)
    made = ask(opened, objects[0])
    keys = list(opened.store.keys())
    for _ in range(2):
        opened.deletion.discard(keys[:2], made.id)
        assert opened.deletions.get(made.id).state == State.DELETED
    opened.deletion.discard(keys[2:], made.id)
    text = opened.deletions.certificate(made.id)
    settle_down(opened)
    assert opened.deletions.certificate(made.id) == text


def test_a_whole_patient(opened: Archive) -> None:
    mine = [secondary_capture(PatientID="1", IssuerOfPatientID="A") for _ in range(2)]
    others = [secondary_capture(PatientID="1", IssuerOfPatientID="B"), secondary_capture(PatientID="1")]
    for one in (*mine, *others):
        store(opened, one)
    with pytest.raises(InvalidEntry):
        opened.deletions.ask(Order(Target("1", "A")), ADA)
    made = opened.deletions.ask(Order(Target("1", "A"), "asked for it"), ADA)
    assert made.instances == 2
    assert [is_there(opened, one) for one in (*mine, *others)] == [False, False, True, True]
    with pytest.raises(NotFound):
        opened.deletions.ask(Order(Target("1", "A"), "again"), ADA)
    with pytest.raises(InvalidEntry):
        opened.deletions.ask(Order(Target(), "everything"), ADA)
    check(opened)


def test_one_study_on_hold_keeps_the_whole_patient(opened: Archive) -> None:
    mine = [secondary_capture(PatientID="1") for _ in range(2)]
    for one in mine:
        store(opened, one)
    hold(opened, mine[0])
    with pytest.raises(OnHold):
        opened.deletions.ask(Order(Target("1"), "asked for it"), ADA)
    assert all(is_there(opened, one) for one in mine)


def test_what_is_kept_beside_goes_as_well(tmp_path: Path) -> None:
    with opened_archive(tmp_path, "", **{"dimse.duplicates": "conflict"}) as archive:
        one, other = study()
        for each in (one, other, version_of(one)):
            store(archive, each)
        stranger = secondary_capture(StudyInstanceUID=one.StudyInstanceUID, PatientID="stranger")
        store(archive, stranger)
        reject(archive, PATIENT_SAFETY, [other])
        ask(archive, one)
        settle_down(archive)
        left = [each.SOPInstanceUID for each in archive.conflicts.last() if each.has_copy]
        assert left == [stranger.SOPInstanceUID], "what is another patient's is not this one's to delete"
        assert not archive.rejections.last()
        assert len(list(archive.store.keys())) == 1


# --- approval ---


def test_somebody_else_approves(approving: Archive) -> None:
    (one,) = study(1)
    store(approving, one)
    made = ask(approving, one)
    assert made.state == State.WAITING
    assert is_there(approving, one)
    assert ask(approving, one).id == made.id
    for not_another in (ADA, Actor("CLI", user="ADA"), Actor("HTTP", "192.0.2.9")):
        with pytest.raises(NotAuthorized):
            approving.deletions.approve(made.id, not_another)
    done = approving.deletions.approve(made.id, BOB)
    assert (done.state, done.decided_by) == (State.DELETED, "bob")
    assert not is_there(approving, one)
    settle_down(approving)
    told = orjson.loads(approving.deletions.certificate(made.id))
    assert (told["asked_by"], told["approved_by"]) == ("ada", "bob")
    with pytest.raises(NotFound):
        approving.deletions.approve(made.id, BOB)


def test_what_was_refused_stays(approving: Archive) -> None:
    (one,) = study(1)
    store(approving, one)
    made = ask(approving, one)
    with pytest.raises(InvalidEntry):
        approving.deletions.refuse(made.id, BOB, "")
    assert approving.deletions.refuse(made.id, BOB, "still needed").state == State.REFUSED
    with pytest.raises(NotFound):
        approving.deletions.approve(made.id, BOB)
    assert is_there(approving, one)


def test_a_hold_that_came_since_counts(approving: Archive) -> None:
    (one,) = study(1)
    store(approving, one)
    made = ask(approving, one)
    hold(approving, one)
    with pytest.raises(OnHold):
        approving.deletions.approve(made.id, BOB)
    assert is_there(approving, one)
    assert approving.deletions.get(made.id).state == State.WAITING


def test_nobody_approves_of_what_was_not_there(approving: Archive) -> None:
    first, second = study()
    store(approving, first)
    made = ask(approving, first)
    store(approving, second)
    with pytest.raises(Retained):
        approving.deletions.approve(made.id, BOB)
    assert len(approving.retrieve.instances(scope_of(first))) == 2


def test_what_is_not_there_cannot_wait(approving: Archive) -> None:
    with pytest.raises(NotFound):
        ask(approving, secondary_capture())
    assert not approving.deletions.last()


def test_a_reason_where_it_is_required(tmp_path: Path) -> None:
    with opened_archive(tmp_path, "", **{"deletion.reason_required": True}) as archive:
        (one,) = study(1)
        store(archive, one)
        for reason in ("", "  ", "\x1b[2J"):
            with pytest.raises(InvalidEntry):
                ask(archive, one, reason)
        assert is_there(archive, one)
        ask(archive, one, "a reason")


# --- retention ---

TEN_YEARS = [{"keep_years": 10, "modality": "OT", "then": "delete"}, {"keep_days": 5, "then": "offer"}]


@pytest.fixture
def keeping(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url, retention=TEN_YEARS) as made:
        yield made


def in_years(monkeypatch: pytest.MonkeyPatch, years: float) -> None:
    from archive.services import deletion_requests

    class Later:
        time = staticmethod(lambda: time.time() + years * 366 * 86_400)

    monkeypatch.setattr(deletion_requests, "time", Later)


def test_nothing_is_deleted_before_its_time(keeping: Archive) -> None:
    (one,) = study(1, Modality="OT", StudyDate="20240101")
    store(keeping, one)
    for refused in (lambda: ask(keeping, one), lambda: keeping.deletion.delete(scope_of(one))):
        with pytest.raises(Retained, match="2034-01-01"):
            refused()
    with pytest.raises(InvalidEntry):
        ask(keeping, one, "", overrides=True)
    assert ask(keeping, one, "it was another patient's", overrides=True).overrides
    assert not is_there(keeping, one)


def test_rules_delete_what_is_due_and_offer_the_rest(
    keeping: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = study(1, Modality="OT", StudyDate="20100101")
    (young,) = study(1, Modality="OT", StudyDate=time.strftime("%Y%m%d"))
    (offered,) = study(1, Modality="CT", StudyDate="20100101")
    (held,) = study(1, Modality="OT", StudyDate="20100101")
    for one in (old, young, offered, held):
        store(keeping, one)
    hold(keeping, held)
    assert keeping.deletions.carry_out_rules() == 0, "it came today, however old it is"
    assert not list(keeping.deletions.due())
    in_years(monkeypatch, 0.2)
    due = {one.StudyInstanceUID: (one.rule, one.then, bool(one.held)) for one in keeping.deletions.due()}
    assert due == {
        old.StudyInstanceUID: (1, "delete", False),
        held.StudyInstanceUID: (1, "delete", True),
        offered.StudyInstanceUID: (2, "offer", False),
    }
    assert keeping.deletions.carry_out_rules() == 1
    assert [is_there(keeping, one) for one in (old, young, offered, held)] == [False, True, True, True]
    (made,) = keeping.deletions.last()
    assert (made.asked_by, made.reason) == ("archive", "retention: rule 1")


def test_rules_wait_for_approval_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened_archive(tmp_path, "", **{"retention": TEN_YEARS, "deletion.approval": True}) as archive:
        (old,) = study(1, Modality="OT", StudyDate="20100101")
        store(archive, old)
        in_years(monkeypatch, 0.2)
        assert [archive.deletions.carry_out_rules() for _ in range(2)] == [1, 0]
        (made,) = archive.deletions.last()
        archive.deletions.refuse(made.id, BOB, "we keep it")
        assert archive.deletions.carry_out_rules() == 0
        assert is_there(archive, old)


def test_rules_of_retention_wait_for_a_clock_that_can_be_believed() -> None:
    from archive.jobs.table import RECURRING

    (job,) = [one for one in RECURRING if one.name == "carry out retention"]
    assert job.by_age


# --- crashes ---


@pytest.mark.parametrize("point", ["changed", "committed"])
def test_killed_while_it_deletes(tmp_path: Path, index_url: str, point: str) -> None:
    crashing = Crashing(tmp_path, index_url)
    (one,) = study(1)
    store(crashing.archive, one)
    crashing.kill(point, "delete", study=one.StudyInstanceUID)
    archive = crashing.again("reject")
    assert is_there(archive, one) == (point == "changed")
    assert len(archive.deletions.last()) == (point == "committed")
    if point == "changed":
        archive.deletion.delete(scope_of(one))
    settle_down(archive)
    (made,) = archive.deletions.last()
    assert made.state == State.DONE
    assert not list(archive.store.keys())
    archive.close()


@pytest.mark.parametrize("point", ["deleting", "deleted", "claimed", "attempted"])
def test_killed_while_the_bytes_go(tmp_path: Path, point: str) -> None:
    crashing = Crashing(tmp_path, "")
    (one,) = study(1)
    store(crashing.archive, one)
    crashing.archive.deletion.delete(scope_of(one))
    crashing.kill(point, "settle")
    archive = crashing.again("reject")
    while work(archive, now=lambda: time.time() + 1e7):  # the lease of who died has ended
        pass
    (made,) = archive.deletions.last()
    assert made.state == State.DONE
    assert len(orjson.loads(archive.deletions.certificate(made.id))["objects"]) == 1
    assert not list(archive.store.keys())
    archive.close()


# --- nothing is left ---

NAME, TEXT, PIXELS = b"CANARY^NAME", b"CANARY TEXT", b"\xca\xfe\xba\xbe" * 8


def test_no_byte_of_it_is_left_in_the_data(tmp_path: Path) -> None:
    """Name, text and pixels: in no file of the data folder, the index and its log among them; of what is stored, was
    replaced, corrected, rejected, kept aside and set aside in the quarantine."""
    settings = {"dimse.duplicates": "replace"}
    with opened_archive(tmp_path, "", **settings) as archive:
        objects = study(30, PatientName=NAME.decode(), PatientID="canary", StudyDescription=TEXT.decode())
        for one in objects:
            one.PixelData = (
                PIXELS * (len(one.PixelData) // len(PIXELS)) + PIXELS[: len(one.PixelData) % len(PIXELS)]
            )
            store(archive, one)
        others = [secondary_capture(PatientName="Other^Name") for _ in range(30)]
        for one in others:
            store(archive, one)
        store(archive, version_of(objects[0]))
        reject(archive, PATIENT_SAFETY, objects[1:2])
        store(archive, version_of(objects[2], PatientComments=TEXT.decode()))
        archive.corrections.update_study(objects[3].StudyInstanceUID, {"StudyID": "7"}, "test")
        settle_down(archive)
        orphan = archive.store.create()
        with archive.retrieve.open(archive.retrieve.instances(scope_of(objects[4]))[0]) as blob:
            orphan.write(blob.read(0, blob.length))
        orphan.publish()
        archive.store.set_aside(orphan.key, "nothing points to it")
        data = archive.settings.data
        assert places(data, NAME, TEXT, PIXELS), "the canaries would be seen"
        assert len({place.split("/")[0] for place in places(data, PIXELS)}) == 2
        made = ask(archive, objects[0])
        settle_down(archive)
        assert not places(data, NAME, TEXT, PIXELS)
        assert orjson.loads(archive.deletions.certificate(made.id))["quarantined_files"] >= 0
        assert all(is_there(archive, one) for one in others)
        assert archive.deletions.get(made.id).state == State.DONE


def test_the_rest_of_a_study_stays(opened: Archive) -> None:
    first, second = study()
    for one in (first, second):
        store(opened, one)
    target = Target("", "", first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID)
    made = opened.deletions.ask(Order(target, "a blurred one"), ADA)
    assert (made.level, made.instances) == ("instance", 1)
    (left,) = opened.retrieve.instances(Scope((second.StudyInstanceUID,)))
    assert left.SOPInstanceUID == second.SOPInstanceUID
    assert target_of(first).level == "study"
    check(opened)
