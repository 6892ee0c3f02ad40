"""Replacing, deciding, deleting and storing the same instance at the same time: bytes are pointed to once or gone, and
nothing that is pointed to is missing (reliability.md I2, I3, I5). On both engines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import ArchiveError, InstanceConflict, NotFound
from archive.dicom.instance import Scope
from archive.dicom.rendering.appearance import Appearance
from archive.dicom.rendering.viewport import Viewport
from archive.index import recording
from archive.index.database import Connection
from archive.index.recording import Former
from archive.jobs.worker import work
from archive.security.rules import Rules
from archive.services.conflicts import Decision
from archive.services.rendering import Shown
from held import SCANNER, aside, check, digest, store, stored, version_of
from objects import new_uid, secondary_capture
from suites.sqlite import prepare

ROUNDS = 25


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    """With the policy `replace`, and an AE title whose objects wait for a decision."""
    overrides = {"dimse.duplicates": "replace", "index.url": index_url, "storage.minimum_free_bytes": 0}
    settings = replace(config.load(environment={}, overrides=overrides), data=tmp_path / "data")
    prepare(settings)
    built = building.build(settings)
    yield built
    built.close()


def together(*deeds: Callable[[], None]) -> None:
    """Each in a thread of its own, from the same moment on; what fails but for the usual reasons fails the test."""
    ready = threading.Barrier(len(deeds))

    def run(deed: Callable[[], None]) -> None:
        ready.wait()
        for _ in range(ROUNDS):
            try:
                deed()
            except (InstanceConflict, NotFound):
                pass
            except ArchiveError as error:
                if "too busy" not in error.reason:
                    raise

    with ThreadPoolExecutor(len(deeds)) as threads:
        for done in [threads.submit(run, deed) for deed in deeds]:
            done.result()


def test_no_picture_of_one_version_is_made_by_the_metadata_of_another(archive: Archive) -> None:
    """What was looked up is shown, or nothing is."""
    first = secondary_capture()
    store(archive, first)
    looked_up = archive.retrieve.instance(Scope(sop_instance_uids=(first.SOPInstanceUID,)))
    subject = archive.rendering.subject(looked_up)
    store(archive, version_of(first, PhotometricInterpretation="MONOCHROME1"))
    for known in (subject, None):
        with pytest.raises(NotFound):
            archive.rendering.picture(Shown(looked_up, 1), "image/png", Appearance(), known)
    with pytest.raises(NotFound):
        archive.retrieve.frames_of(looked_up, [1])
    with pytest.raises(NotFound):
        archive.thumbnails.of_frame(looked_up, 1, "image/png", Viewport(8, 8))


def test_replacing_while_the_study_is_deleted(archive: Archive) -> None:
    first = secondary_capture()
    versions = [version_of(first, PatientComments=f"version {number}") for number in range(3)]

    def deletes() -> None:
        archive.deletion.delete(Scope(study_instance_uids=(first.StudyInstanceUID,)))

    together(*(lambda each=each: store(archive, each) for each in versions), deletes, lambda: work(archive))
    check(archive)
    store(archive, first)
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}
    check(archive)


def test_replacing_while_somebody_accepts_and_drops(archive: Archive) -> None:
    first = secondary_capture()
    versions = [version_of(first, PatientComments=f"version {number}") for number in range(2)]
    store(archive, first)

    def decides(decision: Decision) -> None:
        for one in archive.conflicts.last():
            if one.has_copy:
                archive.conflicts.decide(one.id, decision, "test")
                return

    together(
        *(lambda each=each: store(archive, each) for each in versions),
        lambda: decides(Decision.ACCEPT),
        lambda: decides(Decision.DROP),
        lambda: archive.conflicts.expire(1),
    )
    assert len(stored(archive)) == 1
    check(archive)


def test_an_instance_moves_while_its_studies_are_deleted_and_stored(archive: Archive) -> None:
    """What is accepted from another study takes the UID with it; locks are taken in two studies."""
    here = secondary_capture(PatientID="A")
    there = version_of(here, StudyInstanceUID=new_uid(), SeriesInstanceUID=new_uid())
    archive.ae_titles.add("DOUBTER", "192.0.2.1", 104, Rules(duplicates="conflict"))

    def decides() -> None:
        for one in archive.conflicts.last():
            if one.has_copy:
                archive.conflicts.decide(one.id, Decision.ACCEPT, "test")
                return

    def deletes(study: str) -> None:
        archive.deletion.delete(Scope(study_instance_uids=(study,)))

    doubter = replace(SCANNER, calling_ae_title="DOUBTER")
    together(
        lambda: store(archive, here, doubter),
        lambda: store(archive, there, doubter),
        decides,
        decides,
        lambda: deletes(here.StudyInstanceUID),
        lambda: deletes(there.StudyInstanceUID),
    )
    check(archive)


@pytest.mark.parametrize("index_url", ["postgresql"], indirect=True)
def test_what_is_replaced_while_it_is_displaced_is_not_lost(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look of who accepts and its write another version takes the place: that version was acknowledged,
    and so was the one before it. SQLite has one writer, so this cannot be there."""
    here = secondary_capture(PatientID="A")
    there = version_of(here, StudyInstanceUID=new_uid(), SeriesInstanceUID=new_uid())
    newer = version_of(here, PatientComments="newer")
    archive.ae_titles.add("DOUBTER", "192.0.2.1", 104, Rules(duplicates="conflict"))
    store(archive, here)
    number = store(archive, there, replace(SCANNER, calling_ae_title="DOUBTER")).conflict_id
    find_former, meddled = recording.find_former, []

    def find_and_meddle(connection: Connection, uid: str) -> Former:
        found = find_former(connection, uid)
        if not meddled:
            meddled.append(uid)
            with ThreadPoolExecutor(1) as other:
                other.submit(store, archive, newer).result(20.0)
        return found

    monkeypatch.setattr(recording, "find_former", find_and_meddle)
    archive.conflicts.decide(number, Decision.ACCEPT, "test")
    check(archive)
    assert stored(archive) == {here.SOPInstanceUID: digest(there)}
    assert set(aside(archive)) == {digest(here), digest(newer)}
