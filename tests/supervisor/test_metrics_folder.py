"""Where workers share their metrics: in memory, not on a disk that may hang, and anew in each run."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive.supervisor import room


def test_a_run_begins_with_none_and_leaves_none(tmp_path: Path) -> None:
    link = tmp_path / "metrics"
    with room.metrics_folder(link) as first:
        assert not list(first.iterdir())
        assert link.resolve() == first.resolve()
        (first / "counter_1.db").write_text("")
    assert not first.exists()
    with room.metrics_folder(link) as second:
        assert not list(second.iterdir())


def test_what_a_run_that_was_killed_has_left_goes(tmp_path: Path) -> None:
    link = tmp_path / "metrics"
    left = room.memory_folder()
    (left / "counter_1.db").write_text("")
    link.symlink_to(left)
    with room.metrics_folder(link) as made:
        assert made != left
        assert not left.exists()


@pytest.mark.parametrize("kind", ["a folder of an earlier version", "a link of somebody else's"])
def test_nothing_but_that_is_removed(tmp_path: Path, kind: str) -> None:
    link, theirs = tmp_path / "metrics", tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "kept").write_text("")
    if kind.startswith("a folder"):
        link.mkdir()
        (link / "counter_1.db").write_text("")
    else:
        link.symlink_to(theirs)
    with room.metrics_folder(link) as made:
        assert not list(made.iterdir())
        assert link.resolve() == made.resolve()
    assert (theirs / "kept").exists()
