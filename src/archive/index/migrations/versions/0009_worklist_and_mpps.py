"""The worklist and performed procedure steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _moments(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double(), nullable=False) for name in names]


def _index(table: str, *columns: str) -> None:
    op.create_index(f"{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    """Make the tables and their indexes."""
    orders = ("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest")
    op.create_table(
        "worklist_item",
        sa.Column("id", _KEY, primary_key=True),
        *_texts("StudyInstanceUID", "ScheduledProcedureStepID", "RequestedProcedureID", "AccessionNumber"),
        *_texts("PatientID", "IssuerOfPatientID", *orders, "ScheduledProcedureStepStartDate"),
        *_texts("state", "planned_state", "attributes", "source"),
        *_moments("added_at", "changed_at"),
        sa.UniqueConstraint("StudyInstanceUID", "ScheduledProcedureStepID"),
    )
    _index("worklist_item", "state", "ScheduledProcedureStepStartDate")
    for column in (*orders, "AccessionNumber"):
        _index("worklist_item", column)
    op.create_table(
        "performed_step",
        sa.Column("id", _KEY, primary_key=True),
        *_texts("SOPInstanceUID", "PerformedProcedureStepStatus", "PatientID", "attributes"),
        *_texts("calling_ae_title", "address"),
        *_moments("created_at", "changed_at"),
        sa.UniqueConstraint("SOPInstanceUID"),
    )
    _index("performed_step", "changed_at")
    _performed_of()


def _performed_of() -> None:
    step = sa.ForeignKey("performed_step.id")
    item = sa.ForeignKey("worklist_item.id", ondelete="CASCADE")
    op.create_table(
        "performed_of",
        sa.Column("performed_step_id", _KEY, step, nullable=False, primary_key=True),
        sa.Column("worklist_item_id", _KEY, item, nullable=False, primary_key=True),
    )
    _index("performed_of", "worklist_item_id")
