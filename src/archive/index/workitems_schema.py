"""The tables of workitems: what is to be done, who wants to hear of it, and what they are told."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import KEY, TEXT, identity, index, metadata, moment, number, text

workitem = sa.Table(
    "workitem",
    metadata,
    identity(),
    text("SOPInstanceUID"),
    text("ProcedureStepState"),
    # The lock of who has begun it; stays after the end.
    text("TransactionUID"),
    # Who has begun it, as far as its request told.
    text("performer"),
    text("PatientID"),
    text("ScheduledProcedureStepStartDateTime"),
    # All of it in the DICOM JSON Model, but for the Transaction UID.
    text("attributes"),
    moment("created_at"),
    moment("changed_at"),
    sa.UniqueConstraint("SOPInstanceUID"),
)

workitem_subscription = sa.Table(
    "workitem_subscription",
    metadata,
    # Who is told of a workitem.
    sa.Column(
        "workitem_id",
        KEY,
        sa.ForeignKey("workitem.id", ondelete="CASCADE"),
        nullable=False,
        primary_key=True,
    ),
    sa.Column("ae_title", TEXT, primary_key=True),
    # Keeps the workitem after its end.
    sa.Column("deletion_lock", sa.Boolean(), nullable=False),
    # By N-EVENT-REPORT; others fetch their events.
    sa.Column("reported", sa.Boolean(), nullable=False),
)

workitem_global_subscription = sa.Table(
    "workitem_global_subscription",
    metadata,
    # Who is to be subscribed to workitems that are still to come.
    sa.Column("ae_title", TEXT, primary_key=True),
    # The well-known UID: of all of them, or of those that match the filter.
    sa.Column("uid", TEXT, primary_key=True),
    sa.Column("deletion_lock", sa.Boolean(), nullable=False),
    sa.Column("reported", sa.Boolean(), nullable=False),
    text("filter"),
)

workitem_event = sa.Table(
    "workitem_event",
    metadata,
    # What one AE is told. The keys rise with the moments at which the events were committed.
    identity(),
    text("ae_title"),
    sa.Column("type", sa.Integer(), nullable=False),
    text("SOPInstanceUID"),
    text("information"),
    # One of workitem_events.Progress: whether it is to be told by N-EVENT-REPORT, and has been.
    text("state"),
    text("reason"),
    number("attempts"),
    moment("created_at"),
    moment("changed_at"),
)

workitem_receiver = sa.Table(
    "workitem_receiver",
    metadata,
    # Who has events waiting for N-EVENT-REPORT; a job of this turn is in the outbox.
    sa.Column("ae_title", TEXT, primary_key=True),
    number("turn"),
    sa.Column("scheduled", sa.Boolean(), nullable=False),
    moment("scheduled_at"),
)

workitem_listener = sa.Table(
    "workitem_listener",
    metadata,
    # Who fetches its events: the last one that its Notification Connection has confirmed.
    sa.Column("ae_title", TEXT, primary_key=True),
    number("heard"),
    moment("changed_at"),
)

index(workitem, "ProcedureStepState", "ScheduledProcedureStepStartDateTime")
index(workitem, "ScheduledProcedureStepStartDateTime")
index(workitem, "PatientID")
index(workitem_subscription, "ae_title")
index(workitem_event, "ae_title", "id")
index(workitem_event, "state", "ae_title")
