"""What was deleted, and what storage commitment was asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _moment(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=False)


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "deletion",
        sa.Column("SOPInstanceUID", _TEXT, primary_key=True),
        *_texts("SeriesInstanceUID", "StudyInstanceUID"),
        _moment("deleted_at"),
    )
    for column in ("StudyInstanceUID", "SeriesInstanceUID"):
        op.create_index(f"deletion_{column}", "deletion", [column])
    _commitments()


def _commitments() -> None:
    op.create_table(
        "commitment",
        sa.Column("id", _KEY, primary_key=True),
        *_texts("TransactionUID", "door", "address", "calling_ae_title", "called_ae_title"),
        sa.Column("number_of_items", sa.BigInteger(), nullable=False),
        sa.Column("checked", sa.BigInteger(), nullable=False),
        _moment("requested_at"),
        _moment("finished_at"),
        _moment("expired_at"),
        sa.UniqueConstraint("TransactionUID"),
    )
    op.create_index("commitment_requested_at", "commitment", ["requested_at"])
    op.create_table(
        "commitment_item",
        sa.Column("commitment_id", _KEY, sa.ForeignKey("commitment.id"), nullable=False, primary_key=True),
        sa.Column("item_number", sa.Integer(), primary_key=True, autoincrement=False),
        *_texts("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID"),
        sa.Column("FailureReason", sa.Integer(), nullable=False),
    )
