"""Remember which bytes were found damaged, and how far the scrubber has come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make the tables."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "damage",
        sa.Column("id", key, primary_key=True),
        sa.Column("blob_key", text, nullable=False),
        sa.Column("holder", text, nullable=False),
        sa.Column("SOPInstanceUID", text, nullable=False),
        sa.Column("SeriesInstanceUID", text, nullable=False),
        sa.Column("StudyInstanceUID", text, nullable=False),
        sa.Column("fault", text, nullable=False),
        sa.Column("found_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.UniqueConstraint("blob_key"),
    )
    op.create_index("damage_last_at", "damage", ["last_at"])
    op.create_table(
        "scrubbing",
        sa.Column("what", text, primary_key=True),
        sa.Column("position", text, nullable=False),
        sa.Column("begun_at", sa.Double(), nullable=False),
        sa.Column("last_begun_at", sa.Double(), nullable=False),
        sa.Column("last_ended_at", sa.Double(), nullable=False),
        sa.Column("verified", sa.BigInteger(), nullable=False),
    )
