"""The rules of each AE title, and the objects that were refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """What was known before has the default rules."""
    op.add_column("ae_title", sa.Column("rules", _TEXT, nullable=False, server_default="{}"))
