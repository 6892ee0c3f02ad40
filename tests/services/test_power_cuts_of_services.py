"""A power cut at any moment of whatever the services do, on a disk that forgets all that it may (reliability.md 4.3,
I3): nothing in the index ever points to bytes that may not be there, or not whole. SQLite is taken at its word; its own
syncs are not Python's."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset

from archive import config
from archive.bootstrap import building, preparing
from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope, Source
from archive.dicom.patient_key import PatientKey
from archive.index import transactions
from archive.index.referenced import HOLDERS
from archive.jobs.worker import work
from archive.services.conflicts import Decision
from archive.storage import local
from held import SCANNER, store, version_of
from objects import encoded, mr, secondary_capture
from rejecting_here import series_of
from rejection_notes import PATIENT_SAFETY, rejection_note
from reliability.lossy_disk import Journal, Mark, remains

NOT_BYTES = ["index.sqlite*", "run", "run/*", "notes*"]
"""Below the data folder, and no blobs."""


class Cuttable:
    """An archive whose every commit is marked among what is done to its files."""

    def __init__(self, data: Path, overrides: dict[str, Any]) -> None:
        given = {"storage.minimum_free_bytes": 0, **overrides}
        settings = replace(config.load(environment={}, overrides=given), data=data)
        preparing.prepare(settings)
        self.journal = Journal(data, NOT_BYTES)
        self.contents: dict[str, bytes] = {}
        self._looking = sa.create_engine(f"sqlite:///{data / 'index.sqlite'}")
        self.archive = building.build(settings)

    @contextmanager
    def noting(self) -> Iterator[Archive]:
        commit = transactions.commit

        def marked(connection: Any) -> None:
            commit(connection)
            self.look()

        with mock.patch.object(transactions, "commit", marked), self.journal.noting():
            self.look()
            yield self.archive

    def look(self) -> None:
        """What the index points to now, and those bytes."""
        keys: set[str] = set()
        with self._looking.connect() as connection:
            for table in HOLDERS:
                keys.update(connection.execute(sa.select(table.c.blob_key)).scalars())
        keys.discard("")
        for key in keys - set(self.contents):
            self.contents[key] = (self.journal.root / "objects" / key).read_bytes()
        self.journal.mark(frozenset(keys))

    def check_everywhere(self) -> int:
        """After each event; what a commit brings may be there from the event before it. How many moments that were."""
        events, numbers = self.journal.events, random.Random(4)
        some: list[Callable[[], bool]] = [lambda: False, lambda: True, lambda: numbers.random() < 0.5]
        pointed_to: frozenset[str] = frozenset()
        moments = 0
        for cut, event in enumerate([*events, None]):
            if cut < self.journal.begun:
                continue
            coming = [pointed_to]
            if isinstance(event, Mark):
                pointed_to = event.what
                coming.append(pointed_to)
            for kept in some:
                files = remains(events[:cut], kept).files
                for keys in coming:
                    wrong = [key for key in keys if files.get(f"objects/{key}") != self.contents[key]]
                    assert not wrong, (
                        f"cut before event {cut}: {wrong} in the index, and not whole on the disk"
                    )
                moments += 1
        return moments

    def close(self) -> None:
        self.archive.close()
        self._looking.dispose()


def settle(archive: Archive) -> None:
    while work(archive, now=lambda: time.time() + 1e6):
        pass


def together(archive: Archive, *data_sets: Dataset) -> None:
    """As one STOW-RS request does."""
    receptions = []
    for one in data_sets:
        source = Source("STOW-RS", "192.0.2.1")
        reception = archive.ingest.data_set(
            "1.2.840.10008.1.2.1", one.SOPClassUID, one.SOPInstanceUID, source
        )
        reception.write(encoded(one))
        receptions.append(reception)
    assert all(settled.result() for settled in archive.ingest.finish(receptions))
    for reception in receptions:
        reception.__exit__(None, None, None)


def stores(archive: Archive) -> None:
    first = secondary_capture()
    store(archive, first)
    store(archive, first)
    together(archive, *series_of(4), first)


def duplicates(archive: Archive) -> None:
    first = secondary_capture()
    store(archive, first, SCANNER)
    for comment in ("one", "two"):
        store(archive, version_of(first, PatientComments=comment), SCANNER)
    settle(archive)


def decisions(archive: Archive) -> None:
    for decision in (Decision.ACCEPT, Decision.KEEP, Decision.DROP):
        first = secondary_capture()
        store(archive, first)
        number = store(archive, version_of(first)).conflict_id
        archive.conflicts.decide(number, decision, "test")
    settle(archive)


def deletion(archive: Archive) -> None:
    first, second = secondary_capture(), secondary_capture()
    store(archive, first)
    store(archive, second)
    archive.deletion.delete(Scope(study_instance_uids=(first.StudyInstanceUID,)))
    store(archive, first)
    archive.deletion.delete(Scope(study_instance_uids=(second.StudyInstanceUID,)))
    settle(archive)


def rejection(archive: Archive) -> None:
    series = series_of(3)
    for one in series:
        store(archive, one)
    for do in (archive.rejections.restore, archive.rejections.drop):
        store(archive, rejection_note(PATIENT_SAFETY, series))
        number = archive.rejections.last(1)[0][0].id
        do(number, "test")
    settle(archive)


def correction(archive: Archive) -> None:
    before, after = PatientKey("1"), PatientKey("2")
    for one in series_of(2, PatientID="1", PatientName="Doe"):
        store(archive, one)
    archive.corrections.merge(before, after, {"PatientName": "Roe"}, "test")
    store(archive, secondary_capture(PatientID="1", PatientName="Doe"))
    settle(archive)


def shaped(archive: Archive) -> None:
    store(archive, mr())
    together(archive, mr(), mr())


SHAPING = {
    "coercion_rules": [{"prefix": {"PatientID": "GH-"}}],
    "compression": [{"transfer_syntax": "RLELossless"}],
}


@pytest.mark.parametrize(
    ("scenario", "overrides"),
    [
        (stores, {}),
        (duplicates, {"dimse.duplicates": "keep"}),
        (duplicates, {"dimse.duplicates": "replace"}),
        (decisions, {"dimse.duplicates": "conflict"}),
        (deletion, {}),
        (rejection, {}),
        (correction, {}),
        (shaped, SHAPING),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_the_index_never_points_to_what_a_cut_may_take(
    tmp_path: Path, scenario: Callable[[Archive], None], overrides: dict[str, Any]
) -> None:
    cuttable = Cuttable(tmp_path / "data", overrides)
    try:
        with cuttable.noting() as archive:
            scenario(archive)
        assert len(cuttable.contents) > 1
        assert cuttable.check_everywhere() > 60
    finally:
        cuttable.close()


@pytest.mark.parametrize("scenario", [deletion, rejection])
def test_what_was_removed_stays_removed(tmp_path: Path, scenario: Callable[[Archive], None]) -> None:
    """I7: once the job is done nothing knows of the bytes any more, and a power cut must not bring them back."""
    cuttable = Cuttable(tmp_path / "data", {})
    try:
        with cuttable.noting() as archive:
            scenario(archive)
        left = remains(cuttable.journal.events, lambda: False).files
        there = {path.removeprefix("objects/") for path in left if path.count("/") == 3}
        pointed_to = cuttable.journal.events[-1]
        assert isinstance(pointed_to, Mark)
        assert there == set(pointed_to.what)
        assert set(cuttable.contents) - there, "nothing was removed"
    finally:
        cuttable.close()


@pytest.mark.parametrize("name", ["_sync_folder", "_sync"])
def test_a_sync_that_is_left_out_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The control."""
    owner: Any = local if name == "_sync_folder" else local.LocalBlobWriter
    monkeypatch.setattr(owner, name, lambda *_: None)
    cuttable = Cuttable(tmp_path / "data", {})
    try:
        with cuttable.noting() as archive:
            stores(archive)
        with pytest.raises(AssertionError, match="not whole on the disk"):
            cuttable.check_everywhere()
    finally:
        cuttable.close()
