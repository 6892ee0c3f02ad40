"""Entries and performed steps follow when a patient is merged or renamed, and come back when that is undone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the table and the indexes."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "followed",
        sa.Column("correction_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("before", text, nullable=False),
    )
    for table in ("worklist_item", "performed_step"):
        op.create_index(f"{table}_PatientID", table, ["PatientID"])
