"""Entries and performed steps found by their patient: they follow when a patient is merged or renamed."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the indexes."""
    for table in ("worklist_item", "performed_step"):
        op.create_index(f"{table}_PatientID", table, ["PatientID"])
