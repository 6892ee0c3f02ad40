"""The rules of each AE title, and the objects that were refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """What was known before has the default rules."""
    op.add_column("ae_title", sa.Column("rules", _TEXT, nullable=False, server_default="{}"))
    op.add_column("refusal", sa.Column("remedy", _TEXT, nullable=False, server_default=""))
    identity = ("door", "calling", "address", "SOPClassUID", "transfer_syntax_uid", "status", "reason")
    op.create_table(
        "refused_object",
        sa.Column("id", _KEY, primary_key=True),
        *(sa.Column(name, _TEXT, nullable=False) for name in (*identity, "remedy", "SOPInstanceUID")),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.UniqueConstraint(*identity),
    )
    op.create_index("refused_object_last_at", "refused_object", ["last_at"])
