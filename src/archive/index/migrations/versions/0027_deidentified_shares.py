"""Share studies without whose they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0025"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add what de-identifies, and with which options."""
    for name in ("deidentified_by", "deidentified_options"):
        op.add_column("share", sa.Column(name, _TEXT, nullable=False, server_default=""))
