"""`archive reindex`, `backup` and `restore` killed amid what they do (reliability.md 4.3): what was there is there, or
the archive says what to do; the same command again comes to the end, and everything is as it was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from archive_here import archive_in, fill
from archive_process import clean_environment
from in_process import in_folder
from objects import secondary_capture, series
from test_backup import digests

POINTS = 5
OBJECTS = 6


@dataclass(frozen=True)
class Ended:
    code: int
    calls: int
    said: str


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs a command, killed before the call of this number."""
    program = Path(__file__).with_name("kill_while.py")
    with subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin, process.stdout

        def ran(*arguments: str | Path, at: int = 0) -> Ended:
            into.write(json.dumps({"arguments": list(map(str, arguments)), "at": at}) + "\n")
            into.flush()
            return Ended(**json.loads(out.readline()))

        yield ran
        into.close()


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A data folder, and the digests of what is in it."""
    data = tmp_path / "data"
    with archive_in(data) as archive:
        fill(archive, *series(secondary_capture, OBJECTS - 1), secondary_capture())
        return data, digests(archive)


def killed_everywhere(run: Run, copy: Callable[[int], tuple[str | Path, ...]]) -> Iterator[int]:
    """Kills the command that `copy` gives at points from the first to the last of its calls, of which there may be some
    fewer another time; yields after each."""
    whole = run(*copy(0))
    assert whole.code == 0, whole.said
    assert whole.calls > POINTS
    points = {1 + (whole.calls - 4) * number // (POINTS - 1) for number in range(POINTS)}
    outcomes = []
    for at in sorted(points):
        ended = run(*copy(at), at=at)
        outcomes.append(ended.code)
        yield at
    assert set(outcomes[:-1]) == {-signal.SIGKILL}
    assert outcomes[-1] in (
        -signal.SIGKILL,
        0,
    )  # how many calls it makes depends on when its threads have their turns


def test_a_reindex_that_is_killed(tmp_path: Path, run: Run, filled: tuple[Path, dict[str, str]]) -> None:
    """The former index serves until the new one has its place, or the archive is refused and says how to go on."""
    data, before = filled
    outcomes = []

    def copy(at: int) -> tuple[str | Path, ...]:
        return "reindex", "--data", shutil.copytree(data, tmp_path / f"reindexed-{at}")

    for number, at in enumerate(killed_everywhere(run, copy)):
        left = tmp_path / f"reindexed-{at}"
        if number % 2:  # somebody uses the archive before it is gone on with
            opened = in_folder(left, "verify")
            outcomes.append(opened.code)
            assert opened.code == 0 or (opened.code == 2 and "archive reindex" in opened.stderr), (
                opened.stderr
            )
        again = run("reindex", "--data", left)
        assert again.code == 0, again.said
        with archive_in(left) as archive:
            assert digests(archive) == before
    assert 0 in outcomes


def test_a_restore_that_is_killed(tmp_path: Path, run: Run, filled: tuple[Path, dict[str, str]]) -> None:
    """What is not whole passes for no archive, and not for an empty one."""
    data, before = filled
    backups = tmp_path / "backups"
    assert in_folder(data, "backup", str(backups)).code == 0

    def copy(at: int) -> tuple[str | Path, ...]:
        return "restore", backups, "--data", tmp_path / f"restored-{at}"

    for at in killed_everywhere(run, copy):
        left = tmp_path / f"restored-{at}"
        is_whole = (left / "index.sqlite").exists() and not (left / "restoring").exists()
        if (left / "restoring").exists():
            refused = in_folder(left, "verify")
            assert refused.code == 2, refused
            assert "archive restore" in refused.stderr
        again = run("restore", backups, "--data", left)
        # Killed behind the last step there is an archive already, which nothing is restored into.
        assert again.code == (2 if is_whole else 0), again.said
        with archive_in(left) as archive:
            assert digests(archive) == before


def test_a_backup_that_is_killed(tmp_path: Path, run: Run, filled: tuple[Path, dict[str, str]]) -> None:
    """The next one is whole, and only what is whole is restored."""
    data, before = filled

    def copy(at: int) -> tuple[str | Path, ...]:
        return "backup", tmp_path / f"backups-{at}", "--data", data

    for at in killed_everywhere(run, copy):
        backups, new = tmp_path / f"backups-{at}", tmp_path / f"new-{at}"
        again = run("backup", backups, "--data", data)
        assert again.code == 0, again.said
        restored = in_folder(new, "restore", str(backups))
        assert restored.code == 0, restored.stderr
        with archive_in(new) as archive:
            assert digests(archive) == before
