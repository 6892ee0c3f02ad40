"""The tables of the worklist: what is scheduled, and what modalities say that they have done of it."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import KEY, identity, index, metadata, moment, part_of, text

worklist_item = sa.Table(
    "worklist_item",
    metadata,
    identity(),
    text("StudyInstanceUID"),
    text("ScheduledProcedureStepID"),
    text("RequestedProcedureID"),
    text("AccessionNumber"),
    text("PatientID"),
    text("IssuerOfPatientID"),
    text("PlacerOrderNumberImagingServiceRequest"),
    text("FillerOrderNumberImagingServiceRequest"),
    text("ScheduledProcedureStepStartDate"),
    text("state"),
    # What somebody set it to, before performed steps spoke.
    text("planned_state"),
    # All of it in the DICOM JSON Model, but for the state.
    text("attributes"),
    text("source"),
    moment("added_at"),
    moment("changed_at"),
    sa.UniqueConstraint("StudyInstanceUID", "ScheduledProcedureStepID"),
)

performed_step = sa.Table(
    "performed_step",
    metadata,
    identity(),
    text("SOPInstanceUID"),
    text("PerformedProcedureStepStatus"),
    text("PatientID"),
    text("attributes"),
    text("calling_ae_title"),
    text("address"),
    moment("created_at"),
    moment("changed_at"),
    sa.UniqueConstraint("SOPInstanceUID"),
)

performed_of = sa.Table(
    "performed_of",
    metadata,
    # Which entries of the worklist a performed step says it belongs to, of those that there were.
    part_of("performed_step", primary_key=True),
    sa.Column(
        "worklist_item_id",
        KEY,
        sa.ForeignKey("worklist_item.id", ondelete="CASCADE"),
        nullable=False,
        primary_key=True,
    ),
)

followed = sa.Table(
    "followed",
    metadata,
    # What entries and performed steps said of their patient before a correction, as JSON.
    sa.Column("correction_id", sa.BigInteger(), primary_key=True, autoincrement=False),
    text("before"),
)

index(worklist_item, "state", "ScheduledProcedureStepStartDate")
for _column in (
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "AccessionNumber",
):
    index(worklist_item, _column)
index(worklist_item, "PatientID")
index(performed_step, "PatientID")
index(performed_step, "changed_at")
index(performed_of, "worklist_item_id")
