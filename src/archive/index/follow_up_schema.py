"""The tables of what follows when objects were stored: commitment to keep them, reports and notifications to others."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import TEXT, identity, index, metadata, moment, number, part_of, text

commitment = sa.Table(
    "commitment",
    metadata,
    identity(),
    text("TransactionUID"),
    text("door"),
    text("address"),
    text("calling_ae_title"),
    text("called_ae_title"),
    number("number_of_items"),
    # The items are checked in their order: so many of them were.
    number("checked"),
    moment("requested_at"),
    # 0 until every item was checked, or until the result was thrown away.
    moment("finished_at"),
    moment("expired_at"),
    sa.UniqueConstraint("TransactionUID"),
)

commitment_item = sa.Table(
    "commitment_item",
    metadata,
    part_of("commitment", primary_key=True),
    sa.Column("item_number", sa.Integer(), primary_key=True, autoincrement=False),
    text("StudyInstanceUID"),
    text("SeriesInstanceUID"),
    text("SOPClassUID"),
    text("SOPInstanceUID"),
    # 0 once it is committed to; of no meaning before the item was checked.
    sa.Column("FailureReason", sa.Integer(), nullable=False),
)

commitment_report = sa.Table(
    "commitment_report",
    metadata,
    # Of what was asked by DIMSE: the requestor has to be told (PS3.4 J.3.3).
    part_of("commitment", primary_key=True),
    text("state"),
    # Why the last attempt failed.
    text("reason"),
    # Instances that are not there yet are waited for until then.
    moment("wait_until"),
    # The association that asked tells the result itself as long as this is not over.
    moment("held_until"),
    moment("last_at"),
    # Counts who has taken on to report: what an earlier one still wants to note is void.
    number("turn"),
    number("attempts"),
    # A job of this turn is in the outbox.
    sa.Column("scheduled", sa.Boolean(), nullable=False),
)

notification = sa.Table(
    "notification",
    metadata,
    identity(),
    text("StudyInstanceUID"),
    text("ae_title"),
    # Of the Instance Availability Notification, the same for all attempts.
    text("SOPInstanceUID"),
    text("state"),
    text("reason"),
    # As of the reports above.
    number("turn"),
    number("attempts"),
    moment("due_at"),
    moment("last_at"),
    sa.UniqueConstraint("StudyInstanceUID", "ae_title"),
)

growing_study = sa.Table(
    "growing_study",
    metadata,
    # Studies that were added to, until they have been quiet for a while. Only filled while somebody wants to know.
    sa.Column("StudyInstanceUID", TEXT, primary_key=True),
    moment("last_at"),
)

noticed = sa.Table(
    "noticed",
    metadata,
    # How far the instances were looked through for growing studies: up to this key.
    sa.Column("what", TEXT, primary_key=True),
    number("highest"),
)

sa.Index("commitment_requested_at", commitment.c.requested_at)
index(commitment_report, "state", "scheduled")
index(notification, "last_at")
