"""The tables of people and of what they have signed in with."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import KEY, TEXT, identity, index, metadata, moment, number, text

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
    # A JSON array of what they see of the studies, see `security.views`; empty for who sees all of them.
    sa.Column("see", TEXT, nullable=False, server_default=""),
    moment("added_at"),
    # 0 while they may sign in.
    moment("disabled_at"),
    # Of who comes from an issuer (OpenID Connect): which, and "sub" there. Empty for a local account.
    text("issuer"),
    text("subject"),
    sa.UniqueConstraint("name"),
)

comes_from_issuer = person.c.issuer != sa.literal_column("''")
"""A condition on its own, as SQLite uses the index below only where it is asked for literally."""
sa.Index(
    "person_issuer_subject",
    person.c.issuer,
    person.c.subject,
    unique=True,
    sqlite_where=comes_from_issuer,
    postgresql_where=comes_from_issuer,
)

spent_state = sa.Table(
    "spent_state",
    metadata,
    # SHA-256 of the state of a sign-in at an issuer: nobody comes back with it twice.
    sa.Column("digest", TEXT, primary_key=True),
    moment("expires_at"),
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
    # As that of a person, which it narrows.
    sa.Column("see", TEXT, nullable=False, server_default=""),
    moment("created_at"),
    # To within a minute.
    moment("used_at"),
    moment("expires_at"),
    sa.UniqueConstraint("digest"),
)

index(credential, "person_id")
index(credential, "expires_at")

second_factor = sa.Table(
    "second_factor",
    metadata,
    sa.Column(
        "person_id",
        KEY,
        sa.ForeignKey("person.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    # In base 32, as it is: codes are made of it, so no digest would do.
    text("secret"),
    moment("begun_at"),
    # 0 until a code has shown that the device has it.
    moment("confirmed_at"),
    # The time step of the last code that was accepted: neither it nor one before it is accepted again.
    number("last_step"),
)

recovery_code = sa.Table(
    "recovery_code",
    metadata,
    sa.Column("person_id", KEY, sa.ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    # SHA-256; a code that was used has no row any more.
    sa.Column("digest", TEXT, primary_key=True),
)
