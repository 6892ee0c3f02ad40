"""What the tables of the index are made of: the types of their columns, and the columns that many have."""

from __future__ import annotations

import sqlalchemy as sa

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Compared byte by byte on both engines; this also lets an index serve a search by prefix."""

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
metadata = sa.MetaData()


def identity() -> sa.Column[int]:
    """A surrogate key."""
    return sa.Column("id", KEY, primary_key=True)


def text(name: str) -> sa.Column[str]:
    """Text, never NULL."""
    return sa.Column(name, TEXT, nullable=False)


def number(name: str) -> sa.Column[int]:
    """A number, never NULL."""
    return sa.Column(name, sa.BigInteger(), nullable=False)


def moment(name: str) -> sa.Column[float]:
    """Seconds since the epoch."""
    return sa.Column(name, sa.Double(), nullable=False)


def part_of(table: str, *, primary_key: bool = False) -> sa.Column[int]:
    """The key of what a row belongs to."""
    return sa.Column(
        f"{table}_id", KEY, sa.ForeignKey(f"{table}.id"), nullable=False, primary_key=primary_key
    )


def index(table: sa.Table, *columns: str) -> None:
    """An index over these columns."""
    sa.Index(f"{table.name}_{'_'.join(columns)}", *(table.c[column] for column in columns))
