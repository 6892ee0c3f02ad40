"""Share studies with people who have no account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _moment(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=False)


def _of_share() -> sa.Column[int]:
    return sa.Column("share_id", _KEY, sa.ForeignKey("share.id", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "share",
        sa.Column("id", _KEY, primary_key=True),
        _text("digest"),
        _text("made_by"),
        sa.Column("person_id", _KEY, nullable=False),
        *map(_text, ("recipient", "purpose")),
        *map(_moment, ("created_at", "expires_at", "revoked_at")),
        _text("passcode_hash"),
        *map(_number, ("failed", "most_attempts", "uses", "most_uses", "may_download")),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "share_study",
        sa.Column("id", _KEY, primary_key=True),
        _of_share(),
        _text("StudyInstanceUID"),
        sa.UniqueConstraint("share_id", "StudyInstanceUID"),
    )
    op.create_table(
        "share_session",
        sa.Column("id", _KEY, primary_key=True),
        _of_share(),
        _text("digest"),
        *map(_moment, ("created_at", "used_at", "expires_at", "downloaded_at")),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "share_use",
        sa.Column("id", _KEY, primary_key=True),
        _of_share(),
        _moment("used_at"),
        *map(_text, ("address", "what")),
    )
    _make_indexes()


def _make_indexes() -> None:
    op.create_index("share_made_by", "share", ["made_by"])
    op.create_index("share_study_StudyInstanceUID", "share_study", ["StudyInstanceUID"])
    op.create_index("share_session_share_id", "share_session", ["share_id"])
    op.create_index("share_session_expires_at", "share_session", ["expires_at"])
    op.create_index("share_use_share_id", "share_use", ["share_id"])
