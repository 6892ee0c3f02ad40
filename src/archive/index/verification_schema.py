"""The tables of verification: bytes that were found damaged, and how far the scrubber has come."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import TEXT, identity, index, metadata, moment, number, text

damage = sa.Table(
    "damage",
    metadata,
    identity(),
    # Bytes that something points to, and that are not what they were. The row goes when they are sound again, or when
    # nothing points to them any more.
    text("blob_key"),
    # The table whose row points to them, and what that says of the object.
    text("holder"),
    text("SOPInstanceUID"),
    text("SeriesInstanceUID"),
    text("StudyInstanceUID"),
    # One of verification.Fault.
    text("fault"),
    moment("found_at"),
    moment("last_at"),
    sa.UniqueConstraint("blob_key"),
)

scrubbing = sa.Table(
    "scrubbing",
    metadata,
    # One row. Where the pass that is going on has come to, as JSON: empty when none is.
    sa.Column("what", TEXT, primary_key=True),
    text("position"),
    moment("begun_at"),
    # Of the last pass that came to its end: 0 before the first has.
    moment("last_begun_at"),
    moment("last_ended_at"),
    number("verified"),
)

index(damage, "last_at")
