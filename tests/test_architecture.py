"""The house keeps its shape: imports go down, files and functions stay small, every module says what it is for."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "src" / "archive"
MODULES = sorted(SOURCE.rglob("*.py"))
SUITE = sorted(
    path
    for part in ("conformance", "benchmarks", "reliability", "fuzz")
    for path in (REPOSITORY / part).rglob("*.py")
)
TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
MIGRATIONS = SOURCE / "index" / "migrations"

MOST_LINES = 400
LONGEST_FUNCTION = 40
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager"}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the source and its contracts."""
    shutil.copytree(SOURCE, tmp_path / "src" / "archive", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_keep_the_contracts(copy: Path) -> None:
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("dicom/errors.py", "import archive.config"),
        ("web/__init__.py", "import archive.storage.local"),
        ("dimse/__init__.py", "import archive.index.database"),
        ("services/__init__.py", "import starlette"),
        ("dicom/errors.py", "import socket"),
    ],
)
def test_a_planted_wrong_import_is_found(copy: Path, module: str, planted: str) -> None:
    with (copy / "src" / "archive" / module).open("a") as file:
        file.write(f"\n{planted}\n")
    done = lint_imports(copy)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_files_stay_small() -> None:
    long = {
        str(path.relative_to(REPOSITORY)): count
        for path in [*MODULES, *SUITE, *TESTS]
        if (count := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long


def test_functions_stay_small() -> None:
    long = {
        f"{path.relative_to(REPOSITORY)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in functions(path)
        if node.end_lineno and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    }
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(REPOSITORY))
        for path in MODULES
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_every_public_function_promises_something() -> None:
    silent = []
    for path in MODULES:
        if MIGRATIONS in path.parents:
            continue
        for node in ast.parse(path.read_text()).body:
            public = (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and node.name[0] != "_"
            )
            if public and not ast.get_docstring(node):  # type: ignore[arg-type]
                silent.append(f"{path.relative_to(REPOSITORY)}:{node.name}")  # type: ignore[attr-defined]
    assert not silent


def test_packages_hold_nothing_but_their_docstring() -> None:
    for path in SOURCE.rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        assert len(body) == 1, path
        assert isinstance(body[0], ast.Expr), path


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in MODULES if MIGRATIONS not in [path.parent, *path.parents]}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_nothing_is_named_after_nothing() -> None:
    assert not {path.stem for path in MODULES} & FORBIDDEN_NAMES


def test_only_config_looks_at_the_environment() -> None:
    looking = [
        str(path.relative_to(SOURCE))
        for path in MODULES
        if "environ" in path.read_text().replace("environment", "") or "getenv" in path.read_text()
    ]
    assert looking == ["config.py"]


def test_test_files_have_names_of_their_own() -> None:
    """pytest imports them by base name: of two that share one, the second cannot be collected."""
    names = [path.name for path in (REPOSITORY / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
