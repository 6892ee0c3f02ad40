"""The first tables. Written out, not derived from the code: what was once applied must never change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key() -> sa.Column[int]:
    return sa.Column("id", _KEY, primary_key=True)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _part_of(table: str, *, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        f"{table}_id", _KEY, sa.ForeignKey(f"{table}.id"), nullable=False, primary_key=primary_key
    )


_INDEXES = (
    (
        "outbox_due",
        "outbox",
        (
            "given_up",
            "due_at",
        ),
    ),
    ("patient_PatientID", "patient", ("PatientID",)),
    ("patient_PatientName_search", "patient", ("PatientName_search",)),
    ("refusal_last_at", "refusal", ("last_at",)),
    (
        "patient_term_text",
        "patient_term",
        (
            "tag",
            "text",
        ),
    ),
    ("study_AccessionNumber", "study", ("AccessionNumber",)),
    ("study_PatientBirthDate", "study", ("PatientBirthDate",)),
    ("study_PatientID", "study", ("PatientID",)),
    ("study_PatientName_search", "study", ("PatientName_search",)),
    ("study_ReferringPhysicianName_search", "study", ("ReferringPhysicianName_search",)),
    ("study_StudyDescription", "study", ("StudyDescription",)),
    ("study_StudyID", "study", ("StudyID",)),
    ("study_StudyTime", "study", ("StudyTime",)),
    ("study_patient_id", "study", ("patient_id",)),
    (
        "series_Modality_study_id",
        "series",
        (
            "Modality",
            "study_id",
        ),
    ),
    ("series_PerformedProcedureStepStartDate", "series", ("PerformedProcedureStepStartDate",)),
    ("series_PerformedProcedureStepStartTime", "series", ("PerformedProcedureStepStartTime",)),
    (
        "series_order",
        "series",
        (
            "study_id",
            "SeriesNumber",
            "id",
        ),
    ),
    (
        "study_term_text",
        "study_term",
        (
            "tag",
            "text",
        ),
    ),
    (
        "instance_SOPClassUID_series_id",
        "instance",
        (
            "SOPClassUID",
            "series_id",
        ),
    ),
    (
        "instance_order",
        "instance",
        (
            "series_id",
            "InstanceNumber",
            "id",
        ),
    ),
    ("request_RequestedProcedureID", "request", ("RequestedProcedureID",)),
    ("request_ScheduledProcedureStepID", "request", ("ScheduledProcedureStepID",)),
    (
        "series_term_text",
        "series_term",
        (
            "tag",
            "text",
        ),
    ),
)


def upgrade() -> None:
    """Make the tables and their indexes."""
    _patient_and_study()
    _series()
    _instance()
    _conflict()
    _administration()
    for level in ("patient", "study", "series"):
        _term_table(level)
    for name, table, columns in _INDEXES:
        op.create_index(name, table, list(columns))
    op.create_index("study_order", "study", [sa.text('"StudyDate" DESC'), sa.text('"StudyTime" DESC'), "id"])


def _patient_and_study() -> None:
    op.create_table(
        "patient",
        _key(),
        sa.Column("identity", _TEXT, nullable=False, unique=True),
        *_texts(
            "PatientName_search",
            "PatientID",
            "IssuerOfPatientID",
            "PatientBirthDate",
            "PatientSex",
            "attributes",
        ),
    )
    op.create_table(
        "study",
        _key(),
        _part_of("patient"),
        *_texts(
            "PatientName_search",
            "PatientID",
            "IssuerOfPatientID",
            "PatientBirthDate",
            "PatientSex",
            "StudyInstanceUID",
            "StudyDate",
            "StudyTime",
            "AccessionNumber",
            "ReferringPhysicianName_search",
            "StudyDescription",
            "StudyID",
        ),
        sa.Column("number_of_series", sa.BigInteger(), nullable=False),
        sa.Column("number_of_instances", sa.BigInteger(), nullable=False),
        *_texts("attributes"),
        sa.UniqueConstraint("StudyInstanceUID"),
    )


def _series() -> None:
    op.create_table(
        "series",
        _key(),
        _part_of("study"),
        *_texts(
            "SeriesInstanceUID",
            "Modality",
            "SeriesDate",
            "SeriesTime",
            "Manufacturer",
            "InstitutionName",
            "StationName",
            "SeriesDescription",
            "PerformingPhysicianName_search",
            "BodyPartExamined",
        ),
        sa.Column("SeriesNumber", sa.BigInteger(), nullable=False),
        *_texts("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
        sa.Column("number_of_instances", sa.BigInteger(), nullable=False),
        *_texts("attributes"),
        sa.UniqueConstraint("SeriesInstanceUID"),
    )
    op.create_table(
        "request",
        _part_of("series", primary_key=True),
        sa.Column("item_number", sa.Integer(), primary_key=True, autoincrement=False),
        *_texts("ScheduledProcedureStepID", "RequestedProcedureID"),
    )


def _instance() -> None:
    op.create_table(
        "instance",
        _key(),
        _part_of("series"),
        *_texts("SOPClassUID", "SOPInstanceUID", "ContentDate", "ContentTime"),
        sa.Column("InstanceNumber", sa.BigInteger(), nullable=False),
        *_texts("transfer_syntax_uid", "blob_key"),
        sa.Column("data_set_offset", sa.BigInteger(), nullable=False),
        sa.Column("data_set_length", sa.BigInteger(), nullable=False),
        *_texts("sha256"),
        sa.Column("stored_at", sa.Double(), nullable=False),
        *_texts("attributes"),
        sa.UniqueConstraint("SOPInstanceUID"),
    )
    op.create_table(
        "instance_detail",
        _part_of("instance", primary_key=True),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sa.Column("frames", sa.LargeBinary(), nullable=False),
        sa.Column("bulk_values", sa.LargeBinary(), nullable=False),
        *_texts("door", "address", "calling_ae_title", "called_ae_title"),
    )


def _conflict() -> None:
    op.create_table(
        "conflict",
        _key(),
        *_texts(
            "SOPInstanceUID",
            "SeriesInstanceUID",
            "StudyInstanceUID",
            "SOPClassUID",
            "sha256",
            "reason",
            "door",
            "address",
            "calling_ae_title",
            "called_ae_title",
        ),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.UniqueConstraint("SOPInstanceUID", "sha256", "reason"),
    )


def _administration() -> None:
    op.create_table(
        "ae_title",
        sa.Column("title", _TEXT, primary_key=True),
        *_texts("host"),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.Column("removed_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "refusal",
        _key(),
        *_texts("calling", "called", "address", "reason"),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.UniqueConstraint("calling", "called", "address", "reason"),
    )
    op.create_table(
        "outbox",
        _key(),
        *_texts("event", "payload"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("given_up", sa.Boolean(), nullable=False),
        *_texts("reason"),
        sa.Column("put_at", sa.Double(), nullable=False),
    )


def _term_table(level: str) -> None:
    op.create_table(
        f"{level}_term",
        _part_of(level, primary_key=True),
        sa.Column("tag", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("value_number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("component_group", sa.Integer(), primary_key=True, autoincrement=False),
        *_texts("text"),
    )
