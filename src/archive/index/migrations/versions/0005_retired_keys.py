"""The highest keys that were deleted, so that SQLite does not give them out again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "retired_key",
        sa.Column("level", _TEXT, primary_key=True),
        sa.Column("highest", sa.BigInteger(), nullable=False),
    )
