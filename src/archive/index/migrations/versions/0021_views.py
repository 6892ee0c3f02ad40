"""What people, and what they sign in with, see of the studies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Everybody has seen everything."""
    for table in ("person", "credential"):
        op.add_column(table, sa.Column("see", _TEXT, nullable=False, server_default=""))
