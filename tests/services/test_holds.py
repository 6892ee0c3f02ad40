"""What is on hold is destroyed by nobody: every way there is, on both engines, and whichever comes first."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

import archive
from archive.bootstrap.building import Archive
from archive.dicom.errors import InvalidEntry, NotFound, OnHold
from archive.dicom.patient_key import PatientKey
from archive.services import correction_work
from archive.services.conflicts import Decision
from corrected import opened_archive
from deleting_here import ADA, BOB, ask, hold, scope_of
from held import settle_down, store, version_of
from objects import new_uid, secondary_capture
from rejecting_here import reject
from rejection_notes import PATIENT_SAFETY

SOURCE = Path(archive.__file__).parent


@pytest.fixture
def opened(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url, **{"dimse.duplicates": "replace"}) as made:
        yield made


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Archive]:
    with opened_archive(tmp_path, "", **{"dimse.duplicates": "replace"}) as made:
        yield made


def blobs(archive: Archive) -> set[str]:
    settle_down(archive)
    return set(archive.store.keys())


def later(monkeypatch: pytest.MonkeyPatch, module: object) -> None:
    """By the clock of this module a year has gone."""
    import time

    class Later:
        time = staticmethod(lambda: time.time() + 400 * 86_400)

    monkeypatch.setattr(module, "time", Later)


# --- every way in which bytes are destroyed ---


def _delete(archive: Archive, one: Dataset, _: pytest.MonkeyPatch) -> None:
    archive.deletion.delete(scope_of(one), ADA)


def _ask(archive: Archive, one: Dataset, _: pytest.MonkeyPatch) -> None:
    ask(archive, one)


def _override(archive: Archive, one: Dataset, _: pytest.MonkeyPatch) -> None:
    ask(archive, one, overrides=True)


def _drop_rejected(archive: Archive, one: Dataset, _: pytest.MonkeyPatch) -> None:
    archive.rejections.drop(archive.rejections.last(1)[0][0].id, "test")


def _expire_rejected(archive: Archive, _: Dataset, patch: pytest.MonkeyPatch) -> None:
    import time

    patch.setattr(archive.rejections, "_now", lambda: time.time() + 400 * 86_400)
    assert archive.rejections.expire(30) == 0
    raise OnHold("as it did nothing")


def _drop_conflict(archive: Archive, _: Dataset, __: pytest.MonkeyPatch) -> None:
    (copy,) = [one for one in archive.conflicts.last() if one.has_copy]
    archive.conflicts.decide(copy.id, Decision.DROP, "test")


def _expire_conflict(archive: Archive, _: Dataset, patch: pytest.MonkeyPatch) -> None:
    import time

    patch.setattr(archive.conflicts, "_now", lambda: time.time() + 400 * 86_400)
    assert archive.conflicts.expire(30) == 0
    raise OnHold("as it did nothing")


def _expire_corrected(archive: Archive, _: Dataset, patch: pytest.MonkeyPatch) -> None:
    later(patch, correction_work)
    assert archive.corrections.expire(30) == 0
    raise OnHold("as it did nothing")


def _nothing(_: Archive, __: Dataset) -> None:
    """It is just stored."""


def _rejected(archive: Archive, one: Dataset) -> None:
    reject(archive, PATIENT_SAFETY, [one])


def _replaced(archive: Archive, one: Dataset) -> None:
    store(archive, version_of(one))


def _corrected(archive: Archive, one: Dataset) -> None:
    archive.corrections.update_study(one.StudyInstanceUID, {"StudyDescription": "another"}, "test")
    settle_down(archive)


WAYS: dict[
    str, tuple[Callable[[Archive, Dataset], None], Callable[[Archive, Dataset, pytest.MonkeyPatch], None]]
] = {
    "DELETE": (_nothing, _delete),
    "a deletion that was asked for": (_nothing, _ask),
    "one that overrides retention": (_nothing, _override),
    "a study of which all is rejected": (_rejected, _ask),
    "rejections drop": (_rejected, _drop_rejected),
    "rejections that expire": (_rejected, _expire_rejected),
    "conflicts drop": (_replaced, _drop_conflict),
    "conflicts that expire": (_replaced, _expire_conflict),
    "former bytes that expire": (_corrected, _expire_corrected),
}


@pytest.mark.parametrize("by_patient", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_that_is_on_hold_is_destroyed(
    on_sqlite: Archive, way: str, by_patient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without the hold it is, so that this way is one."""
    one = secondary_capture(PatientID="held")
    store(on_sqlite, one)
    prepare, destroy = WAYS[way]
    if by_patient:  # before: what leaves the index later stays on hold
        placed = on_sqlite.holds.place(ADA, "a court", patient=PatientKey("held"))
        prepare(on_sqlite, one)
    else:
        prepare(on_sqlite, one)
        placed = hold(on_sqlite, one)
    before = blobs(on_sqlite)
    with pytest.raises(OnHold), monkeypatch.context() as patch:
        destroy(on_sqlite, one, patch)
    assert blobs(on_sqlite) == before
    on_sqlite.holds.lift(BOB, placed.id, "the court has seen it")
    with monkeypatch.context() as patch:
        try:
            destroy(on_sqlite, one, patch)
        except (OnHold, AssertionError):
            assert "expire" in way
    assert blobs(on_sqlite) < before


def test_a_hold_on_either_engine(opened: Archive) -> None:
    one, other = secondary_capture(PatientID="held"), secondary_capture(PatientID="free")
    store(opened, one)
    store(opened, other)
    placed = opened.holds.place(ADA, "a court", patient=PatientKey("held"))
    assert placed.studies == (one.StudyInstanceUID,)
    late = secondary_capture(PatientID="held")
    store(opened, late)
    for each in (one, late):
        with pytest.raises(OnHold):
            ask(opened, each)
    ask(opened, other)
    assert opened.holds.last() == [placed]
    opened.holds.lift(BOB, placed.id, "over")
    with pytest.raises(NotFound):
        opened.holds.lift(BOB, placed.id, "twice")
    ask(opened, one)
    (lifted,) = opened.holds.last(lifted=True)
    assert (lifted.lifted_by, lifted.lifted_because) == ("bob", "over")
    assert not opened.holds.last()


def test_a_study_stays_on_hold_when_it_is_corrected_to_another_patient(opened: Archive) -> None:
    """Who wants to delete must not get there by way of a merge."""
    one = secondary_capture(PatientID="held")
    opened.holds.place(ADA, "a court", patient=PatientKey("held"))
    store(opened, one)
    opened.corrections.move_study(
        one.StudyInstanceUID, PatientKey("another"), {"PatientName": "Other"}, "test"
    )
    settle_down(opened)
    with pytest.raises(OnHold):
        ask(opened, one)


def test_what_is_kept_of_a_study_that_is_not_stored_may_be_anybodys(on_sqlite: Archive) -> None:
    one, other = secondary_capture(PatientID="1"), secondary_capture(PatientID="2")
    store(on_sqlite, one)
    reject(on_sqlite, PATIENT_SAFETY, [one])
    placed = on_sqlite.holds.place(ADA, "a court", patient=PatientKey("somebody"))
    with pytest.raises(OnHold):
        on_sqlite.rejections.drop(on_sqlite.rejections.last(1)[0][0].id, "test")
    store(on_sqlite, other)
    ask(on_sqlite, other)
    on_sqlite.holds.lift(ADA, placed.id, "over")
    assert on_sqlite.rejections.drop(on_sqlite.rejections.last(1)[0][0].id, "test") == 1


@pytest.mark.parametrize("reason", ["", " \n", "x" * 2000, "a\x1b[2J"])
def test_a_hold_needs_a_reason_to_be_placed_and_to_be_lifted(on_sqlite: Archive, reason: str) -> None:
    with pytest.raises(InvalidEntry):
        on_sqlite.holds.place(ADA, reason, study="1.2.3")
    placed = on_sqlite.holds.place(ADA, "why not", study="1.2.3")
    with pytest.raises(InvalidEntry):
        on_sqlite.holds.lift(ADA, placed.id, reason)
    assert len(on_sqlite.holds.last()) == 1


@pytest.mark.parametrize(
    "names", [{}, {"study": "1.2", "patient": PatientKey("1")}, {"patient": PatientKey("")}]
)
def test_a_hold_is_on_one_thing(on_sqlite: Archive, names: dict[str, object]) -> None:
    with pytest.raises(InvalidEntry):
        on_sqlite.holds.place(ADA, "why not", **names)


def test_of_a_hold_and_a_deletion_the_first_counts(opened: Archive) -> None:
    """Where the hold was placed before, everything is there; else it says that it came too late by what it holds."""
    start = threading.Barrier(2, timeout=60)
    seen = set()
    with ThreadPoolExecutor(2) as threads:
        for _ in range(25):
            one = secondary_capture(PatientID=new_uid())
            store(opened, one)

            def holding(of: Dataset = one) -> int:
                start.wait()
                return len(opened.holds.place(ADA, "a court", patient=PatientKey(of.PatientID)).studies)

            def deleting(of: Dataset = one) -> bool:
                start.wait()
                try:
                    ask(opened, of)
                except OnHold:
                    return False
                return True

            placed, deleted = threads.submit(holding), threads.submit(deleting)
            was_there, is_gone = placed.result(), deleted.result()
            assert bool(was_there) is not is_gone
            assert bool(opened.retrieve.instances(scope_of(one))) is not is_gone
            seen.add(is_gone)
    assert seen


# --- no way round it ---

DECIDED = {
    "services/delete.py:_forget": "after Deletion.destroy has asked",
    "services/conflicts.py:_displace": "it is kept aside, not destroyed",
    "services/rejecting.py:_hide": "a note, which has come once more",
    "index/rejected_copies.py:take_out": "it is held, not destroyed",
    "services/conflicts.py:Conflicts._drop": "asks before",
    "services/conflicts.py:_expire": "conflicts.expire leaves out what is on hold",
    "services/conflicts.py:_take_over": "the same object has come once more",
    "services/correction_work.py:_abandon": "for _let_go, which asks; and what was written anew and is not needed",
    "services/duplicates.py:enter": "what has just come, or the same object has come once more",
    "services/duplicates.py:put_aside": "the same object is kept aside under another key",
    "services/duplicates.py:release_same": "the same object is stored",
    "services/rejecting.py:enter": "a note that has just come, and is refused",
    "services/rejecting.py:_known": "a note that has come once more",
    "services/rejections.py:Rejections._restore": "the object is stored again",
    "services/rejections.py:Rejections._let_go": "asks before, or leaves out what is on hold",
    "services/deletion_requests.py:DeletionRequests.hindrances": "reads why jobs failed, and leaves none",
    "services/delete.py:Deletion.carry_out": "after Deletion.destroy has asked",
    "services/delete.py:Deletion.discard": "the job",
    "services/ingest.py:Ingest.discard_abandoned": "the job",
    "services/up_to_date.py:UpToDate._drop": "a copy that has just been made",
    "services/correction_work.py:CorrectionWork._write_some": "what was written anew, and was not entered",
    "services/deidentifying.py:Copying._remove": "a copy of a share, in a store of its own; the original stays",
}
"""Whoever takes bytes out of the index or off the disk, and why nothing that is on hold goes by that."""
ENDS = {
    ("deletions", "delete"),
    ("store", "delete"),
    ("store", "delete_all"),
    ("store", "delete_aside"),
    ("outbox", "put"),
}


def ends(path: Path) -> Iterator[str]:
    """The functions of a module that end something."""

    def within(node: ast.AST, names: tuple[str, ...]) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = (*names, child.name)
            if isinstance(child, ast.Call) and _is_end(child):
                yield f"{path.relative_to(SOURCE)}:{'.'.join(names[:2])}"
            yield from within(child, inner)

    yield from within(ast.parse(path.read_text()), ())


def _is_end(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "abandon"
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    if name == "outbox":
        return any(isinstance(one, ast.Name) and one.id == "BLOBS_DELETED" for one in call.args)
    return (name.lstrip("_"), function.attr) in ENDS or function.attr == "abandon"


def test_whoever_destroys_something_has_been_looked_at() -> None:
    """Someone who adds a way has to ask `holds`, and to say here how."""
    found = {one for path in SOURCE.rglob("*.py") for one in ends(path)}
    assert found == set(DECIDED)


def test_only_these_modules_ask_to_delete() -> None:
    """What a person wants deleted goes through `deletions.ask`, which knows of approval."""
    direct = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if "deletion.delete(" in path.read_text()
    }
    assert direct == {"cli/demo/command.py"}  # its own studies, which nobody is treated by
