"""The conformance statement says what the code does: its tables are those of the code, and every one is in it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

GENERATOR = Path(__file__).resolve().parents[2] / "conformance" / "generate.py"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance_generate", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_statement_is_up_to_date(generate: ModuleType) -> None:
    statement = generate.STATEMENT.read_text(encoding="utf-8")
    assert generate.filled(statement) == statement, f"run `{generate.COMMAND}`"


def test_every_table_stands_in_the_statement_once(generate: ModuleType) -> None:
    statement = generate.STATEMENT.read_text(encoding="utf-8")
    assert sorted(generate.marked(statement)) == sorted(generate.TABLES)


def test_every_table_has_whole_rows(generate: ModuleType) -> None:
    for name, table in generate.TABLES.items():
        header, rows = table()
        lines = list(rows)
        assert lines, name
        assert {len(row) for row in lines} == {len(header)}, name


def test_all_defined_terms_of_the_standard_are_read(generate: ModuleType) -> None:
    assert len(list(generate.character_sets()[1])) == len(generate._SAMPLES)


def test_a_mark_without_a_table_is_an_error(generate: ModuleType) -> None:
    with pytest.raises(KeyError):
        generate.filled("<!-- table:nothing -->\n<!-- end -->")
