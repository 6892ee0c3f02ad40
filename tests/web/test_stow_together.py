"""Objects of one request are made safe together, and each has its own fate all the same."""

from __future__ import annotations

from typing import Any

import pytest

from archive.dicom.errors import OutcomeUnknown
from archive.index import transactions
from archive.storage.local import LocalBlobWriter
from archive.web.http.exchange import Asked
from archive.web.stow import store
from objects import mr, new_uid, part10, series
from test_stow import MULTIPART, failures, stored_uids
from web_door import Door, multipart


def test_objects_of_one_request_share_a_transaction(
    empty_door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, turns = empty_door.archive.database, []
    write_each = database.write_each

    def counted(changes: Any, subjects: Any) -> Any:
        turns.append(len(changes))
        assert len(set(subjects)) == 1
        return write_each(changes, subjects)

    monkeypatch.setattr(database, "write_each", counted)
    answer = empty_door.store(*(part10(data_set) for data_set in series(mr, 20)))
    assert len(stored_uids(answer)) == 20
    assert sum(turns) == 20
    assert len(turns) < 5


def test_one_that_the_index_does_not_take_fails_alone(empty_door: Door) -> None:
    """Each of a turn has its own fate, in the order of the parts."""
    data_sets = series(mr, 5)
    study_of_another = mr(StudyInstanceUID=data_sets[0].StudyInstanceUID, PatientID="another")
    again = mr(SOPInstanceUID=data_sets[0].SOPInstanceUID)
    parts = [
        *map(part10, data_sets[:3]),
        part10(study_of_another),
        part10(again),
        *map(part10, data_sets[3:]),
    ]
    answer = empty_door.store(*parts)
    assert answer.status_code == 202
    assert stored_uids(answer) == [data_set.SOPInstanceUID for data_set in data_sets]
    assert failures(answer) == [(study_of_another.SOPInstanceUID, 0x0111), (again.SOPInstanceUID, 0x0111)]
    assert empty_door.leftovers() == []


def test_a_commit_without_an_answer_is_looked_up_for_each(
    empty_door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has happened, so the bytes stay, and the sender hears so."""
    commit, lost = transactions.commit, []

    def unheard(connection: Any) -> None:
        commit(connection)
        if not lost:
            lost.append(1)
            raise OutcomeUnknown("the answer was lost")

    monkeypatch.setattr(transactions, "commit", unheard)
    data_sets = series(mr, 4)
    answer = empty_door.store(*(part10(data_set) for data_set in data_sets))
    assert lost
    assert stored_uids(answer) == [data_set.SOPInstanceUID for data_set in data_sets]
    assert len(list(empty_door.archive.store.keys())) == 4
    assert empty_door.leftovers() == []


def test_bytes_that_the_disk_does_not_take_fail_alone(
    empty_door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, calls = LocalBlobWriter._sync, iter(range(100))

    def failing(writer: LocalBlobWriter) -> None:
        if next(calls) == 1:
            raise OSError(5, "Input/output error")
        sync(writer)

    monkeypatch.setattr(LocalBlobWriter, "_sync", failing)
    answer = empty_door.store(*(part10(data_set) for data_set in series(mr, 4)))
    assert answer.status_code == 202
    assert len(stored_uids(answer)) == 3
    assert [reason for _, reason in failures(answer)] == [0xA700]
    assert len(list(empty_door.archive.store.keys())) == 3
    assert empty_door.leftovers() == []


@pytest.mark.parametrize("fault", ["publish_all", "write_each"])
def test_a_fault_of_ours_leaves_nothing(
    empty_door: Door, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    owner: Any = empty_door.archive.store if fault == "publish_all" else empty_door.archive.database

    def fails(_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(owner, fault, fails)
    answer = empty_door.store(*(part10(data_set) for data_set in series(mr, 3)))
    assert answer.status_code == 500
    assert list(empty_door.archive.store.keys()) == []
    assert empty_door.leftovers() == []


def test_a_client_that_stands_still_keeps_nobody_from_storing(empty_door: Door) -> None:
    """What it has sent is safe, and no transaction waits for the rest."""
    first, second = series(mr, 2)
    asked = Asked({}, "", {"content-type": MULTIPART["Content-Type"]}, empty_door.base)
    slow = store(empty_door.archive, asked)
    assert slow.feed(multipart(part10(first)).removesuffix(b"--BOUNDARY--\r\n"))
    assert empty_door.store(part10(second)).status_code == 200
    assert slow.feed(multipart(part10(mr(SOPInstanceUID=new_uid()))))
    slow.close()
    assert len(empty_door.client.get("/dicom-web/instances").json()) == 3
    assert empty_door.leftovers() == []
