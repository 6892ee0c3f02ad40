"""What many do at once to one running archive (reliability.md 4.3): the first objects of one new patient over sixteen
associations, a study deleted while eight read it, a backup while others store and delete."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.loads.http import BrokenOff
from in_process import in_folder
from reliability import dimse, objects
from reliability.checker import check
from reliability.deletions import deleting
from reliability.ledger import Ledger
from reliability.objects import SOP_CLASSES, Object
from reliability.senders import sending, store
from reliability.servers import Archive, Running
from reliability.target import Target
from reliability.web import Refused, Web, data_set_of, uid_of
from test_kills import await_that

ASSOCIATIONS, OF_EACH = 16, 4
READERS = 8
_STUDY, _LEVEL = 0x0020000D, 0x00080052

Read = Callable[[Target, str], Iterator[tuple[str, bytes]]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    started = Archive(tmp_path_factory.mktemp("archive"), ("--workers", "2")).start()
    yield started
    started.kill()


def test_the_first_objects_of_one_patient_come_over_sixteen_associations(running: Running) -> None:
    ledger, begin = Ledger(), threading.Barrier(ASSOCIATIONS)
    everything = ASSOCIATIONS * OF_EACH
    sent = [objects.made("one patient", number, per_study=everything) for number in range(everything)]

    def send(mine: list[Object]) -> list[int]:
        with dimse.storing(running.target, SOP_CLASSES) as association:
            begin.wait(60)
            return [store(ledger, association, one) for one in mine]

    with ThreadPoolExecutor(ASSOCIATIONS) as threads:
        statuses = list(threads.map(send, (sent[start::ASSOCIATIONS] for start in range(ASSOCIATIONS))))
    assert [status for of_one in statuses for status in of_one] == [0] * everything
    report = check(ledger, running.target, whole=False)
    assert report.ok, report
    assert report.acknowledged == everything
    patient_id = f"R-{hashlib.sha256(b'one patient/0').hexdigest()[:16]}"
    assert rows(running, "patient", "PatientID", patient_id) == 1
    assert rows(running, "study", "StudyInstanceUID", sent[0].StudyInstanceUID) == 1
    series = {one.SeriesInstanceUID for one in sent}
    assert [rows(running, "series", "SeriesInstanceUID", uid) for uid in series] == [1, 1]


def rows(running: Running, table: str, key: str, value: str) -> int:
    assert running.target.data is not None
    with closing(sqlite3.connect(running.target.data / "index.sqlite")) as index:
        return int(index.execute(f"SELECT count(*) FROM {table} WHERE {key} = ?", (value,)).fetchone()[0])


def by_wado(target: Target, study: str) -> Iterator[tuple[str, bytes]]:
    with Web(target) as web:
        for file in web.retrieve(f"/studies/{study}"):
            yield uid_of(file), data_set_of(file)


def by_get(target: Target, study: str) -> Iterator[tuple[str, bytes]]:
    with dimse.asking(target, SOP_CLASSES) as association:
        yield from association.get({_LEVEL: "STUDY", _STUDY: study})


def test_a_study_is_deleted_while_eight_read_it(running: Running) -> None:
    """Each has all of it, with the bytes that were sent, or hears that it failed; never a part that looks whole."""
    ledger = Ledger()
    sent = [objects.made("read", number, per_study=40) for number in range(40)]
    study, wanted = sent[0].StudyInstanceUID, {one.SOPInstanceUID: one.data_set for one in sent}
    with dimse.storing(running.target, SOP_CLASSES) as association:
        assert {store(ledger, association, one) for one in sent} == {0}
    came, lock = Counter[str](), threading.Lock()
    some, gone = threading.Event(), threading.Event()

    def read(number: int) -> None:
        how: Read = by_get if number % 2 else by_wado
        misses = 0
        while misses < 2:
            outcome = read_once(how, running.target, study, wanted)
            with lock:
                came[outcome] += 1
                if came["whole"] >= READERS:
                    some.set()
            misses += gone.is_set() and outcome != "whole"

    with ThreadPoolExecutor(READERS) as threads:
        reading = [threads.submit(read, number) for number in range(READERS)]
        assert some.wait(60)
        ledger.deleting(wanted)
        with Web(running.target) as web:
            assert web.delete(f"/studies/{study}") in (200, 204)
        ledger.deleted(wanted, True)
        gone.set()
        for one in reading:
            one.result(60)
    assert came["whole"] >= READERS
    assert came["failed"] >= READERS
    with dimse.storing(running.target, SOP_CLASSES) as association:
        assert {store(ledger, association, one) for one in sent} == {0}
    report = check(ledger, running.target, whole=False, orphans_before=len(sent))
    assert report.ok, report


def read_once(how: Read, target: Target, study: str, wanted: dict[str, bytes]) -> str:
    found: dict[str, bytes] = {}
    try:
        for uid, data_set in how(target, study):
            found[uid] = data_set
    except (Refused, BrokenOff, dimse.Broken, EOFError):
        outcome = "failed"
    else:
        outcome = "whole" if found else "failed"  # C-GET of what is not there finds nothing
        assert len(found) in (0, len(wanted)), "a part passes for the whole"
    assert all(wanted[uid] == data_set for uid, data_set in found.items()), "wrong bytes"
    return outcome


def test_a_backup_is_made_while_others_store_and_delete(running: Running, tmp_path: Path) -> None:
    """All that was acknowledged before is in it, with its digest, unless it was deleted meanwhile."""
    ledger, folder, new = Ledger(), tmp_path / "backups", tmp_path / "new"
    assert running.target.data is not None
    with sending(ledger, running.target, "backed up", 4, by_stow=2), deleting(ledger, running.target):
        await_that(lambda: any(entry.deleted for entry in ledger.entries()))
        before = {entry.uid for entry in ledger.entries() if entry.acknowledged}
        made = in_folder(running.target.data, "backup", str(folder))
        seen = ledger.acknowledged
        await_that(lambda: ledger.acknowledged > seen)
    assert made.code == 0, made.stderr
    restored = in_folder(new, "restore", str(folder))
    assert restored.code == 0, restored.stderr
    verified = in_folder(new, "verify")
    assert verified.code == 0, verified.stdout
    held = stored_in(new)
    entries = {entry.uid: entry for entry in ledger.entries()}
    assert len(before) > 16
    kept = {uid for uid in before if not entries[uid].deleting}
    assert kept
    assert kept <= held.keys(), "an acknowledged object is not in the backup"
    assert all(held[uid] in entries[uid].contents for uid in held.keys() & entries.keys())


def stored_in(data: Path) -> dict[str, str]:
    """The digest of each instance, of the bytes that are there."""
    found = {}
    with closing(sqlite3.connect(data / "index.sqlite")) as index:
        told = index.execute("SELECT SOPInstanceUID, blob_key, data_set_offset FROM instance").fetchall()
    for uid, key, offset in told:
        found[uid] = hashlib.sha256((data / "objects" / key).read_bytes()[offset:]).hexdigest()
    return found
