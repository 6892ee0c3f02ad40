"""The suite covers every requirement, cites its clauses, and depends on nothing but what it says."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from conformance import registry
from conformance.verdicts import Level

SUITE = Path(registry.__file__).parent
OF_THE_STATEMENT = {"generate.py", "statement"}
"""Write the conformance statement of the archive, and so know it; the suite does not import them."""
MODULES = sorted(
    path for path in SUITE.rglob("*.py") if path.relative_to(SUITE).parts[0] not in OF_THE_STATEMENT
)
ALLOWED = {"conformance", "httpx", "numpy", "pydicom", "pynetdicom"}
REQUIREMENTS = {
    **{f"N{n}": "negotiation" for n in range(1, 17)},
    **{f"Q{n}": "search" for n in range(1, 14)},
    **{f"R{n}": "retrieve" for n in range(1, 9)},
    **{f"S{n}": "store" for n in range(1, 8)},
    **dict.fromkeys(("CAP", "COM", "DEL", "URI", "DIM", "UPS"), "service"),
}


def test_every_requirement_has_a_check() -> None:
    covered = {one.id.partition(".")[0] for one in registry.all_checks()}
    assert covered == set(REQUIREMENTS)


def test_there_are_more_than_a_hundred_and_fifty() -> None:
    assert len(registry.all_checks()) > 150


@pytest.mark.parametrize("one", registry.all_checks(), ids=lambda one: one.id)
def test_a_check_cites_its_clause(one: registry.Check) -> None:
    assert one.title
    assert re.search(r"\d|Annex|what", one.clause), one.clause
    assert one.level is not Level.EXTENSION or not one.clause.startswith("Table"), (
        "what is in a table is no extension"
    )


def test_ids_are_unique() -> None:
    with pytest.raises(ValueError, match=r"N1\.1"):
        registry.check("N1.1", "again", "8.7")(lambda world: None)


def test_checks_are_chosen_by_id_requirement_and_service() -> None:
    assert [one.id for one in registry.chosen(["N1.1"])] == ["N1.1"]
    assert {one.id.partition(".")[0] for one in registry.chosen(["N1"])} == {"N1"}
    assert {one.id.partition(".")[0] for one in registry.chosen(["S", "COM"])} == {
        f"S{n}" for n in range(1, 8)
    } | {"COM"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_imports_nothing_else_and_is_small(path: Path) -> None:
    assert imports(path) - set(sys.stdlib_module_names) <= ALLOWED
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(path.read_text().splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 40, node.name
