"""Know second factors of people, and the codes for who has lost theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Make the tables."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    whose = sa.ForeignKey("person.id", ondelete="CASCADE")
    op.create_table(
        "second_factor",
        sa.Column("person_id", key, whose, primary_key=True, autoincrement=False),
        sa.Column("secret", text, nullable=False),
        sa.Column("begun_at", sa.Double(), nullable=False),
        sa.Column("confirmed_at", sa.Double(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "recovery_code",
        sa.Column("person_id", key, sa.ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("digest", text, primary_key=True),
    )
