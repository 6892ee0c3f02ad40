"""An object that comes again takes the place of its own bytes where those are damaged (reliability.md 1.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.services.verification import Level
from corrected import opened_archive
from held import digest, settle_down, store, stored
from objects import secondary_capture
from verified import all_held, cut, empty, flip, path_of


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url) as opened:
        yield opened


def verify(archive: Archive) -> None:
    archive.verification.note(
        [archive.verification.examined(one, Level.CHECKSUM) for one in all_held(archive)]
    )


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "truncated": cut,
    "zero-length": empty,
    "altered": lambda path: flip(path, path.stat().st_size - 1),
}


def test_what_is_sent_again_mends_what_is_damaged(archive: Archive) -> None:
    made = secondary_capture()
    store(archive, made)
    for name, damage in DAMAGES.items():
        [before] = all_held(archive)
        damage(path_of(archive, before))
        left = set(archive.store.keys())
        verify(archive)
        store(archive, made)
        settle_down(archive)
        [after] = all_held(archive)
        assert after.blob_key != before.blob_key, name
        assert stored(archive) == {made.SOPInstanceUID: digest(made)}
        assert set(archive.store.keys()) == {*left, after.blob_key}  # damaged bytes are nobody's, and stay
        assert archive.verification.found(10) == []
        archive.orphans.set_aside(archive.orphans.found(0))
        assert set(archive.store.keys()) == {after.blob_key}


def test_what_is_sound_is_not_written_again(archive: Archive) -> None:
    made = secondary_capture()
    store(archive, made)
    [before] = all_held(archive)
    store(archive, made)
    settle_down(archive)
    assert all_held(archive) == [before]
    assert list(archive.store.keys()) == [before.blob_key]


def test_of_many_that_mend_it_one_does(archive: Archive) -> None:
    made = secondary_capture()
    store(archive, made)
    [before] = all_held(archive)
    path_of(archive, before).unlink()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: store(archive, made), range(8)))
    settle_down(archive)
    [after] = all_held(archive)
    assert list(archive.store.keys()) == [after.blob_key]
    assert stored(archive) == {made.SOPInstanceUID: digest(made)}
