"""Know holds, and deletions that were asked for with what each of them destroyed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=False)


def _moment(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=False)


_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "hold",
        sa.Column("id", _KEY, primary_key=True),
        *(_text(name) for name in ("PatientID", "IssuerOfPatientID", "reason", "placed_by")),
        _moment("placed_at"),
        _moment("lifted_at"),
        _text("lifted_by"),
        _text("lifted_because"),
    )
    op.create_table(
        "held_study",
        sa.Column("hold_id", _KEY, sa.ForeignKey("hold.id"), nullable=False, primary_key=True),
        sa.Column("StudyInstanceUID", _TEXT, primary_key=True),
    )
    _make_deletions()
    op.create_index("hold_lifted_at", "hold", ["lifted_at"])
    op.create_index("held_study_StudyInstanceUID", "held_study", ["StudyInstanceUID"])
    op.create_index("rejected_copy_StudyInstanceUID", "rejected_copy", ["StudyInstanceUID"])
    op.create_index("deletion_request_state", "deletion_request", ["state"])


def _make_deletions() -> None:
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    op.create_table(
        "deletion_request",
        sa.Column("id", _KEY, primary_key=True),
        *(_text(name) for name in ("level", "PatientID", "IssuerOfPatientID", *uids, "reason")),
        sa.Column("everything", sa.Boolean(), nullable=False),
        sa.Column("overrides", sa.Boolean(), nullable=False),
        _text("asked_by"),
        _moment("asked_at"),
        sa.Column("instances", sa.BigInteger(), nullable=False),
        _text("state"),
        _text("decided_by"),
        _moment("decided_at"),
        _text("decided_because"),
        _moment("deleted_at"),
        _text("certificate"),
        _text("certificate_sha256"),
        _moment("certified_at"),
    )
    op.create_table(
        "deleted_object",
        sa.Column(
            "deletion_request_id",
            _KEY,
            sa.ForeignKey("deletion_request.id"),
            nullable=False,
            primary_key=True,
        ),
        sa.Column("blob_key", _TEXT, primary_key=True),
        *(_text(name) for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")),
        _text("what"),
        _text("sha256"),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
    )
