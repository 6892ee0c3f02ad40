"""Local files on a disk that forgets all that it may (reliability.md 4.3, "lost directory entry, reordering"): after a
power cut at any moment, whatever part of what was not synced has reached the disk, what was published is there, whole,
in its place or set aside, and nothing else is there by halves."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.dicom.errors import NotFound, OutOfResources
from archive.storage import local
from archive.storage.local import LocalStore
from reliability.lossy_disk import Journal, Left, Mark, remains

BLOB = re.compile(
    r"data/(?:objects|quarantine)/([0-9a-f]{2})[/-]([0-9a-f]{2})[/-]([0-9a-f]{32})(?:-\d+\.dcm|\.dcm)?"
)
SMALL_WRITES, FEW_BLOBS = 40, 3
Action = tuple[str, int, int]
"""What is done, by which of two processes, and how much of it."""

ACTIONS = st.tuples(
    st.sampled_from(["store", "together", "delete", "discard", "set aside", "put back", "open anew"]),
    st.integers(0, 1),
    st.integers(1, 4),
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes megabytes and thousands of objects happens after a few; two processes meet in one folder."""
    names = itertools.cycle(["00", "00", "01", "00"])
    token_hex = local.secrets.token_hex
    monkeypatch.setattr(local, "WRITE_SIZE", SMALL_WRITES)
    monkeypatch.setattr(local, "BLOBS_PER_FOLDER", FEW_BLOBS)
    monkeypatch.setattr(
        local.secrets, "token_hex", lambda count: next(names) if count == 1 else token_hex(count)
    )


class History:
    """What two processes do in one store, and what was promised meanwhile."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        self.journal = Journal(root)
        self.contents: dict[str, bytes] = {}
        self._stores: list[LocalStore] = []

    def run(self, actions: Sequence[Action]) -> History:
        with self.going_on():
            for action in actions:
                self.act(action)
        return self

    @contextmanager
    def going_on(self) -> Iterator[Journal]:
        """The two processes are there."""
        with self.journal.noting() as journal:
            self._stores = [LocalStore(journal.root / "data") for _ in range(2)]
            yield journal

    def act(self, action: Action) -> None:
        what, process, count = action
        store = self._stores[process]
        if what == "store":
            self._publish([self._writer(store)])
        elif what == "together":
            writers = [self._writer(store) for _ in range(count)]
            assert store.publish_all(writers) == [None] * count
            self.promise("published", *(writer.key for writer in writers))
        elif what == "discard":
            self._discard(store, publish=count % 2 == 0)
        elif what == "delete" and (keys := sorted(self.promised(len(self.journal.events)))):
            key = keys[count % len(keys)]
            self.promise("given up", key)
            store.delete(key)
        elif what == "set aside" and (keys := sorted(set(store.keys()))):
            with suppress(NotFound, OutOfResources):
                store.set_aside(keys[count % len(keys)], "a test")
        elif what == "put back" and (aside := [one.key for one in store.aside()]):
            with suppress(NotFound, OutOfResources):
                store.put_back(aside[count % len(aside)])
        elif what == "open anew":
            self._stores[process] = LocalStore(self.journal.root / "data")

    def promise(self, what: str, *keys: str) -> None:
        self.journal.mark((what, keys))

    def _writer(self, store: LocalStore) -> local.LocalBlobWriter:
        writer = store.create()
        number = len(self.contents) + 1
        content = bytes([number % 255 + 1]) * (number * 37 % 150)
        for start in range(0, len(content), 30):
            writer.write(content[start : start + 30])
        self.contents[writer.key] = content
        return writer

    def _publish(self, writers: list[local.LocalBlobWriter]) -> None:
        for writer in writers:
            writer.publish()
            self.promise("published", writer.key)

    def _discard(self, store: LocalStore, publish: bool) -> None:
        writer = self._writer(store)
        if publish:
            writer.publish()
        self.promise("given up", writer.key)
        writer.discard()

    def promised(self, cut: int) -> set[str]:
        """The keys that have to be there after a cut before that event."""
        keys: set[str] = set()
        for event in self.journal.events[:cut]:
            if isinstance(event, Mark):
                what, named = event.what
                keys = keys | set(named) if what == "published" else keys - set(named)
        return keys

    def left(self, cut: int, kept: Callable[[], bool]) -> Left:
        return remains(self.journal.events[:cut], kept)

    def check(self, cut: int, left: Left) -> None:
        files = left.files
        there = [("/".join(match.groups()), files[name]) for name in files if (match := BLOB.fullmatch(name))]
        lost = self.promised(cut) - {key for key, _ in there}
        assert not lost, f"cut before event {cut}: {lost} lost"
        torn = [key for key, content in there if content != self.contents[key]]
        assert not torn, f"cut before event {cut}: {torn} not whole"

    def check_everywhere(self, seed: int = 0) -> None:
        """After each event: with nothing kept that was not synced, with all of it, and with some."""
        numbers = random.Random(seed)
        some: list[Callable[[], bool]] = [lambda: False, lambda: True, lambda: numbers.random() < 0.5]
        for cut in range(self.journal.begun, len(self.journal.events) + 1):
            for kept in some:
                self.check(cut, self.left(cut, kept))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[[], History]]:
    """Histories on disks of their own."""
    numbers = itertools.count()
    return lambda: History(tmp_path / f"disk-{next(numbers)}")


@settings(max_examples=40)
@given(actions=st.lists(ACTIONS, max_size=8), seed=st.integers(0, 2**32))
def test_what_was_published_survives_and_nothing_is_torn(
    tmp_path_factory: pytest.TempPathFactory, actions: list[Action], seed: int
) -> None:
    history = History(tmp_path_factory.mktemp("lossy") / "disk").run(actions)
    history.check_everywhere(seed)


@settings(max_examples=40)
@given(first=ACTIONS, second=ACTIONS, at=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_another_process_comes_in_between(
    tmp_path_factory: pytest.TempPathFactory, first: Action, second: Action, at: int, seed: int
) -> None:
    """Between any two calls of one action, the other process does all of its own."""
    interrupted(tmp_path_factory.mktemp("lossy") / "disk", first, second, at).check_everywhere(seed)


@pytest.mark.parametrize("at", range(1, 16))
def test_two_processes_move_the_same_blob_to_and_fro(tmp_path: Path, at: int) -> None:
    """Without a lock it was gone from both places: found by the test above."""
    for names in (("set aside", "put back"), ("put back", "set aside"), ("set aside", "set aside")):
        first, second = ((name, 0, 1) for name in names)
        interrupted(tmp_path / "-".join(names), first, second, at).check_everywhere(1)


def interrupted(folder: Path, first: Action, second: Action, at: int) -> History:
    """What comes of it when the other process comes in after so many calls."""
    history = History(folder)
    calls = itertools.count(1)

    def come_in_between() -> None:
        if next(calls) == at:
            history.act((second[0], 1, second[2]))

    with history.going_on() as journal:
        history.act(("store", 0, 1))
        journal.after_each = come_in_between
        history.act((first[0], 0, first[2]))
        history.act(("store", 0, 1))
    return history


@settings(max_examples=30)
@given(
    lives=st.lists(
        st.tuples(st.lists(ACTIONS, min_size=1, max_size=5), st.floats(0, 1), st.integers(0, 2**32)),
        min_size=1,
        max_size=3,
    )
)
def test_a_store_goes_on_after_each_cut(
    tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[list[Action], float, int]]
) -> None:
    """Opened on what the cut has left, it takes objects, serves what was published, and its spool is swept."""
    folder = tmp_path_factory.mktemp("lossy")
    history = History(folder / "disk")
    for number, (actions, moment, seed) in enumerate(lives):
        history.run(actions)
        begun, ended = history.journal.begun, len(history.journal.events)
        cut = begun + round(moment * (ended - begun))
        left = history.left(cut, some_of_it(seed))
        history.check(cut, left)
        kept = history.promised(cut)
        left.lay_out(folder / f"after-{number}")
        history = come_back(folder / f"after-{number}", history.contents, kept)


def some_of_it(seed: int) -> Callable[[], bool]:
    numbers = random.Random(seed)
    return lambda: numbers.random() < 0.5


def come_back(root: Path, contents: dict[str, bytes], kept: set[str]) -> History:
    store = LocalStore(root / "data")
    for key in kept:
        if key in {one.key for one in store.aside()} - set(store.keys()):
            store.put_back(key)
        with store.open(key) as blob:
            assert blob.read(0, blob.length) == contents[key]
    store.sweep(0)
    assert list((root / "data" / "spool").iterdir()) == []
    history = History(root)
    history.contents = dict(contents)
    history.promise("published", *kept)
    return history


EVERYTHING: list[Action] = [
    ("store", 0, 1),
    ("together", 0, 3),
    ("discard", 0, 2),
    ("store", 1, 1),
    ("delete", 1, 1),
    ("together", 1, 4),
]


def test_everything_survives_as_it_is(fresh: Callable[[], History]) -> None:
    """The other half of what follows: what is found there is the sabotage."""
    history = fresh().run(EVERYTHING)
    assert len(history.promised(len(history.journal.events))) == 8
    history.check_everywhere()


@pytest.mark.parametrize("action", [("store", 0, 1), ("together", 0, 3)])
@pytest.mark.parametrize(
    ("owner", "name", "found"),
    [
        (local.LocalBlobWriter, "_sync", "not whole"),
        (local, "_sync_folder", "lost"),
        (LocalStore, "_new_folder", "lost"),
    ],
)
def test_a_sync_that_is_left_out_is_found(
    fresh: Callable[[], History],
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    found: str,
    action: Action,
) -> None:
    """The control: the disk forgets what it may forget."""
    instead: Callable[..., object] = without_syncs if name == "_new_folder" else lambda *_: None
    monkeypatch.setattr(owner, name, instead)
    history = fresh().run([action])
    with pytest.raises(AssertionError, match=found):
        history.check_everywhere()


def without_syncs(store: LocalStore) -> str:
    (store._objects / "aa" / "bb").mkdir(parents=True, exist_ok=True)
    return "aa/bb"


def test_a_call_that_goes_unnoticed_is_told(tmp_path: Path) -> None:
    """The other control: the journal is complete, or it says so."""
    root = tmp_path / "disk"
    root.mkdir()
    with pytest.raises(AssertionError, match="unnoted"), Journal(root).noting():
        (root / "unnoted").write_bytes(b"by another way")
    with Journal(root, besides=["unnoted", "index.sqlite*"]).noting():
        (root / "index.sqlite-wal").write_bytes(b"none of its business")


def test_what_is_not_synced_may_be_there_in_any_part(tmp_path: Path) -> None:
    """Bytes without the name, the name without the bytes, both, neither."""
    root = tmp_path / "disk"
    root.mkdir()
    with Journal(root).noting() as journal:
        descriptor = local.os.open(root / "file", local.os.O_WRONLY | local.os.O_CREAT)
        local.os.write(descriptor, b"one")
        local.os.write(descriptor, b"two")
        local.os.close(descriptor)
    answers = itertools.product([False, True], repeat=3)
    found = {
        tuple(sorted(remains(journal.events, mock.Mock(side_effect=each)).files.items())) for each in answers
    }
    whole = {b"", b"one", b"\0\0\0two", b"onetwo"}
    assert found == {(), *((("file", content),) for content in whole)}
