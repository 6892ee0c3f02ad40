"""Reports of storage commitment, and notifications of instance availability."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _moments(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double(), nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "commitment_report",
        sa.Column("commitment_id", _KEY, sa.ForeignKey("commitment.id"), nullable=False, primary_key=True),
        *_texts("state", "reason"),
        *_moments("wait_until", "held_until", "last_at"),
        *_numbers("turn", "attempts"),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
    )
    op.create_index("commitment_report_state_scheduled", "commitment_report", ["state", "scheduled"])
    op.create_table(
        "notification",
        sa.Column("id", _KEY, primary_key=True),
        *_texts("StudyInstanceUID", "ae_title", "SOPInstanceUID", "state", "reason"),
        *_numbers("turn", "attempts"),
        *_moments("due_at", "last_at"),
        sa.UniqueConstraint("StudyInstanceUID", "ae_title"),
    )
    op.create_index("notification_last_at", "notification", ["last_at"])
    op.create_table(
        "growing_study",
        sa.Column("StudyInstanceUID", _TEXT, primary_key=True),
        *_moments("last_at"),
    )
    op.create_table("noticed", sa.Column("what", _TEXT, primary_key=True), *_numbers("highest"))
