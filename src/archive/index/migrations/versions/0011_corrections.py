"""Corrections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _moments(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double(), nullable=False) for name in names]


def _of_correction() -> sa.Column[int]:
    of = sa.ForeignKey("correction.id")
    return sa.Column("correction_id", _KEY, of, nullable=False, primary_key=True)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, _TEXT, primary_key=True)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "correction",
        sa.Column("id", _KEY, primary_key=True),
        *_texts("kind", "PatientID", "IssuerOfPatientID", "StudyInstanceUID"),
        *_texts("to_PatientID", "to_IssuerOfPatientID"),
        *_numbers("undoes"),
        *_texts("attributes", "made_by", "reason", "state", "failure"),
        *_moments("made_at", "done_at"),
        sa.Column("begun", sa.Boolean(), nullable=False),
    )
    _index("correction", "state")
    _index("correction", "PatientID")
    _index("correction", "to_PatientID")
    op.create_table(
        "correction_rule",
        _of_correction(),
        _key("scope"),
        sa.Column("tag", sa.BigInteger(), primary_key=True, autoincrement=False),
        _key("former"),
    )
    _index("correction_rule", "scope")
    op.create_table("corrected_study", _of_correction(), _key("StudyInstanceUID"), *_texts("state", "reason"))
    _index("corrected_study", "StudyInstanceUID")
    _objects()


def _objects() -> None:
    binary = [
        sa.Column(name, sa.LargeBinary(), nullable=False) for name in ("metadata", "frames", "bulk_values")
    ]
    op.create_table(
        "rewritten",
        _of_correction(),
        _key("SOPInstanceUID"),
        *_texts(
            "SeriesInstanceUID", "StudyInstanceUID", "former_key", "blob_key", "sha256", "before", "after"
        ),
        *_numbers("data_set_offset", "data_set_length"),
        *binary,
    )
    _index("rewritten", "StudyInstanceUID")
    op.create_table(
        "corrected_object",
        _of_correction(),
        _key("SOPInstanceUID"),
        *_texts(
            "SeriesInstanceUID", "StudyInstanceUID", "before", "blob_key", "sha256", "transfer_syntax_uid"
        ),
        *_numbers("data_set_offset", "data_set_length"),
        *_moments("corrected_at"),
    )
    for column in ("StudyInstanceUID", "SOPInstanceUID"):
        _index("corrected_object", column)
