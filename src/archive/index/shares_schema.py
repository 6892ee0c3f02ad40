"""The tables of shares, of who has opened them, and of how they were used."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import KEY, identity, index, metadata, moment, number, text

share = sa.Table(
    "share",
    metadata,
    identity(),
    # SHA-256 of the secret in the link.
    text("digest"),
    text("made_by"),
    # The row of who made it; 0 for whoever runs the archive. No foreign key: a share outlives who made it, as a record.
    sa.Column("person_id", KEY, nullable=False),
    text("recipient"),
    text("purpose"),
    moment("created_at"),
    moment("expires_at"),
    # 0 until it is.
    moment("revoked_at"),
    # argon2id; empty where none is asked for.
    text("passcode_hash"),
    number("failed"),
    number("most_attempts"),
    number("uses"),
    # 0: as many as one likes.
    number("most_uses"),
    # 0 or 1.
    number("may_download"),
    # By which the studies are de-identified, and the names of its options with spaces between; empty: they are not.
    text("deidentified_by"),
    text("deidentified_options"),
    sa.UniqueConstraint("digest"),
)

# By UID: deleting a study takes its row away (`services.delete`), putting another version in its place does not.
share_study = sa.Table(
    "share_study",
    metadata,
    identity(),
    sa.Column("share_id", KEY, sa.ForeignKey("share.id", ondelete="CASCADE"), nullable=False),
    text("StudyInstanceUID"),
    sa.UniqueConstraint("share_id", "StudyInstanceUID"),
)

share_session = sa.Table(
    "share_session",
    metadata,
    identity(),
    sa.Column("share_id", KEY, sa.ForeignKey("share.id", ondelete="CASCADE"), nullable=False),
    # SHA-256 of the secret in the cookie.
    text("digest"),
    moment("created_at"),
    # To within half a minute.
    moment("used_at"),
    moment("expires_at"),
    # When a download was listed last; 0 before the first.
    moment("downloaded_at"),
    sa.UniqueConstraint("digest"),
)

share_use = sa.Table(
    "share_use",
    metadata,
    identity(),
    sa.Column("share_id", KEY, sa.ForeignKey("share.id", ondelete="CASCADE"), nullable=False),
    moment("used_at"),
    text("address"),
    # See `security.shares.Use`.
    text("what"),
)

index(share, "made_by")
index(share_study, "StudyInstanceUID")
index(share_session, "share_id")
index(share_session, "expires_at")
index(share_use, "share_id")
