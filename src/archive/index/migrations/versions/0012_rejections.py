"""Rejection notes, what they refer to, and what was taken out for them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _moments(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double(), nullable=False) for name in names]


def _index(table: str, *columns: str) -> None:
    op.create_index(f"{table}_{'_'.join(columns)}", table, list(columns))


def _object() -> list[sa.Column[Any]]:
    sizes = [
        sa.Column(name, sa.BigInteger(), nullable=False) for name in ("data_set_offset", "data_set_length")
    ]
    return [
        *_texts("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID"),
        *_texts("transfer_syntax_uid", "blob_key"),
        *sizes,
        *_texts("sha256", "received_sha256", "received_transfer_syntax_uid"),
        *_texts("door", "address", "calling_ae_title", "called_ae_title"),
    ]


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "rejection",
        sa.Column("id", _KEY, primary_key=True),
        *_object(),
        *_texts("reason", "state"),
        *_moments("came_at", "settled_at"),
        *_texts("settled_by"),
        sa.UniqueConstraint("SOPInstanceUID"),
    )
    op.create_table(
        "rejected",
        sa.Column("rejection_id", _KEY, sa.ForeignKey("rejection.id"), primary_key=True),
        sa.Column("SOPInstanceUID", _TEXT, primary_key=True),
        *_texts("SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID", "state"),
    )
    op.create_table(
        "rejected_copy",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("rejection_id", _KEY, sa.ForeignKey("rejection.id"), nullable=False),
        *_object(),
        *_moments("held_at"),
        sa.UniqueConstraint("blob_key"),
    )
    _index("rejection", "state", "came_at")
    _index("rejected", "SOPInstanceUID")
    _index("rejected", "StudyInstanceUID")
    for column in ("SOPInstanceUID", "rejection_id", "held_at"):
        _index("rejected_copy", column)
