"""The tables of rejections: the notes, what each refers to, and the bytes of what was taken out for them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from archive.index.tables import TEXT, identity, index, metadata, moment, number, part_of, text


def _object() -> list[sa.Column[Any]]:
    """What is known of an object outside the hierarchy: its place, its bytes as in `instance`, who sent it."""
    return [
        text("SOPInstanceUID"),
        text("SeriesInstanceUID"),
        text("StudyInstanceUID"),
        text("SOPClassUID"),
        text("transfer_syntax_uid"),
        text("blob_key"),
        number("data_set_offset"),
        number("data_set_length"),
        text("sha256"),
        text("received_sha256"),
        text("received_transfer_syntax_uid"),
        text("door"),
        text("address"),
        text("calling_ae_title"),
        text("called_ae_title"),
    ]


rejection = sa.Table(
    "rejection",
    metadata,
    identity(),
    # The note itself; it is in no study of the index.
    *_object(),
    # One of rejection_notes.Reason.
    text("reason"),
    # One of rejections.State.
    text("state"),
    moment("came_at"),
    # 0 until somebody has decided.
    moment("settled_at"),
    text("settled_by"),
    sa.UniqueConstraint("SOPInstanceUID"),
)

rejected = sa.Table(
    "rejected",
    metadata,
    # What a note refers to, where it says that it stands.
    part_of("rejection", primary_key=True),
    sa.Column("SOPInstanceUID", TEXT, primary_key=True),
    text("SeriesInstanceUID"),
    text("StudyInstanceUID"),
    text("SOPClassUID"),
    # One of rejections.Held.
    text("state"),
)

rejected_copy = sa.Table(
    "rejected_copy",
    metadata,
    identity(),
    # The note for which it is held.
    part_of("rejection"),
    *_object(),
    moment("held_at"),
    sa.UniqueConstraint("blob_key"),
)

index(rejection, "state", "came_at")
index(rejected, "SOPInstanceUID")
index(rejected, "StudyInstanceUID")
index(rejected_copy, "SOPInstanceUID")
index(rejected_copy, "StudyInstanceUID")
index(rejected_copy, "rejection_id")
index(rejected_copy, "held_at")
