"""Killed between any two steps of a policy or a decision (reliability.md 4.3, I1 to I5): what was acknowledged is
there, what was not is wholly there or wholly absent, and doing it again ends as it should. On both engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

import crashes
from archive import config
from archive.bootstrap import building, preparing
from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope
from archive.services.conflicts import Conflict, Decision, State
from held import aside, check, digest, settle_down, store, stored, version_of
from objects import part10, secondary_capture


class Crashing:
    """An archive that is opened in this process, and killed in others."""

    def __init__(self, folder: Path, index_url: str) -> None:
        self.folder, self.index_url = folder, index_url
        self.archive = self._open("reject", prepare=True)

    def _open(self, policy: str, *, prepare: bool = False) -> Archive:
        overrides = {"dimse.duplicates": policy, "index.url": self.index_url, "storage.minimum_free_bytes": 0}
        settings = replace(config.load(environment={}, overrides=overrides), data=self.folder / "data")
        if prepare:
            preparing.prepare(settings)
        return building.build(settings)

    def again(self, policy: str) -> Archive:
        """A new start, with a policy."""
        self.archive.close()
        self.archive = self._open(policy)
        return self.archive

    def kill(self, point: str, do: str, policy: str = "reject", **order: Any) -> None:
        """Have another process do it, which must not survive this point."""
        if isinstance(order.get("file"), Dataset):
            path = self.folder / "object.dcm"
            path.write_bytes(part10(order["file"]))
            order["file"] = str(path)
        order |= {"point": point, "do": do, "policy": policy}
        order |= {"data": str(self.folder / "data"), "index": self.index_url}
        crashes.kill(order)


@pytest.fixture
def crashing(tmp_path: Path, index_url: str) -> Iterator[Crashing]:
    made = Crashing(tmp_path, index_url)
    yield made
    made.archive.close()


def sweep_orphans(archive: Archive) -> None:
    """Bytes that were published and never entered: nobody points to them, nobody was told of them."""
    settle_down(archive)
    archive.store.sweep(0)
    known = {instance.blob_key for instance in archive.retrieve.instances(Scope())}
    known |= {one.blob_key for one in archive.conflicts.last() if one.has_copy}
    orphans = set(archive.store.keys()) - known
    assert len(orphans) <= 1
    for key in orphans:
        archive.store.delete(key)


@pytest.mark.parametrize("point", ["received", "published", "changed", "committed"])
@pytest.mark.parametrize("policy", ["keep", "replace", "conflict"])
def test_killed_while_another_version_comes(crashing: Crashing, policy: str, point: str) -> None:
    first = secondary_capture()
    second = version_of(first)
    store(crashing.archive, first)
    crashing.kill(point, "store", policy, file=second)
    archive = crashing.again(policy)
    safe = set(stored(archive).values()) | set(aside(archive))
    assert safe == ({digest(first), digest(second)} if point == "committed" else {digest(first)})
    sweep_orphans(archive)
    check(archive)
    store(archive, second)  # as its sender does, who heard nothing
    assert set(stored(archive).values()) | set(aside(archive)) == {digest(first), digest(second)}
    assert stored(archive) == {first.SOPInstanceUID: digest(second if policy == "replace" else first)}
    check(archive)


def one_conflict(crashing: Crashing) -> tuple[Dataset, Dataset, Conflict]:
    first = secondary_capture()
    second = version_of(first)
    archive = crashing.again("conflict")
    store(archive, first)
    number = store(archive, second).conflict_id
    return first, second, archive.conflicts.get(number)


@pytest.mark.parametrize("point", ["changed", "committed"])
def test_killed_while_a_copy_is_accepted(crashing: Crashing, point: str) -> None:
    first, second, one = one_conflict(crashing)
    crashing.kill(point, "accept", number=one.id)
    archive = crashing.again("conflict")
    shown, held = (second, first) if point == "committed" else (first, second)
    assert stored(archive) == {first.SOPInstanceUID: digest(shown)}
    assert set(aside(archive)) == {digest(held)}
    check(archive)
    if point == "changed":
        archive.conflicts.decide(one.id, Decision.ACCEPT, "test")
    assert archive.conflicts.get(one.id).state == State.ACCEPTED
    assert stored(archive) == {first.SOPInstanceUID: digest(second)}
    assert set(aside(archive)) == {digest(first)}
    check(archive)


@pytest.mark.parametrize("point", ["changed", "committed"])
def test_killed_while_a_copy_is_dropped(crashing: Crashing, point: str) -> None:
    first, second, one = one_conflict(crashing)
    crashing.kill(point, "drop", number=one.id)
    archive = crashing.again("conflict")
    assert set(aside(archive)) == (set() if point == "committed" else {digest(second)})
    check(archive)
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}


def test_killed_while_the_bytes_of_a_dropped_copy_go(crashing: Crashing) -> None:
    """The job runs again, and nothing else goes with it."""
    first, _, one = one_conflict(crashing)
    crashing.archive.conflicts.decide(one.id, Decision.DROP, "test")
    crashing.kill("deleted", "work")
    archive = crashing.again("conflict")
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}
    check(archive)


@pytest.mark.parametrize("point", ["changed", "committed"])
def test_killed_while_the_study_is_deleted(crashing: Crashing, point: str) -> None:
    first, second, one = one_conflict(crashing)
    crashing.archive.conflicts.decide(one.id, Decision.KEEP, "test")
    crashing.kill(point, "delete", study=first.StudyInstanceUID)
    archive = crashing.again("conflict")
    left = set() if point == "committed" else {digest(first), digest(second)}
    assert set(stored(archive).values()) | set(aside(archive)) == left
    check(archive)
