"""All rows, in the order of the table."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.rows import large, million, mixed, retrieve, search, store
from benchmarks.rows.row import Row

ROWS: tuple[Row, ...] = (*store.ROWS, *search.ROWS, *retrieve.ROWS, *large.ROWS, *million.ROWS, *mixed.ROWS)


def chosen(names: Sequence[str]) -> list[Row]:
    """The rows whose id begins with one of the names; all without names. Raises KeyError for a name of none."""
    for name in names:
        if not any(row.id.startswith(name) for row in ROWS):
            raise KeyError(name)
    return [row for row in ROWS if not names or row.id.startswith(tuple(names))]
