"""`archive commitments` and `archive notifications`: what others were told, what could not be, and trying again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import generate_uid as new_uid

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.instance import Source
from archive.dicom.receiving.commitment import Reference
from archive.jobs import worker
from archive.jobs.destinations import Destinations
from archive.security.rules import Rules
from archive.services.reports import Held
from in_process import in_folder
from objects import part10, secondary_capture
from suites.sqlite import prepare


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Beside which the commands run."""
    settings = config.load(environment={}, overrides={"data": str(tmp_path), "storage.minimum_free_bytes": 0})
    settings = replace(settings, dimse=replace(settings.dimse, commitment_wait=0))
    prepare(settings)
    built = building.build(settings)
    yield built
    built.close()


def work(archive: Archive) -> None:
    """As the job worker does."""
    talks = worker.Talks(archive, destinations=Destinations(), begin=lambda work: work())
    while worker.work(archive) + talks.begin(time.time()):
        pass


def stored(archive: Archive) -> Reference:
    made = secondary_capture()
    with archive.ingest.part10(Source("IMPORT")) as reception:
        reception.write(part10(made))
        reception.finish()
    return Reference(made.SOPClassUID, made.SOPInstanceUID)


def asked(archive: Archive, *references: Reference) -> str:
    """A request whose requestor has gone, and is not known."""
    uid = new_uid()
    source = Source("DIMSE", "10.0.0.7", "MODALITY", "ARCHIVE")
    archive.reports.let_go(archive.reports.accept(uid, references, source))
    return uid


def test_what_was_asked_and_why_it_is_not_told(archive: Archive, tmp_path: Path) -> None:
    assert in_folder(tmp_path, "commitments", "list").stdout == ""
    good, absent = stored(archive), Reference("1.2.840.10008.5.1.4.1.1.7", new_uid())
    uid = asked(archive, good, absent)
    shown = in_folder(tmp_path, "commitments", "list").stdout.split("\t")
    assert shown[1:6] == ["MODALITY", "10.0.0.7", "2", "", "0 checked"]
    assert in_folder(tmp_path, "commitments", "items", uid).code == 1
    list(archive.commitment.work(1))
    work(archive)
    shown = in_folder(tmp_path, "commitments", "list", "--state", "waiting").stdout.rstrip("\n").split("\t")
    assert shown[3:7] == ["2", "1", "waiting", "1"]
    assert "archive ae add" in shown[7]
    assert shown[8] == uid
    assert not in_folder(tmp_path, "commitments", "list", "--state", "given up").stdout
    items = in_folder(tmp_path, "commitments", "items", uid).stdout
    assert items.splitlines() == [f"{good.SOPInstanceUID}\tkept", f"{absent.SOPInstanceUID}\tnot stored"]


def test_a_request_is_taken_up_again(archive: Archive, tmp_path: Path) -> None:
    uid = asked(archive, stored(archive))
    list(archive.commitment.work(1))
    (report,) = archive.reports.newest()
    work(archive)
    held = Held(report.id, archive.reports.newest()[0].turn)
    archive.reports.failed(held, "nobody there", given_up=True)
    assert "given up" in in_folder(tmp_path, "commitments", "list").stdout
    done = in_folder(tmp_path, "commitments", "again", uid)
    assert (done.code, done.stdout) == (0, "MODALITY will be told by the running archive.\n")
    assert not archive.reports.newest()[0].finished, "it is checked anew"
    unknown = in_folder(tmp_path, "commitments", "again", new_uid())
    assert unknown.code == 1
    assert "archive commitments" in unknown.stderr


def test_notifications_are_shown_and_sent_again(archive: Archive, tmp_path: Path) -> None:
    archive.ae_titles.add("RIS", "127.0.0.1", 1, Rules(notify=True))
    archive.notifications.notice()
    stored(archive)
    archive.notifications.notice(time.time() + 100)
    work(archive)
    shown = in_folder(tmp_path, "notifications", "list").stdout.split("\t")
    assert (shown[0], shown[2], shown[3], shown[4]) == ("1", "RIS", "waiting", "1")
    assert "127.0.0.1:1" in shown[5]
    done = in_folder(tmp_path, "notifications", "again", "1")
    assert (done.code, done.stdout) == (0, "RIS will be told by the running archive.\n")
    assert archive.notifications.newest()[0].attempts == 0
    assert in_folder(tmp_path, "notifications", "again", "7").code == 1
