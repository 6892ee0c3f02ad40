"""The tables of holds, and of deletions that were asked for with what each of them destroyed."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import TEXT, identity, index, metadata, moment, number, part_of, text

hold = sa.Table(
    "hold",
    metadata,
    identity(),
    # Of a patient these two, and then of each study of theirs a row of `held_study`; else empty.
    text("PatientID"),
    text("IssuerOfPatientID"),
    text("reason"),
    text("placed_by"),
    moment("placed_at"),
    # 0 as long as it stands.
    moment("lifted_at"),
    text("lifted_by"),
    text("lifted_because"),
)

held_study = sa.Table(
    "held_study",
    metadata,
    # A study stays on hold although it is corrected to another patient, or all of it is rejected.
    part_of("hold", primary_key=True),
    sa.Column("StudyInstanceUID", TEXT, primary_key=True),
)

deletion_request = sa.Table(
    "deletion_request",
    metadata,
    identity(),
    # One of deletion_requests.Level, and what it is, from the patient or the study down.
    text("level"),
    text("PatientID"),
    text("IssuerOfPatientID"),
    text("StudyInstanceUID"),
    text("SeriesInstanceUID"),
    text("SOPInstanceUID"),
    text("reason"),
    # Whether what is open or rejected goes as well.
    sa.Column("everything", sa.Boolean(), nullable=False),
    # Whether it is to go although it is younger than it has to be kept.
    sa.Column("overrides", sa.Boolean(), nullable=False),
    text("asked_by"),
    moment("asked_at"),
    # How many instances it was when it was asked for: nobody approves of more than there was to be seen.
    number("instances"),
    # One of deletion_requests.State.
    text("state"),
    # 0 and empty where nobody had to decide.
    text("decided_by"),
    moment("decided_at"),
    text("decided_because"),
    moment("deleted_at"),
    # JSON, and its SHA-256; empty until all bytes have gone.
    text("certificate"),
    text("certificate_sha256"),
    moment("certified_at"),
)

deleted_object = sa.Table(
    "deleted_object",
    metadata,
    # What a deletion took out of the index, until its certificate tells of it.
    part_of("deletion_request", primary_key=True),
    sa.Column("blob_key", TEXT, primary_key=True),
    text("SOPInstanceUID"),
    text("SeriesInstanceUID"),
    text("StudyInstanceUID"),
    # What it was: one of deletion_requests.What.
    text("what"),
    text("sha256"),
    number("length"),
    # Whether its bytes have gone.
    sa.Column("gone", sa.Boolean(), nullable=False),
)

index(hold, "lifted_at")
index(held_study, "StudyInstanceUID")
index(deletion_request, "state")
