"""In which transfer syntax an object was received, where it is kept in another one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Everything was kept in the transfer syntax in which it came."""
    for table in ("instance", "conflict"):
        column = sa.Column("received_transfer_syntax_uid", _TEXT, nullable=False, server_default="")
        op.add_column(table, column)
    op.execute("UPDATE conflict SET received_transfer_syntax_uid = transfer_syntax_uid")
