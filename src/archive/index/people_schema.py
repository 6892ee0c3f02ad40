"""The tables of people and of what they have signed in with."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import KEY, identity, index, metadata, moment, text

person = sa.Table(
    "person",
    metadata,
    identity(),
    # As it is compared, see `security.people.name_of`.
    text("name"),
    text("full_name"),
    # By their values, divided by commas.
    text("roles"),
    # argon2id; empty for who has none.
    text("password_hash"),
    moment("added_at"),
    # 0 while they may sign in.
    moment("disabled_at"),
    sa.UniqueConstraint("name"),
)

credential = sa.Table(
    "credential",
    metadata,
    identity(),
    sa.Column("person_id", KEY, sa.ForeignKey("person.id", ondelete="CASCADE"), nullable=False),
    text("kind"),
    # SHA-256 of the secret.
    text("digest"),
    text("label"),
    text("roles"),
    moment("created_at"),
    # To within a minute.
    moment("used_at"),
    moment("expires_at"),
    sa.UniqueConstraint("digest"),
)

index(credential, "person_id")
index(credential, "expires_at")
