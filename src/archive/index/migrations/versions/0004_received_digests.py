"""The digest of what was received, of objects in which attributes were coerced."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Nothing was coerced before."""
    op.add_column("instance", sa.Column("received_sha256", _TEXT, nullable=False, server_default=""))
