"""Know people by who they are at an issuer, and which sign-ins were used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Who was known before has a local account."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("person", sa.Column("issuer", text, nullable=False, server_default=""))
    op.add_column("person", sa.Column("subject", text, nullable=False, server_default=""))
    theirs = sa.text("issuer != ''")
    columns = ["issuer", "subject"]
    op.create_index(
        "person_issuer_subject", "person", columns, unique=True, sqlite_where=theirs, postgresql_where=theirs
    )
    op.create_table(
        "spent_state",
        sa.Column("digest", text, primary_key=True),
        sa.Column("expires_at", sa.Double(), nullable=False),
    )
