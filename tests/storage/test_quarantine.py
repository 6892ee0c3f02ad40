"""Blobs that are set aside in files: nothing of them is ever lost, whatever fails on the way."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archive.dicom.errors import NotFound, OutOfResources
from archive.storage import local, local_quarantine
from archive.storage.local import LocalStore
from suites.blob_store import CONTENT, stored


def places(root: Path) -> dict[str, bytes]:
    """Every file of bytes that is no note."""
    found = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".json")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def name_of(key: str) -> str:
    return f"quarantine/{key.replace('/', '-')}.dcm"


def test_a_person_finds_it_and_the_reason(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = stored(store, CONTENT)
    store.set_aside(key, "nothing points to it")
    assert places(tmp_path) == {name_of(key): CONTENT}
    assert "nothing points to it" in (tmp_path / name_of(key)).with_suffix(".json").read_text()
    assert (tmp_path / "quarantine").stat().st_mode & 0o777 == 0o700


def test_it_keeps_what_was_set_aside_under_the_same_key_before(tmp_path: Path) -> None:
    """A copy that was restored from a backup may be damaged as well."""
    store = LocalStore(tmp_path)
    key = stored(store, b"first")
    store.set_aside(key, "one")
    restored = tmp_path / "objects" / key
    restored.write_bytes(b"second")
    store.set_aside(key, "two")
    assert sorted(places(tmp_path).values()) == [b"first", b"second"]
    assert [(one.key, one.reason) for one in store.aside()] == [(key, "two"), (key, "one")]
    store.put_back(key)
    assert restored.read_bytes() == b"second"
    assert places(tmp_path)[name_of(key)] == b"first"


def test_nothing_is_replaced_by_what_is_put_back(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = stored(store, b"first")
    store.set_aside(key, "one")
    (tmp_path / "objects" / key).write_bytes(b"second")
    with pytest.raises(OutOfResources):
        store.put_back(key)
    assert sorted(places(tmp_path).values()) == [b"first", b"second"]


def test_without_its_note_it_is_shown_all_the_same(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = stored(store, b"x")
    store.set_aside(key, "why")
    (tmp_path / name_of(key)).with_suffix(".json").write_bytes(b"{")
    assert [(one.key, one.reason) for one in store.aside()] == [(key, "its note is missing")]
    store.put_back(key)
    assert list(store.keys()) == [key]


def test_a_folder_that_went_is_made_again(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = stored(store, b"x")
    store.set_aside(key, "why")
    shutil.rmtree(tmp_path / "objects" / key[:2])
    store.put_back(key)
    assert places(tmp_path) == {f"objects/{key}": b"x"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("step", ["set_aside", "put_back"])
def test_whatever_fails_its_bytes_stay_and_the_next_attempt_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    """Each call of the system fails in turn, until the step gets through."""
    for nth in range(40):
        root = tmp_path / str(nth)
        store = LocalStore(root)
        key = stored(store, CONTENT)
        if step == "put_back":
            store.set_aside(key, "why")
        with monkeypatch.context() as patched:
            hits = fail_at(patched, nth, number)
            with contextlib.suppress(OutOfResources):
                STEPS[step](store, key)
        assert set(places(root).values()) == {CONTENT}
        if not hits:
            assert nth >= 4
            return
        with contextlib.suppress(NotFound):  # it may have been done
            STEPS[step](store, key)
        [place] = places(root)
        assert place.startswith("quarantine" if step == "set_aside" else "objects")
    pytest.fail("never got through")


STEPS: dict[str, Callable[[LocalStore, str], None]] = {
    "set_aside": lambda store, key: store.set_aside(key, "why"),
    "put_back": lambda store, key: store.put_back(key),
}


def fail_at(patched: pytest.MonkeyPatch, nth: int, number: int) -> list[str]:
    """Let the nth of all calls that change something fail; the list says that it did."""
    calls, hits = iter(range(1_000_000)), []

    def watched(name: str) -> None:
        original = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == nth:
                hits.append(name)
                raise OSError(number, os.strerror(number))
            return original(*args, **kwargs)

        for module in (local, local_quarantine):
            patched.setattr(module.os, name, call)

    for name in ("open", "fsync", "link", "unlink", "mkdir"):
        watched(name)
    return hits
