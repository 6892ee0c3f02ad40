"""The table of failpoints covers the code: every call by which storage or index make something durable, or take it
away, is within a step of the table, or is named here with the reason why nobody has to die there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from reliability import failpoints

SOURCE = Path(__file__).resolve().parents[2] / "src"
SCANNED = ("storage", "index")
MIGRATIONS = SOURCE / "archive" / "index" / "migrations"

OF_FILES = {
    "link",
    "symlink",
    "fsync",
    "fdatasync",
    "unlink",
    "rename",
    "renames",
    "rmdir",
    "rmtree",
    "truncate",
}
OF_FILES |= {"ftruncate", "mkdir", "makedirs", "removedirs", "copy_file_range", "sync"}
OF_TRANSACTIONS = {"commit"}

BACKUP = "a backup that did not come to its end is begun anew; what is served does not depend on it"
REINDEX = "the index that is being made lies beside the one that is used until one rename; it is gone on with"
KILLED_FOLDERS = "tests/storage/test_killed_folders.py"
QUARANTINE = "tests/storage/test_quarantine.py"
VIEWER = "tests/services/test_viewer_package.py"
NOTES = "a line that was torn is no line, and nobody was told of it"

ELSEWHERE = {
    "archive.storage.folders:make_folder": KILLED_FOLDERS,
    "archive.storage.folders:sync_folder": KILLED_FOLDERS,
    "archive.storage.local_room:why_no_links": "a file without bytes, in the spool; swept",
    "archive.storage.local_room:_why_no_link": "a name that is no key, of a file without bytes",
    "archive.storage.local_quarantine:Quarantine.take": QUARANTINE,
    "archive.storage.local_quarantine:Quarantine.give_back": QUARANTINE,
    "archive.storage.local_quarantine:Quarantine.delete": "done again by the job, until it has come to its end",
    "archive.storage.local_quarantine:Quarantine._write_note": QUARANTINE,
    "archive.storage.notes:Notes.append": NOTES,
    "archive.storage.notes:Notes._rewrite": NOTES,
    "archive.index.migrate:_alone": "before the transaction that makes the tables; made again by the next start",
    "archive.index.rebuild_plan:Plan.__init__": REINDEX,
    "archive.index.rebuilding:BesideSqlite.discard": REINDEX,
    "archive.index.rebuilding:BesideSqlite.take_place": REINDEX,
    "archive.index.rebuilding:_sync_folder": REINDEX,
    "archive.index.snapshots:_make_one_file": BACKUP,
    "archive.index.snapshots:remove": BACKUP,
    "archive.storage.backup_folder:BackupFolder.finish": BACKUP,
    "archive.storage.backup_folder:copy": BACKUP,
    "archive.storage.backup_folder:sync_file": BACKUP,
    "archive.storage.backup_folder:write": BACKUP,
    **{
        f"archive.storage.viewer_files:{name}": VIEWER
        for name in ("install", "remove", "_point", "_remove_but", "_write")
    },
}
"""What is no step: why, or which test has what is left by a death there."""


def calls(path: Path) -> Iterator[tuple[str, str]]:
    """The qualified function and the name of each call that counts."""
    module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)

    def within(node: ast.AST, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = (*names, child.name)
            if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and counts(child.func):
                yield f"{module}:{'.'.join(names)}", child.func.attr
            yield from within(child, inner)

    yield from within(ast.parse(path.read_text()), ())


def counts(function: ast.Attribute) -> bool:
    """`os.replace` counts, and `text.replace` does not; nor does `queue.remove`."""
    if function.attr in ("replace", "remove"):
        return isinstance(function.value, ast.Name) and function.value.id in ("os", "path")
    return function.attr in OF_FILES | OF_TRANSACTIONS


def modules() -> list[Path]:
    found = [path for part in SCANNED for path in sorted((SOURCE / "archive" / part).rglob("*.py"))]
    return [path for path in found if MIGRATIONS not in path.parents]


def covered() -> set[str]:
    return {step.place for step in (*failpoints.STEPS, *failpoints.OF_A_SERVER)}


def called_within_steps() -> set[str]:
    """Functions that do nothing but what a step of the table does."""
    return {"archive.index.group_commit:_commit_group", "archive.index.database:SessionWriter._attempt"}


def test_every_place_that_counts_is_covered() -> None:
    places = {place for path in modules() for place, _ in calls(path)}
    assert len(places) > 8, "the scan finds nothing"
    known = covered() | called_within_steps() | set(ELSEWHERE)
    assert not places - known, "no step in reliability/failpoints.py, and no reason in ELSEWHERE"


def file_of(place: str) -> Path:
    return SOURCE.joinpath(*place.partition(":")[0].split(".")).with_suffix(".py")


def test_no_reason_is_left_over() -> None:
    places = {place for path in modules() for place, _ in calls(path)}
    there = {place for place in ELSEWHERE if file_of(place).is_file()}
    assert len(there) > 5
    assert not there - places
    assert not called_within_steps() - places
    named = {Path(__file__).parents[2] / why for why in ELSEWHERE.values() if why.startswith("tests/")}
    assert all(path.is_file() for path in named), named


@pytest.mark.parametrize("text", ["os.replace(a, b)", "os.fsync(1)", "connection.commit()", "path.unlink()"])
def test_the_scan_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    (tmp_path / "planted.py").write_text(f"class C:\n    def f(self):\n        with x:\n            {text}\n")
    assert [place for place, _ in calls(tmp_path / "planted.py")] == ["planted:C.f"]


def test_every_step_is_a_function_of_the_archive() -> None:
    steps = (*failpoints.STEPS, *failpoints.OF_A_SERVER)
    assert all(callable(failpoints._found(step.place)[2]) for step in steps)
    names = failpoints.names(steps)
    assert sorted(names) == sorted(set(names))
