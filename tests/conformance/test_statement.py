"""The conformance statement says what the code does: its tables are those of the code, and every one is in it."""

from __future__ import annotations

import pytest

from conformance import generate
from conformance.statement import texts


def test_the_statement_is_up_to_date() -> None:
    statement = generate.STATEMENT.read_text(encoding="utf-8")
    assert generate.filled(statement) == statement, f"run `{generate.COMMAND}`"


def test_every_table_stands_in_the_statement_once() -> None:
    statement = generate.STATEMENT.read_text(encoding="utf-8")
    assert sorted(generate.marked(statement)) == sorted(generate.TABLES)


def test_every_table_has_whole_rows() -> None:
    for name, table in generate.TABLES.items():
        header, rows = table()
        lines = list(rows)
        assert lines, name
        assert {len(row) for row in lines} == {len(header)}, name


def test_all_defined_terms_of_the_standard_are_read() -> None:
    assert len(list(texts.character_sets()[1])) == len(texts._SAMPLES)


def test_a_mark_without_a_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        generate.filled("<!-- table:nothing -->\n<!-- end -->")
