"""Know people, and what they have signed in with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Make the tables."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "person",
        sa.Column("id", key, primary_key=True),
        sa.Column("name", text, nullable=False),
        sa.Column("full_name", text, nullable=False),
        sa.Column("roles", text, nullable=False),
        sa.Column("password_hash", text, nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.Column("disabled_at", sa.Double(), nullable=False),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "credential",
        sa.Column("id", key, primary_key=True),
        sa.Column("person_id", key, sa.ForeignKey("person.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("digest", text, nullable=False),
        sa.Column("label", text, nullable=False),
        sa.Column("roles", text, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("credential_person_id", "credential", ["person_id"])
    op.create_index("credential_expires_at", "credential", ["expires_at"])
