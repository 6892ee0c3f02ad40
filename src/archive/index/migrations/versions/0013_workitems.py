"""Workitems, their subscribers, and what these are told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _moments(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double(), nullable=False) for name in names]


def _flags(*names: str) -> list[sa.Column[bool]]:
    return [sa.Column(name, sa.Boolean(), nullable=False) for name in names]


def _index(table: str, *columns: str) -> None:
    op.create_index(f"{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "workitem",
        sa.Column("id", _KEY, primary_key=True),
        *_texts("SOPInstanceUID", "ProcedureStepState", "TransactionUID", "performer"),
        *_texts("PatientID", "ScheduledProcedureStepStartDateTime", "attributes"),
        *_moments("created_at", "changed_at"),
        sa.UniqueConstraint("SOPInstanceUID"),
    )
    _index("workitem", "ProcedureStepState", "ScheduledProcedureStepStartDateTime")
    _index("workitem", "ScheduledProcedureStepStartDateTime")
    _index("workitem", "PatientID")
    _subscriptions()
    _events()


def _subscriptions() -> None:
    of_item = sa.ForeignKey("workitem.id", ondelete="CASCADE")
    op.create_table(
        "workitem_subscription",
        sa.Column("workitem_id", _KEY, of_item, nullable=False, primary_key=True),
        sa.Column("ae_title", _TEXT, primary_key=True),
        *_flags("deletion_lock", "reported"),
    )
    _index("workitem_subscription", "ae_title")
    op.create_table(
        "workitem_global_subscription",
        sa.Column("ae_title", _TEXT, primary_key=True),
        sa.Column("uid", _TEXT, primary_key=True),
        *_flags("deletion_lock", "reported"),
        *_texts("filter"),
    )


def _events() -> None:
    op.create_table(
        "workitem_event",
        sa.Column("id", _KEY, primary_key=True),
        *_texts("ae_title"),
        sa.Column("type", sa.Integer(), nullable=False),
        *_texts("SOPInstanceUID", "information", "state", "reason"),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        *_moments("created_at", "changed_at"),
    )
    _index("workitem_event", "ae_title", "id")
    _index("workitem_event", "state", "ae_title")
    op.create_table(
        "workitem_receiver",
        sa.Column("ae_title", _TEXT, primary_key=True),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        *_flags("scheduled"),
        *_moments("scheduled_at"),
    )
    op.create_table(
        "workitem_listener",
        sa.Column("ae_title", _TEXT, primary_key=True),
        sa.Column("heard", sa.BigInteger(), nullable=False),
        *_moments("changed_at"),
    )
