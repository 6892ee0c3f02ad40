"""Storage commitment: promised is what can be read again as it came in, and nothing else (PS3.18 13, PS3.4 J)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.uid import generate_uid as new_uid

from archive.bootstrap.building import Archive
from archive.dicom.errors import Gone, NotFound, TransactionInUse
from archive.dicom.instance import Scope, Source, StoredInstance
from archive.dicom.receiving.commitment import Reference
from archive.index import commitments
from archive.jobs import worker
from archive.security.rules import Rules
from archive.services import commitment
from archive.services.conflicts import Decision
from held import SCANNER, store, version_of
from objects import part10, secondary_capture

SOURCE = Source("DICOMweb", "127.0.0.1")


def stored(archive: Archive, **attributes: object) -> StoredInstance:
    """One object, stored."""
    reception = archive.ingest.part10(SOURCE)
    with reception:
        reception.write(part10(secondary_capture(**attributes)))
        receipt = reception.finish()
    return archive.retrieve.instance(Scope(sop_instance_uids=(receipt.SOPInstanceUID,)))


def reference(one: StoredInstance, *, nested: bool = False) -> Reference:
    flat = Reference(one.SOPClassUID, one.SOPInstanceUID)
    if not nested:
        return flat
    return replace(flat, StudyInstanceUID=one.StudyInstanceUID, SeriesInstanceUID=one.SeriesInstanceUID)


def reasons(archive: Archive, *asked: Reference) -> list[int]:
    verdicts = archive.commitment.request(new_uid(), asked, SOURCE)
    assert verdicts is not None
    assert [verdict.reference for verdict in verdicts] == list(asked)
    return [verdict.failure_reason for verdict in verdicts]


def test_what_is_stored_is_committed_to(archive: Archive) -> None:
    one = stored(archive)
    assert reasons(archive, reference(one), reference(one, nested=True)) == [0, 0]


def test_what_is_not_there_or_is_something_else_is_not(archive: Archive) -> None:
    """0112 No Such Object Instance, 0119 Class-Instance Conflict."""
    one = stored(archive)
    other_class = replace(reference(one), SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    elsewhere = replace(reference(one, nested=True), SeriesInstanceUID=new_uid())
    unknown = Reference(one.SOPClassUID, new_uid())
    assert reasons(archive, other_class, elsewhere, unknown) == [0x0119, 0x0112, 0x0112]


def test_who_has_a_version_waiting_for_a_decision_is_promised_nothing_yet(archive: Archive) -> None:
    """It would delete that version on the promise, though what is stored is another one. Others are promised theirs."""
    doubter = replace(SCANNER, calling_ae_title="DOUBTER")
    archive.ae_titles.add("DOUBTER", "192.0.2.1", 104, Rules(duplicates="conflict"))
    first, other = secondary_capture(), secondary_capture()
    store(archive, first)
    store(archive, other, doubter)
    number = store(archive, version_of(first), doubter).conflict_id
    asked = [Reference(one.SOPClassUID, one.SOPInstanceUID) for one in (first, other)]

    def told(source: Source, *, at_once: bool) -> list[int]:
        uid = new_uid()
        if at_once:
            archive.commitment.request(uid, asked, source)
        else:
            archive.commitment.begin(uid, asked, source)
            worker.work(archive)
        return [one.failure_reason for one in archive.commitment.result(uid) or ()]

    for at_once in (True, False):
        assert told(doubter, at_once=at_once) == [0x0110, 0]
        assert told(SCANNER, at_once=at_once) == [0, 0]
    archive.conflicts.decide(number, Decision.ACCEPT, "test")
    assert told(doubter, at_once=True) == [0, 0]


def test_who_has_stored_since_what_waits_for_a_decision_is_promised_it(archive: Archive) -> None:
    doubter = replace(SCANNER, calling_ae_title="DOUBTER")
    archive.ae_titles.add("DOUBTER", "192.0.2.1", 104, Rules(duplicates="conflict"))
    first = secondary_capture()
    store(archive, first)
    second = version_of(first)
    assert store(archive, second, doubter).kept_aside
    archive.deletion.delete(Scope((first.StudyInstanceUID,)))
    assert not store(archive, second, doubter).kept_aside
    asked = [Reference(first.SOPClassUID, first.SOPInstanceUID)]
    verdicts = archive.commitment.request(new_uid(), asked, doubter)
    assert [one.failure_reason for one in verdicts or ()] == [0]


@pytest.mark.parametrize("damage", ["turned", "cut", "lost"])
def test_bytes_that_are_not_what_came_in_are_not_committed_to(archive: Archive, damage: str) -> None:
    one = stored(archive)
    path = archive.settings.data / "objects" / one.blob_key
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o600)
    path.unlink() if damage == "lost" else path.write_bytes(content[:-1] if damage == "cut" else content)
    assert reasons(archive, reference(one)) == [0x0110]


def test_a_transaction_uid_is_used_once(archive: Archive) -> None:
    uid, asked = new_uid(), [reference(stored(archive))]
    assert archive.commitment.request(uid, asked, SOURCE) is not None
    for again in (archive.commitment.request, archive.commitment.begin):
        with pytest.raises(TransactionInUse):
            again(uid, asked, SOURCE)
    assert [one.failure_reason for one in archive.commitment.result(uid) or ()] == [0]
    with pytest.raises(NotFound):
        archive.commitment.result(new_uid())


def test_a_large_request_is_worked_on_in_pieces(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job checks one instance here and leaves the rest to the next, as if the worker died in between."""
    monkeypatch.setattr(commitment, "AT_ONCE_BYTES", 1)
    monkeypatch.setattr(commitment, "SECONDS_PER_JOB", 0.0)
    uid = new_uid()
    asked = [reference(stored(archive)) for _ in range(3)] + [Reference("1.2", new_uid())]
    assert archive.commitment.request(uid, asked, SOURCE) is None
    jobs = 0
    while archive.commitment.result(uid) is None:
        assert worker.work(archive) == 1
        jobs += 1
    assert jobs == len(asked)
    assert [one.failure_reason for one in archive.commitment.result(uid) or ()] == [0, 0, 0, 0x0112]
    assert worker.work(archive) == 0, "nothing is left to be done"


def test_a_job_that_runs_twice_does_no_harm(archive: Archive) -> None:
    uid = new_uid()
    archive.commitment.begin(uid, [reference(stored(archive))], SOURCE)
    with archive.database.read() as connection:
        state = commitments.find(connection, uid)
    assert state is not None
    for _ in range(2):
        list(archive.commitment.work(state.id))
    assert archive.commitment.result(uid) is not None


def test_results_are_kept_for_a_while(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """410 as long as the Transaction UID is known, 404 afterwards (13.5.3.1); unfinished requests stay."""
    done, working = new_uid(), new_uid()
    asked = [reference(stored(archive))]
    archive.commitment.request(done, asked, SOURCE)
    archive.commitment.begin(working, asked, SOURCE)
    archive.commitment.expire()
    assert archive.commitment.result(done) is not None
    monkeypatch.setattr(commitment, "RESULT_DAYS", -1)
    archive.commitment.expire()
    with pytest.raises(Gone):
        archive.commitment.result(done)
    monkeypatch.setattr(commitment, "RECORD_DAYS", -1)
    archive.commitment.expire()
    with pytest.raises(NotFound) as raised:
        archive.commitment.result(done)
    assert type(raised.value) is NotFound
    assert archive.commitment.result(working) is None
