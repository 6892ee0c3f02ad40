"""Make room for the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Make the tables."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit_record",
        sa.Column("id", key, primary_key=True, autoincrement=False),
        sa.Column("hash", text, nullable=False),
        sa.Column("message", text, nullable=False),
        sa.Column("recorded_at", sa.Double(), nullable=False),
        sa.Column("event", text, nullable=False),
        sa.Column("actor", text, nullable=False),
        sa.Column("address", text, nullable=False),
        sa.Column("PatientID", text, nullable=False),
        sa.Column("StudyInstanceUID", text, nullable=False),
    )
    op.create_table(
        "audit_head",
        sa.Column("what", text, primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", text, nullable=False),
    )
    op.create_table(
        "receiving",
        sa.Column("transfer", text, primary_key=True),
        sa.Column("StudyInstanceUID", text, primary_key=True),
        sa.Column("actor", text, nullable=False),
        sa.Column("door", text, nullable=False),
        sa.Column("address", text, nullable=False),
        sa.Column("calling_ae_title", text, nullable=False),
        sa.Column("begun_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
    )
    op.create_index("audit_record_recorded_at", "audit_record", ["recorded_at"])
    for column in ("PatientID", "StudyInstanceUID", "actor"):
        op.create_index(f"audit_record_{column}_id", "audit_record", [column, "id"])
