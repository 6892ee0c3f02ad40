"""The words of names, for fuzzy matching, and the time zone that each study's dates and times are in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

from archive.dicom.matching.value_matching import texts
from archive.index import terms

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAMES = {"study": ("00100010", "00080090"), "series": ("00081050",)}
_TIMEZONE = "TimezoneOffsetFromUTC"


def upgrade() -> None:
    """Make them, and fill them from what each study and series has prepared for answers."""
    op.add_column("study", sa.Column(_TIMEZONE, _TEXT, nullable=False, server_default=""))
    op.create_index(f"study_{_TIMEZONE}", "study", [_TIMEZONE])
    for level in _NAMES:
        _fill(level, _make(level))


def _make(level: str) -> sa.Table:
    table = op.create_table(
        f"{level}_word",
        sa.Column(
            f"{level}_id",
            _KEY,
            sa.ForeignKey(f"{level}.id", ondelete="CASCADE"),
            nullable=False,
            primary_key=True,
        ),
        sa.Column("tag", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("value_number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("component_group", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("word", _TEXT, primary_key=True),
        sa.Column("joined", sa.Integer(), nullable=False),
        sa.Column("reversed", _TEXT, nullable=False),
    )
    op.create_index(f"{level}_word_tag_word_joined", f"{level}_word", ["tag", "word", "joined"])
    op.create_index(f"{level}_word_tag_reversed", f"{level}_word", ["tag", "reversed"])
    return table


def _fill(level: str, words: sa.Table) -> None:
    connection = op.get_bind()
    owner = sa.table(level, sa.column("id"), sa.column("attributes"), sa.column(_TIMEZONE))
    last = -1
    while found := _next(connection, owner, last):
        last = found[-1][0]
        rows = [row for key, text in found for row in _words(level, key, orjson.loads(text))]
        if rows:
            connection.execute(sa.insert(words), rows)
        if level == "study":
            _note_zones(connection, owner, found)


def _next(connection: sa.Connection, owner: sa.TableClause, last: int) -> list[Any]:
    some = sa.select(owner.c.id, owner.c.attributes).where(owner.c.id > last).order_by(owner.c.id).limit(1000)
    return list(connection.execute(some))


def _words(level: str, key: int, members: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for tag in _NAMES[level]:
        for word in terms.words(texts(members.get(tag, {}))):
            yield {f"{level}_id": key, "tag": int(tag, 16), **word}


def _note_zones(connection: sa.Connection, study: sa.TableClause, found: list[Any]) -> None:
    for key, text in found:
        zone = texts(orjson.loads(text).get("00080201", {}))
        if zone:
            statement = sa.update(study).where(study.c.id == key)
            connection.execute(statement.values({_TIMEZONE: terms.text(zone[0])}))
