"""Each fuzzing target for a few seconds, and whatever any search has ever found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fuzz import searching
from fuzz.searching import FINDS
from fuzz.table import PLANTED, TABLE, TARGETS

SECONDS = 2
SEED = 20261123
"""The same inputs in each run, as far as the time goes; `make fuzz` goes other ways each time."""

REGRESSIONS = sorted(path for path in FINDS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("name", TABLE)
def test_the_seeds_are_taken(name: str) -> None:
    """A target that refused what is well formed would look at nothing else either."""
    seeds, run = TABLE[name].seeds(), TABLE[name].runner()
    assert len(seeds) >= 2
    for seed in seeds:
        assert len(seed) <= TABLE[name].longest
        run(seed)


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_before(path: Path) -> None:
    TABLE[path.parent.name].runner()(path.read_bytes())


def test_each_find_belongs_to_a_target() -> None:
    assert {path.parent.name for path in REGRESSIONS} <= set(TABLE)


@pytest.mark.parametrize("name", [target.name for target in TARGETS if target.is_brief])
def test_nothing_is_found(name: str, tmp_path: Path) -> None:
    if not searching.is_possible():
        pytest.skip("this machine cannot run atheris: there is no wheel for it")
    searched = searching.search(TABLE[name], SECONDS, finds=tmp_path, seed=SEED)
    assert not searched.finds, searched.said
    assert not searched.said, searched.said
    assert searched.inputs >= len(TABLE[name].seeds())
    assert searched.branches > 20, "it is watched, and goes new ways"


def test_what_this_process_had_in_memory_is_no_find(tmp_path: Path) -> None:
    """The kernel counts the peak of who starts a program as the program's own; the limit is beyond it."""
    if not searching.is_possible():
        pytest.skip("this machine cannot run atheris: there is no wheel for it")
    small = dataclasses.replace(TABLE["command"], memory_mb=1)
    searched = searching.search(small, 1, finds=tmp_path, seed=SEED)
    assert not searched.finds, searched.said


def test_targets_are_named_once() -> None:
    assert len(TABLE) == len(TARGETS)


def test_a_fault_is_found_and_kept(tmp_path: Path) -> None:
    """A target with a fault that a search has to make its way to."""
    if not searching.is_possible():
        pytest.skip("this machine cannot run atheris: there is no wheel for it")
    searched = searching.search(PLANTED, 60, finds=tmp_path, seed=SEED)
    (found,) = searched.finds
    assert found.parent.name == "planted"
    assert b"fault" in found.read_bytes()[:5]
    assert "a fault that was planted" in searched.said
