"""Objects that were kept aside as their identifiers are taken, and what was decided about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Of what was kept out before there are no bytes."""
    for name in ("transfer_syntax_uid", "blob_key", "kept_sha256", "settled_by"):
        op.add_column("conflict", sa.Column(name, _TEXT, nullable=False, server_default=""))
    op.add_column("conflict", sa.Column("state", _TEXT, nullable=False, server_default="refused"))
    for name in ("data_set_offset", "data_set_length"):
        op.add_column("conflict", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("conflict", sa.Column("settled_at", sa.Double(), nullable=False, server_default="0"))
    op.create_index("conflict_state_last_at", "conflict", ["state", "last_at"])
    op.create_index("conflict_StudyInstanceUID", "conflict", ["StudyInstanceUID"])
